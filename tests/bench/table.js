// What the benchmark's rows say: medians with their spread, and the ratios that matter, each taken within a round. As Markdown:
// node tests/bench/table.js [results.csv]
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../js/lib/cli.js';

export const RESULTS = 'build/bench/results.csv';
export const COLUMNS = ['load', 'start', 'prefill-64', 'prefill-256', 'prefill-1024', 'decode-0', 'decode-512', 'decode-2048', 'memory', 'transfer'];
const UNITS = { load: 'ms', start: 'ms', memory: 'MB', transfer: 'kB' }; // all others: tokens/s
const FIELDS = ['date', 'commit', 'machine', 'browser', 'round', 'model', 'id', 'name', 'version', 'isa', 'threads', 'kv', 'file', 'column', 'value'];

/** @param {Record<string, unknown>} [row] none: the heading */
export const writeRow = (row) => FIELDS.map((field) => (row ? String(row[field]).replaceAll(',', ' ') : field)).join(',');

/** @param {string} path */
export function readRows(path) {
  const [heading, ...lines] = readFileSync(path, 'utf8').trim().split('\n').map((line) => line.split(','));
  return lines.map((line) => {
    const row = Object.fromEntries(heading.map((field, at) => [field, line[at]]));
    return { ...row, round: Number(row.round), threads: Number(row.threads), value: Number(row.value) };
  });
}

export const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const unique = (values) => [...new Set(values)];
const shown = (value) => (value < 9.95 ? value.toFixed(1) : value.toFixed(0));

/** Values by round. */
const valuesOf = (rows, id, column) => new Map(rows.filter((row) => row.id === id && row.column === column).map(({ round, value }) => [round, value]));

/** Median of what one is to the other in each round. */
function ratio(rows, one, other) {
  const below = valuesOf(rows, ...other);
  const ratios = [...valuesOf(rows, ...one)].filter(([round]) => below.has(round)).map(([round, value]) => value / below.get(round));
  return ratios.length ? `${median(ratios).toFixed(2)}x` : '';
}

const line = (cells) => `| ${cells.join(' | ')} |`;
const table = (heading, body) => (body.length ? [line(heading), line(heading.map(() => '---')), ...body.map(line), ''] : []);

function medians(rows, ids, columns) {
  const cell = (id, column) => {
    const values = [...valuesOf(rows, id, column).values()];
    if (!values.length) return '';
    return shown(median(values)) + (values.length > 1 ? ` (${shown(Math.min(...values))}-${shown(Math.max(...values))})` : '');
  };
  return table(['', ...columns.map((column) => `${column}, ${UNITS[column] ?? 'tokens/s'}`)], ids.map((id) => [id, ...columns.map((column) => cell(id, column))]));
}

const isAlike = (one, other) => one.threads === other.threads && (one.kv === 'q8_0') === (other.kv === 'q8_0');

/** Us against each rival of as many threads, with a cache of 8 bits or without, and a shared file against the same written out. Of
 * times and sizes less is better. */
function against(rows, ids, columns) {
  const engine = (id) => rows.find((row) => row.id === id);
  const ours = ids.filter((id) => id.startsWith('reprise')), theirs = ids.filter((id) => !id.startsWith('reprise'));
  const pairs = ours.flatMap((one) => (one.endsWith(' unrolled') ? [[one.replace(' unrolled', ''), one]]
    : theirs.filter((other) => isAlike(engine(one), engine(other))).map((other) => [one, other])));
  return table(['ratio', ...columns], pairs.map(([one, other]) => [`${one} / ${other}`, ...columns.map((column) => ratio(rows, [one, column], [other, column]))]));
}

/** Two threads to one, and a deep context to none. */
function within(rows, ids, columns) {
  const threads = ids.filter((id) => id.includes(' 1t')).map((one) => [one.replace(' 1t', ' 2t'), one]).filter(([two]) => ids.includes(two));
  const speeds = columns.filter((column) => !UNITS[column]);
  const depths = ['decode-512', 'decode-2048'].filter((column) => columns.includes(column));
  return [
    ...table(['ratio', ...speeds], threads.map(([two, one]) => [`${two} / 1t`, ...speeds.map((column) => ratio(rows, [two, column], [one, column]))])),
    ...columns.includes('decode-0') && depths.length
      ? table(['ratio to decode-0', ...depths], ids.map((id) => [id, ...depths.map((column) => ratio(rows, [id, column], [id, 'decode-0']))])) : [],
  ];
}

/** @param {Record<string, any>[]} rows */
export function report(rows) {
  if (!rows.length) return 'nothing was measured';
  return unique(rows.map(({ model }) => model)).flatMap((model) => {
    const of = rows.filter((row) => row.model === model), ids = unique(of.map(({ id }) => id));
    const columns = COLUMNS.filter((column) => of.some((row) => row.column === column));
    const rounds = Math.max(...of.map(({ round }) => round));
    const [{ date, commit, machine, browser }] = of;
    return [`**${model}**, medians (and spreads) of ${rounds} rounds; ${machine}, ${browser}, commit ${commit}, ${date}`, '', ...medians(of, ids, columns), ...against(of, ids, columns), ...within(of, ids, columns)];
  }).join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) console.log(report(readRows(process.argv[2] ?? join(ROOT, RESULTS))));
