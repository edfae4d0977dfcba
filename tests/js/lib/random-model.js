// Turns a short description of a model into metadata and random tensors, for every family the engine runs.
// A tensor's bytes depend on the seed, its name, type and shape alone. So a model that shares blocks and its
// unrolled twin, or one model under two architecture names, hold the same weights.
//
// A description: {name, architecture, seed, type, dim, ffn, heads, kvHeads, headDim, blocks, tied, trained,
// embeddingRank?, sandwich?, embeddingScale?, slides?, rotates?, program?, variants?, keys?, omit?}; program and variants
// are random-program.js's. See random-models.js for the ones that llama.cpp knows.
import { array, f32, string, u32, writeGGUF } from './gguf-writer.js';
import { generator } from './random-blocks.js';
import { programKeys, unrolled as unroll } from './random-program.js';
import { blockTensors, matrix, variantTensors, vector } from './random-tensors.js';
import { BOS, VOCABULARY_SIZE, vocabularyKeys } from './random-vocabulary.js';

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
    ...ownKeys(model),
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

// What only a model that asks for it says.
function ownKeys({ embeddingRank, sandwich, embeddingScale, slides, rotates }) {
  return {
    ...(embeddingRank && { embedding_rank: u32(embeddingRank) }),
    ...(sandwich && { sandwich_norms: string(sandwich) }),
    ...(embeddingScale && { embedding_scale: f32(embeddingScale) }),
    ...(slides && { 'attention.sliding_window_pattern': array('bool', slides) }),
    ...(rotates && { 'rope.pattern': array('bool', rotates) }),
  };
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
  const { dim, blocks, tied, embeddingRank: rank, program = {}, variants = [], omit = [] } = model;
  const width = rank ?? dim;
  const tensors = [matrix(model, 'token_embd.weight', width, VOCABULARY_SIZE), vector(model, 'output_norm.weight', dim)];
  if (!tied) tensors.push(matrix(model, 'output.weight', width, VOCABULARY_SIZE));
  if (rank) tensors.push(matrix(model, 'token_embd_proj.weight', rank, dim), matrix(model, 'output_proj.weight', dim, rank));
  if (program.injection === 'concat') tensors.push(matrix(model, 'loop_inject.weight', 2 * dim, dim));
  if (program.exit === 'gate')
    tensors.push(matrix(model, 'exit_gate.weight', dim, 1), vector(model, 'exit_gate.bias', 1, 'exit_gate.bias', { mean: -0.3, std: 0 }));
  if (model.ropeFactors) tensors.push(ropeFactors(model));
  for (let block = 0; block < blocks; block++) tensors.push(...blockTensors(model, block));
  for (const variant of variants) tensors.push(...variantTensors(model, variant));
  return tensors.filter(({ name }) => !omit.some((start) => name.startsWith(start)));
}

/** Metadata and tensors of a described model, ready for writeGGUF. */
export function randomModel(description) {
  const model = complete(description);
  return { kv: metadata(model), tensors: tensorsOf(model) };
}

/** Writes a described model and returns its bytes. */
export const writeRandomModel = (path, description) => writeGGUF(path, randomModel(description));

/** The twin of a described model (see random-program.js). */
export const unrolled = (description) => unroll(complete(description));

/** A prompt of `length` ids, BOS first, that depends on the seed alone. */
export function randomIds(seed, length) {
  const next = generator(`${seed} ids`);
  return [BOS, ...Array.from({ length: length - 1 }, () => 3 + (next() % (VOCABULARY_SIZE - 3)))];
}

