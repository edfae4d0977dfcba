// Sessions that write at the same time share each pass over the weights, and each gets the text that it gets alone.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { join } from 'node:path';
import { Model } from '../../js/index.js';
import { compute } from '../../js/generate.js';
import { ROOT } from './lib/cli.js';

const STORIES = join(ROOT, 'models/stories.gguf');
const MANY = 5;

const read = async (stream) => {
  let text = '';
  for await (const piece of stream) text += piece;
  return text;
};

for (const kvType of ['f16', 'q8_0', 'q8_q4'])
  test(`texts written together are those written alone, KV cache in ${kvType}`, async () => {
    const model = await Model.load(STORIES, { context: 256, sessions: MANY, kvType });
    const write = async (i) => {
      const session = model.session({ chat: false });
      const text = await read(session.stream(`Once upon a time, ${'there '.repeat(i)}`, { seed: i, maxTokens: 40 + 5 * i }));
      session.destroy();
      return text;
    };
    const alone = [];
    for (let i = 0; i < MANY; i++) alone.push(await write(i));
    assert.equal(await Promise.all(alone.map((_, i) => write(i))), alone);
    assert.equal(new Set(alone).size, MANY);
    model.destroy();
  });

test('one that is aborted leaves the others as they are', async () => {
  const model = await Model.load(STORIES, { context: 256, sessions: 3 });
  const [first, second, third] = [0, 1, 2].map(() => model.session({ chat: false }));
  const options = { seed: 7, maxTokens: 80 };
  const alone = await read(first.stream('Once upon a time', options));
  const abort = new AbortController();
  const texts = Promise.all([second, third].map((session) => read(session.stream('Once upon a time', options))));
  const stopped = first.stream(' And', { ...options, signal: abort.signal });
  let pieces = 0;
  const reading = (async () => {
    for await (const _ of stopped) if (++pieces === 5) abort.abort();
  })();
  await reading.catch((error) => assert.is(error.name, 'AbortError'));
  assert.is((await stopped.result).finishReason, 'abort');
  assert.equal(await texts, [alone, alone]);
  model.destroy();
});

/** A session of two visits a token that writes down with whom it steps. */
const fakeSession = (name, log) => ({
  name, isOne: true, left: 2, visit: 0, cancel() {},
  step(all) {
    const together = [...all].filter((other) => other.left === this.left);
    log.push(together.map((other) => other.name).join(''));
    for (const other of together) other.left--;
    return this.left > 0 ? 'more' : 'done';
  },
});

test('sessions that decode wait for each other at a token, and for nobody else', async () => {
  const log = [];
  const model = { computing: new Set() };
  const task = { signal: new AbortController().signal };
  const token = async (session) => {
    session.left = 2;
    await compute(model, session, task);
  };
  const [a, b, c] = ['a', 'b', 'c'].map((name) => fakeSession(name, log));
  await token(a);
  assert.equal(log.splice(0), ['a', 'a']);
  const run = async (session) => {
    for (let i = 0; i < 6; i++) await token(session);
  };
  const alive = setInterval(() => {}, 1000); // a turn of the event loop keeps no program alive
  await Promise.all([a, b, c].map(run));
  clearInterval(alive);
  const shared = log.filter((names) => names.length === 3).length;
  assert.ok(shared >= 10, log.join(' '));
  assert.is(model.computing.size, 0);
});

test.run();
