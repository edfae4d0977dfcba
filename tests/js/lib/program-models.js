// Models with all that a program can say beside the order of its blocks: for each feature one, and one that has nearly all.
import { u32 } from './gguf-writer.js';

const STACK = [0, 1, 0, 1, 0, 1];
const AROUND = [0, 1, 2, 1, 2, 3]; // a block before the loops, one after them
const NORMS = ['attn_norm.weight', 'ffn_norm.weight'];

/** A description of architecture reprise-llama with so many blocks, its head tied unless `rest` says something else. */
export const shared = (name, blocks, program, rest = {}) =>
  ({ name, architecture: 'reprise-llama', blocks, program, seed: 'sharing', tied: true, ...rest });

const onVisits = (blocks, times, what) =>
  blocks.flatMap((block) => Array.from({ length: times }, (_, time) => ({ block, time, ...what(block, time) })));

const LOOPED = { layerMap: AROUND, first: 1, last: 2 };
const RICH = {
  ...LOOPED, min: 1, max: 3, injection: 'concat', zeroStart: true, norm: 'between', exit: 'gate', exitThreshold: 0.75,
};

/** Models whose blocks repeat; each has a twin (random-program.js). */
export const PROGRAM_MODELS = [
  shared('norms-of-visits', 2, { layerMap: [0, 0, 1, 1] }, { variants: onVisits([0, 1], 2, (_, time) => (time ? { norms: NORMS } : { norms: NORMS.slice(1) })) }),
  shared('step-biases', 2, { layerMap: STACK }, { variants: onVisits([0], 3, () => ({ bias: true })) }),
  shared('low-rank', 2, { layerMap: STACK }, {
    variants: onVisits([0, 1], 3, (_, time) => ({ lora: time === 2 ? { attn_q: 4, attn_output: 5, ffn_up: 33 } : { attn_v: 1, ffn_down: 8 } })),
  }),
  shared('low-rank-all', 1, { layerMap: [0, 0] }, {
    variants: [{ block: 0, time: 1, bias: true, lora: { attn_q: 2, attn_k: 3, attn_v: 4, attn_output: 5, ffn_gate: 6, ffn_up: 7, ffn_down: 8 } }],
  }),
  shared('halves-vary', 3, { layerMap: [0, 1, 2, 0], ffn: [0, 0, 2, 2] }, {
    variants: [{ block: 0, time: 1, norms: NORMS, bias: true, lora: { attn_q: 4, ffn_up: 4 } }, { block: 2, time: 1, norms: ['ffn_norm.weight'] }],
    omit: ['blk.1.ffn_'],
  }),
  shared('no-attention', 2, { layerMap: [0, 1, 0, 1], kvMap: [0, -1, 1, -1] }, {
    variants: onVisits([1], 2, () => ({ bias: true, norms: ['ffn_norm.weight'] })), omit: ['blk.1.attn_'],
  }),
  shared('inject-add', 2, { layerMap: STACK, injection: 'add' }),
  shared('inject-add-zero', 2, { layerMap: STACK, injection: 'add', zeroStart: true }),
  shared('inject-concat', 4, { ...LOOPED, injection: 'concat' }),
  shared('inject-concat-zero', 4, { ...LOOPED, injection: 'concat', zeroStart: true }, { tied: false }),
  shared('norm-between', 4, { ...LOOPED, norm: 'between' }),
  shared('norm-end', 4, { ...LOOPED, norm: 'end' }),
  shared('num-loops-norm', 2, { loops: 3 }),
  shared('exit', 2, { layerMap: STACK, exit: 'gate', exitThreshold: 0.6, norm: 'between' }),
  shared('exit-early', 2, { layerMap: STACK, exit: 'gate', exitThreshold: 0.45 }),
  shared('exit-late', 2, { layerMap: [...STACK, ...STACK], exit: 'gate', exitThreshold: 0.8 }),
  shared('exit-never', 2, { layerMap: STACK, exit: 'gate' }),
  shared('rank', 2, { layerMap: [0, 0, 1, 1] }, { embeddingRank: 32, embeddingScale: 8 }),
  shared('rank-untied', 2, { layerMap: [0, 0, 1, 1] }, { embeddingRank: 32, tied: false, type: 'F32' }),
  shared('branch', 2, { layerMap: STACK }, { sandwich: 'branch', variants: [{ block: 1, time: 2, norms: ['post_ffw_norm.weight', 'post_attention_norm.weight'] }] }),
  shared('sum', 2, { layerMap: STACK }, { sandwich: 'sum', variants: [{ block: 0, time: 0, norms: ['post_attention_norm.weight'] }] }),
  shared('ouro', 2, { loops: 3, exit: 'gate', exitThreshold: 0.6 }, { architecture: 'ouro' }),
  shared('no-rope', 3, { layerMap: [0, 1, 2, 0, 1, 2] }, { rotates: [true, false, true], ropeBase: 30 }),
  shared('windows', 3, { layerMap: [0, 1, 2, 0, 1, 2] }, {
    architecture: 'reprise-gemma3', headDim: 32, ropeBase: 30, slides: [true, false, true], keys: { 'attention.sliding_window': u32(6) },
    variants: [{ block: 1, time: 1, norms: ['attn_q_norm.weight', 'attn_k_norm.weight'] }],
  }),
  shared('rich', 4, RICH, {
    sandwich: 'branch', embeddingRank: 32, tied: false, rotates: [true, true, false, true], ropeBase: 30,
    variants: onVisits([1, 2], 3, (block) => ({ norms: NORMS, bias: true, lora: block === 1 ? { attn_q: 4, attn_v: 2 } : { ffn_down: 4 } })),
  }),
  shared('rich-kv', 2, { layerMap: STACK, kvMap: [0, 1, 2, 0, 0, 2], injection: 'add', norm: 'between' }, {
    variants: onVisits([0], 3, () => ({ norms: NORMS, lora: { attn_q: 4 } })),
  }),
];
