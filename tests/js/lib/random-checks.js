// What architectures.test.js and tensor-types.test.js do with each random model: compare with llama.cpp's golden
// within a stated error, and compare the bits of all logits between the builds.
import assert from 'node:assert';
import { differences, golden, made, mean, sha256 } from './golden.js';
import { eachLogits, lastLogits } from './logits.js';
import { randomIds, writeRandomModel } from './random-model.js';
import { VOCABULARY_SIZE } from './random-vocabulary.js';

const SAME_BITS = ['native', 'scalar', 'simd128'];
const KV_TYPES = ['f32', 'f16', 'q8_0', 'q8_q4'];
const runs = new Map(golden('random-models').runs.map((run) => [run.name, run]));

/** Makes the model's file, the one its golden belongs to, and returns its path. */
export function makeModel(description) {
  const path = made(`random/${description.name}.gguf`);
  const bytes = writeRandomModel(path, description);
  assert.equal(sha256(bytes), runs.get(description.name)?.model, 'the golden is of another model: make goldens');
  return path;
}

/** Mean and largest difference of log-probabilities from llama.cpp's, over the golden's positions and ids. */
export async function compareWithGolden(description, path, { meanError, largestError }) {
  const { ids, positions } = runs.get(description.name);
  const lines = (await eachLogits('native', path, ids, { top: VOCABULARY_SIZE })).slice(-positions.length);
  const all = positions.flatMap(({ top, extra }, index) => differences(lines[index], [...top, ...extra]));
  const figures = { mean: mean(all), largest: Math.max(...all) };
  const shown = `${description.name}: mean ${figures.mean.toFixed(5)}, largest ${figures.largest.toFixed(5)}`;
  process.stdout.write(`  ${shown}\n`);
  assert.ok(figures.mean <= meanError && figures.largest <= largestError, `${shown}; allowed ${meanError}, ${largestError}`);
}

/** Every build and every KV type: the logits' hash is one per KV type. */
export async function compareBuilds(description, path, kvTypes = KV_TYPES) {
  const ids = randomIds(`${description.name} bits`, 40);
  for (const kv of kvTypes) {
    const hashes = [];
    for (const target of SAME_BITS) hashes.push((await lastLogits(target, path, ids, { top: 1, kv })).hash);
    assert.equal(new Set(hashes).size, 1, `${description.name}, KV ${kv}: ${SAME_BITS.map((t, i) => `${t} ${hashes[i]}`).join(', ')}`);
  }
}
