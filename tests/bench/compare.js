// Times our WebAssembly under Node and our native program beside native llama.cpp, alternating in one run, one thread
// each: node tests/bench/compare.js [rounds]. Only ratios taken side by side mean anything on a noisy machine.
// Models: SmolLM2-135M-Instruct as it is shipped (Q4_1), and its shape with random weights in Q4_0 and Q8_0.
import { existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { json } from '../js/lib/cli.js';
import { openRival } from './llama.js';
import { writeSmolLM2Shape } from './shape.js';

const PROMPT = 256, GENERATE = 64;
const ROUNDS = Number(process.argv[2] ?? 5);
const FOLDER = fileURLToPath(new URL('../../build/bench/', import.meta.url));
const SMOLLM2 = fileURLToPath(new URL('../../build/models/smollm2.gguf', import.meta.url));

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const spread = (values) => `${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}`;

async function ours(target, path) {
  const args = ['bench', path, '--prompt', `${PROMPT}`, '--generate', `${GENERATE}`, '--repeat', '1', '--json'];
  const result = await json(target, args, { timeout: 600_000 });
  return { prefill: result.prefill_tokens_per_s.median, decode: result.decode_tokens_per_s.median, load: result.load_ms.median };
}

/** Rows of every engine for one file, in turn, ROUNDS times. */
async function compare(name, path) {
  const engines = { 'llama.cpp': () => openRival(path, PROMPT, GENERATE), native: () => ours('native', path), simd128: () => ours('simd128', path) };
  const rows = Object.fromEntries(Object.keys(engines).map((engine) => [engine, []]));
  for (let round = 0; round < ROUNDS; round++)
    for (const [engine, measure] of Object.entries(engines)) rows[engine].push(await measure());
  for (const [engine, results] of Object.entries(rows))
    for (const what of ['prefill', 'decode']) {
      const values = results.map((result) => result[what]);
      const ratios = values.map((value, round) => value / rows['llama.cpp'][round][what]);
      console.log([name, engine, what, median(values).toFixed(1), spread(values), median(ratios).toFixed(3)].join(','));
    }
}

mkdirSync(FOLDER, { recursive: true });
console.log(`model,engine,what,tokens/s (median of ${ROUNDS}),spread,ratio to llama.cpp`);
for (const type of ['Q4_0', 'Q8_0']) {
  const path = `${FOLDER}smollm2-shape-${type}.gguf`;
  if (!existsSync(path)) writeSmolLM2Shape(path, type);
  await compare(`shape ${type}`, path);
}
if (existsSync(SMOLLM2)) await compare('SmolLM2 Q4_1', SMOLLM2);
else console.log('SmolLM2 Q4_1 left out: build/models/smollm2.gguf is absent (make models)');
