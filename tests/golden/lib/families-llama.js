// Families whose block is Llama's (RMSNorm before attention and before a SwiGLU FFN, RoPE that rotates halves) and whose
// sharing lies in the order of the visits. Names and config fields are those of the public checkpoints; where they
// were read is said at each. RoPE bases are lower than in life, so that ten positions turn every pair.
import { byteLevelBpe, llamaSentencePiece } from './tokenizers.js'

/**
 * @typedef {import('./safetensors.js').Tensor} Tensor
 * @typedef {import('./random.js').FloatType} FloatType
 * @typedef {import('./tokenizers.js').TokenizerFiles} TokenizerFiles
 * @typedef {{ name: string, type: FloatType, shards?: number, tokenizer: TokenizerFiles, config: Record<string, unknown>,
 *   tensors: Tensor[] }} Family
 * @typedef {{ dim: number, ffn: number, heads: number, kvHeads: number, headDim: number, blocks: number }} Shape
 */

export const VOCABULARY = 288

/**
 * A matrix whose products with inputs near 1 are near `gain`.
 * @param {string} name
 * @param {number} rows
 * @param {number} columns
 * @returns {Tensor}
 */
export const matrix = (name, rows, columns, gain = 1) => ({
  name, shape: [rows, columns], mean: 0, std: gain / Math.sqrt(columns),
})

/** @param {string} name @param {number} size @returns {Tensor} */
export const vector = (name, size, mean = 1, std = 0.2) => ({ name, shape: [size], mean, std })

// Queries and keys above 1 make attention choose; a head of gain 2 spreads the logits over about five either way.
const QK_GAIN = 1.5, VALUE_GAIN = 1.5, HEAD_GAIN = 2

/** @param {string} prefix @param {Shape} shape @param {string[]} [only] @returns {Tensor[]} */
export const attention = (prefix, { dim, heads, kvHeads, headDim }, only = ['q', 'k', 'v', 'o']) => [
  matrix(`${prefix}.q_proj.weight`, heads * headDim, dim, QK_GAIN),
  matrix(`${prefix}.k_proj.weight`, kvHeads * headDim, dim, QK_GAIN),
  matrix(`${prefix}.v_proj.weight`, kvHeads * headDim, dim, VALUE_GAIN),
  matrix(`${prefix}.o_proj.weight`, dim, heads * headDim, VALUE_GAIN),
].filter(({ name }) => only.includes(name.at(-'_proj.weight'.length - 1) ?? ''))

/** @param {string} prefix @param {Shape} shape @returns {Tensor[]} */
export const feedForward = (prefix, { dim, ffn }) => [
  matrix(`${prefix}.gate_proj.weight`, ffn, dim),
  matrix(`${prefix}.up_proj.weight`, ffn, dim),
  matrix(`${prefix}.down_proj.weight`, dim, ffn, 2),
]

/** @param {string} layer @param {Shape} shape @returns {Tensor[]} */
export const llamaBlock = (layer, shape) => [
  vector(`${layer}.input_layernorm.weight`, shape.dim),
  ...attention(`${layer}.self_attn`, shape),
  vector(`${layer}.post_attention_layernorm.weight`, shape.dim),
  ...feedForward(`${layer}.mlp`, shape),
]

/** @param {number} count @param {(index: number) => Tensor[]} make */
export const times = (count, make) => Array.from({ length: count }, (_, index) => make(index)).flat()

/**
 * The embedding (with the head's gain where it is the head, too), the last norm and a head.
 * @param {number} dim
 * @param {boolean} tied
 * @returns {Tensor[]}
 */
export const outside = (dim, tied) => [
  { name: 'model.embed_tokens.weight', shape: [VOCABULARY, dim], mean: 0, std: tied ? HEAD_GAIN / Math.sqrt(dim) : 1 },
  vector('model.norm.weight', dim),
  ...(tied ? [] : [matrix('lm_head.weight', VOCABULARY, dim, HEAD_GAIN)]),
]

