// Who takes part, and how one of them is measured: in a fresh page of the one browser, or natively in a process of its own.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { ROOT } from '../js/lib/cli.js';
import { app } from '../browser/lib/app.js';

const MINUTES = 60_000;
const LONGEST_MS = 40 * MINUTES;

/**
 * @typedef {object} Engine
 * @property {string} id what it is called in tables, and what a filter looks at
 * @property {string} name
 * @property {string} version
 * @property {string} isa
 * @property {1 | 2} threads
 * @property {'f16' | 'f32' | 'q8_0'} kv
 * @property {'own' | 'twin' | 'onnx'} file own: a shared file as it is
 * @property {string} [page] its adapter
 * @property {boolean} [slow] so much that it reads and writes at great depth in the first round only
 */

const versionOf = (name) => JSON.parse(readFileSync(join(ROOT, `tests/node_modules/${name}/package.json`), 'utf8')).version;

/** @returns {Engine[]} */
export function engines() {
  const own = JSON.parse(readFileSync(join(ROOT, 'js/package.json'), 'utf8')).version;
  const both = (make) => [1, 2].map(make);
  const reprise = (isa, threads, kv, file = 'own') => ({ name: 'reprise', version: own, isa, threads, kv, file, page: '/web/bench/engine.js',
    id: ['reprise', isa, `${threads}t`, ...kv === 'f16' ? [] : [kv], ...file === 'own' ? [] : ['unrolled']].join(' ') });
  const other = (name, page, version, isa) => (threads) => (
    { name, version, isa, threads, kv: 'f16', file: 'twin', page, id: `${name} ${version} ${threads}t` });
  const rival = (...about) => (threads) => ({ ...other(...about)(threads), slow: true });
  const llama = (threads, kv) => ({ ...other('llama.cpp', undefined, versionOf('node-llama-cpp'), 'native')(threads), kv,
    id: `llama.cpp native ${threads}t${kv === 'f16' ? '' : ` ${kv}`}` });
  return [
    ...both((threads) => reprise('relaxed', threads, 'f16')),
    ...both(rival('wllama', '/tests/bench/page/wllama2.js', versionOf('wllama-2'), 'simd128')),
    ...both((threads) => llama(threads, 'f16')),
    ...both((threads) => reprise('simd128', threads, 'f16')),
    ...both((threads) => reprise('relaxed', threads, 'q8_0')),
    ...both((threads) => llama(threads, 'q8_0')),
    reprise('relaxed', 1, 'f16', 'twin'),
    ...both(rival('wllama', '/tests/bench/page/wllama3.js', versionOf('wllama-3'), 'simd128')),
    ...both(rival('transformers.js', '/tests/bench/page/transformers.js', versionOf('@huggingface/transformers'), 'simd128')).map((engine) => (
      { ...engine, kv: 'f32', file: 'onnx' })),
  ];
}

/** Of a process, by its folder in /proc; undefined when it has ended. @param {() => any} look */
function ofProcess(look) {
  try {
    return look();
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'ESRCH') throw error;
  }
}

const status = (pid, name) => Number(ofProcess(() => readFileSync(`/proc/${pid}/status`, 'utf8'))?.match(new RegExp(`${name}:\\s+(\\d+)`))?.[1] ?? 0) * 1024;

/** @type {Map<string, number>} */
const compressed = new Map();

/** What a page fetched beside the model, as a host would send it. @param {import('../browser/lib/server.js').Server} server */
function transferred(server) {
  const engine = /^\/(js|tests\/node_modules)\//;
  const files = new Set(server.log.filter(({ path }) => engine.test(path)).map(({ path }) => path));
  for (const path of files) if (!compressed.has(path)) compressed.set(path, gzipSync(readFileSync(join(ROOT, path.replace(/^\/js\//, 'build/package/'))), { level: 9 }).length);
  return [...files].reduce((sum, path) => sum + compressed.get(path), 0);
}

async function inPage({ browser, server }, engine, file, options, work) {
  const page = await app(browser, server, { isolated: true, library: '/tests/bench/page/measure.js' });
  try {
    const empty = new Map(browser.pids().map((pid) => [pid, status(pid, 'VmRSS')]));
    for (const pid of empty.keys()) ofProcess(() => writeFileSync(`/proc/${pid}/clear_refs`, '5')); // the peak is counted from here on
    server.log = [];
    const run = (/** @type {any[]} */ ...all) => window.reprise.measure(...all);
    const result = await page.evaluateWithin(LONGEST_MS, run, engine.page, `/${file}`, { ...options, isa: engine.isa, file: `/${file}` }, work);
    const peak = Math.max(...[...empty].map(([pid, bytes]) => status(pid, 'VmHWM') - bytes));
    return { ...result, peak, transfer: transferred(server) };
  } finally {
    await page.close();
  }
}

async function natively(file, options, work) {
  const args = [join(ROOT, 'tests/bench/llama.js'), join(ROOT, file), JSON.stringify(options), JSON.stringify(work)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: LONGEST_MS, maxBuffer: 2 ** 26 });
  return JSON.parse(stdout);
}

/** The file that an engine is given; undefined when there is none for it.
 * @param {import('./models.js').BenchModel} model @param {Engine} engine */
export function fileFor({ file, twin, onnx }, engine) {
  if (engine.file === 'onnx') return onnx;
  if (engine.file === 'own') return file;
  return engine.name === 'reprise' ? twin : twin ?? file;
}

/** @param {any} place browser and server @param {Engine} engine @param {string} file
 * @param {{ context: number, texts: Record<number, string> }} options @param {import('./page/measure.js').Work} work */
export function measure(place, engine, file, options, work) {
  const all = { ...options, threads: engine.threads, kv: engine.kv };
  return engine.page ? inPage(place, engine, file, all, work) : natively(file, { ...all, texts: undefined }, work);
}
