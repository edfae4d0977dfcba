// Shared weights: a model that visits its blocks by a program gives the bits of its twin that stores every visit's
// block by itself; a program that breaks a rule is a named error.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json } from './lib/cli.js';
import { made } from './lib/golden.js';
import { array, f32, u32, writeGGUF } from './lib/gguf-writer.js';
import { lastLogits, refused } from './lib/logits.js';
import { randomIds, randomModel, unrolled, writeRandomModel } from './lib/random-model.js';

const TARGETS = ['native', 'scalar', 'simd128'];
const ids = randomIds('sharing', 24);
const file = (name) => made(`sharing/${name}.gguf`);
const without = (blocks, parts) => blocks.flatMap((block) => parts.map((part) => `blk.${block}.${part}.weight`));
const ATTENTION = ['attn_norm', 'attn_q', 'attn_k', 'attn_v', 'attn_output'];
const FFN = ['ffn_norm', 'ffn_gate', 'ffn_up', 'ffn_down'];

const shared = (name, blocks, program, rest = {}) => ({ name, architecture: 'reprise-llama', blocks, program, seed: 'sharing', tied: true, ...rest });

const PROGRAMS = [
  shared('twice-in-a-row', 2, { layerMap: [0, 0, 1, 1] }),
  shared('stack-twice', 2, { layerMap: [0, 1, 0, 1] }),
  shared('middle', 3, { layerMap: [0, 1, 1, 1, 2] }),
  shared('identity', 3, { layerMap: [0, 1, 2] }),
  shared('loops', 2, { loops: 2, skipLoopNorm: true }),
  shared('loops-and-map', 2, { layerMap: [0, 1, 0, 1], loops: 2, skipLoopNorm: true }),
  shared('one-ffn', 3, { layerMap: [0, 1, 2], ffn: [0, 0, 0] }, { omit: without([1, 2], FFN) }),
  shared('one-attention', 3, { layerMap: [0, 1, 2], attn: [0, 0, 0] }, { omit: without([1, 2], ATTENTION) }),
  shared('mobilellm', 2, { layerMap: [0, 0, 1, 1] }, { architecture: 'mobilellm' }),
  shared('qwen2', 2, { layerMap: [0, 0, 1, 1] }, { architecture: 'reprise-qwen2' }),
  shared('qwen3', 2, { layerMap: [0, 0, 1, 1] }, { architecture: 'reprise-qwen3', headDim: 32 }),
  shared('slots-named', 2, { layerMap: [0, 0, 1, 1], kvMap: [0, 1, 2, 3] }),
];

const BASES = { mobilellm: 'llama', 'reprise-llama': 'llama', 'reprise-qwen2': 'qwen2', 'reprise-qwen3': 'qwen3' };

async function hashOf(target, name, description, kv = 'f32') {
  writeRandomModel(file(name), description);
  return (await lastLogits(target, file(name), ids, { top: 1, kv })).hash;
}

const twinOf = (model) => ({ ...unrolled({ ...model, omit: [] }), architecture: BASES[model.architecture] });

for (const model of PROGRAMS) {
  test(`${model.name} gives the bits of its unrolled twin`, async () => {
    for (const target of TARGETS)
      assert.is(await hashOf(target, model.name, model), await hashOf(target, `${model.name}-twin`, twinOf(model)), target);
  });
}

test('a visit that reads an earlier KV slot needs no K and V', async () => {
  const program = { layerMap: [0, 0, 1, 1], kvMap: [0, 0, 1, 1] };
  const reused = shared('kv-reuse', 2, program);
  const twin = {
    ...unrolled(reused), program: { layerMap: [0, 1, 2, 3], kvMap: program.kvMap }, omit: without([1, 3], ['attn_k', 'attn_v']),
  };
  const hash = await hashOf('native', 'kv-reuse', reused);
  assert.is(hash, await hashOf('native', 'kv-reuse-twin', twin));
  assert.is.not(hash, await hashOf('native', 'kv-own', shared('kv-own', 2, { layerMap: program.layerMap })));
  for (const target of TARGETS) assert.is(await hashOf(target, 'kv-reuse', reused), hash, target);
});

