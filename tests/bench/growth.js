// How time and memory grow: 30 stored blocks played once, twice and four times in a row, written at contexts of 512 to 8192. Time
// of a token should be a line in both, and memory what was planned. Usage:
//
//     make bench-growth                       or  node tests/bench/growth.js [ROUNDS] [LONGEST_CONTEXT]
//
// Relaxed SIMD with two threads, or what comes nearest to that in this browser. Rows go to build/bench/growth.csv.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { open } from '../browser/lib/browsers.js';
import { putPackage } from '../browser/lib/packed.js';
import { serve } from '../browser/lib/server.js';
import { ROOT } from '../js/lib/cli.js';
import { engines, measure } from './engines.js';
import { growingModels } from './models.js';
import { median } from './table.js';

const CONTEXTS = [512, 1024, 2048, 4096, 8192];
const TOKENS = 16, SLACK = 8;

/** Least squares; `off` is how far the worst point lies from the line, as a part of its value. @param {number[][]} points */
function lineThrough(points) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [0, 1].map((at) => mean(points.map((point) => point[at])));
  const slope = mean(points.map(([a, b]) => (a - x) * (b - y))) / mean(points.map(([a]) => (a - x) ** 2));
  const at = (value) => y + slope * (value - x);
  return { slope, start: at(0), off: Math.max(...points.map(([a, b]) => Math.abs(at(a) / b - 1))) };
}

/** The best that runs here. */
async function bestEngine(place, model) {
  for (const id of ['reprise relaxed 2t', 'reprise relaxed 1t', 'reprise simd128 2t', 'reprise simd128 1t']) {
    const engine = engines().find((one) => one.id === id);
    try {
      await measure(place, engine, model.file, { context: 256, texts: {} }, { start: 16, warm: 24, prefill: [], decode: [], tokens: 1 });
      return engine;
    } catch (error) {
      if (error.name !== 'Unavailable' && error.code !== 'RP_ERR_UNSUPPORTED') throw error;
    }
  }
  throw new Error('this browser runs no build with SIMD');
}

function report(engine, rows, contexts) {
  const line = (cells) => console.log(`| ${cells.join(' | ')} |`);
  const of = (visits, context) => rows.filter((row) => row.visits === visits && row.context === context);
  const ms = (visits, context) => median(of(visits, context).map((row) => row.ms));
  const visits = [...new Set(rows.map((row) => row.visits))];
  const percent = (part) => `${(part * 100).toFixed(1)} %`;
  console.log(`${engine.id}: milliseconds a token\n`);
  line(['visits', ...contexts.map((context) => `at ${context}`), 'a position adds, µs', 'off a line by', 'memory, MB', 'planned']);
  line(Array(contexts.length + 5).fill('---'));
  for (const count of visits) {
    const { slope, off } = lineThrough(contexts.map((context) => [context, ms(count, context)]));
    const [{ wasm, planned }] = of(count, contexts[0]);
    line([count, ...contexts.map((context) => ms(count, context).toFixed(2)), (slope * 1000).toFixed(2), percent(off), (wasm / 1e6).toFixed(1), (planned / 1e6).toFixed(1)]);
  }
  const lines = contexts.map((context) => lineThrough(visits.map((count) => [count, ms(count, context)])));
  line(['a visit adds', ...lines.map(({ slope }) => slope.toFixed(3)), '', '', '', '']);
  line(['off a line by', ...lines.map(({ off }) => percent(off)), '', '', '', '']);
}

const [rounds, longest] = [Number(process.argv[2] ?? 1), Number(process.argv[3] ?? CONTEXTS.at(-1))];
const contexts = CONTEXTS.filter((context) => context <= longest);
const server = await serve(), browser = await open('chromium');
putPackage(server, '/js/'); // what people get
const place = { browser, server }, models = growingModels(), rows = [];
let engine;
try {
  engine = await bestEngine(place, models[0]);
  const options = { context: contexts.at(-1) + TOKENS + SLACK, texts: {} };
  for (let round = 1; round <= rounds; round++)
    for (const { visits, file } of models) {
      const { decode, memory } = await measure(place, engine, file, options, { start: 16, warm: 48, prefill: [], decode: contexts, tokens: TOKENS });
      console.error(`${visits} visits ${round}/${rounds} ${engine.id}: ${contexts.map((context) => `${context} ${decode[context].toFixed(2)} ms`).join(', ')}`);
      for (const context of contexts) rows.push({ round, engine: engine.id, visits, context, ms: decode[context], ...memory });
    }
} finally {
  await browser.close();
  await server.close();
}
const fields = Object.keys(rows[0]);
writeFileSync(join(ROOT, 'build/bench/growth.csv'), `${[fields, ...rows.map((row) => fields.map((field) => row[field]))].join('\n')}\n`);
report(engine, rows, contexts);
