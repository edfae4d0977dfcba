// Turns a short description of a model into metadata and random tensors, for every family the engine runs.
// A tensor's bytes depend on the seed, its name, type and shape alone. So a model that shares blocks and its
// unrolled twin, or one model under two architecture names, hold the same weights.
//
// A description: {name, architecture, seed, type, dim, ffn, heads, kvHeads, headDim, blocks, tied, trained,
// program?, keys?, omit?}. See random-models.js for the ones in use.
import { array, bool, f32, string, u32, writeGGUF } from './gguf-writer.js';
import { generator, randomTensor } from './random-blocks.js';
import { BOS, VOCABULARY_SIZE, vocabularyKeys } from './random-vocabulary.js';

// What a family adds to llama: per-block tensors and metadata.
const FAMILIES = {
  llama: {},
  mobilellm: {},
  nanbeige: {},
  smollm3: {},
  qwen2: { qkvBias: true },
  qwen3: { qkNorm: true },
  gemma3: { qkNorm: true, sandwich: true },
};

const family = (architecture) => FAMILIES[architecture.replace(/^reprise-/, '')];

const DEFAULTS = {
  seed: 'reprise', type: 'Q8_0', dim: 64, ffn: 160, heads: 4, kvHeads: 2, blocks: 3, tied: false, trained: 256,
  ropeBase: 10000, epsilon: 1e-5, keys: {},
};

/** A description with its defaults filled in. */
export function complete(description) {
  const model = { ...DEFAULTS, ...description };
  model.headDim ??= model.dim / model.heads;
  return model;
}

function programKeys({ architecture, program = {} }) {
  const keys = {};
  const set = (key, value) => (keys[`${architecture}.${key}`] = value);
  if (program.layerMap) set('layer_map', array('u32', program.layerMap));
  if (program.attn) set('layer_map.attn', array('u32', program.attn));
  if (program.ffn) set('layer_map.ffn', array('u32', program.ffn));
  if (program.kvMap) set('attention.kv_map', array('i32', program.kvMap));
  if (program.loops) set('num_loops', u32(program.loops));
  if (program.skipLoopNorm !== undefined) set('skip_loop_final_norm', bool(program.skipLoopNorm));
  return keys;
}

function metadata(model) {
  const own = {
    context_length: u32(model.trained),
    embedding_length: u32(model.dim),
    block_count: u32(model.blocks),
    feed_forward_length: u32(model.ffn),
    vocab_size: u32(VOCABULARY_SIZE),
    'attention.head_count': u32(model.heads),
    'attention.head_count_kv': u32(model.kvHeads),
    'attention.key_length': u32(model.headDim),
    'attention.value_length': u32(model.headDim),
    'attention.layer_norm_rms_epsilon': f32(model.epsilon),
    'rope.dimension_count': u32(model.headDim),
    'rope.freq_base': f32(model.ropeBase),
    ...model.keys,
  };
  return {
    'general.architecture': string(model.architecture),
    'general.name': string(`random ${model.name}`),
    ...Object.fromEntries(Object.entries(own).map(([key, value]) => [`${model.architecture}.${key}`, value])),
    ...programKeys(model),
    ...vocabularyKeys(),
  };
}

// Deviation 1/sqrt(columns) keeps activations near 1 through the blocks.
function matrix(model, name, columns, rows, seedName = name) {
  const std = 1 / Math.sqrt(columns);
  const data = randomTensor(`${model.seed} ${seedName}`, model.type, [columns, rows], { std });
  return { name, type: model.type, shape: [columns, rows], data };
}

function vector(model, name, size, seedName = name, range = { mean: 1, std: 0.2 }) {
  return { name, type: 'F32', shape: [size], data: randomTensor(`${model.seed} ${seedName}`, 'F32', [size], range) };
}

