// Families with blocks, names or loops of their own. As in families-llama.js, each says where it was read.
import {
  attention, commonConfig, feedForward, llamaBlock, matrix, outside, ownCode, times, vector, VOCABULARY,
} from './families-llama.js'
import { byteLevelBpe, gemmaSentencePiece } from './tokenizers.js'

/**
 * @typedef {import('./families-llama.js').Family} Family
 * @typedef {import('./safetensors.js').Tensor} Tensor
 */

// Ouro (arXiv 2510.25741; ByteDance's modeling_ouro.py): the stack `total_ut_steps` times, the last norm after every
// loop, a second norm behind attention (input_layernorm_2) and one behind the FFN (post_attention_layernorm_2), and a
// gate on each loop's normed state. Two shards, to have a model with an index.
const OURO = { dim: 64, ffn: 96, heads: 4, kvHeads: 4, headDim: 16, blocks: 3 }

/** @returns {Family} */
function ouro() {
  const tokenizer = byteLevelBpe('smollm')
  const { dim, blocks, headDim } = OURO
  const second = (/** @type {number} */ i) => [
    vector(`model.layers.${i}.input_layernorm_2.weight`, dim),
    vector(`model.layers.${i}.post_attention_layernorm_2.weight`, dim),
  ]
  return {
    name: 'ouro', type: 'F32', shards: 2, tokenizer,
    tensors: [
      ...outside(dim, false), ...times(blocks, (i) => [...llamaBlock(`model.layers.${i}`, OURO), ...second(i)]),
      matrix('model.early_exit_gate.weight', 1, dim, 1.5), vector('model.early_exit_gate.bias', 1, -0.3, 0.1),
    ],
    config: {
      architectures: ['OuroForCausalLM'], auto_map: ownCode('ouro', 'Ouro'), model_type: 'ouro',
      ...commonConfig(OURO, tokenizer, 'F32'), head_dim: headDim, early_exit_threshold: 1, total_ut_steps: 3,
      layer_types: Array(blocks).fill('full_attention'), max_window_layers: blocks, rms_norm_eps: 1e-6, sliding_window: null,
      use_sliding_window: false, transformers_version: '4.55.0',
    },
  }
}

// A causal decoder that shares in ALBERT's way (arXiv 1909.11942) with Llama's block; no public checkpoint is like it.
// Layer i runs all inner layers of group floor(i / (num_hidden_layers / num_hidden_groups)). Names are ALBERT's where it
// has one: attention.LayerNorm stands before attention, full_layer_layer_norm before the FFN, ffn is Llama's up_proj;
// ffn_gate is new. predictions.dense leads back to the embedding's size; the decoder is the embedding. No biases.
const ALBERT = { dim: 64, ffn: 96, heads: 4, kvHeads: 2, headDim: 16, blocks: 6 }
const ALBERT_RANK = 32, GROUPS = 2, INNER = 2

/** @param {string} layer @returns {Tensor[]} */
function albertLayer(layer) {
  const { dim, ffn } = ALBERT
  const names = { q_proj: 'query', k_proj: 'key', v_proj: 'value', o_proj: 'dense' }
  return [
    vector(`${layer}.attention.LayerNorm.weight`, dim),
    ...attention(`${layer}.attention`, ALBERT).map((tensor) => ({
      ...tensor, name: tensor.name.replace(/[qkvo]_proj/, (part) => names[/** @type {keyof typeof names} */ (part)]) })),
    vector(`${layer}.full_layer_layer_norm.weight`, dim),
    matrix(`${layer}.ffn_gate.weight`, ffn, dim), matrix(`${layer}.ffn.weight`, ffn, dim),
    matrix(`${layer}.ffn_output.weight`, dim, ffn, 2),
  ]
}

/** @returns {Family} */
function albert() {
  const tokenizer = byteLevelBpe('smollm')
  const { dim } = ALBERT
  return {
    name: 'albert', type: 'F32', tokenizer,
    tensors: [
      {
        name: 'albert.embeddings.word_embeddings.weight', shape: [VOCABULARY, ALBERT_RANK], mean: 0,
        std: 2 / Math.sqrt(ALBERT_RANK),
      },
      matrix('albert.encoder.embedding_hidden_mapping_in.weight', dim, ALBERT_RANK, 2),
      ...times(GROUPS, (group) => times(INNER, (inner) => (
        albertLayer(`albert.encoder.albert_layer_groups.${group}.albert_layers.${inner}`)))),
      vector('albert.LayerNorm.weight', dim),
      matrix('predictions.dense.weight', ALBERT_RANK, dim),
    ],
    config: {
      architectures: ['AlbertDecoderForCausalLM'], model_type: 'albert_decoder', ...commonConfig(ALBERT, tokenizer, 'F32'),
      embedding_size: ALBERT_RANK, inner_group_num: INNER, is_decoder: true, num_hidden_groups: GROUPS,
      tie_word_embeddings: true,
    },
  }
}