test('inspect counts blocks, visits, parameters and KV slots', async () => {
  writeRandomModel(file('counted'), PROGRAMS[0]);
  writeRandomModel(file('counted-twin'), twinOf(PROGRAMS[0]));
  const ours = await json('native', ['inspect', file('counted'), '--json']);
  const twin = await json('native', ['inspect', file('counted-twin'), '--json']);
  assert.is(ours.blocks, 2);
  assert.is(ours.visits, 4);
  assert.is(ours.parameters_effective, twin.parameters_effective);
  assert.ok(ours.parameters_stored < twin.parameters_stored);
  assert.is(ours.kv_bytes_per_token, twin.kv_bytes_per_token);
  writeRandomModel(file('counted-reuse'), shared('counted-reuse', 2, { layerMap: [0, 0, 1, 1], kvMap: [0, 0, 1, 1] }));
  assert.is((await json('native', ['inspect', file('counted-reuse'), '--json'])).kv_bytes_per_token * 2, twin.kv_bytes_per_token);
});

// Each breaks one rule of the shared document; `keys` are set beside or over the program's.
const BROKEN = [
  ['a block that is not there', { layerMap: [0, 1, 2] }, {}, /layer_map/],
  ['a block that no visit uses', { layerMap: [0, 0] }, {}, /block|layer_map/],
  ['no visit at all', { layerMap: [] }, {}, /layer_map/],
  ['513 visits', { layerMap: Array.from({ length: 513 }, (_, i) => i % 2) }, {}, /512|513|layer_map/],
  ['an attention map of another length', { layerMap: [0, 1], attn: [0] }, {}, /layer_map.*attn/],
  ['an FFN of a block that is not there', { layerMap: [0, 1], ffn: [0, 7] }, {}, /layer_map\.ffn/],
  ['a KV map of another length', { layerMap: [0, 0, 1, 1], kvMap: [0, 1] }, {}, /kv_map/],
  ['a KV slot below -1', { layerMap: [0, 1], kvMap: [0, -2] }, {}, /kv_map/],
  ['a KV slot beyond all visits', { layerMap: [0, 1], kvMap: [0, 1000000] }, {}, /kv_map/],
  ['loops that contradict the map', { layerMap: [0, 0, 1, 1], loops: 2 }, {}, /num_loops|layer_map/],
  ['more loops than 512 visits', { loops: 4000000000 }, {}, /num_loops|512/],
  ['a map of floats', {}, { 'reprise-llama.layer_map': array('f32', [0, 1]) }, /layer_map/],
  ['a map that is one number', {}, { 'reprise-llama.layer_map': u32(1) }, /layer_map/],
  ['a negative block', {}, { 'reprise-llama.layer_map': array('i32', [0, -1]) }, /layer_map/],
  ['an unknown loop key', {}, { 'reprise-llama.loop.spin': u32(1) }, /loop\.spin/],
  ['an unknown layer map key', {}, { 'reprise-llama.layer_map.norm': array('u32', [0, 1]) }, /layer_map\.norm/],
  ['an unknown KV map key', {}, { 'reprise-llama.attention.kv_map.more': f32(1) }, /kv_map\.more/],
];

for (const [name, program, keys, mention] of BROKEN) {
  test(`refused: ${name}`, async () => {
    const model = randomModel(shared('broken', 2, program));
    writeGGUF(file('broken'), { ...model, kv: { ...model.kv, ...keys } });
    await refused('native', file('broken'), ['RP_ERR_FORMAT', 'RP_ERR_UNSUPPORTED'], mention);
  });
}

test('refused: the first visit of a slot without K', async () => {
  writeRandomModel(file('no-k'), shared('no-k', 2, { layerMap: [0, 0, 1, 1], kvMap: [0, 0, 1, 1] }, { omit: ['blk.1.attn_k.weight'] }));
  await refused('native', file('no-k'), 'RP_ERR_FORMAT', /blk\.1\.attn_k/);
});

test.run();
