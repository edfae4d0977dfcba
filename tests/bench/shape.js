// A GGUF of SmolLM2-135M's shape with random weights: what a benchmark needs of a model and no more.
import { array, bool, f32, string, u32, writeGGUF } from '../js/lib/gguf-writer.js';
import { randomTensor } from '../js/lib/random-blocks.js';

const DIM = 576, FFN = 1536, KV = 192, BLOCKS = 30, VOCABULARY = 49152;

function keys() {
  const byte = (i) => `<0x${(i - 3).toString(16).toUpperCase().padStart(2, '0')}>`; // llama.cpp insists on these
  const spell = (_, i) => ['<unk>', '<s>', '</s>'][i] ?? (i < 259 ? byte(i) : `t${i}`);
  const tokens = Array.from({ length: VOCABULARY }, spell);
  return {
    'general.architecture': string('llama'),
    'llama.context_length': u32(8192),
    'llama.embedding_length': u32(DIM),
    'llama.block_count': u32(BLOCKS),
    'llama.feed_forward_length': u32(FFN),
    'llama.attention.head_count': u32(9),
    'llama.attention.head_count_kv': u32(3),
    'llama.attention.layer_norm_rms_epsilon': f32(1e-5),
    'llama.rope.freq_base': f32(100000),
    'tokenizer.ggml.model': string('llama'),
    'tokenizer.ggml.tokens': array('string', tokens),
    'tokenizer.ggml.scores': array('f32', tokens.map((_, i) => -i)),
    'tokenizer.ggml.token_type': array('i32', tokens.map((_, i) => (i === 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1))),
    'tokenizer.ggml.bos_token_id': u32(1),
    'tokenizer.ggml.eos_token_id': u32(2),
    'tokenizer.ggml.add_bos_token': bool(true),
  };
}

/** The head and embedding stay Q8_0, as llama.cpp's quantizer leaves a matrix 576 wide. */
export function writeSmolLM2Shape(path, type) {
  const matrix = (name, columns, rows, kind = type) => ({
    name, type: kind, shape: [columns, rows],
    data: randomTensor(name, kind, [columns, rows], { std: 1 / Math.sqrt(columns) }),
  });
  const norm = (name) => ({ name, type: 'F32', shape: [DIM], data: randomTensor(name, 'F32', [DIM], { mean: 1, std: 0.2 }) });
  const tensors = [matrix('token_embd.weight', DIM, VOCABULARY, 'Q8_0'), norm('output_norm.weight')];
  for (let block = 0; block < BLOCKS; block++) {
    const of = (name) => `blk.${block}.${name}.weight`;
    tensors.push(
      norm(of('attn_norm')), matrix(of('attn_q'), DIM, DIM), matrix(of('attn_k'), DIM, KV), matrix(of('attn_v'), DIM, KV),
      matrix(of('attn_output'), DIM, DIM), norm(of('ffn_norm')), matrix(of('ffn_gate'), DIM, FFN),
      matrix(of('ffn_up'), DIM, FFN), matrix(of('ffn_down'), FFN, DIM),
    );
  }
  writeGGUF(path, { kv: keys(), tensors });
}