// Huginn (arXiv 2502.05171; seal-rg/recurrent-pretraining, raven_modeling_minimal.py; config.json of huginn-0125). A
// block norms the sums, not the branches. Q, K and V are one matrix, gate and up another. The file repeats the tied
// head and keeps the RoPE table, whose values are noise here: nobody needs them. The real state_init is like-init, noise;
// with a std of 0 that code starts from zero, which is what is asked for here.
const RAVEN = { dim: 64, ffn: 96, heads: 4, kvHeads: 4, headDim: 16, blocks: 4 }
const BLOCK_SIZE = 64

/** @param {string} layer @returns {Tensor[]} */
function sandwichBlock(layer) {
  const { dim, ffn, heads, headDim } = RAVEN
  return [
    ...[1, 2, 3, 4].map((i) => vector(`${layer}.norm_${i}.weight`, dim)),
    matrix(`${layer}.attn.Wqkv.weight`, 3 * dim, dim, 1.5),
    { name: `${layer}.attn.qk_bias`, shape: [2, 1, heads, headDim], mean: 0, std: 0.5 },
    matrix(`${layer}.attn.proj.weight`, dim, dim, 1.5),
    matrix(`${layer}.mlp.fc.weight`, 2 * ffn, dim), matrix(`${layer}.mlp.proj.weight`, dim, ffn, 2),
  ]
}

/** @returns {Family} */
function raven() {
  const tokenizer = byteLevelBpe('smollm')
  const { dim, ffn, heads, headDim, blocks } = RAVEN
  const embedding = { name: 'transformer.wte.weight', shape: [VOCABULARY, dim], mean: 0, std: 2 / Math.sqrt(dim) }
  return {
    name: 'raven', type: 'F32', tokenizer,
    tensors: [
      embedding, { ...embedding, name: 'lm_head.weight', like: embedding.name },
      ...['prelude.0', 'core_block.0', 'core_block.1', 'coda.0'].flatMap((layer) => sandwichBlock(`transformer.${layer}`)),
      matrix('transformer.adapter.weight', dim, 2 * dim, 1.5),
      vector('transformer.ln_f.weight', dim),
      { name: 'freqs_cis', shape: [1, BLOCK_SIZE, 1, headDim / 2, 2], mean: 0, std: 1 },
    ],
    config: {
      architecture_class_name: 'RecurrentGPT', architectures: ['RavenForCausalLM'],
      auto_map: {
        AutoConfig: 'raven_config_minimal.RavenConfig', AutoModelForCausalLM: 'raven_modeling_minimal.RavenForCausalLM',
      },
      bias: false, block_class_name: 'SandwichBlock', block_size: BLOCK_SIZE, bos_token_id: tokenizer.bos,
      effective_expected_depth: 8, eos_token_id: tokenizer.eos, head_dim: headDim, init_orthogonal: false, init_strategy: 'takase',
      init_values: { embed_scale: 8, embedding: 0.25, out_proj: 0.01, std: 0 }, injection_type: 'linear',
      intermediate_size: ffn,
      mean_backprop_depth: 1, mean_recurrence: 3, mlp_class_name: 'GatedMLP', model_type: 'huginn_raven', n_embd: dim,
      n_heads: heads, n_layers: blocks, n_layers_in_coda: 1, n_layers_in_prelude: 1, n_layers_in_recurrent_block: 2,
      nonlin_name: 'SiLU', norm_class_name: 'RMSNorm_llama', norm_eps: 1e-6, num_key_value_heads: heads,
      padded_vocab_size: VOCABULARY, padding_multiple: 32, qk_bias: true, rope_base: 100,
      sampling_scheme: 'poisson-lognormal-filling',
      state_init: 'zero', test_time_noise: 0, test_time_noise_type: 'fixed', tie_embeddings: true, torch_dtype: 'float32',
      transformers_version: '4.47.1', vocab_size: VOCABULARY,
    },
  }
}

// Gemma 3's text model (transformers/models/gemma3) with Gemma 3n's shared keys and values (its num_kv_shared_layers): the
// last three layers have no keys and values of their own and read those of the last layer of their kind before them.
// Norm weights are stored less 1. Every third layer sees everything, the others four positions.
const GEMMA = { dim: 64, ffn: 96, heads: 4, kvHeads: 1, headDim: 32, blocks: 6 }
const SHARED = 3, PERIOD = 3
const GEMMA_NORMS = ['input_layernorm', 'post_attention_layernorm', 'pre_feedforward_layernorm', 'post_feedforward_layernorm']

