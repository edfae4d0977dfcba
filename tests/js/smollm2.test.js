// SmolLM2-135M-Instruct against llama.cpp on twenty prompts: the same ids for the prompt, then llama.cpp's own greedy
// tokens are fed to us, and the argmax and the ten likeliest log-probabilities of each position are compared.
//
// Two goldens judge. `smollm2` is llama.cpp on the file: like us it rounds activations to 8 bits, and that rounding is
// noise which thirty layers amplify, in it as in us. `smollm2-f32` is llama.cpp on the same weights turned into F32,
// without that noise. So we must be as near to the exact answer as llama.cpp itself is on the file, and the
// distance between two noisy engines may not exceed what both noises explain.
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json } from './lib/cli.js';
import { golden, mean, sha256, SMOLLM2 } from './lib/golden.js';
import { eachLogits } from './lib/logits.js';
import { skip } from './lib/skip.js';

const GAP = 0.05; // nats between llama.cpp's first and second: below, either may win
const MEAN_ERROR = 0.1;
const NOISE = 1.1; // how much further from exact than llama.cpp we may be by chance
const COMPARED = 200; // how many of our likeliest ids are asked for, to find llama.cpp's ten among them

// One position: whether the argmax is llama.cpp's, by how much llama.cpp prefers its own, and the ten differences.
function comparePosition(line, top, where) {
  const ours = new Map(line.top.map(({ id, logprob }) => [id, logprob]));
  // An id that is not even among ours counts as if it had our last one's probability.
  const least = line.top.at(-1).logprob;
  const errors = top.map(([id, logprob]) => Math.abs((ours.get(id) ?? least) - logprob));
  return { where, sameBest: line.top[0].id === top[0][0], gap: top[0][1] - top[1][1], errors };
}

const where = (run, at) => `prompt ${run}, token ${at}`;

/** Mean difference and the positions where another argmax wins although the judge is decided, over all positions. */
function compare(runs, judgeRuns) {
  const all = runs.flatMap((lines, run) =>
    lines.map((line, at) => comparePosition(line, judgeRuns[run].positions[at], where(run, at))));
  const decided = all.filter(({ sameBest, gap }) => !sameBest && gap > GAP);
  return {
    error: mean(all.flatMap(({ errors }) => errors)), positions: all.length,
    flips: decided.length, shown: decided.map((one) => `${one.where} (${one.gap.toFixed(3)})`).join(', '),
  };
}

const say = (what, { error, flips, positions }) =>
  process.stdout.write(`  ${what}: mean difference ${error.toFixed(5)}, argmax differs above the gap at ${flips} of ${positions}\n`);

async function ourRun({ prompt, greedy, positions }) {
  const ids = [...prompt, ...greedy.slice(0, -1)];
  const lines = (await eachLogits('native', SMOLLM2, ids, { top: COMPARED, kv: 'f16' })).slice(prompt.length - 1);
  assert.is(lines.length, positions.length);
  return lines;
}

function tests({ model, runs }, exact) {
  test('the model is the one of the goldens', () => {
    assert.is(sha256(readFileSync(SMOLLM2)), model);
    assert.is(exact.model, model);
  });

  test('prompts become the same ids', async () => {
    for (const { text, special, prompt } of runs)
      assert.equal(await json('native', ['tokenize', SMOLLM2, text, ...(special ? ['--special'] : [])]), prompt);
  });

  test('argmax and log-probabilities at every greedy token', async () => {
    const ours = [];
    for (const run of runs) ours.push(await ourRun(run));
    const asLines = ({ positions }) => positions.map((top) => ({ top: top.map(([id, logprob]) => ({ id, logprob })) }));
    const theirs = compare(runs.map(asLines), exact.runs);
    const toExact = compare(ours, exact.runs), toFile = compare(ours, runs);
    say('llama.cpp on the file, from llama.cpp on F32 weights', theirs);
    say('ours from llama.cpp on F32 weights', toExact);
    say('ours from llama.cpp on the file', toFile);
    assert.ok(toExact.error <= MEAN_ERROR, `mean difference ${toExact.error} from exact activations`);
    assert.ok(toExact.error <= theirs.error * NOISE, `further from exact than llama.cpp: ${toExact.error}, ${theirs.error}`);
    assert.ok(toExact.flips <= theirs.flips * NOISE + 1, `more flips than llama.cpp: ${toExact.shown}`);
    assert.ok(toFile.error <= Math.hypot(toExact.error, theirs.error), `more than two noises: ${toFile.error}`);
    assert.ok(toFile.flips <= toExact.flips + theirs.flips, toFile.shown);
  });
}

if (existsSync(SMOLLM2)) tests(golden('smollm2'), golden('smollm2-f32'));
else test('SmolLM2', () => skip('build/models/smollm2.gguf is absent: make models'));

test.run();
