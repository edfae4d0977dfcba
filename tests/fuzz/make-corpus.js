// Makes the kept corpora of the GGUF and the adapter fuzzer again: tiny models of a few families and programs with
// vocabularies of six tokens, one header without weights, and adapters of the fuzzer's own model. A first zero byte asks the
// fuzzers to feed the file in one piece. Run by hand: node tests/fuzz/make-corpus.js
import { mkdirSync, writeFileSync } from 'node:fs';
import { array, f32, string, u32, writeGGUF } from '../js/lib/gguf-writer.js';
import { randomTensor } from '../js/lib/random-blocks.js';
import { randomModel } from '../js/lib/random-model.js';

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
  const { [`${description.architecture}.vocab_size`]: _, ...rest } = kv; // that of the whole vocabulary
  return { kv: { ...rest, ...vocabulary }, tensors: cut };
}

const FILES = {
  llama: writeGGUF(null, { ...small({ architecture: 'llama', type: 'Q4_0' }), version: 2 }),
  shared: writeGGUF(null, small({ architecture: 'reprise-llama', program: { layerMap: [0, 0], kvMap: [0, 0] } })),
  qwen2: writeGGUF(null, small({ architecture: 'qwen2', type: 'F16' }, bpe)),
  qwen3: writeGGUF(null, small({ architecture: 'qwen3', type: 'IQ4_NL', headDim: 32 }, bpe)),
  gemma3: writeGGUF(null, small({ architecture: 'gemma3', type: 'Q5_1', headDim: 32, keys: { 'attention.sliding_window': u32(4) } })),
  variants: writeGGUF(null, small({
    architecture: 'reprise-llama', type: 'Q4_0', program: { layerMap: [0, 0] },
    variants: [{ block: 0, time: 1, norms: ['attn_norm.weight'], bias: true, lora: { attn_q: 2, ffn_down: 1 } }],
  })),
  loops: writeGGUF(null, small({
    architecture: 'reprise-llama', type: 'Q4_0', blocks: 2, ffn: 32,
    program: { layerMap: [0, 1, 0, 1], max: 4, injection: 'concat', zeroStart: true, norm: 'between', exit: 'gate', exitThreshold: 0.5 },
  })),
  named: writeGGUF(null, small({
    architecture: 'reprise-llama', type: 'Q4_0', sandwich: 'sum', rotates: [false],
    program: { layerMap: [0, 0], injection: 'add', entryVisit: 0, injectVisits: [1], normVisits: [0], exit: 'gate', exitVisits: [0, 1] },
  })),
  ranked: writeGGUF(null, small({ architecture: 'reprise-llama', type: 'F16', embeddingRank: 5, embeddingScale: 2, program: { loops: 2 } })),
};

// For the model of adapter_fuzzer.c: two blocks of 32 columns, one KV head of 16.
function adapter(alpha, terms) {
  const tensors = terms.flatMap(([name, rank, columns, rows, type = 'F32']) => [['a', columns, rank], ['b', rank, rows]].map(
    ([part, wide, high]) => ({
      name: `blk.${name}.weight.lora_${part}`, type, shape: [wide, high],
      data: randomTensor(`${name} ${part}`, type, [wide, high], { std: 0.2 }),
    })));
  const kv = {
    'general.type': string('adapter'), 'general.architecture': string('llama'), 'adapter.type': string('lora'),
    'adapter.lora.alpha': f32(alpha),
  };
  return writeGGUF(null, { kv, tensors });
}

const ADAPTERS = {
  one: adapter(4, [['0.attn_q', 2, 32, 32]]),
  half: adapter(0, [['1.ffn_down', 3, 64, 32, 'F16'], ['0.attn_v', 1, 32, 16, 'F16']]),
  wide: adapter(8, [['0.ffn_up', 32, 32, 64, 'Q8_0'], ['1.attn_output', 64, 32, 32, 'Q4_0']]),
};

function keep(corpus, files) {
  const folder = new URL(`corpus/${corpus}/`, import.meta.url);
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(new URL(name, folder), Buffer.concat([Buffer.from([0]), bytes]));
  return folder;
}

writeFileSync(new URL('header', keep('gguf', FILES)), Buffer.concat([Buffer.from([7]), FILES.shared.subarray(0, 1500)]));
keep('adapter', ADAPTERS);
