// Makes the kept corpora of the converter's fuzzers again: one small good file of each kind, behind a byte that says which kind it is; whole
// models, those of the GGUF fuzzer among them, behind one that says what becomes of them.
// Run by hand: node tests/fuzz/make-convert-corpus.js
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const folder = new URL('corpus/convert/', import.meta.url);
const JSON_TEXT = 0, SAFETENSORS = 1, INDEX = 2, VOCABULARY = 3, FOLDER = 4;

function safetensors(header, bytes) {
  const text = Buffer.from(JSON.stringify(header)), size = Buffer.alloc(8);
  size.writeUInt32LE(text.length);
  return Buffer.concat([size, text, Buffer.alloc(bytes, 1)]);
}

const TENSORS = {
  __metadata__: { format: 'pt' },
  a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
  b: { dtype: 'BF16', shape: [2, 3], data_offsets: [8, 20] },
  c: { dtype: 'F16', shape: [], data_offsets: [20, 22] },
};

const varint = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))]);
const message = (field, bytes) => [...varint((field << 3) | 2), ...varint(bytes.length), ...bytes];
const number = (field, value) => [...varint(field << 3), ...varint(value)];
function piece(text, type, score) {
  const bits = Buffer.alloc(4);
  bits.writeFloatLE(score);
  return message(1, [...message(1, [...Buffer.from(text)]), 0x15, ...bits, ...number(3, type)]);
}
const MODEL = [
  ...piece('<unk>', 2, 0), ...piece('<s>', 3, 0), ...piece('</s>', 3, 0), ...piece('<0x41>', 6, 0), ...piece('ab', 1, -1),
  ...piece('▁', 1, -2), ...piece('a', 1, -3), ...piece('b', 1, -4), ...piece('▁▁', 4, 0),
  ...message(2, [...number(3, 2), ...number(40, 0), ...number(41, 1), ...number(42, 2)]), ...message(3, number(3, 0)),
];

function llama2c() {
  const record = (text, score) => {
    const head = Buffer.alloc(8), bytes = Buffer.from(text);
    head.writeFloatLE(score);
    head.writeInt32LE(bytes.length, 4);
    return Buffer.concat([head, bytes]);
  };
  const bytes = Array.from({ length: 256 }, (_, i) => record(`<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`, 0));
  const special = [record('<unk>', 0), record('\n<s>\n', 0), record('\n</s>\n', 0)];
  return Buffer.concat([Buffer.from([7, 0, 0, 0]), ...special, ...bytes, record(' a', -1), record('a', -2)]);
}

const ADDED = ['<unk>', '<s>', '</s>'].map((content, id) => ({ id, content, special: true }));
const PIECES = {
  added_tokens: [...ADDED, { id: 9, content: '<u>▁', special: false }],
  normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }] },
  post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<s>' } }, { Sequence: { id: 'A' } }] },
  model: {
    type: 'BPE', unk_token: '<unk>', byte_fallback: true,
    vocab: { '<unk>': 0, '<s>': 1, '</s>': 2, '<0x41>': 3, a: 4, b: 5, c: 6, ab: 7, abc: 8 }, merges: ['a b', ['ab', 'c']],
  },
};
const BYTES = {
  added_tokens: [{ id: 5, content: '<|end|>', special: true }], normalizer: { type: 'NFC' },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [{ type: 'Digits', individual_digits: true }, { type: 'ByteLevel', add_prefix_space: false, use_regex: true }],
  },
  model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2, 'Ġ': 3, 'Ġab': 4 }, merges: ['a b', ['Ġ', 'ab']] },
};
const CONFIG = {
  add_bos_token: false, bos_token: '<s>', eos_token: { content: '<|end|>' }, chat_template: [{ name: 'default', template: 'x' }],
  added_tokens_decoder: { 6: { content: '<|x|>', special: true }, 7: { content: 'y' } },
};

