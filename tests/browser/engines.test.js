// What the engines can do, measured: the library is written by this table, so a change of it must be seen. What all
// must have is asserted, and what WebKit lacks, because only that tests our fallbacks; the rest is printed. The whole
// table goes to build/engines.md.
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as assert from 'uvu/assert';
import { each, run } from './lib/each.js';

const PAGES = '/tests/browser/pages';
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

// In windows and in workers of every engine. Workers are started by windows only: Firefox 153 hangs for ever in about
// one of ten that a worker starts.
const EVERYWHERE = ['secure context', 'memory maximum 4 GB', 'memory grows to 4 GB', 'typed array over 2 GB of memory',
  'Web Locks', 'BroadcastChannel', 'fetch body reader', 'fetch answers a Range with 206', 'fetch aborts by signal',
  'TransformStream', 'DecompressionStream gzip', 'Blob.stream', 'Blob.slice().arrayBuffer', 'crypto.subtle SHA-256',
  'MessageChannel', 'import.meta.resolve', 'Promise.withResolvers', 'Array.fromAsync',
  'AbortSignal.any', 'AbortSignal.timeout', 'structuredClone', 'Error cause', 'FinalizationRegistry', 'Intl.Segmenter'];
const WORKERS = ['classic worker from a Blob', 'module worker', 'module worker from a Blob', 'dynamic import in a module worker',
  'dynamic import in a classic worker', 'WebAssembly.Module clones to a worker', 'service worker registers', 'localStorage'];
const SIMD = ['simd', 'bulkMemory', 'saturatedFloatToInt', 'signExtensions', 'mutableGlobals', 'bigInt', 'streamingCompilation'];
const OPFS = ['OPFS', 'OPFS createWritable', 'OPFS file handle move(name)', 'OPFS file handle move over a file',
  'OPFS entries() by for await'];
const STREAMS = ['for await over a fetch body', 'BYOB reader on a fetch body', 'transferable ReadableStream',
  'Symbol.asyncDispose'];
const FROM_A_FILE = ['secure context', 'classic script of a file', 'import() of a Blob', 'classic worker of a Blob',
  'WebAssembly.compile', 'WebAssembly.Module goes to a worker', 'Web Locks', 'crypto.subtle', 'IndexedDB', 'localStorage'];

/** @type {Record<string, Record<string, any>>} */
const columns = {};

function hasAll(what, answers, where) {
  assert.equal(what.filter((name) => answers[name] !== true).map((name) => `${where}: ${name}: ${answers[name]}`), []);
}

async function ask(browser, url) {
  const page = await browser.page(url);
  return page.evaluate('window.answers');
}

each('a page as it comes', async ({ name, browser, server }) => {
  const { wasm, page, worker, agent } = await ask(browser, `${server.url}${PAGES}/probes.html`);
  console.log(agent);
  columns[name] = { ...wasm, ...page };
  columns[`${name}, worker`] = worker;
  hasAll(SIMD, wasm, name);
  hasAll(EVERYWHERE, page, `${name} window`);
  hasAll(EVERYWHERE, worker, `${name} worker`);
  hasAll(WORKERS, page, name);
  assert.is(page.SharedArrayBuffer, false, 'not isolated: no shared memory');
  if (name === 'webkit') {
    const there = [...OPFS, ...STREAMS, 'storage.estimate'].filter((feature) => page[feature] === true);
    assert.equal(there, [], 'WebKit has more than it had: what now tests our fallbacks?');
    assert.is(wasm.relaxedSimd, false, 'WebKit has relaxed SIMD: what now tests the simd128 build?');
  } else {
    hasAll([...OPFS, ...STREAMS], page, name);
    hasAll([...OPFS, ...STREAMS, 'OPFS createSyncAccessHandle'], worker, name);
    assert.is(wasm.relaxedSimd, true);
  }
});

each('an isolated page', async ({ name, browser, server }) => {
  server.isolate();
  const { wasm, page, worker } = await ask(browser, `${server.url}${PAGES}/probes.html`);
  columns[`${name}, isolated`] = { ...wasm, ...page };
  columns[`${name}, isolated worker`] = worker;
  hasAll([...EVERYWHERE, ...WORKERS], page, `${name} window`);
  hasAll(EVERYWHERE, worker, `${name} worker`);
  const shared = ['SharedArrayBuffer', 'SharedArrayBuffer goes to a worker', 'shared WebAssembly.Memory goes to a worker'];
  assert.is(page.crossOriginIsolated, true);
  if (name === 'webkit') assert.is(page.SharedArrayBuffer, false, 'WebKit has threads: what now tests one thread when isolated?');
  else hasAll(shared, page, name);
});

each('a page from file://', async ({ name, browser }) => {
  const answers = await ask(browser, pathToFileURL(here('pages/file-probes.html')).href);
  const entries = Object.entries(answers).map(([feature, answer]) => [`file: ${feature}`, answer]);
  columns[`${name}, file`] = Object.fromEntries(entries);
  hasAll(FROM_A_FILE, answers, name);
});

// One column for each engine and place; rows where all say yes come last, by name only.
each('the table is written down', async () => {
  const names = Object.keys(columns);
  const rows = [...new Set(names.flatMap((name) => Object.keys(columns[name])))];
  const show = (value) => (value === undefined ? '' : value === true ? 'yes' : value === false ? 'no' : String(value));
  const same = rows.filter((row) => names.every((name) => [true, undefined].includes(columns[name][row])));
  const table = [['', ...names], names.map(() => '---').concat('---'),
    ...rows.filter((row) => !same.includes(row)).map((row) => [row, ...names.map((name) => show(columns[name][row]))])];
  const text = `${table.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n\nIn all of them: ${same.join(', ')}.\n`;
  mkdirSync(here('../../build'), { recursive: true });
  writeFileSync(here('../../build/engines.md'), text);
});

run();
