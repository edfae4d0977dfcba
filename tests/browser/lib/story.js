// The shipped model, put on the test server where a test wants it, and a page that tells its story: what all tests of
// downloads and of the cache do.
//
//     const { path, url } = place(server, { cut: 100_000, times: 1 });
//     const page = await teller(browser, server);
//     const { text, warnings, fromCache, error } = await page.evaluate(tell, url);
//     assert.is(text, await expected());
//     gets(server, path)   // the log's requests of that file
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { json } from '../../js/lib/cli.js';
import { app, use } from './app.js';

export const STORY = readFileSync(new URL('../../../models/stories.gguf', import.meta.url));
export const SIZE = STORY.length;
export const CHUNK = 2 ** 20;
const PROMPT = 'Once upon a time';
let places = 0;

/** @param {Uint8Array} bytes */
export const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** The model at an address of its own, which no cache knows, with faults.
 * @param {import('./server.js').Server} server @param {import('./faults.js').Fault[]} faults */
export function place(server, ...faults) {
  const path = `/made/${++places}/model.gguf`;
  server.put(path, STORY);
  server.on(path, ...faults);
  return { path, url: server.url + path, second: server.second + path };
}

/** What was asked for a file, first to last. @param {import('./server.js').Server} server @param {string} path */
export const gets = (server, path) => server.log.filter((entry) => entry.path === path && entry.method === 'GET');

/** Waits until that is true. @param {string} what @param {() => unknown} isTrue */
export async function until(what, isTrue) {
  for (let i = 0; i < 600; i++) {
    if (await isTrue()) return;
    await sleep(50);
  }
  throw new Error(`not within 30 s: ${what}`);
}

let reference;
/** The story, by the terminal program. */
export async function expected() {
  const args = ['generate', 'models/stories.gguf', '-p', PROMPT, '--seed', '7', '-n', '60', '--json'];
  reference ??= (await json('native', args)).text;
  return reference;
}

/** A page with the library and `window.start(source, options)`: loads a model, tells the story, and notes all the way
 * in the returned object what happens; its `end` is when nothing happens any more. */
function install() {
  window.start = (source, { leave, ...options } = {}) => {
    const said = { text: '', warnings: [], messages: [], phases: [], fromCache: 0, loaded: 0, verified: false };
    const abort = new AbortController();
    let stored;
    const isStored = new Promise((resolve) => (stored = resolve));
    const onWarning = ({ kind, message }) => said.messages.push(message) && said.warnings.push(kind);
    const onProgress = ({ phase, loaded, fromCache }) => {
      if (said.phases.at(-1) !== phase) said.phases.push(phase);
      Object.assign(said, { loaded, fromCache });
      if (phase === 'stored') stored();
      if (loaded >= leave) abort.abort();
    };
    const run = async () => {
      const { signal } = abort;
      const model = await window.reprise.Model.load(source, { signal, onWarning, onProgress, ...options });
      try {
        const stream = model.session().stream('Once upon a time', { seed: 7, maxTokens: 60 });
        for await (const piece of stream) said.text += piece;
        await model.ready;
        said.verified = model.verified;
        await isStored;
      } finally {
        model.destroy();
      }
    };
    const explain = ({ name, code, message, url, status, bytesNeeded }) => {
      said.error = { name, code, message, url, status, bytesNeeded };
    };
    return Object.assign(said, { abort: () => abort.abort(), end: run().catch(explain) });
  };
}

/** @param {import('./browsers.js').Browser} browser @param {import('./server.js').Server} server */
export async function teller(browser, server) {
  const page = await app(browser, server);
  await page.evaluate(install);
  return page;
}

/** The same page once more. @param {import('./page.js').Page} page @param {import('./server.js').Server} server */
export async function again(page, server) {
  await page.reload();
  await use(page, server);
  await page.evaluate(install);
}

/** In the page: a story from its beginning to its end. `leave`: aborts when so many bytes have arrived. */
export const tell = async (source, options) => {
  const said = window.start(source, options);
  await said.end;
  return said;
};

/** In the page: begins a story, of which `story()` tells the rest. */
export const begin = (source, options) => {
  window.said = window.start(source, options);
};

/** In the page. */
export const story = async () => {
  await window.said.end;
  return window.said;
};
