// What sharing buys and costs in a page: MobileLLM-LS-125M's shape (30 blocks, each played twice; random weights in Q4_0) and its
// unrolled twin, by turns, in Chromium: from a throttled network to the first token, from the cache until ready and to the first
// token, and a token's time. Usage: node tests/bench/sharing.js [ROUNDS]
import { open } from '../browser/lib/browsers.js';
import { putPackage } from '../browser/lib/packed.js';
import { serve } from '../browser/lib/server.js';
import { app } from '../browser/lib/app.js';
import { sharedAndTwin } from './models.js';
import { median } from './table.js';

const ROUNDS = Number(process.argv[2] ?? 5);
const BYTES_PER_S = 20e6;

/** In the page: milliseconds until the model is ready and until the first token, and of a token. */
const visit = async (url, options, tokens) => {
  const start = performance.now();
  const model = await window.reprise.Model.load(url, { context: 512, threads: 1, ...options });
  const ready = model.ready.then(() => performance.now() - start);
  const stream = model.session({ chat: false }).pieces({ ids: [1, 400, 500, 600] }, { temperature: 0, maxTokens: tokens, logitBias: { 2: -Infinity } });
  await stream.next();
  const first = performance.now() - start;
  for await (const piece of stream) void piece;
  const { timings, usage } = await stream.result;
  const answer = { ready: await ready, first, token: timings.decodeMs / (usage.completionTokens - 1), memory: model.memory };
  model.destroy();
  return answer;
};

const server = await serve(), browser = await open('chromium');
putPackage(server, '/js/');
const files = sharedAndTwin(), kinds = /** @type {const} */ (['shared', 'twin']);
const page = await app(browser, server);
const figures = { network: {}, cacheReady: {}, cacheFirst: {}, token: {}, memory: {} };
const add = (figure, kind, value) => (figures[figure][kind] ??= []).push(value);
for (const kind of kinds) await page.evaluate(visit, `${server.url}/${files[kind]}`, {}, 1); // fills the cache
for (let round = 1; round <= ROUNDS; round++)
  for (const kind of round % 2 ? kinds : kinds.toReversed()) {
    const url = `${server.url}/${files[kind]}`;
    add('network', kind, (await page.evaluate(visit, `${url}?rate=${BYTES_PER_S}&round=${round}`, { cache: false }, 1)).first);
    const warm = await page.evaluate(visit, url, {}, 33);
    add('cacheReady', kind, warm.ready);
    add('cacheFirst', kind, warm.first);
    add('token', kind, warm.token);
    add('memory', kind, warm.memory);
    console.error(`round ${round} of ${ROUNDS}, ${kind}: ready ${warm.ready.toFixed(0)} ms, token ${warm.token.toFixed(2)} ms`);
  }
console.log('\n| | shared | unrolled twin | ratio |\n| --- | ---: | ---: | ---: |');
const row = (text, figure, digits, scale = 1) => {
  const [ours, theirs] = kinds.map((kind) => median(figures[figure][kind]) / scale);
  console.log(`| ${text} | ${ours.toFixed(digits)} | ${theirs.toFixed(digits)} | ${(ours / theirs).toFixed(3)} |`);
};
row(`first token, network of ${BYTES_PER_S / 1e6} MB/s, ms`, 'network', 0);
row('from the cache until ready, ms', 'cacheReady', 0);
row('from the cache to the first token, ms', 'cacheFirst', 0);
row('a token, ms', 'token', 2);
row('WebAssembly memory, MB', 'memory', 1, 1e6);
await browser.close();
await server.close();