/** @returns {Family} */
function gemma3() {
  const tokenizer = gemmaSentencePiece()
  const { dim, headDim, blocks } = GEMMA
  const { hidden_act: _act, pretraining_tp: _tp, mlp_bias: _bias, ...common } = commonConfig(GEMMA, tokenizer, 'F32')
  const block = (/** @type {number} */ i) => {
    const layer = `model.layers.${i}`, own = i < blocks - SHARED
    return [
      ...GEMMA_NORMS.map((norm) => vector(`${layer}.${norm}.weight`, dim, 0)),
      ...attention(`${layer}.self_attn`, GEMMA, own ? undefined : ['q', 'o']),
      ...(own ? ['q', 'k'] : ['q']).map((part) => vector(`${layer}.self_attn.${part}_norm.weight`, headDim, 0.4)),
      ...feedForward(`${layer}.mlp`, GEMMA),
    ]
  }
  return {
    name: 'gemma3', type: 'F32', tokenizer,
    tensors: [
      { name: 'model.embed_tokens.weight', shape: [VOCABULARY, dim], mean: 0, std: 2 / Math.sqrt(dim) },
      vector('model.norm.weight', dim, 0), ...times(blocks, block),
    ],
    config: {
      architectures: ['Gemma3ForCausalLM'], model_type: 'gemma3_text', ...common, attn_logit_softcapping: null,
      cache_implementation: 'hybrid', final_logit_softcapping: null, head_dim: headDim, hidden_activation: 'gelu_pytorch_tanh',
      layer_types: Array.from({ length: blocks }, (_, i) => ((i + 1) % PERIOD ? 'sliding_attention' : 'full_attention')),
      num_kv_shared_layers: SHARED, pad_token_id: 0, query_pre_attn_scalar: headDim, rms_norm_eps: 1e-6,
      rope_local_base_freq: 50,
      rope_theta: 1000, sliding_window: 4, sliding_window_pattern: PERIOD, tie_word_embeddings: true,
    },
  }
}

// Our own: Llama with every means of telling visits apart. Blocks loop_first to loop_last run num_loops times, the others
// once. `loop_injection: add`: the state that first enters the range is added to the state before each later loop.
// Visit R of block N (both from 0) may have its own norms, a bias that is added to the state when the visit begins, and a
// low-rank addition to a matrix, x B A with scale 1. What a visit lacks is the block's own.
const LOOPED = { dim: 64, ffn: 96, heads: 4, kvHeads: 2, headDim: 16, blocks: 4 }
const LOOPS = 3, FIRST = 1, LAST = 2, RANK = 4
const ADAPTED = ['self_attn.q_proj']

/** @param {number} block @param {number} visit @returns {Tensor[]} */
function visitTensors(block, visit) {
  const { dim, heads, headDim } = LOOPED
  const prefix = `model.layers.${block}.visits.${visit}`
  const bias = vector(`${prefix}.step_bias`, dim, 0, 0.5)
  if (visit === 0) return block === FIRST ? [bias] : []
  return [
    bias, ...['input_layernorm', 'post_attention_layernorm'].map((norm) => vector(`${prefix}.${norm}.weight`, dim)),
    ...ADAPTED.flatMap((part) => [
      matrix(`${prefix}.${part}.lora_A.weight`, RANK, dim), matrix(`${prefix}.${part}.lora_B.weight`, heads * headDim, RANK)]),
  ]
}

/** @returns {Family} */
function looped() {
  const tokenizer = byteLevelBpe('smollm')
  return {
    name: 'looped', type: 'F32', tokenizer,
    tensors: [
      ...outside(LOOPED.dim, false), ...times(LOOPED.blocks, (i) => llamaBlock(`model.layers.${i}`, LOOPED)),
      ...times(LAST - FIRST + 1, (i) => times(LOOPS, (visit) => visitTensors(FIRST + i, visit))),
    ],
    config: {
      architectures: ['RepriseLoopedForCausalLM'], model_type: 'reprise_looped', ...commonConfig(LOOPED, tokenizer, 'F32'),
      loop_first: FIRST, loop_last: LAST, num_loops: LOOPS, loop_injection: 'add', loop_norms: 'per_visit', loop_lora_rank: RANK,
    },
  }
}

/** @returns {Family[]} */
export const ownFamilies = () => [ouro(), albert(), raven(), gemma3(), looped()]
