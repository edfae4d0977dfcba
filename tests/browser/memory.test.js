// Memory in real pages: never above the plan, given back by destroy(), and the same after two hundred models as after a hundred.
import * as assert from 'uvu/assert';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { skip } from '../js/lib/skip.js';
import { app } from './lib/app.js';
import { each, run } from './lib/each.js';

const MB = 2 ** 20;
const BESIDE_MB = 16; // what a worker, compiled code and bytes on their way may take beside the plan, as memory of their own
const PROGRAM_MB = 14; // pages of the browser's own program that a worker and WebAssembly bring in, shared by all its processes
const SMOLLM2 = '/build/models/smollm2.gguf';
const STORIES = '/models/stories.gguf';
const GROWTH_MB = 24; // of all page processes in 100 cycles: garbage comes and goes, a model that is not given back is 7 MB each time

const status = (pid) => readFileSync(`/proc/${pid}/status`, 'utf8');
const figure = (pid, name) => Number(status(pid).match(new RegExp(`${name}:\\s+(\\d+)`))?.[1] ?? 0) * 1024;

/** Peaks of one load and run in a page of its own. */
async function measure(browser, server, way) {
  const page = await app(browser, server);
  if (way.includes('into')) await page.evaluate((url) => window.reprise.caches.delete(url), `${server.url}${SMOLLM2}`);
  await sleep(1000);
  // The page's own process is the one that grows.
  const before = new Map(browser.pids().map((pid) => [pid, figure(pid, 'VmRSS')]));
  const anonymous = new Map(browser.pids().map((pid) => [pid, figure(pid, 'RssAnon')]));
  for (const pid of before.keys()) writeFileSync(`/proc/${pid}/clear_refs`, '5'); // the peak is counted from here on
  let own = 0;
  const look = () => (own = Math.max(own, ...[...anonymous].map(([pid, bytes]) => figure(pid, 'RssAnon') - bytes)));
  const timer = setInterval(look, 10);
  const { memory, planned } = await page.evaluate(async (url, cache) => {
    let stored;
    const isStored = new Promise((resolve) => (stored = resolve));
    const onProgress = ({ phase }) => phase === 'stored' && stored();
    const model = await window.reprise.Model.load(url, { cache, context: 512, onProgress });
    await model.session().prompt(`Tell me about ${'this and that and '.repeat(60)}`, { maxTokens: 20, temperature: 0 });
    await isStored;
    const { memory, plan } = model;
    model.destroy();
    return { memory, planned: plan.memory };
  }, `${server.url}${SMOLLM2}`, !way.includes('no cache'));
  const grown = Math.max(...[...before].map(([pid, bytes]) => figure(pid, 'VmHWM') - bytes));
  clearInterval(timer);
  await page.close();
  const [inWasm, inProcess, inOwn, inPlan] = [memory, grown, own, planned].map((bytes) => (bytes / MB).toFixed(1));
  const figures = `${way}: WebAssembly ${inWasm}, process ${inProcess} of which its own ${inOwn}, plan ${inPlan} MB`;
  console.log(`\n${figures}`);
  assert.ok(memory <= planned, figures);
  return { fits: own <= planned + BESIDE_MB * MB && grown <= planned + (BESIDE_MB + PROGRAM_MB) * MB, figures };
}

each('loading and running SmolLM2 stays within the plan, in WebAssembly and in the process', async ({ browser, server }) => {
  if (!existsSync(new URL(`../..${SMOLLM2}`, import.meta.url))) return skip('build/models/smollm2.gguf is absent: make models');
  for (const way of ['from the network, no cache', 'from the network into the cache', 'from the cache']) {
    // A busy machine delays the browser's collector by some 10 MB now and then; what is really held is there each time.
    const first = await measure(browser, server, way), { fits, figures } = first.fits ? first : await measure(browser, server, way);
    assert.ok(fits, figures);
  }
}, { only: ['chromium'], ms: 240_000 });

const cycles = async (url, count) => {
  const { Model } = window.reprise;
  const said = new Set();
  for (let i = 0; i < count; i++) {
    const abort = new AbortController();
    const model = await Model.load(url);
    const stream = model.session().stream('Once upon a time', { signal: abort.signal, logitBias: { [model.info.eos]: -Infinity } });
    try {
      let pieces = 0;
      for await (const piece of stream) if (piece && ++pieces === 3 + (i % 5)) abort.abort();
    } catch (error) {
      said.add(error.name);
    }
    model.destroy();
  }
  return [...said];
};

each('two hundred times load, generate, abort, destroy', async ({ browser, server, name }) => {
  const page = await app(browser, server);
  const held = () => browser.pids().reduce((sum, pid) => sum + figure(pid, 'RssAnon'), 0);
  const settled = async () => {
    await sleep(3000);
    return held();
  };
  const hundred = async () => {
    for (let i = 0; i < 4; i++) assert.equal(await page.evaluate(cycles, server.url + STORIES, 25), ['AbortError']);
    return settled();
  };
  const before = await hundred();
  const after = await hundred();
  console.log(`\n${name}: ${(before / MB).toFixed(1)} MB after 100 cycles, ${(after / MB).toFixed(1)} MB after 200`);
  if (name === 'chromium') assert.is(page.page.workers().length, 0);
  assert.ok(after - before < GROWTH_MB * MB, `grew by ${((after - before) / MB).toFixed(1)} MB`);
}, { ms: 400_000 });

run();
