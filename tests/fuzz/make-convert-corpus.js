// Makes the converter fuzzer's kept corpus again: one small good file of each kind, behind a byte that says which kind it is.
// Run by hand: node tests/fuzz/make-convert-corpus.js
import { mkdirSync, writeFileSync } from 'node:fs';

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
