// What options cost or bring, natively with one thread, as the README says it: perplexity with a KV cache in codes, and drafts on a text that repeats
// itself and on one that does not. Usage: node tests/bench/options.js TEXT [SEEDS], TEXT being prose of 60 KB and more.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { json } from '../js/lib/cli.js';
import { median } from './table.js';

const STORIES = 'models/stories.gguf', DEPTH = 'models/depth.gguf', SMOLLM2 = 'build/models/smollm2.gguf', FOLDER = 'build/bench/options';
const BYTES = 60_000, TOKENS = 200, LONG = 900_000;
const [text, seeds = '3'] = process.argv.slice(2);
if (!text) {
  console.error('usage: make bench-options TEXT=prose.txt');
  process.exit(2);
}

/** Its first bytes, up to a line's end. @param {string} name @param {number} bytes */
function cut(name, bytes) {
  const whole = readFileSync(text, 'utf8').slice(0, bytes), path = `${FOLDER}/${name}`;
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(path, whole.slice(0, whole.lastIndexOf('\n') + 1));
  return path;
}

async function kvTable() {
  const prose = cut('prose.txt', BYTES);
  console.log('| KV cache | SmolLM2, perplexity | more than with f32 | stories | more than with f32 |\n|---|---|---|---|---|');
  const base = {};
  for (const kv of ['f32', 'f16', 'q8_0', 'q8_q4']) {
    const cells = [];
    for (const model of [SMOLLM2, STORIES]) {
      const { perplexity } = await json('native', ['perplexity', model, prose, '--kv', kv], { timeout: LONG });
      base[model] ??= perplexity;
      cells.push(`${perplexity.toFixed(3)} | ${(100 * (perplexity / base[model] - 1)).toFixed(2)} %`);
    }
    console.log(`| ${kv} | ${cells.join(' | ')} |`);
  }
}

/** Medians over seeds of acceptance, and of the speed against the same without drafts just before. */
async function draft(model, prompt, temperature, how) {
  const accepted = [], speeds = [];
  for (let seed = 0; seed < Number(seeds); seed++) {
    const args = ['generate', model, '--file', prompt, '-n', `${TOKENS}`, '--temperature', temperature, '--seed', `${seed}`, '--json'];
    const plain = await json('native', args, { timeout: LONG }), drafted = await json('native', [...args, '--draft', how], { timeout: LONG });
    if (plain.text !== drafted.text) throw new Error(`--draft ${how} changed the text`);
    accepted.push(drafted.speculation.acceptance);
    speeds.push(drafted.timings.decode_tokens_per_s / plain.timings.decode_tokens_per_s);
  }
  return `${(100 * median(accepted)).toFixed(0)} % | ${median(speeds).toFixed(2)}x`;
}

async function draftTable() {
  const paragraph = readFileSync(cut('paragraph.txt', 600), 'utf8').trim(), copied = `${FOLDER}/copied.txt`, begun = `${FOLDER}/begun.txt`;
  writeFileSync(copied, `${paragraph}\n\n${paragraph}\n\n${paragraph.slice(0, 40)}`);
  writeFileSync(begun, 'Once upon a time');
  console.log('\n| draft | model, text | temperature | accepted | speed |\n|---|---|---|---|---|');
  for (const temperature of ['0', '0.8'])
    for (const [how, model, prompt, what] of [['lookup', SMOLLM2, copied, 'SmolLM2, a text that repeats itself'], ['lookup', STORIES, begun, 'stories'],
      ['layers=0-2,7', STORIES, begun, 'stories, each block once'],
      ['depth=1', DEPTH, begun, 'depth.gguf, one loop of three'], ['layers=0-28', SMOLLM2, begun, 'SmolLM2, 29 of 30 layers']])
      console.log(`| \`${how}\` | ${what} | ${temperature} | ${await draft(model, prompt, temperature, how)} |`);
}

await kvTable();
await draftTable();
