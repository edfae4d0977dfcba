// SmolLM2-135M-Instruct against llama.cpp on twenty prompts: the same ids for the prompt, then llama.cpp's own greedy
// tokens are fed to us, and the argmax and the ten likeliest log-probabilities of each position are compared.
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json } from './lib/cli.js';
import { golden, mean, sha256, SMOLLM2 } from './lib/golden.js';
import { eachLogits } from './lib/logits.js';
import { skip } from './lib/skip.js';

const GAP = 0.05; // nats between llama.cpp's first and second: below, either may win
const MEAN_ERROR = 0.1;
const COMPARED = 200; // how many of our likeliest ids are asked for, to find llama.cpp's ten among them

// One position: whether the argmax is llama.cpp's, by how much llama.cpp prefers its own, and the ten differences.
function comparePosition(line, top, where) {
  const ours = new Map(line.top.map(({ id, logprob }) => [id, logprob]));
  // An id that is not even among ours counts as if it had our last one's probability.
  const least = line.top.at(-1).logprob;
  const errors = top.map(([id, logprob]) => Math.abs((ours.get(id) ?? least) - logprob));
  return { where, sameBest: line.top[0].id === top[0][0], gap: top[0][1] - top[1][1], errors };
}

async function compareRun({ prompt, greedy, positions }, index) {
  const lines = (await eachLogits('native', SMOLLM2, [...prompt, ...greedy.slice(0, -1)], { top: COMPARED, kv: 'f16' })).slice(prompt.length - 1);
  assert.is(lines.length, positions.length);
  return lines.map((line, at) => comparePosition(line, positions[at], `prompt ${index}, token ${at}`));
}

function tests({ model, runs }) {
  test('the model is the one of the goldens', () => {
    assert.is(sha256(readFileSync(SMOLLM2)), model);
  });

  test('prompts become the same ids', async () => {
    for (const { text, special, prompt } of runs)
      assert.equal(await json('native', ['tokenize', SMOLLM2, text, ...(special ? ['--special'] : [])]), prompt);
  });

  test('argmax and log-probabilities at every greedy token', async () => {
    const all = [];
    for (const [index, run] of runs.entries()) all.push(...(await compareRun(run, index)));
    const error = mean(all.flatMap(({ errors }) => errors));
    const largest = Math.max(...all.flatMap(({ errors }) => errors));
    const differ = all.filter(({ sameBest }) => !sameBest);
    const decided = differ.filter(({ gap }) => gap > GAP).map(({ where, gap }) => `${where} (${gap.toFixed(3)})`);
    process.stdout.write(`  argmax differs at ${differ.length} of ${all.length}, at ${decided.length} with a gap above ${GAP}; top-10 log-probabilities: mean difference ${error.toFixed(5)}, largest ${largest.toFixed(4)}\n`);
    assert.ok(error <= MEAN_ERROR, `mean difference ${error}`);
    assert.is(decided.length, 0, decided.join(', '));
  });
}

if (existsSync(SMOLLM2)) tests(golden('smollm2'));
else test('SmolLM2', () => skip('build/models/smollm2.gguf is absent: make models'));

test.run();
