// GGUF files of a known model's shape with random weights: what a benchmark needs of a model and no more. A description with a
// `layerMap` is a shared model.
import { array, bool, f32, string, u32, writeGGUF } from '../js/lib/gguf-writer.js';
import { randomTensor } from '../js/lib/random-blocks.js';

const SIZES = { dim: 576, ffn: 1536, heads: 9, kvHeads: 3 }; // of SmolLM2-135M and MobileLLM-125M

/**
 * @typedef {object} Shape
 * @property {string} type of the blocks' matrices
 * @property {number} vocabulary
 * @property {number} blocks stored
 * @property {number} [context] that it claims to be trained for
 * @property {number} [ropeBase]
 * @property {number[]} [layerMap] stored block of each visit
 * @property {number} [dim] @property {number} [ffn] @property {number} [heads] @property {number} [kvHeads] SmolLM2-135M's if not given
 */

/** SmolLM2-135M. @param {string} type @returns {Shape} */
export const smolLM2 = (type) => ({ type, vocabulary: 49152, blocks: 30, ropeBase: 100000 });

/** MobileLLM-125M with each block played `times` times in a row; twice is MobileLLM-LS-125M.
 * @param {string} type @param {number} times @returns {Shape} */
export const mobileLLM = (type, times) => ({ type, vocabulary: 32000, blocks: 30, ropeBase: 10000, context: 16384,
  ...times > 1 ? { layerMap: Array.from({ length: 30 * times }, (_, visit) => Math.floor(visit / times)) } : {} });

function keys({ vocabulary, blocks, context = 8192, ropeBase = 10000, layerMap, dim, ffn, heads, kvHeads }) {
  const byte = (i) => `<0x${(i - 3).toString(16).toUpperCase().padStart(2, '0')}>`; // llama.cpp insists on these
  const spell = (_, i) => ['<unk>', '<s>', '</s>'][i] ?? (i < 259 ? byte(i) : `t${i}`);
  const tokens = Array.from({ length: vocabulary }, spell);
  const architecture = layerMap ? 'reprise-llama' : 'llama';
  const own = {
    'context_length': u32(context), 'embedding_length': u32(dim), 'block_count': u32(blocks), 'feed_forward_length': u32(ffn),
    'attention.head_count': u32(heads), 'attention.head_count_kv': u32(kvHeads), 'attention.layer_norm_rms_epsilon': f32(1e-5),
    'rope.freq_base': f32(ropeBase), ...layerMap ? { 'layer_map': array('u32', layerMap) } : {},
  };
  return {
    'general.architecture': string(architecture),
    ...Object.fromEntries(Object.entries(own).map(([key, value]) => [`${architecture}.${key}`, value])),
    'tokenizer.ggml.model': string('llama'),
    'tokenizer.ggml.tokens': array('string', tokens),
    'tokenizer.ggml.scores': array('f32', tokens.map((_, i) => -i)),
    'tokenizer.ggml.token_type': array('i32', tokens.map((_, i) => (i === 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1))),
    'tokenizer.ggml.bos_token_id': u32(1),
    'tokenizer.ggml.eos_token_id': u32(2),
    'tokenizer.ggml.add_bos_token': bool(true),
  };
}

function matrix(name, type, columns, rows) {
  return { name, type, shape: [columns, rows], data: randomTensor(name, type, [columns, rows], { std: 1 / Math.sqrt(columns) }) };
}

function norm(name, dim) {
  return { name, type: 'F32', shape: [dim], data: randomTensor(name, 'F32', [dim], { mean: 1, std: 0.2 }) };
}

function block(at, { type, dim, ffn, heads, kvHeads }) {
  const name = (part) => `blk.${at}.${part}.weight`, matrixOf = (part, columns, rows) => matrix(name(part), type, columns, rows);
  const kv = (dim / heads) * kvHeads;
  return [
    norm(name('attn_norm'), dim), matrixOf('attn_q', dim, dim), matrixOf('attn_k', dim, kv), matrixOf('attn_v', dim, kv),
    matrixOf('attn_output', dim, dim), norm(name('ffn_norm'), dim), matrixOf('ffn_gate', dim, ffn),
    matrixOf('ffn_up', dim, ffn), matrixOf('ffn_down', ffn, dim),
  ];
}

/** The head and embedding stay Q8_0, as llama.cpp's quantizer leaves a matrix 576 wide. @param {string} path @param {Shape} shape */
export function writeShape(path, shape) {
  const sized = { ...SIZES, ...shape }, { vocabulary, blocks, dim } = sized;
  const tensors = [matrix('token_embd.weight', 'Q8_0', dim, vocabulary), norm('output_norm.weight', dim)];
  for (let at = 0; at < blocks; at++) tensors.push(...block(at, sized));
  writeGGUF(path, { kv: keys(sized), tensors });
}
