// Turns llama2.c's stories260K (a v0 checkpoint and its tokenizer.bin) into a GGUF file. llama2.c rotates
// neighbouring pairs of Q and K, as llama.cpp's llama does, so no row moves. The head is tied.
import { existsSync, readFileSync } from 'node:fs';
import { array, bool, f32, string, u32, writeGGUF } from './gguf-writer.js';

const folder = new URL('../../../../shared/data/stories260k/', import.meta.url);
const MAX_TOKENS = 512;

export const storiesAvailable = () => existsSync(new URL('checkpoint_legacy.bin', folder));

/** The published greedy text, without the line end that closes the file. */
export const storiesGreedy = () => readFileSync(new URL('greedy.txt', folder), 'utf8').replace(/\n$/, '');

function readConfig(bytes) {
  const [dim, hidden, layers, heads, kvHeads, vocab, context] = Array.from({ length: 7 }, (_, i) => bytes.readInt32LE(i * 4));
  return { dim, hidden, layers, heads, kvHeads, vocab, context, kvDim: (dim / heads) * kvHeads };
}

// The order of a v0 checkpoint: each kind of tensor for all layers, then the next kind.
function readTensors(bytes, { dim, hidden, layers, vocab, kvDim }) {
  let at = 28;
  const tensors = [];
  const take = (name, ...shape) => {
    const size = 4 * shape.reduce((product, length) => product * length, 1);
    tensors.push({ name, type: 'F32', shape, data: bytes.subarray(at, at + size) });
    at += size;
  };
  const takeEach = (name, ...shape) => {
    for (let layer = 0; layer < layers; layer++) take(`blk.${layer}.${name}.weight`, ...shape);
  };
  take('token_embd.weight', dim, vocab);
  takeEach('attn_norm', dim);
  takeEach('attn_q', dim, dim);
  takeEach('attn_k', dim, kvDim);
  takeEach('attn_v', dim, kvDim);
  takeEach('attn_output', dim, dim);
  takeEach('ffn_norm', dim);
  takeEach('ffn_gate', dim, hidden);
  takeEach('ffn_down', hidden, dim);
  takeEach('ffn_up', dim, hidden);
  take('output_norm.weight', dim);
  return tensors;
}

// tokenizer.bin holds, after the longest token's length, a score, a length and the bytes of each token; spaces
// stand for SentencePiece's U+2581, ids 0 to 2 are <unk>, <s>, </s> and ids 3 to 258 the bytes.
function readVocabulary(bytes, count) {
  const tokens = [];
  const scores = [];
  for (let id = 0, at = 4; id < count; id++) {
    scores.push(bytes.readFloatLE(at));
    const size = bytes.readInt32LE(at + 4);
    tokens.push(bytes.toString('utf8', at + 8, at + 8 + size));
    at += 8 + size;
  }
  return { tokens, scores };
}

function vocabularyKeys(bytes, count) {
  const { tokens, scores } = readVocabulary(bytes, count);
  const spelled = tokens.map((token, id) => {
    if (id < 3) return ['<unk>', '<s>', '</s>'][id];
    return id < 259 ? token : token.replaceAll(' ', '▁');
  });
  return {
    'tokenizer.ggml.model': string('llama'),
    'tokenizer.ggml.tokens': array('string', spelled),
    'tokenizer.ggml.scores': array('f32', scores),
    'tokenizer.ggml.token_type': array('i32', spelled.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1))),
    'tokenizer.ggml.bos_token_id': u32(1),
    'tokenizer.ggml.eos_token_id': u32(2),
    'tokenizer.ggml.unknown_token_id': u32(0),
    'tokenizer.ggml.add_bos_token': bool(true),
    'tokenizer.ggml.add_eos_token': bool(false),
  };
}

/** Writes the model as GGUF (architecture llama, F32) and returns its bytes. */
export function writeStories260k(path) {
  const checkpoint = readFileSync(new URL('checkpoint_legacy.bin', folder));
  const config = readConfig(checkpoint);
  const kv = {
    'general.architecture': string('llama'),
    'general.name': string('stories260K'),
    'llama.context_length': u32(Math.min(config.context, MAX_TOKENS)),
    'llama.embedding_length': u32(config.dim),
    'llama.block_count': u32(config.layers),
    'llama.feed_forward_length': u32(config.hidden),
    'llama.attention.head_count': u32(config.heads),
    'llama.attention.head_count_kv': u32(config.kvHeads),
    'llama.attention.layer_norm_rms_epsilon': f32(1e-5),
    'llama.rope.dimension_count': u32(config.dim / config.heads),
    'llama.rope.freq_base': f32(10000),
    ...vocabularyKeys(readFileSync(new URL('tokenizer.bin', folder)), config.vocab),
  };
  return writeGGUF(path, { kv, tensors: readTensors(checkpoint, config) });
}
