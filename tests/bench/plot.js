// Draws build/bench/results.csv for the README: bars of the speeds of each engine, a block of them for each model and column.
//
//     node tests/bench/plot.js [results.csv [web/screenshots/bench.svg]]
//
// The picture has colours for light and dark, as whoever looks at it prefers, and a ground of its own under them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../js/lib/cli.js';
import { median, readRows, RESULTS } from './table.js';

const SHOWN = { 'prefill-256': 'Reading a prompt of 256 tokens', 'decode-0': 'Writing', 'decode-2048': 'Writing after 2,048 tokens' };
const KINDS = { reprise: 'ours', wllama: 'rival', 'transformers.js': 'rival', 'llama.cpp': 'native' };
const WIDTH = 880, LABEL = 208, GAP = 40, BAR = 13, STEP = 19, TITLE = 52, MODEL = 26, MARGIN = 20;
const STYLE = `.ground { fill: #fffdf9; } text { font: 12px -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif; fill: #221f1a; }
.head { font-size: 17px; font-weight: 600; } .model { font-weight: 600; font-size: 13px; } .soft { fill: #635c51; } .end { text-anchor: end; }
.ours { fill: #0b665a; } .rival { fill: #c08a4a; } .native { fill: #a9a294; } .spread { stroke: #221f1a; stroke-opacity: 0.55; }
@media (prefers-color-scheme: dark) { .ground { fill: #1f1d1a; } text { fill: #ece7dc; } .soft { fill: #ada595; } .ours { fill: #6ccab6; } .rival { fill: #d9a566; }
.native { fill: #7d7668; } .spread { stroke: #ece7dc; } }`;

const unique = (values) => [...new Set(values)];
const escape = (text) => text.replace(/[&<>]/g, (letter) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[letter]);
const label = (x, y, text, style = '') => `<text x="${x}" y="${y}" class="${style}">${escape(text)}</text>`;
const nameOf = (id) => id.replace('reprise', 'Reprise').replace('relaxed', 'relaxed SIMD').replace('simd128', 'SIMD').replace(/(\d)t\b/, (_, count) => (count === '1' ? '1 thread' : `${count} threads`));

const order = (rows) => Object.keys(KINDS).flatMap((kind) => unique(rows.filter(({ name }) => name === kind).map(({ id }) => id)).sort());

/** One panel: a column's speeds. @param {any[]} rows of a model @param {string[]} ids */
function panel(rows, ids, column, { left, top, width, named }) {
  const values = new Map(ids.map((id) => [id, rows.filter((row) => row.id === id && row.column === column).map(({ value }) => value)]));
  const scale = (width - 44) / Math.max(...[...values.values()].flat(), 1);
  return ids.flatMap((id, at) => {
    const y = top + at * STEP, list = values.get(id);
    const name = named ? [label(left - 8, y + BAR - 2, nameOf(id), 'end')] : [];
    if (!list.length) return name;
    const middle = median(list), end = left + middle * scale, [low, high] = [Math.min(...list), Math.max(...list)].map((value) => left + value * scale);
    return [...name, `<rect x="${left}" y="${y}" width="${(middle * scale).toFixed(1)}" height="${BAR}" rx="2" class="${KINDS[rows.find((row) => row.id === id).name]}"/>`,
      `<path d="M${low.toFixed(1)} ${y + BAR / 2}H${high.toFixed(1)}" class="spread"/>`,
      label(Math.max(end, high).toFixed(1) * 1 + 5, y + BAR - 2, middle.toFixed(0), 'soft')];
  });
}

/** @param {any[]} all */
function draw(all) {
  const rows = all.filter(({ kv, file, name }) => kv !== 'q8_0' && !(name === 'reprise' && file === 'twin'));
  const columns = Object.keys(SHOWN).filter((column) => rows.some((row) => row.column === column));
  const width = (WIDTH - LABEL - GAP * (columns.length - 1)) / columns.length, lefts = columns.map((_, at) => LABEL + at * (width + GAP));
  const parts = [label(0, 18, 'Tokens a second', 'head'), ...columns.map((column, at) => label(lefts[at], TITLE - 10, SHOWN[column], 'soft'))];
  let top = TITLE;
  for (const model of unique(rows.map((row) => row.model))) {
    const of = rows.filter((row) => row.model === model && columns.includes(row.column)), ids = order(of);
    if (!ids.length) continue;
    parts.push(label(0, top + 14, model.replaceAll('-', ' '), 'model'));
    top += MODEL;
    columns.forEach((column, at) => parts.push(...panel(of, ids, column, { left: lefts[at], top, width, named: at === 0 })));
    top += ids.length * STEP + 12;
  }
  const [{ machine, browser, commit, date }] = rows;
  const rounds = Math.max(...rows.map(({ round }) => round));
  parts.push(label(0, top + 12, `Medians of ${rounds} rounds by turns, lines: spread. ${machine}, ${browser}, commit ${commit}, ${date}.`, 'soft'));
  const [whole, height] = [WIDTH + 2 * MARGIN, top + 20 + 2 * MARGIN];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${whole} ${height}" role="img" aria-label="Tokens a second of each engine">
<style>${STYLE}</style>
<rect width="${whole}" height="${height}" rx="10" class="ground"/>
<g transform="translate(${MARGIN} ${MARGIN})">
${parts.join('\n')}
</g>
</svg>
`;
}

const [from = join(ROOT, RESULTS), to = join(ROOT, 'web/screenshots/bench.svg')] = process.argv.slice(2);
writeFileSync(to, draw(readRows(from)));
console.log(`  SVG   ${to}`);