/** @param {Shape} shape @param {boolean} tied @returns {Tensor[]} */
const llamaTensors = (shape, tied) => [
  ...outside(shape.dim, tied), ...times(shape.blocks, (i) => llamaBlock(`model.layers.${i}`, shape)),
]

/** What transformers writes for all of them. @param {Shape} shape @param {TokenizerFiles} tokenizer @param {FloatType} type */
export const commonConfig = ({ dim, ffn, heads, kvHeads, blocks }, { bos, eos }, type) => ({
  attention_bias: false, attention_dropout: 0, bos_token_id: bos, eos_token_id: eos, hidden_act: 'silu', hidden_size: dim,
  initializer_range: 0.02, intermediate_size: ffn, max_position_embeddings: 64, mlp_bias: false, num_attention_heads: heads,
  num_hidden_layers: blocks, num_key_value_heads: kvHeads, pretraining_tp: 1, rms_norm_eps: 1e-5, rope_scaling: null,
  rope_theta: 100, tie_word_embeddings: false, torch_dtype: { F32: 'float32', F16: 'float16', BF16: 'bfloat16' }[type],
  transformers_version: '4.46.1', use_cache: true, vocab_size: VOCABULARY,
})

/** @param {string} file @param {string} name */
export const ownCode = (file, name) => ({
  AutoConfig: `configuration_${file}.${name}Config`, AutoModelForCausalLM: `modeling_${file}.${name}ForCausalLM`,
})

// MobileLLM (arXiv 2402.14905): `share_embedding` ties, whatever tie_word_embeddings says, and no lm_head is stored;
// `layer_sharing` runs each block twice in a row. config.json as of MobileLLM-125M (head_dim only in later exports);
// tensor names follow from its parameter count, which is Llama's without a head.
const MOBILELLM = { dim: 96, ffn: 128, heads: 3, kvHeads: 1, headDim: 32, blocks: 3 }

/** @param {string} name @param {FloatType} type @param {boolean} sharing @returns {Family} */
function mobilellm(name, type, sharing) {
  const tokenizer = llamaSentencePiece()
  return {
    name, type, tokenizer, tensors: llamaTensors(MOBILELLM, true),
    config: {
      architectures: ['MobileLLMForCausalLM'], auto_map: ownCode('mobilellm', 'MobileLLM'), model_type: 'mobilellm',
      ...commonConfig(MOBILELLM, tokenizer, type), layer_sharing: sharing, share_embedding: true,
    },
  }
}

// Nandi (transformers/models/nandi; config.json of Nandi-Mini-150M): each block `layer_sharing_repeats` times in a row,
// a factorised embedding, tied, with one projection behind it and one before the head, no biases. transformers 5 writes
// rope_parameters in place of rope_theta and dtype in place of torch_dtype.
const NANDI = { dim: 104, ffn: 128, heads: 2, kvHeads: 1, headDim: 52, blocks: 3 }
const NANDI_RANK = 20

/** @returns {Family} */
function nandi() {
  const tokenizer = byteLevelBpe('qwen2')
  const { rope_theta: _theta, rope_scaling: _scaling, torch_dtype: dtype, ...common } = commonConfig(NANDI, tokenizer, 'BF16')
  const { dim, blocks } = NANDI
  return {
    name: 'nandi', type: 'BF16', tokenizer,
    tensors: [
      { name: 'model.embed_tokens.weight', shape: [VOCABULARY, NANDI_RANK], mean: 0, std: HEAD_GAIN / Math.sqrt(NANDI_RANK) },
      matrix('model.embedding_proj.weight', dim, NANDI_RANK, 2),
      matrix('lm_head_proj.weight', NANDI_RANK, dim),
      vector('model.norm.weight', dim),
      ...times(blocks, (i) => llamaBlock(`model.layers.${i}`, NANDI)),
    ],
    config: {
      architectures: ['NandiForCausalLM'], auto_map: ownCode('nandi', 'Nandi'), model_type: 'nandi', ...common, dtype,
      embedding_rank: NANDI_RANK, factorized_embedding: true, head_dim: NANDI.headDim, layer_sharing: true,
      layer_sharing_repeats: 2, pad_token_id: 0, rope_parameters: { rope_theta: 1000, rope_type: 'default' },
      tie_word_embeddings: true, transformers_version: '5.4.0',
    },
  }
}

