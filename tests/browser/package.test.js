// The package in real pages: what loads it, what it may need, what it says, and what it does when things end badly.
import * as assert from 'uvu/assert';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Model } from '../../js/index.js';
import { json } from '../js/lib/cli.js';
import { app } from './lib/app.js';
import { open } from './lib/browsers.js';
import { each, run } from './lib/each.js';

const STORIES = '/models/stories.gguf';
const PROMPT = 'Once upon a time';
const root = (path) => new URL(`../..${path}`, import.meta.url);
const CSP = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

/** In the page: a story, and what it took. */
const tell = async (url, options) => {
  const { Model } = window.reprise;
  const model = await Model.load(url, options);
  const session = model.session();
  let text = '';
  for await (const piece of session.stream('Once upon a time', { seed: 7, maxTokens: 60 })) text += piece;
  await model.ready;
  const { memory, plan, info } = model;
  model.destroy();
  return { text, memory, planned: plan.memory, isa: info.isa };
};

/** WebKitGTK has no relaxed SIMD. */
const best = (name) => (name === 'webkit' ? 'simd128' : 'relaxed');

let reference;
async function expected() {
  reference ??= (await json('native', ['generate', 'models/stories.gguf', '-p', PROMPT, '--seed', '7', '-n', '60', '--json'])).text;
  return reference;
}

each('one prompt and seed give one text, here, in Node and natively', async ({ browser, server, name }) => {
  const page = await app(browser, server);
  const { text, memory, planned, isa } = await page.evaluate(tell, server.url + STORIES);
  assert.is(text, await expected());
  assert.ok(memory <= planned, `${memory} of ${planned}`);
  assert.is(isa, best(name));
  const model = await Model.load(root(STORIES));
  assert.is((await model.session().prompt(PROMPT, { seed: 7, maxTokens: 60 })).text, text);
  model.destroy();
});

each('runs under a strict policy, isolated or not, and asks no other host for anything', async ({ browser, server }) => {
  for (const isolated of [false, true]) {
    const page = await app(browser, server, { isolated, headers: { 'Content-Security-Policy': CSP } });
    assert.is((await page.evaluate(tell, server.url + STORIES)).text, await expected());
    const complaints = page.logs.filter(({ text }) => /Content.Security/.test(text) && !/data:/.test(text)); // blank.html's icon
    assert.equal(complaints, []);
    await page.close();
    await server.restart();
  }
});

each('a script from another origin starts its worker', async ({ browser, server }) => {
  server.on('/js/index.js', {});
  const page = await browser.page(`${server.url}/tests/browser/pages/blank.html?other-origin`);
  const text = await page.evaluate(async (other, url) => {
    const { Model } = await import(`${other}/js/index.js`);
    const model = await Model.load(url);
    const { text } = await model.session().prompt('Once upon a time', { seed: 7, maxTokens: 60 });
    model.destroy();
    return text;
  }, server.second, server.url + STORIES);
  assert.is(text, await expected());
  const own = await page.evaluate(async (other, home) => {
    const { Model } = await import(`${other}/js/index.js`);
    const model = await Model.load(`${home}/models/stories.gguf`, { workerUrl: `${home}/js/worker.js` });
    const { text } = await model.session().prompt('Once upon a time', { seed: 7, maxTokens: 60 });
    model.destroy();
    return text;
  }, server.second, server.url);
  assert.is(own, await expected());
});

each('files of different versions refuse each other', async ({ browser, server, name }) => {
  const version = String(readFileSync(root('/js/version.js')));
  const page = await app(browser, server);
  const load = (url, options) => window.reprise.Model.load(url, options).then(() => 'loaded', ({ code, message }) => `${code} ${message}`);
  for (const name of ['worker.js', 'serve.js', 'errors.js', 'loader.js', 'builds.js', 'engine.js'])
    assert.ok(readFileSync(root(`/js/${name}`)));
  server.put('/other/worker.js', "import { version } from './version.js'\npostMessage({ hello: { version } })");
  server.put('/other/version.js', version.replace(/'[\d.]+'/, "'9.9.9'"));
  const answer = await page.evaluate(load, server.url + STORIES, { workerUrl: '/other/worker.js' });
  assert.match(answer, /RP_ERR_UNSUPPORTED .*9\.9\.9.*serve files of one version/);
  assert.match(await page.evaluate(load, server.url + STORIES, { workerUrl: `${server.url}/nothing.js` }), /RP_ERR_IO .*worker/);
  server.on(`/js/wasm/page-${best(name)}.wasm`, { status: 404 });
  assert.match(await page.evaluate(load, server.url + STORIES), new RegExp(`RP_ERR_IO .*page-${best(name)}\\.wasm.*404`));
});