const FILES = {
  json: [JSON_TEXT, '{"a":[1,-2.5e3,true,null,"\\ud83d\\ude00é\\n"],"b":{"":{}}}'],
  safetensors: [SAFETENSORS, safetensors(TENSORS, 22)],
  index: [INDEX, Buffer.concat([
    Buffer.from(`${JSON.stringify({ weight_map: { a: 'a.safetensors', b: 'a.safetensors', c: 'a.safetensors' } })}\0`),
    safetensors(TENSORS, 22),
  ])],
  model: [VOCABULARY, Buffer.from(MODEL)],
  llama2c: [VOCABULARY, llama2c()],
  pieces: [VOCABULARY, JSON.stringify(PIECES)],
  folder: [FOLDER, `${JSON.stringify(BYTES)}\0${JSON.stringify(CONFIG)}`],
};

mkdirSync(folder, { recursive: true });
for (const [name, [kind, bytes]] of Object.entries(FILES))
  writeFileSync(new URL(name, folder), Buffer.concat([Buffer.from([kind]), Buffer.from(bytes)]));

const UNROLL = 1, DEDUP = 2, LAYERS = 4, QUANTIZE = 8, AS_FOLDER = 16, WITH_VOCABULARY = 32;
const models = new URL('corpus/model/', import.meta.url);
const DIM = 32, VOCAB = 9;

function hugging() {
  const layer = 'model.layers.0', shapes = {
    'model.embed_tokens.weight': [VOCAB, DIM], 'model.norm.weight': [DIM], [`${layer}.input_layernorm.weight`]: [DIM], [`${layer}.post_attention_layernorm.weight`]: [DIM],
    [`${layer}.self_attn.q_proj.weight`]: [DIM, DIM], [`${layer}.self_attn.k_proj.weight`]: [DIM / 2, DIM], [`${layer}.self_attn.v_proj.weight`]: [DIM / 2, DIM],
    [`${layer}.self_attn.o_proj.weight`]: [DIM, DIM], [`${layer}.mlp.gate_proj.weight`]: [DIM, DIM], [`${layer}.mlp.up_proj.weight`]: [DIM, DIM],
    [`${layer}.mlp.down_proj.weight`]: [DIM, DIM],
  };
  const config = {
    model_type: 'llama', architectures: ['LlamaForCausalLM'], hidden_size: DIM, intermediate_size: DIM, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 1,
    vocab_size: VOCAB, max_position_embeddings: 64, rms_norm_eps: 1e-5, rope_theta: 10000, tie_word_embeddings: true, hidden_act: 'silu',
  };
  const header = {};
  let at = 0;
  for (const [name, shape] of Object.entries(shapes))
    header[name] = { dtype: 'F16', shape, data_offsets: [at, (at += 2 * shape.reduce((a, b) => a * b))] };
  return Buffer.concat([Buffer.from(`${JSON.stringify(config)}\0`), safetensors(header, at)]);
}

function checkpoint() { // llama2.c's, of one layer
  const head = Buffer.alloc(28), [hidden, heads, kvHeads, length] = [DIM, 2, 1, 8];
  [DIM, hidden, 1, heads, kvHeads, VOCAB, length].forEach((value, i) => head.writeInt32LE(value, 4 * i));
  const kvDim = DIM / 2, floats = VOCAB * DIM + DIM + 2 * DIM * DIM + 2 * DIM * kvDim + DIM + 3 * DIM * hidden + DIM + length * (DIM / heads);
  return Buffer.concat([head, Buffer.alloc(4 * floats)]);
}

const gguf = (name) => readFileSync(new URL(`corpus/gguf/${name}`, import.meta.url)).subarray(1);
const MODELS = {
  folder: [AS_FOLDER | QUANTIZE, hugging()], llama2c: [WITH_VOCABULARY, checkpoint()], shared: [UNROLL, gguf('shared')], loops: [LAYERS, gguf('loops')],
  variants: [UNROLL | DEDUP, gguf('variants')], ranked: [QUANTIZE, gguf('ranked')], gemma3: [DEDUP, gguf('gemma3')],
};
mkdirSync(models, { recursive: true });
for (const [name, [choice, bytes]] of Object.entries(MODELS)) writeFileSync(new URL(name, models), Buffer.concat([Buffer.from([choice]), bytes]));
