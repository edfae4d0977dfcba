// Files that break GGUF or a model's rules, one way each: [what, bytes, codes, what the message must mention].
// All start from one tiny good model; offsets of the fixed head: magic 0, version 4, tensors 8, keys 16.
import { array, f32, string, u32, u64, writeGGUF } from './gguf-writer.js';
import { randomModel, writeRandomModel } from './random-model.js';

const FORMAT = 'RP_ERR_FORMAT';
const UNSUPPORTED = 'RP_ERR_UNSUPPORTED';
const EITHER = [FORMAT, UNSUPPORTED];

const MODEL = { name: 'bad', architecture: 'llama', seed: 'bad', dim: 32, ffn: 64, heads: 4, kvHeads: 2, blocks: 2, trained: 64 };
export const goodModel = () => writeRandomModel(null, MODEL);

function patched(at, bytes) {
  const file = goodModel();
  Buffer.from(bytes).copy(file, at);
  return file;
}

const eight = (value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};

/** The good model with keys set, or removed where the value is null. */
function withKeys(keys) {
  const { kv, tensors } = randomModel(MODEL);
  const changed = Object.entries({ ...kv, ...keys }).filter(([, value]) => value !== null);
  return writeGGUF(null, { kv: changed, tensors });
}

/** The good model with one tensor changed by `change`, or without it where that gives null. */
function withTensor(name, change, rest = {}) {
  const { kv, tensors } = randomModel(MODEL);
  const changed = tensors.map((tensor) => (tensor.name === name ? change(tensor) : tensor)).filter(Boolean);
  return writeGGUF(null, { kv, tensors: changed, ...rest });
}

const reshaped = (name, shape) => withTensor(name, (tensor) => ({ ...tensor, type: 'F32', shape, data: Buffer.alloc(4 * shape.reduce((a, b) => a * b, 1)) }));

function twice(what) {
  const { kv, tensors } = randomModel(MODEL);
  const entries = Object.entries(kv);
  if (what === 'key') return writeGGUF(null, { kv: [...entries, entries[3]], tensors });
  return writeGGUF(null, { kv, tensors: [...tensors, tensors[1]] });
}

// Where the type of the first key's value stands: the head is 24 bytes, then the key's length and text.
const firstKey = 24 + 8 + 'general.architecture'.length;
const Q = 'blk.1.attn_q.weight';

const container = [
  ['an empty file', Buffer.alloc(0), FORMAT, /./],
  ['three bytes', Buffer.from('GGU'), FORMAT, /./],
  ['a wrong magic', patched(0, Buffer.from('GGML')), FORMAT, /magic|GGUF/],
  ['version 0', patched(4, [0, 0, 0, 0]), EITHER, /version/],
  ['version 1', writeGGUF(null, { ...randomModel(MODEL), version: 1 }), EITHER, /version/],
  ['version 4', patched(4, [4, 0, 0, 0]), EITHER, /version/],
  ['big-endian version 3', patched(4, [0, 0, 0, 3]), EITHER, /version|endian/],
  ['2^63 tensors', patched(8, eight(1n << 63n)), FORMAT, /tensor/],
  ['2^32 tensors', patched(8, eight(1n << 32n)), FORMAT, /tensor/],
  ['2^63 keys', patched(16, eight(1n << 63n)), FORMAT, /key|metadata/],
  ['a key of 2^40 bytes', patched(24, eight(1n << 40n)), FORMAT, /key|string|length|long/],
  ['a key of no bytes', patched(24, eight(0n)), FORMAT, /./],
  ['a string of 2^62 bytes', patched(firstKey + 4, eight(1n << 62n)), FORMAT, /string|length|long|bytes/],
  ['value type 13', patched(firstKey, [13, 0, 0, 0]), FORMAT, /type/],
  ['a key that occurs twice', twice('key'), FORMAT, /twice|two|again/],
  ['a tensor that occurs twice', twice('tensor'), FORMAT, /two tensors|twice/],
  ['alignment 0', withKeys({ 'general.alignment': u32(0) }), FORMAT, /alignment/],
  ['alignment 24', withKeys({ 'general.alignment': u32(24) }), FORMAT, /alignment/],
];