each('a build that computes wrong sums is not used, one that is asked for must be right, and one is fetched', async ({ browser, server, name }) => {
  const page = await app(browser, server);
  const isa = (url, options) => window.reprise.Model.load(url, options).then((model) => {
    model.destroy();
    return model.info.isa;
  }, ({ code }) => code);
  const fetched = () => server.log.filter(({ path }) => /page-.*wasm$/.test(path)).map(({ path }) => path.match(/page-(.*)\.wasm/)[1]);
  assert.is(await page.evaluate(isa, server.url + STORIES), best(name));
  assert.equal(fetched(), [best(name)]);
  for (const asked of ['simd128', 'scalar']) assert.is(await page.evaluate(isa, server.url + STORIES, { isa: asked }), asked);
  assert.is(await page.evaluate(isa, server.url + STORIES, { isa: 'avx' }), 'RP_ERR_ARGUMENT');
  if (name === 'webkit') assert.is(await page.evaluate(isa, server.url + STORIES, { isa: 'relaxed' }), 'RP_ERR_UNSUPPORTED');
  // As if SIMD were broken here: the constant that the check compares with is another one.
  for (const broken of ['relaxed', 'simd128']) {
    const bytes = readFileSync(root(`/js/wasm/page-${broken}.wasm`));
    const digit = bytes.indexOf('"check":') + 8;
    bytes[digit] = bytes[digit] === 0x31 ? 0x32 : 0x31;
    server.put(`/js/wasm/page-${broken}.wasm`, bytes);
  }
  const fresh = await app(browser, server, { library: '/js/index.js' });
  assert.is(await fresh.evaluate(isa, server.url + STORIES), 'scalar');
  assert.is(await fresh.evaluate(isa, server.url + STORIES, { isa: 'simd128' }), 'RP_ERR_UNSUPPORTED');
});

each('leaving, aborting and destroying stop the model, and nothing stays pending', async ({ browser, server }) => {
  const page = await app(browser, server);
  const answers = await page.evaluate(async (url) => {
    const { Model } = window.reprise;
    const said = [];
    const say = (promise) => promise.then((value) => said.push(String(value?.finishReason ?? value)), (error) => said.push(error.name));
    const model = await Model.load(url);
    const session = model.session();
    const endless = { logitBias: { [model.info.eos]: -Infinity } };
    for await (const piece of session.stream('Once', endless)) if (piece) break;
    const abort = new AbortController();
    const prompt = session.prompt('upon', { ...endless, signal: abort.signal });
    setTimeout(() => abort.abort(), 20);
    await say(prompt);
    await say(session.prompt('a time', { maxTokens: 2 }));
    const pending = [say(session.prompt('Once', endless)), say(session.prompt('more')), say(session.save())];
    await new Promise((resolve) => setTimeout(resolve, 20));
    model.destroy();
    await Promise.all(pending);
    return said;
  }, server.url + STORIES);
  assert.equal(answers, ['AbortError', 'length', 'ArgumentError', 'ArgumentError', 'ArgumentError']);
});

each('a worker that dies rejects everything', async ({ browser, server }) => {
  const page = await app(browser, server);
  await page.evaluate(async (url) => {
    window.model = await window.reprise.Model.load(url);
    window.ended = window.model.session().prompt('Once', { logitBias: { [window.model.info.eos]: -Infinity }, onVisit: () => new Promise(() => {}) })
      .then(() => 'ended', ({ code, message }) => `${code} ${message}`);
  }, server.url + STORIES);
  const [worker] = page.page.workers();
  await worker.evaluate('self.close()').catch(() => {}); // the answer may be lost with the worker
  assert.match(await page.evaluate('window.ended'), /RP_ERR_IO the worker stopped/);
  assert.match(await page.evaluate("window.model.tokenize('x').then(() => 'ok', ({ code }) => code)"), /RP_ERR_IO/);
}, { only: ['chromium'] }); // only there a test can reach into a worker