function attention(model, block, from) {
  const { dim, heads, kvHeads, headDim } = model;
  const { qkvBias, qkNorm, sandwich } = family(model.architecture);
  const rows = { attn_q: heads * headDim, attn_k: kvHeads * headDim, attn_v: kvHeads * headDim };
  const own = (part) => [`blk.${block}.${part}`, `blk.${from}.${part}`];
  const withVector = (part, size, range) => {
    const [name, seedName] = own(part);
    return vector(model, name, size, seedName, range);
  };
  const withMatrix = (part, columns, count) => {
    const [name, seedName] = own(part);
    return matrix(model, name, columns, count, seedName);
  };
  const tensors = [withVector('attn_norm.weight', dim)];
  for (const [part, count] of Object.entries(rows)) {
    tensors.push(withMatrix(`${part}.weight`, dim, count));
    if (qkvBias) tensors.push(withVector(`${part}.bias`, count, { mean: 0, std: 0.5 }));
  }
  if (qkNorm) tensors.push(withVector('attn_q_norm.weight', headDim), withVector('attn_k_norm.weight', headDim));
  tensors.push(withMatrix('attn_output.weight', heads * headDim, dim));
  if (sandwich) tensors.push(withVector('post_attention_norm.weight', dim));
  return tensors;
}

function feedForward(model, block, from) {
  const { dim, ffn } = model;
  const seedName = (part) => `blk.${from}.${part}`;
  const withMatrix = (part, columns, rows) => matrix(model, `blk.${block}.${part}`, columns, rows, seedName(part));
  const tensors = [
    vector(model, `blk.${block}.ffn_norm.weight`, dim, seedName('ffn_norm.weight')),
    withMatrix('ffn_gate.weight', dim, ffn),
    withMatrix('ffn_up.weight', dim, ffn),
    withMatrix('ffn_down.weight', ffn, dim),
  ];
  if (family(model.architecture).sandwich)
    tensors.push(vector(model, `blk.${block}.post_ffw_norm.weight`, dim, seedName('post_ffw_norm.weight')));
  return tensors;
}

// Frequency divisors as Llama 3.1's converter writes them, for `context` positions stretched by 8 (8192 in life).
function ropeFactors({ headDim, ropeBase, ropeFactors: context }) {
  const factors = Buffer.alloc(headDim * 2);
  for (let pair = 0; pair < headDim / 2; pair++) {
    const wavelength = 2 * Math.PI * ropeBase ** ((2 * pair) / headDim);
    const smooth = (context / wavelength - 1) / (4 - 1);
    const factor = wavelength < context / 4 ? 1 : wavelength > context ? 8 : 1 / ((1 - smooth) / 8 + smooth);
    factors.writeFloatLE(factor, pair * 4);
  }
  return { name: 'rope_freqs.weight', type: 'F32', shape: [headDim / 2], data: factors };
}

function tensorsOf(model) {
  const { dim, blocks, tied, sources = [], omit = [] } = model;
  const tensors = [matrix(model, 'token_embd.weight', dim, VOCABULARY_SIZE), vector(model, 'output_norm.weight', dim)];
  if (!tied) tensors.push(matrix(model, 'output.weight', dim, VOCABULARY_SIZE));
  if (model.ropeFactors) tensors.push(ropeFactors(model));
  for (let block = 0; block < blocks; block++) {
    const { attn = block, ffn = block } = sources[block] ?? {};
    tensors.push(...attention(model, block, attn), ...feedForward(model, block, ffn));
  }
  return tensors.filter(({ name }) => !omit.includes(name));
}

/** Metadata and tensors of a described model, ready for writeGGUF. */
export function randomModel(description) {
  const model = complete(description);
  return { kv: metadata(model), tensors: tensorsOf(model) };
}

/** Writes a described model and returns its bytes. */
export const writeRandomModel = (path, description) => writeGGUF(path, randomModel(description));

/** The twin of a model with a program that stores each visit's block by itself and runs them once, in order. */
export function unrolled(description) {
  const { program, ...rest } = complete(description);
  const map = program.layerMap ?? Array.from({ length: rest.blocks * (program.loops ?? 1) }, (_, i) => i % rest.blocks);
  const sources = map.map((block, visit) => ({ attn: program.attn?.[visit] ?? block, ffn: program.ffn?.[visit] ?? block }));
  return { ...rest, name: `${rest.name}-unrolled`, blocks: map.length, sources };
}

/** A prompt of `length` ids, BOS first, that depends on the seed alone. */
export function randomIds(seed, length) {
  const next = generator(`${seed} ids`);
  return [BOS, ...Array.from({ length: length - 1 }, () => 3 + (next() % (VOCABULARY_SIZE - 3)))];
}

