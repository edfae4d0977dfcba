// Threads in isolated pages: the same text with any number of them and any instruction set; whoever stops, aborts or destroys
// leaves no worker behind; what has no shared memory computes with one.
import * as assert from 'uvu/assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { json } from '../js/lib/cli.js';
import { app } from './lib/app.js';
import { each, run } from './lib/each.js';

const STORIES = '/models/stories.gguf';
const PROMPT = 'Once upon a time there was a fox. '.repeat(40);
const ISAS = { chromium: ['relaxed', 'simd128', 'scalar'], firefox: ['relaxed', 'simd128', 'scalar'], webkit: ['simd128', 'scalar'] };

/** In the page: a text, with what computed it. */
const tell = async (url, prompt, options) => {
  const warnings = [];
  const onWarning = ({ kind }) => warnings.push(kind);
  const model = await window.reprise.Model.load(url, { context: 1024, cache: false, onWarning, ...options });
  const most = model.info.threads;
  await model.ready;
  const { text } = await model.session().prompt(prompt, { seed: 7, maxTokens: 30 });
  const { memory, plan, info } = model;
  model.destroy();
  return { text, isa: info.isa, threads: info.threads, most, fits: memory <= plan.memory, warnings };
};

let reference;
async function expected() {
  reference ??= (await json('native', ['generate', 'models/stories.gguf', '-p', PROMPT, '--seed', '7', '-n', '30', '--json'])).text;
  return reference;
}

each('one seed gives one text, whatever computes it', async ({ browser, server, name }) => {
  const page = await app(browser, server, { isolated: true });
  for (const isa of ISAS[name])
    for (const threads of [1, 2, 4]) {
      const said = await page.evaluate(tell, server.url + STORIES, PROMPT, { isa, threads });
      assert.is(said.text, await expected(), `${isa} ${threads}`);
      assert.is(said.isa, isa);
      assert.ok(said.fits, 'more memory than the plan');
      assert.is(said.warnings.includes('one-thread'), threads > 1 && (name === 'webkit' || isa === 'scalar'), `${isa} ${threads}`);
      assert.ok(said.threads >= 1 && said.threads <= (name === 'webkit' || isa === 'scalar' ? 1 : threads));
    }
});

/** In the page: workers that run, from now on. */
const count = () => {
  window.workers = new Set();
  window.Worker = class extends Worker {
    constructor(...args) {
      super(...args);
      window.workers.add(this);
    }
    terminate() {
      super.terminate();
      window.workers.delete(this);
    }
  };
};

async function until(isSo) {
  for (let i = 0; i < 20 && !isSo(); i++) await sleep(50);
  assert.ok(isSo());
}

const SHARED = { only: ['chromium', 'firefox'] }; // WebKitGTK has no shared memory

each('aborting and destroying, whatever is computed, leave no worker and nothing pending', async ({ browser, server, name }) => {
  const page = await app(browser, server, { isolated: true });
  await page.evaluate(count);
  const said = await page.evaluate(async (url, prompt) => {
    const { Model } = window.reprise;
    const model = await Model.load(url, { context: 1024, cache: false, threads: 3 });
    const session = model.session();
    const said = { aborted: 0, running: 0, destroyed: [] };
    for (let i = 0; i < 30; i++) {
      const abort = new AbortController();
      const answer = session.prompt(prompt, { maxTokens: 40, signal: abort.signal });
      setTimeout(() => abort.abort(), i);
      await answer.catch(({ name }) => (said.aborted += name === 'AbortError'));
      await session.rewind({ tokens: 0 });
    }
    said.running = window.workers.size;
    said.text = (await session.prompt('Once upon a time', { temperature: 0, maxTokens: 12 })).text;
    model.destroy();
    for (let i = 0; i < 10; i++) {
      const model = await Model.load(url, { context: 1024, cache: false, threads: 3 });
      const answer = model.session().prompt(prompt, { maxTokens: 200 });
      setTimeout(() => model.destroy(), 12 * i);
      said.destroyed.push(await answer.then(() => 'done', ({ code }) => code));
    }
    const abort = new AbortController();
    const load = Model.load(url, { cache: false, threads: 3, signal: abort.signal });
    setTimeout(() => abort.abort(), 30);
    await load.then((model) => model.destroy(), () => {});
    await new Promise((resolve) => setTimeout(resolve, 300));
    return { ...said, left: window.workers.size };
  }, server.url + STORIES, PROMPT);
  const { text } = await json('native', ['generate', 'models/stories.gguf', '-p', 'Once upon a time', '--temperature', '0', '-n', '12', '--json']);
  assert.is(said.text, text);
  assert.is(said.running, 3);
  assert.ok(said.aborted > 5, `${said.aborted} of 30 aborted`);
  assert.ok(said.destroyed.includes('RP_ERR_ARGUMENT'));
  assert.is(said.left, 0);
  if (name === 'chromium') await until(() => page.page.workers().length === 0);
}, SHARED);

each('threads that do not come are fewer threads, and what is lazy is fetched by isolated pages alone', async ({ browser, server }) => {
  const load = (url, options) => window.reprise.Model.load(url, { cache: false, ...options }).then(async (model) => {
    await model.ready;
    const { text } = await model.session().prompt('Once upon a time', { seed: 7, maxTokens: 30 });
    const { threads } = model.info;
    model.destroy();
    return { text, threads };
  });
  const lazy = () => server.log.filter(({ path }) => /thread|-threads/.test(path)).length;
  const plain = await app(browser, server);
  const { text } = await plain.evaluate(load, server.url + STORIES, { threads: 2 });
  assert.is(lazy(), 0);
  await plain.close();
  server.on('/js/thread.js', { status: 404 });
  const page = await app(browser, server, { isolated: true });
  assert.equal(await page.evaluate(load, server.url + STORIES, { threads: 3 }), { text, threads: 1 });
  assert.ok(lazy() > 0);
}, SHARED);

each('saved sessions, embeddings and logits are the same with threads', async ({ browser, server }) => {
  const page = await app(browser, server, { isolated: true });
  const answers = await page.evaluate(async (url) => {
    const answers = [];
    for (const threads of [1, 2]) {
      const model = await window.reprise.Model.load(url, { cache: false, threads, sessions: 2 });
      await model.ready;
      const session = model.session();
      await session.append('Once upon a time');
      const other = model.session();
      await other.restore(await session.save());
      const logits = await other.logits(await model.tokenize('The cat sat on the mat', { bos: true }));
      const embedding = await session.embed('A cat.');
      answers.push(JSON.stringify([[...logits], [...embedding], await model.detokenize([300, 301]), await other.ids()]));
      model.destroy();
    }
    return answers[0] === answers[1] ? answers[0].length : answers;
  }, server.url + STORIES);
  assert.type(answers, 'number');
}, SHARED);

run();
