// Makes the GGUF fuzzer's kept corpus again: tiny models of a few families with vocabularies of six tokens, and one
// header without weights. A first zero byte asks the fuzzer to feed the file in one piece. Run by hand:
// node tests/fuzz/make-corpus.js
import { mkdirSync, writeFileSync } from 'node:fs';
import { array, string, u32, writeGGUF } from '../js/lib/gguf-writer.js';
import { randomModel } from '../js/lib/random-model.js';

const folder = new URL('corpus/gguf/', import.meta.url);
const TOKENS = ['<unk>', '<s>', '</s>', 'a', 'b', 'ab'];
const SMALL = { dim: 32, ffn: 32, heads: 2, kvHeads: 1, blocks: 1, tied: true, trained: 64, seed: 'corpus' };

const spm = {
  'tokenizer.ggml.tokens': array('string', TOKENS),
  'tokenizer.ggml.scores': array('f32', TOKENS.map(() => 0)),
  'tokenizer.ggml.token_type': array('i32', [2, 3, 3, 1, 1, 1]),
};
const bpe = {
  ...spm,
  'tokenizer.ggml.model': string('gpt2'),
  'tokenizer.ggml.pre': string('qwen2'),
  'tokenizer.ggml.merges': array('string', ['a b']),
};

function small(description, vocabulary = spm) {
  const { kv, tensors } = randomModel({ ...SMALL, ...description });
  const cut = tensors.map((tensor) => {
    if (tensor.name !== 'token_embd.weight') return tensor;
    const rowBytes = tensor.data.length / tensor.shape[1];
    return { ...tensor, shape: [tensor.shape[0], TOKENS.length], data: tensor.data.subarray(0, rowBytes * TOKENS.length) };
  });
  return { kv: { ...kv, ...vocabulary }, tensors: cut };
}

const FILES = {
  llama: writeGGUF(null, { ...small({ architecture: 'llama', type: 'Q4_0' }), version: 2 }),
  shared: writeGGUF(null, small({ architecture: 'reprise-llama', program: { layerMap: [0, 0], kvMap: [0, 0] } })),
  qwen2: writeGGUF(null, small({ architecture: 'qwen2', type: 'F16' }, bpe)),
  qwen3: writeGGUF(null, small({ architecture: 'qwen3', type: 'IQ4_NL', headDim: 32 }, bpe)),
  gemma3: writeGGUF(null, small({ architecture: 'gemma3', type: 'Q5_1', headDim: 32, keys: { 'attention.sliding_window': u32(4) } })),
};

mkdirSync(folder, { recursive: true });
for (const [name, bytes] of Object.entries(FILES)) writeFileSync(new URL(name, folder), Buffer.concat([Buffer.from([0]), bytes]));
writeFileSync(new URL('header', folder), Buffer.concat([Buffer.from([7]), FILES.shared.subarray(0, 1500)]));
