// The package's threads in Node: the same bits with any number, saved states between them, and programs that end.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, Model } from '../../js/index.js';
import { json, ROOT } from './lib/cli.js';

const STORIES = new URL('../../models/stories.gguf', import.meta.url);
const PROMPT = 'Once upon a time there was a fox. '.repeat(20);
const expected = json('native', ['generate', 'models/stories.gguf', '-p', PROMPT, '--seed', '7', '-n', '40', '--json']);

async function load(options) {
  const model = await Model.load(STORIES, options);
  await model.ready;
  return model;
}

test('one seed gives one text with any number of threads', async () => {
  for (const threads of [1, 2, 3, 16, 'auto']) {
    const model = await load({ threads });
    const { text } = await model.session().prompt(PROMPT, { seed: 7, maxTokens: 40 });
    assert.is(text, (await expected).text, `${threads}`);
    assert.ok(model.memory <= model.plan.memory);
    assert.ok(model.info.threads >= 1 && model.info.threads <= (threads === 'auto' ? 8 : threads));
    model.destroy();
  }
});

test('a number that is asked for is used, once its threads are there', async () => {
  const model = await load({ threads: 3 });
  const session = model.session();
  for (let i = 0; i < 100 && model.info.threads < 3; i++) await session.prompt('a', { maxTokens: 5 });
  assert.is(model.info.threads, 3);
  assert.is(model.info.isa.replace('relaxed', 'simd128'), 'simd128');
  model.destroy();
});

test('the plan counts stacks and scratch of threads', async () => {
  const [one, four] = await Promise.all([1, 4].map((threads) => Model.plan(STORIES, { threads })));
  assert.is(one.info.threads, 1);
  assert.is(four.info.threads, 4);
  assert.ok(four.memory >= one.memory + 3 * 32768, `${one.memory} ${four.memory}`);
});

test('a state that was saved with threads is restored without', async () => {
  const [two, one] = await Promise.all([load({ threads: 2 }), load({ threads: 1 })]);
  const session = two.session(), other = one.session();
  await session.append(PROMPT);
  await other.restore(await session.save());
  const options = { temperature: 0, maxTokens: 20 };
  assert.is((await other.prompt(undefined, options)).text, (await session.prompt(undefined, options)).text);
  two.destroy();
  one.destroy();
});

test('wrong numbers and names are errors', async () => {
  for (const options of [{ threads: 0 }, { threads: 17 }, { threads: 1.5 }, { threads: 'all' }, { isa: 'sse' }])
    assert.instance(await Model.load(STORIES, options).catch((error) => error), ArgumentError, JSON.stringify(options));
});

for (const [what, end] of [['destroyed while it computes', 'setTimeout(() => model.destroy(), 30); await answer.catch(() => {});'],
  ['left alone when idle', 'await answer;'], ['left by process.exit', 'setTimeout(() => process.exit(), 30); await answer;']])
  test(`a program ends by itself when its model is ${what}`, async () => {
    const program = `(async () => {
      const { Model } = await import('./js/index.js');
      const model = await Model.load('models/stories.gguf', { threads: 3 });
      await model.ready;
      const answer = model.session().prompt(${JSON.stringify(PROMPT)}, { maxTokens: 100 });
      ${end}
    })()`;
    const child = spawn(process.execPath, ['-e', program], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
    const [code] = await once(child, 'exit');
    clearTimeout(timer);
    assert.is(code, 0);
  });

test.run();
