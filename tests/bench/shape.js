// GGUF files of a known model's shape with random weights: what a benchmark needs of a model and no more. A description with a
// `layerMap` is a shared model.
import { array, bool, f32, string, u32, writeGGUF } from '../js/lib/gguf-writer.js';
import { randomTensor } from '../js/lib/random-blocks.js';

const DIM = 576, FFN = 1536, KV = 192;

/**
 * @typedef {object} Shape
 * @property {string} type of the blocks' matrices
 * @property {number} vocabulary
 * @property {number} blocks stored
 * @property {number} [context] that it claims to be trained for
 * @property {number} [ropeBase]
 * @property {number[]} [layerMap] stored block of each visit
 */

/** SmolLM2-135M. @param {string} type @returns {Shape} */
export const smolLM2 = (type) => ({ type, vocabulary: 49152, blocks: 30, ropeBase: 100000 });

/** MobileLLM-125M with each block played `times` times in a row; twice is MobileLLM-LS-125M.
 * @param {string} type @param {number} times @returns {Shape} */
export const mobileLLM = (type, times) => ({ type, vocabulary: 32000, blocks: 30, ropeBase: 10000, context: 16384,
  ...times > 1 ? { layerMap: Array.from({ length: 30 * times }, (_, visit) => Math.floor(visit / times)) } : {} });

function keys({ vocabulary, blocks, context = 8192, ropeBase, layerMap }) {
  const byte = (i) => `<0x${(i - 3).toString(16).toUpperCase().padStart(2, '0')}>`; // llama.cpp insists on these
  const spell = (_, i) => ['<unk>', '<s>', '</s>'][i] ?? (i < 259 ? byte(i) : `t${i}`);
  const tokens = Array.from({ length: vocabulary }, spell);
  const architecture = layerMap ? 'reprise-llama' : 'llama';
  const own = {
    'context_length': u32(context), 'embedding_length': u32(DIM), 'block_count': u32(blocks), 'feed_forward_length': u32(FFN),
    'attention.head_count': u32(9), 'attention.head_count_kv': u32(3), 'attention.layer_norm_rms_epsilon': f32(1e-5),
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

function norm(name) {
  return { name, type: 'F32', shape: [DIM], data: randomTensor(name, 'F32', [DIM], { mean: 1, std: 0.2 }) };
}

function block(at, type) {
  const name = (part) => `blk.${at}.${part}.weight`, matrixOf = (part, columns, rows) => matrix(name(part), type, columns, rows);
  return [
    norm(name('attn_norm')), matrixOf('attn_q', DIM, DIM), matrixOf('attn_k', DIM, KV), matrixOf('attn_v', DIM, KV),
    matrixOf('attn_output', DIM, DIM), norm(name('ffn_norm')), matrixOf('ffn_gate', DIM, FFN),
    matrixOf('ffn_up', DIM, FFN), matrixOf('ffn_down', FFN, DIM),
  ];
}

/** The head and embedding stay Q8_0, as llama.cpp's quantizer leaves a matrix 576 wide. @param {string} path @param {Shape} shape */
export function writeShape(path, shape) {
  const { type, vocabulary, blocks } = shape;
  const tensors = [matrix('token_embd.weight', 'Q8_0', DIM, vocabulary), norm('output_norm.weight')];
  for (let at = 0; at < blocks; at++) tensors.push(...block(at, type));
  writeGGUF(path, { kv: keys(shape), tensors });
}
