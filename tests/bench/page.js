// What a visitor waits for, in Chromium: from the file's last byte to the first token, with the prompt given before or after
// loading, in turns; and how long the model goes on after an abort. Usage: node tests/bench/page.js [ROUNDS]. Needs SmolLM2.
import { open } from '../browser/lib/browsers.js';
import { putPackage } from '../browser/lib/packed.js';
import { serve } from '../browser/lib/server.js';
import { app } from '../browser/lib/app.js';

const ROUNDS = Number(process.argv[2] ?? 5);
const BYTES_PER_S = 20e6;
const MODEL = '/build/models/smollm2.gguf';

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const ms = (values) => `${median(values).toFixed(0)} ms (${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})`;

/** In the page: milliseconds from the last byte to the first piece. */
const firstToken = async (url, early) => {
  const model = await window.reprise.Model.load(url, { cache: false, context: 512 });
  const session = model.session({ chat: false });
  const prompt = 'The quick brown fox jumps over the lazy dog and runs. '.repeat(17);
  const tokens = (await model.tokenize(prompt)).length;
  let lastByte = 0;
  const ready = model.ready.then(() => (lastByte = performance.now()));
  if (!early) await ready;
  const { value } = await session.stream(prompt, { temperature: 0, maxTokens: 2 }).next();
  const first = performance.now();
  await ready;
  model.destroy();
  return { tokens, wait: first - lastByte, value };
};

/** In the page: milliseconds from abort() to the worker's last word, while a long prompt is computed and while it writes. */
const aborts = async (url) => {
  const model = await window.reprise.Model.load(url, { cache: false, context: 1024 });
  await model.ready;
  const session = model.session({ chat: false });
  const waits = { prefill: [], decode: [] };
  for (let i = 0; i < 8; i++)
    for (const phase of ['prefill', 'decode']) {
      const abort = new AbortController();
      const stream = session.stream(phase === 'prefill' ? `${i} ${'words and words and '.repeat(150)}` : 'Once upon a time', { signal: abort.signal });
      const reading = (async () => {
        for await (const piece of stream);
      })().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 400 + 37 * i));
      const start = performance.now();
      abort.abort();
      await stream.result;
      waits[phase].push(performance.now() - start);
      await reading;
      await session.rewind({ tokens: 0 });
    }
  model.destroy();
  return waits;
};

const server = await serve();
putPackage(server, '/js/');
const browser = await open('chromium');
server.on(MODEL, { rate: BYTES_PER_S });
const page = await app(browser, server);
const waits = { early: [], late: [] };
let tokens = 0;
for (let i = 0; i < ROUNDS; i++)
  for (const when of ['early', 'late']) {
    const answer = await page.evaluate(firstToken, `${server.url}${MODEL}?${i}${when}`, when === 'early');
    waits[when].push(answer.wait);
    tokens = answer.tokens;
  }
console.log(`last byte to first token, ${tokens} tokens, ${BYTES_PER_S / 1e6} MB/s: ${ms(waits.early)} when the prompt is given while it loads,`);
console.log(`${ms(waits.late)} when it is given afterwards: ratio ${(median(waits.early) / median(waits.late)).toFixed(3)}`);
server.reset();
putPackage(server, '/js/');
const stops = await page.evaluate(aborts, `${server.url}${MODEL}?abort`);
console.log(`abort until the worker has stopped: prefill ${ms(stops.prefill)}, decode ${ms(stops.decode)}`);
await browser.close();
await server.close();