each('a visit can be waited for, and an unread stream stops', async ({ browser, server }) => {
  const page = await app(browser, server);
  const { visits, held, more } = await page.evaluate(async (url) => {
    const model = await window.reprise.Model.load(url);
    const session = model.session();
    const visits = [];
    const stream = session.stream('Once', { temperature: 0, maxTokens: 200, logitBias: { [model.info.eos]: -Infinity },
      onVisit: (visit) => visits.length < 16 && new Promise((resolve) => setTimeout(resolve, 5, visits.push(visit))) });
    await stream.next();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const held = (await session.ids()).length;
    await new Promise((resolve) => setTimeout(resolve, 200));
    const more = (await session.ids()).length - held;
    model.destroy();
    return { visits, held, more };
  }, server.url + STORIES);
  assert.equal(visits, [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7]);
  assert.ok(held < 40 && more === 0, `${held} tokens, then ${more} more`);
});

each('endless and hostile templates are refused in time', async ({ browser, server }) => {
  const page = await app(browser, server);
  const answers = await page.evaluate(async (url, templates) => {
    const model = await window.reprise.Model.load(url, { sessions: 1 });
    const answers = [];
    for (const chatTemplate of templates) {
      const session = model.session({ chatTemplate });
      const start = performance.now();
      const code = await session.prompt('hi').then(() => 'ended', ({ code }) => code);
      answers.push({ code, ms: performance.now() - start });
      session.destroy();
    }
    const { text } = await model.session({ chat: false }).prompt('Once', { maxTokens: 5, temperature: 0 });
    model.destroy();
    return { answers, text };
  }, server.url + STORIES, [
    '{% for i in range(99999999) %}{% for j in range(99999999) %}x{% endfor %}{% endfor %}',
    '{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}',
    '{% set ns = namespace(s="xxxxxxxx") %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}',
    '{{ range(10 ** 12) }}', '{% for', '{{ "".constructor.constructor("return self")() }}']);
  assert.ok(answers.text);
  for (const { code, ms } of answers.answers) {
    assert.ok(['RP_ERR_FORMAT', 'RP_ERR_ARGUMENT'].includes(code), code);
    assert.ok(ms < 10_000, `${ms} ms`);
  }
});

each('runs in a page of an extension', async ({ server }) => {
  assert.ok(server);
  const folder = mkdtempSync(join(tmpdir(), 'reprise-extension-'));
  const policy = { extension_pages: "script-src 'self' 'wasm-unsafe-eval'; object-src 'self'" };
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ manifest_version: 3, name: 'Reprise', version: '1', content_security_policy: policy }));
  writeFileSync(join(folder, 'page.html'), '<!doctype html><title>Page</title><script type="module" src="page.js"></script>');
  writeFileSync(join(folder, 'page.js'), "import * as reprise from './reprise/index.js'\nwindow.reprise = reprise\n");
  cpSync(root('/build/package'), join(folder, 'reprise'), { recursive: true });
  cpSync(root(STORIES), join(folder, 'stories.gguf'));
  // The identity of an extension that is loaded from a folder comes from the folder's name.
  const id = [...createHash('sha256').update(folder).digest('hex').slice(0, 32)].map((digit) => 'abcdefghijklmnop'[parseInt(digit, 16)]).join('');
  const browser = await open('chromium', { args: [`--load-extension=${folder}`, `--disable-extensions-except=${folder}`] });
  try {
    const page = await browser.page(`chrome-extension://${id}/page.html`);
    await page.until('!!window.reprise');
    assert.is((await page.evaluate(tell, 'stories.gguf')).text, await expected());
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  }
}, { only: ['chromium'] }); // the other two load extensions only by hand, or not at all

run();
