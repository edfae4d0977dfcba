// Random tensors of a described model's blocks and of single visits of them. A block of an unrolled twin is made from
// the seeds of the visit that it stands for, so that it holds the same weights.
import { randomTensor } from './random-blocks.js';

// What a family adds to llama: per-block tensors.
const FAMILIES = {
  llama: {},
  mobilellm: {},
  nandi: {},
  nanbeige: {},
  ouro: { sandwich: true },
  smollm3: {},
  qwen2: { qkvBias: true },
  qwen3: { qkNorm: true },
  gemma3: { qkNorm: true, sandwich: true },
};

const family = (architecture) => FAMILIES[architecture.replace(/^reprise-/, '')];

/** Deviation 1/sqrt(columns) keeps activations near 1 through the blocks. */
export function matrix(model, name, columns, rows, seedName = name, type = model.type) {
  const std = 1 / Math.sqrt(columns);
  const data = randomTensor(`${model.seed} ${seedName}`, type, [columns, rows], { std });
  return { name, type, shape: [columns, rows], data };
}

export function vector(model, name, size, seedName = name, range = { mean: 1, std: 0.2 }) {
  return { name, type: 'F32', shape: [size], data: randomTensor(`${model.seed} ${seedName}`, 'F32', [size], range) };
}

// The seed of a block's tensor: in a twin that of the visit that the block stands for, which may have one of its own.
function seedName(model, block, half, part) {
  const from = model.sources?.[block]?.[half];
  if (!from) return `blk.${block}.${part}`;
  const own = model.originals.find((variant) => variant.block === from.block && variant.time === from.time);
  return own?.norms?.includes(part) ? `blk.${from.block}.r${from.time}.${part}` : `blk.${from.block}.${part}`;
}

function attention(model, block) {
  const { dim, heads, kvHeads, headDim } = model;
  const { qkvBias, qkNorm, sandwich = model.sandwich } = family(model.architecture);
  const rows = { attn_q: heads * headDim, attn_k: kvHeads * headDim, attn_v: kvHeads * headDim };
  const seed = (part) => seedName(model, block, 'attn', part);
  const withVector = (part, size, range) => vector(model, `blk.${block}.${part}`, size, seed(part), range);
  const withMatrix = (part, columns, count) => matrix(model, `blk.${block}.${part}`, columns, count, seed(part));
  const tensors = [withVector('attn_norm.weight', dim)];
  for (const [part, count] of Object.entries(rows)) {
    tensors.push(withMatrix(`${part}.weight`, dim, count));
    if (qkvBias) tensors.push(withVector(`${part}.bias`, count, { mean: 0, std: 0.5 }));
  }
  if (qkNorm) tensors.push(withVector('attn_q_norm.weight', headDim), withVector('attn_k_norm.weight', headDim));
  tensors.push(withMatrix('attn_output.weight', heads * headDim, dim));
  if (sandwich) tensors.push(withVector('post_attention_norm.weight', dim));
  return tensors;
}

function feedForward(model, block) {
  const { dim, ffn } = model;
  const seed = (part) => seedName(model, block, 'ffn', part);
  const withMatrix = (part, columns, rows) => matrix(model, `blk.${block}.${part}`, columns, rows, seed(part));
  const tensors = [
    vector(model, `blk.${block}.ffn_norm.weight`, dim, seed('ffn_norm.weight')),
    withMatrix('ffn_gate.weight', dim, ffn),
    withMatrix('ffn_up.weight', dim, ffn),
    withMatrix('ffn_down.weight', ffn, dim),
  ];
  if (family(model.architecture).sandwich ?? model.sandwich)
    tensors.push(vector(model, `blk.${block}.post_ffw_norm.weight`, dim, seed('post_ffw_norm.weight')));
  return tensors;
}

const isFfn = (part) => part.startsWith('ffn_') || part.startsWith('post_ffw');

// Step bias and low-rank terms of one visit, of the halves asked for. Low-rank terms are floats, as in adapters.
function terms(model, prefix, seedPrefix, { bias, lora = {} }, halves) {
  const { dim, ffn, heads, kvHeads, headDim } = model;
  const q = heads * headDim, kv = kvHeads * headDim;
  const shapes = {
    attn_q: [dim, q], attn_k: [dim, kv], attn_v: [dim, kv], attn_output: [q, dim], ffn_gate: [dim, ffn], ffn_up: [dim, ffn],
    ffn_down: [ffn, dim],
  };
  const tensors = [];
  if (bias && halves.includes('attn'))
    tensors.push(vector(model, `${prefix}step.bias`, dim, `${seedPrefix}step.bias`, { mean: 0, std: 0.3 }));
  for (const [part, rank] of Object.entries(lora).filter(([name]) => halves.includes(isFfn(name) ? 'ffn' : 'attn'))) {
    const [columns, rows] = shapes[part], a = `${part}.weight.lora_a`, b = `${part}.weight.lora_b`;
    tensors.push(matrix(model, prefix + a, columns, rank, seedPrefix + a, 'F16'), matrix(model, prefix + b, rank, rows, seedPrefix + b, 'F32'));
  }
  return tensors;
}

/** All tensors of a block; in a twin with what its visit has of its own, which has no other name than its first visit's. */
export function blockTensors(model, block) {
  const tensors = [...attention(model, block), ...feedForward(model, block)];
  for (const half of ['attn', 'ffn']) {
    const from = model.sources?.[block]?.[half];
    const own = from && model.originals.find((variant) => variant.block === from.block && variant.time === from.time);
    if (own) tensors.push(...terms(model, `blk.${block}.r0.`, `blk.${from.block}.r${from.time}.`, own, [half]));
  }
  return tensors;
}

/** What a block's visit has of its own: blk.P.rR.NAME. */
export function variantTensors(model, { block, time, norms = [], ...rest }) {
  const prefix = `blk.${block}.r${time}.`;
  const size = (part) => (/_[qk]_norm/.test(part) ? model.headDim : model.dim);
  return [...norms.map((part) => vector(model, prefix + part, size(part))), ...terms(model, prefix, prefix, rest, ['attn', 'ffn'])];
}
