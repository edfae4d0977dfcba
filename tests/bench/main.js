// The benchmark: Reprise, two wllamas, transformers.js and native llama.cpp by turns, on the same models, in one run. Browser
// engines run in one real Chromium, each time in a fresh page. Only ratios taken side by side mean anything on a machine with other things to do.
//
//     make bench                              everything, five times over: hours, most of them wllama 3's and transformers.js's
//     make bench BENCH=quick                  one model, one thread, prefill-256 and decode-0, five times: a minute or two
//     make bench ROUNDS=3 BENCH="model=Q4_0,Q8_0 engine=reprise,wllama_2,llama column=prefill-256,decode"
//
// filters.js says what words can do. Every figure goes to build/bench/results.csv, a row each, in place of what was there about the
// same model: models may be measured one by one. `node tests/bench/table.js` prints all its tables and `make bench-plot` draws it.
//
// Columns: load (a Blob in memory to a model that is all there), start (the same Blob to the first token of a prompt of 16, with
// scripts and WebAssembly of the engine fetched and compiled within that time), prefill-N (tokens/s of a prompt of N), decode-D
// (tokens/s written greedily when D are there), memory (what the page's process
// grew by at its peak; natively the whole process), transfer (gzip of what the engine downloads beside the model).
//
// transformers.js loads no GGUF: it takes part in the two shapes of SmolLM2, as ONNX files with random weights of its own formats
// (q4, and its default on WebAssembly, q8). Its arithmetic is not the same, so neither would be the text.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { open } from '../browser/lib/browsers.js';
import { putPackage } from '../browser/lib/packed.js';
import { serve } from '../browser/lib/server.js';
import { ROOT } from '../js/lib/cli.js';
import { engines, fileFor, measure } from './engines.js';
import { filters } from './filters.js';
import { models, textsFor } from './models.js';
import { COLUMNS, readRows, report, RESULTS, writeRow } from './table.js';

const START = 16, WARM = 48, TOKENS = 32; // tokens of the first prompt, of the one that warms up, written at each depth
const SLACK = 8;
const DEEP = 1024;

/** What an engine does in a round after the first. @param {import('./engines.js').Engine} engine @param {import('./page/measure.js').Work} work */
function laterWork({ slow }, work) {
  const shallow = (lengths) => lengths.filter((length) => length < DEEP);
  return slow ? { ...work, prefill: shallow(work.prefill), decode: shallow(work.decode) } : work;
}

/** @param {import('./models.js').BenchModel} model @param {import('./engines.js').Engine} engine @param {string[]} columns */
function workFor(model, engine, columns) {
  const lengths = (what) => columns.filter((column) => column.startsWith(`${what}-`)).map((column) => Number(column.split('-')[1]))
    .filter((length) => length + TOKENS + SLACK <= model.context);
  // A cache in 8 bits changes what is read at a depth, and little else.
  return { start: START, warm: WARM, tokens: TOKENS, prefill: engine.kv !== 'q8_0' ? lengths('prefill') : [], decode: lengths('decode') };
}

function figuresOf(result, columns) {
  const figures = { load: result.load, start: result.start, memory: result.peak / 1e6, transfer: result.transfer / 1000 };
  for (const [count, ms] of Object.entries(result.prefill)) figures[`prefill-${count}`] = (count / ms) * 1000;
  for (const [depth, ms] of Object.entries(result.decode)) figures[`decode-${depth}`] = 1000 / ms;
  return Object.entries(figures).filter(([column, value]) => columns.includes(column) && Number.isFinite(value));
}

/** The engines that take part in a model, what each has to do, and what all are told.
 * @param {import('./models.js').BenchModel} model @param {import('./engines.js').Engine[]} all @param {string[]} columns */
async function prepare(model, all, columns) {
  const part = all.filter((engine) => fileFor(model, engine))
    .map((engine) => ({ engine, file: fileFor(model, engine), work: workFor(model, engine, columns) }));
  const lengths = [...new Set([1, START, WARM, ...part.flatMap(({ work }) => [...work.prefill, ...work.decode])])];
  return { part, options: { context: Math.max(...lengths) + TOKENS + SLACK, texts: await textsFor(model, lengths) } };
}

class Run {
  /** @type {Record<string, any>[]} */ rows = [];
  /** Engines that cannot run here, or failed, and why. @type {Map<string, string>} */ out = new Map();
  failed = false;
  path = join(ROOT, RESULTS);

  /** @param {any} place browser and server @param {Record<string, string>} about @param {number} rounds @param {string[]} columns */
  constructor(place, about, rounds, columns) {
    Object.assign(this, { place, about, rounds, columns });
    this.before = existsSync(this.path) ? readRows(this.path) : [];
  }

  /** @param {import('./models.js').BenchModel} model @param {import('./engines.js').Engine[]} all */
  async model(model, all) {
    const { part, options } = await prepare(model, all, this.columns);
    for (let round = 1; round <= this.rounds; round++)
      for (const { engine, file, work } of part) {
        const key = `${engine.id}, ${model.name}`;
        if (this.out.has(engine.id) || this.out.has(key)) continue;
        try {
          this.#keep(round, model, engine, await measure(this.place, engine, file, options, round === 1 ? work : laterWork(engine, work)));
        } catch (error) {
          const cannot = error.name === 'Unavailable' || error.code === 'RP_ERR_UNSUPPORTED';
          this.out.set(cannot ? engine.id : key, error.message);
          this.failed ||= !cannot;
        }
      }
  }

  /** After every measurement the file is written, so that a run that is stopped leaves what it has. */
  #keep(round, { name }, engine, result) {
    const figures = figuresOf(result, this.columns);
    console.error(`${name} ${round}/${this.rounds} ${engine.id}: ${figures.map(([column, value]) => `${column} ${value.toFixed(1)}`).join(', ')}`);
    this.rows.push(...figures.map(([column, value]) => ({ ...this.about, round, model: name, ...engine, column, value })));
    const kept = this.before.filter(({ model }) => !this.rows.some((row) => row.model === model));
    mkdirSync(dirname(this.path), { recursive: true });
    writeFileSync(this.path, `${[undefined, ...kept, ...this.rows].map(writeRow).join('\n')}\n`);
  }
}

const [rounds = '5', ...words] = process.argv.slice(2);
const chosen = filters(words);
const server = await serve(), browser = await open('chromium');
putPackage(server, '/js/'); // what people get
const about = { date: new Date().toISOString().slice(0, 10), machine: `${cpus()[0].model.trim()} x${cpus().length}`,
  commit: execFileSync('git', ['describe', '--always', '--dirty'], { cwd: ROOT }).toString().trim(), browser: await browser.browser.version() };
const run = new Run({ browser, server }, about, Number(rounds), COLUMNS.filter(chosen('column')));
try {
  for (const model of models(chosen('model'))) await run.model(model, engines().filter(({ id }) => chosen('engine')(id)));
} finally {
  await browser.close();
  await server.close();
}
console.log(report(run.rows));
for (const [what, why] of run.out) console.log(`left out: ${what}: ${why}`);
if (run.failed || !run.rows.length) process.exitCode = 1;