// Nanbeige 4.2 (its modeling_nanbeige.py; llama.cpp's nanbeige.cpp means the same): the stack `num_loops` times, the last
// norm after every loop or, with skip_loop_final_norm, after the last one alone. head_dim is not hidden_size / heads.
const NANBEIGE = { dim: 64, ffn: 96, heads: 4, kvHeads: 2, headDim: 32, blocks: 2 }

/** @param {string} name @param {FloatType} type @param {boolean} skip @returns {Family} */
function nanbeige(name, type, skip) {
  const tokenizer = byteLevelBpe('smollm')
  return {
    name, type, tokenizer, tensors: llamaTensors(NANBEIGE, false),
    config: {
      architectures: ['NanbeigeForCausalLM'], auto_map: ownCode('nanbeige', 'Nanbeige'), model_type: 'nanbeige',
      ...commonConfig(NANBEIGE, tokenizer, type), head_dim: NANBEIGE.headDim, kv_channels: NANBEIGE.headDim,
      loop_loss_weights: [], num_loops: 2, skip_loop_final_norm: skip,
    },
  }
}

// MobiLlama (arXiv 2402.16840; model_utils/modeling_mobillama.py): all layers hold one MLP, which safetensors' removal of
// shared tensors leaves under the first. Its config says Llama, and num_key_value_heads 4 of 32 heads, yet its attention
// makes a key and a value for every head: the shapes of k_proj and v_proj are right, the config is not.
const MOBILLAMA = { dim: 64, ffn: 96, heads: 4, kvHeads: 4, headDim: 16, blocks: 4 }

/** @returns {Family} */
function mobillama() {
  const tokenizer = llamaSentencePiece()
  const tensors = llamaTensors(MOBILLAMA, false).filter(({ name }) => !/layers\.[1-9].*\.mlp\./.test(name))
  return {
    name: 'mobillama', type: 'F32', tokenizer, tensors,
    config: {
      architectures: ['MobiLlamaForCausalLM'], auto_map: { AutoModelForCausalLM: 'modelling_mobillama.MobiLlamaForCausalLM' },
      model_type: 'llama', ...commonConfig(MOBILLAMA, tokenizer, 'F32'), num_key_value_heads: 2,
    },
  }
}

const LLAMA = { dim: 64, ffn: 96, heads: 4, kvHeads: 2, headDim: 16, blocks: 3 }

// Plain Llama as control. Its vocabulary has three tokens fewer than the embedding has rows, as many real ones do.
/** @returns {Family} */
function llama() {
  const tokenizer = byteLevelBpe('smollm', 26)
  return {
    name: 'llama', type: 'F32', tokenizer, tensors: llamaTensors(LLAMA, false),
    config: { architectures: ['LlamaForCausalLM'], model_type: 'llama', ...commonConfig(LLAMA, tokenizer, 'F32') },
  }
}

// Llama 3's stretched RoPE, with all three of its bands: wavelengths of 6, 14, 30 and 65 positions and more of 32.
/** @returns {Family} */
function llama3() {
  const tokenizer = byteLevelBpe('llama3')
  return {
    name: 'llama3-rope', type: 'BF16', tokenizer, tensors: llamaTensors(LLAMA, true),
    config: {
      architectures: ['LlamaForCausalLM'], model_type: 'llama', ...commonConfig(LLAMA, tokenizer, 'BF16'), head_dim: 16,
      rope_theta: 500, tie_word_embeddings: true, rope_scaling: {
        factor: 8, high_freq_factor: 4, low_freq_factor: 1, original_max_position_embeddings: 32, rope_type: 'llama3',
      },
    },
  }
}

/** @returns {Family[]} */
export const llamaFamilies = () => [
  llama(), llama3(), mobilellm('mobilellm', 'F16', false), mobilellm('mobilellm-ls', 'F32', true), nandi(),
  nanbeige('nanbeige', 'F32', false), nanbeige('nanbeige-skip-norm', 'BF16', true), mobillama(),
]
