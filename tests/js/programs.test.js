// What a program says beside the order of its blocks: variants of visits, injection, norms, the exit rule, factorised
// embeddings, patterns of blocks. Each model gives the bits of its twin in which every visit has a block of its own, and, with
// weights in floats, what the formulas give in doubles.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json } from './lib/cli.js';
import { made } from './lib/golden.js';
import { eachLogits, lastLogits } from './lib/logits.js';
import { PROGRAM_MODELS, shared } from './lib/program-models.js';
import { randomIds, unrolled, writeRandomModel } from './lib/random-model.js';
import { VOCABULARY_SIZE } from './lib/random-vocabulary.js';
import { referenceLogits } from './lib/reference-model.js';

const TARGETS = ['native', 'scalar', 'simd128'];
const KV_TYPES = ['f32', 'f16', 'q8_0', 'q8_q4'];
const LARGEST_ERROR = 2e-4; // of a log-probability: a wrong term gives 100 times as much
const ids = randomIds('programs', 24);
const file = (name) => made(`programs/${name}.gguf`);

function write(description, name = description.name) {
  writeRandomModel(file(name), description);
  return file(name);
}

const hashOf = async (target, path, kv) => (await lastLogits(target, path, ids, { top: 1, kv })).hash;

for (const model of PROGRAM_MODELS) {
  test(`${model.name} gives the bits of its unrolled twin`, async () => {
    const path = write(model), twin = write(unrolled(model), `${model.name}-twin`);
    for (const kv of KV_TYPES) {
      const hash = await hashOf('native', path, kv);
      assert.is(hash, await hashOf('native', twin, kv), kv);
      for (const target of TARGETS.slice(1)) assert.is(await hashOf(target, path, kv), hash, `${target} ${kv}`);
      assert.is((await eachLogits('native', path, ids, { top: 1, kv })).at(-1).hash, hash, `every position, ${kv}`);
    }
  });
}

const logsumexp = (logits) => Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));

// The formulas are those of llama's blocks.
const judged = PROGRAM_MODELS.filter(({ architecture }) => architecture !== 'reprise-gemma3')
  .map((model) => ({ ...model, type: 'F32', ropeBase: 30, sandwich: model.architecture === 'ouro' ? 'branch' : model.sandwich }));

async function compare(model, name) {
  const lines = await eachLogits('native', write(model, name), ids, { top: VOCABULARY_SIZE });
  const errors = referenceLogits(model, ids).flatMap((want, t) => {
    const sum = logsumexp(want);
    assert.is(lines[t].top.length, VOCABULARY_SIZE);
    return lines[t].top.map(({ id, logprob }) => Math.abs(logprob - (want[id] - sum)));
  });
  assert.ok(Math.max(...errors) < LARGEST_ERROR, `largest error ${Math.max(...errors)}`);
}

for (const model of judged)
  test(`${model.name} in floats gives what the formulas give`, () => compare(model, `${model.name}-f32`));

// Without it the model computes something else, so that a feature that does nothing is not taken for one that works.
const WITHOUT = {
  'norms-of-visits': { variants: [] }, 'step-biases': { variants: [] }, 'low-rank': { variants: [] }, branch: { variants: [] },
  'inject-add': { program: { injection: 'none' } },
  'inject-concat-zero': { program: { zeroStart: false } }, 'norm-between': { program: { norm: 'none' } },
  'norm-end': { program: { norm: 'between' } }, exit: { program: { exitThreshold: 1 } }, 'no-rope': { rotates: [true, true, true] },
  windows: { slides: [true, true, true] }, rank: { embeddingScale: 1 }, sum: { sandwich: 'branch' },
};

for (const [name, { program, ...rest }] of Object.entries(WITHOUT)) {
  test(`${name}: leaving it out changes the bits`, async () => {
    const model = PROGRAM_MODELS.find((one) => one.name === name);
    const changed = { ...model, ...rest, program: { ...model.program, ...program } };
    assert.is.not(await hashOf('native', write(model), 'f32'), await hashOf('native', write(changed, `${name}-without`), 'f32'));
  });
}

test('a list of visits stands beside any layer map', () => {
  const program = { injection: 'add', entryVisit: 1, injectVisits: [3, 5], normVisits: [0, 2] };
  const merged = shared('named', 3, { layerMap: [0, 1, 2, 1, 0, 2], ...program }, { type: 'F32', ropeBase: 30 });
  return compare(merged, 'named');
});

test('parameters count what each visit has', async () => {
  for (const model of PROGRAM_MODELS) {
    const ours = await json('native', ['inspect', write(model), '--json']);
    const twin = await json('native', ['inspect', write(unrolled(model), `${model.name}-twin`), '--json']);
    assert.is(ours.parameters_effective, twin.parameters_effective, model.name);
    assert.is(ours.kv_bytes_per_token, twin.kv_bytes_per_token, model.name);
    assert.ok(ours.parameters_stored < twin.parameters_stored, model.name);
  }
});

test.run();