const tensors = [
  ['tensor type 99', withTensor(Q, (t) => ({ ...t, type: 99 })), EITHER, /attn_q/],
  ['tensor type IQ2_XXS', withTensor(Q, (t) => ({ ...t, type: 16 })), UNSUPPORTED, /attn_q/],
  ['a tensor of five dimensions', withTensor(Q, (t) => ({ ...t, shape: [32, 32, 1, 1, 1] })), FORMAT, /attn_q/],
  ['a tensor without dimensions', withTensor(Q, (t) => ({ ...t, shape: [] })), FORMAT, /attn_q/],
  ['a tensor with no rows', withTensor(Q, (t) => ({ ...t, shape: [32, 0] })), FORMAT, /attn_q/],
  ['a tensor of 2^80 values', withTensor(Q, (t) => ({ ...t, shape: [2 ** 40, 2 ** 40] })), FORMAT, /attn_q/],
  ['columns that are no whole blocks', withTensor(Q, (t) => ({ ...t, shape: [40, 32] })), FORMAT, /attn_q/],
  ['overlapping tensors', withTensor(Q, (t) => ({ ...t, offset: 0 })), FORMAT, /attn_q.*inside|overlap/],
  ['an unaligned tensor', withTensor(Q, (t) => ({ ...t, offset: 2 ** 20 + 1 })), FORMAT, /attn_q/],
  ['a tensor past the end', withTensor(Q, (t) => ({ ...t, offset: 2 ** 50 })), FORMAT, /./],
  ['a missing tensor', withTensor(Q, () => null), FORMAT, /blk\.1\.attn_q/],
  ['a missing embedding', withTensor('token_embd.weight', () => null), FORMAT, /token_embd/],
  ['a missing norm', withTensor('output_norm.weight', () => null), FORMAT, /output_norm/],
  ['too many columns', reshaped(Q, [64, 32]), FORMAT, /blk\.1\.attn_q.*32.*64|blk\.1\.attn_q.*64.*32/],
  ['too few rows', reshaped(Q, [32, 16]), FORMAT, /blk\.1\.attn_q/],
  ['a norm of another size', reshaped('blk.0.ffn_norm.weight', [31]), FORMAT, /blk\.0\.ffn_norm/],
  ['an embedding of fewer ids', reshaped('token_embd.weight', [32, 290]), FORMAT, /token_embd/],
];

const keys = [
  ['no architecture', { 'general.architecture': null }, FORMAT, /general\.architecture/],
  ['an unknown architecture', { 'general.architecture': string('gpt-none') }, UNSUPPORTED, /gpt-none/],
  ['an architecture with a line end', { 'general.architecture': string('a\nb\x1b[31m') }, UNSUPPORTED, /./],
  ['no dimension', { 'llama.embedding_length': null }, FORMAT, /llama\.embedding_length/],
  ['a dimension that is text', { 'llama.embedding_length': string('32') }, FORMAT, /llama\.embedding_length/],
  ['a dimension of 2^63', { 'llama.embedding_length': u64(1n << 63n) }, FORMAT, /llama\.embedding_length/],
  ['a dimension of 0', { 'llama.embedding_length': u32(0) }, FORMAT, /embedding_length/],
  ['no block count', { 'llama.block_count': null }, FORMAT, /llama\.block_count/],
  ['no blocks', { 'llama.block_count': u32(0) }, FORMAT, /block/],
  ['a thousand million blocks', { 'llama.block_count': u32(1e9) }, EITHER, /block|blk/],
  ['no heads', { 'llama.attention.head_count': u32(0) }, FORMAT, /head_count/],
  ['3 KV heads of 4', { 'llama.attention.head_count_kv': u32(3) }, FORMAT, /head|attn_k/],
  ['more KV heads than heads', { 'llama.attention.head_count_kv': u32(8) }, FORMAT, /head|attn_k/],
  ['an odd head', { 'llama.attention.key_length': u32(7) }, EITHER, /key_length|head|attn/],
  ['no epsilon', { 'llama.attention.layer_norm_rms_epsilon': null }, FORMAT, /epsilon/],
  ['an epsilon that is no number', { 'llama.attention.layer_norm_rms_epsilon': f32(NaN) }, FORMAT, /epsilon/],
  ['a context of 0', { 'llama.context_length': u32(0) }, FORMAT, /context_length/],
  ['an unknown rope scaling', { 'llama.rope.scaling.type': string('spiral') }, EITHER, /rope\.scaling|spiral/],
  ['no tokens', { 'tokenizer.ggml.tokens': null }, FORMAT, /tokenizer\.ggml\.tokens/],
  ['tokens that are numbers', { 'tokenizer.ggml.tokens': array('u32', [1, 2]) }, FORMAT, /tokenizer\.ggml\.tokens/],
  ['tokens that are booleans', { 'tokenizer.ggml.tokens': array('bool', [true]) }, FORMAT, /tokenizer\.ggml\.tokens/],
  ['scores for other tokens', { 'tokenizer.ggml.scores': array('f32', [0, 1]) }, FORMAT, /scores/],
  ['token types for other tokens', { 'tokenizer.ggml.token_type': array('i32', [1]) }, FORMAT, /token_type/],
  ['an add_bos that is a number', { 'tokenizer.ggml.add_bos_token': f32(1) }, FORMAT, /add_bos/],
  ['an unknown tokenizer', { 'tokenizer.ggml.model': string('runes') }, UNSUPPORTED, /runes/],
  ['an unknown pre-tokenizer', { 'tokenizer.ggml.model': string('gpt2'), 'tokenizer.ggml.pre': string('runes'),
    'tokenizer.ggml.merges': array('string', []) }, UNSUPPORTED, /runes/],
].map(([name, changes, codes, mention]) => [name, withKeys(changes), codes, mention]);

export const badModels = [...container, ...tensors, ...keys];
