// Each key and tensor of a program that breaks a rule is an error that names it: what is passed over would change the text.
import { test } from 'uvu';
import { made } from './lib/golden.js';
import { array, bool, f32, string, u32, writeGGUF } from './lib/gguf-writer.js';
import { refused } from './lib/logits.js';
import { shared } from './lib/program-models.js';
import { randomModel } from './lib/random-model.js';

const file = made('programs/broken.gguf');
const STACK = [0, 1, 0, 1], IN_A_ROW = [0, 0, 1, 1];
const key = (name, value) => ({ keys: { [`reprise-llama.${name}`]: value } });
const lora = (ranks) => ({ variants: [{ block: 0, time: 1, lora: ranks }] });

const change = (name, how) =>
  ({ tensors: (list) => list.map((tensor) => (tensor.name === name ? { ...tensor, ...how(tensor) } : tensor)) });
const rename = (from, to) => change(from, () => ({ name: to }));
const copy = (from, to) => ({ tensors: (list) => [...list, { ...list.find(({ name }) => name === from), name: to }] });
// Of floats.
const reshape = (name, shape) =>
  change(name, ({ data }) => ({ shape, data: data.subarray(0, 4 * shape.reduce((count, size) => count * size)) }));

// Name, program, what else is different, what the message must mention.
const BROKEN = [
  // Which blocks loop, how often.
  ['loops that begin behind their end', { layerMap: STACK, first: 1, last: 0 }, {}, /loop/],
  ['loops of blocks that are not there', { layerMap: STACK, last: 2 }, {}, /loop/],
  ['a negative last block', { layerMap: STACK, last: -1 }, {}, /loop\.last/],
  ['loops that the map does not have', { layerMap: [0, 1, 1, 0], first: 0, last: 1 }, {}, /loop|layer_map/],
  ['loops with another visit between', { layerMap: [0, 1, 2, 0, 1, 2, 3], first: 1, last: 2 }, { blocks: 4 },
    /loop|layer_map/],
  ['a depth above what the map has', { layerMap: STACK, min: 3, max: 4 }, {}, /loop\.min/],
  ['a depth below what the map has', { layerMap: STACK, max: 1 }, {}, /loop\.max/],
  ['more than 512 visits at the greatest depth', { layerMap: STACK, max: 257 }, {}, /loop\.max|512/],
  ['a depth beyond all numbers', { layerMap: STACK, max: 4294967295 }, {}, /loop\.max|512/],
  ['a run-time depth and a KV map', { layerMap: STACK, kvMap: [0, 1, 0, 1], max: 3 }, {}, /kv_map/],
  // Injection.
  ['an unknown injection', { layerMap: STACK, injection: 'multiply' }, {}, /loop\.injection/],
  ['an injection that is a number', {}, key('loop.injection', u32(1)), /loop\.injection/],
  ['an injection into blocks in a row', { layerMap: IN_A_ROW, injection: 'add' }, {}, /layer_map/],
  ['an injection where nothing loops', { layerMap: [0, 1, 1, 0], injection: 'add' }, {}, /loop/],
  ['a concatenation without its matrix', { layerMap: STACK, injection: 'concat' },
    rename('loop_inject.weight', 'loop_eject.weight'), /loop_inject/],
  ['a matrix of an injection that adds', { layerMap: STACK, injection: 'add' },
    copy('blk.0.attn_q.weight', 'loop_inject.weight'), /loop_inject/],
  ['a concatenation of one state alone', { layerMap: STACK, injection: 'concat' },
    { type: 'F32', ...reshape('loop_inject.weight', [64, 64]) }, /loop_inject/],
  ['a start from zero without injection', { layerMap: STACK, zeroStart: true }, {}, /zero_start/],
  ['a start from zero that is a number', { layerMap: STACK, injection: 'add' }, key('loop.zero_start', u32(1)),
    /zero_start/],
  // Norms and the exit rule.
  ['an unknown norm', { layerMap: STACK, norm: 'always' }, {}, /loop\.norm/],
  ['a norm between blocks in a row', { layerMap: IN_A_ROW, norm: 'between' }, {}, /layer_map/],
  ['a norm where nothing loops', { layerMap: [0, 1, 1, 0], norm: 'end' }, {}, /loop/],
  ['an unknown exit rule', { layerMap: STACK, exit: 'door' }, {}, /loop\.exit/],
  ['an exit rule without its gate', { layerMap: STACK, exit: 'gate' }, rename('exit_gate.weight', 'exit_date.weight'),
    /exit_gate\.weight/],
  ['a gate without an exit rule', { layerMap: STACK }, copy('output_norm.weight', 'exit_gate.weight'),
    /exit_gate\.weight/],
  ['a gate of two rows', { layerMap: STACK, exit: 'gate' },
    change('exit_gate.weight', ({ data }) => ({ shape: [64, 2], data: Buffer.concat([data, data]) })),
    /exit_gate\.weight/],
  ['an exit from blocks in a row', { layerMap: IN_A_ROW, exit: 'gate' }, {}, /layer_map/],
  ['a threshold of zero', { layerMap: STACK, exit: 'gate', exitThreshold: 0 }, {}, /exit_threshold/],
  ['a threshold above one', { layerMap: STACK, exit: 'gate', exitThreshold: 1.5 }, {}, /exit_threshold/],
  ['a threshold that is no number', { layerMap: STACK, exit: 'gate', exitThreshold: NaN }, {}, /exit_threshold/],
  // Lists of visits.
  ['visits that are injected without an entry', { injection: 'add', injectVisits: [1] }, {}, /inject_visits/],
  ['an entry without injection', { entryVisit: 0 }, {}, /entry_visit/],
  ['an entry beyond all visits', { injection: 'add', entryVisit: 2 }, {}, /entry_visit/],
  ['an injection before the entry', { injection: 'add', entryVisit: 1, injectVisits: [0] }, {}, /inject_visits/],
  ['an injection beyond all visits', { injection: 'add', entryVisit: 0, injectVisits: [2] }, {}, /inject_visits/],
  ['exits without an exit rule', { exitVisits: [1] }, {}, /exit_visits/],
  ['exits with a threshold and no exit rule', { exitVisits: [1], exitThreshold: 0.5 }, {}, /exit_visits/],
  ['a norm beyond all visits', { normVisits: [-1] }, {}, /norm_visits/],
  ['a list that is a number', {}, key('loop.norm_visits', u32(1)), /norm_visits/],
  ['loops and named visits', { loops: 2, normVisits: [1] }, {}, /names visits/],
  ['loops that maps of both halves do not have', { loops: 2, attn: [0, 1], ffn: [0, 1] }, {}, /layer_map\.attn has 2 visits, want 4/],
  ['a norm of loops and named visits', { norm: 'end', normVisits: [1] }, {}, /names visits/],
  ['a run-time depth and named visits', { layerMap: STACK, max: 3, normVisits: [1] }, {}, /names visits/],
  // Variants of visits.
  ['a variant of a block that is not there', { layerMap: STACK },
    copy('blk.0.attn_norm.weight', 'blk.2.r0.attn_norm.weight'), /blk\.2\.r0/],
  ['a variant of a visit that is not there', { layerMap: STACK },
    copy('blk.0.attn_norm.weight', 'blk.0.r2.attn_norm.weight'), /blk\.0\.r2/],
  ['a variant of a visit beyond the greatest depth', { layerMap: STACK, max: 3 },
    copy('blk.0.attn_norm.weight', 'blk.0.r3.attn_norm.weight'), /blk\.0\.r3/],
  ['a variant with zeros before its number', { layerMap: STACK },
    copy('blk.0.attn_norm.weight', 'blk.0.r01.attn_norm.weight'), /blk\.0\.r01/],
  ['a variant without a number', { layerMap: STACK }, copy('blk.0.attn_norm.weight', 'blk.0.r.attn_norm.weight'),
    /blk\.0\.r\.attn_norm/],
  ['a matrix of one visit', { layerMap: STACK }, copy('blk.0.attn_q.weight', 'blk.0.r1.attn_q.weight'),
    /blk\.0\.r1\.attn_q/],
  ['a step bias of all visits', { layerMap: STACK }, copy('blk.0.attn_norm.weight', 'blk.0.step.bias'), /blk\.0\.step/],
  ['a step bias of another size', { layerMap: STACK },
    { variants: [{ block: 0, time: 0, bias: true }], ...reshape('blk.0.r0.step.bias', [32]) }, /step\.bias/],
  ['a quantized step bias', { layerMap: STACK },
    { variants: [{ block: 0, time: 0, bias: true }], ...change('blk.0.r0.step.bias', ({ data }) => ({ type: 'Q8_0', data: data.subarray(0, 68) })) }, /step\.bias/],
  ['the first of a low-rank pair alone', { layerMap: STACK },
    { ...lora({ attn_q: 4 }), omit: ['blk.0.r1.attn_q.weight.lora_b'] }, /lora_b/],
  ['the second of a low-rank pair alone', { layerMap: STACK },
    { ...lora({ attn_q: 4 }), omit: ['blk.0.r1.attn_q.weight.lora_a'] }, /lora_b/],
  ['a low-rank pair of two ranks', { layerMap: STACK },
    { ...lora({ attn_q: 4 }), ...reshape('blk.0.r1.attn_q.weight.lora_b', [3, 64]) }, /lora_b/],
  ['a low-rank term of a norm', { layerMap: STACK }, copy('blk.0.attn_q.weight', 'blk.0.r1.attn_norm.weight.lora_a'),
    /lora_a/],
  ['a low-rank term of a K that is not used', { layerMap: [0, 1], kvMap: [0, 0] },
    { variants: [{ block: 1, time: 0, lora: { attn_k: 2 } }], omit: ['blk.1.attn_k.', 'blk.1.attn_v.'] },
    /blk\.1\.r0\.attn_k/],
  // Embeddings, norms, patterns.
  ['a rank above the width', {}, key('embedding_rank', u32(128)), /embedding_rank/],
  ['a rank of zero', {}, key('embedding_rank', u32(0)), /embedding_rank/],
  ['a rank without its matrices', {},
    { embeddingRank: 32, ...rename('token_embd_proj.weight', 'token_embd_prof.weight') }, /token_embd_proj/],
  ['a rank without the way back', {}, { embeddingRank: 32, ...rename('output_proj.weight', 'output_prof.weight') },
    /output_proj/],
  ['matrices without a rank', {}, copy('blk.0.attn_q.weight', 'token_embd_proj.weight'), /token_embd_proj/],
  ['unknown sandwich norms', {}, { sandwich: 'both' }, /sandwich_norms/],
  ['sandwich norms that are not there', {}, key('sandwich_norms', string('sum')), /post_attention_norm/],
  ['sandwich norms that nobody asked for', {}, copy('blk.0.attn_norm.weight', 'blk.0.post_attention_norm.weight'),
    /post_attention_norm/],
  ['a pattern of another length', {}, key('rope.pattern', array('bool', [true])), /rope\.pattern/],
  ['a pattern of numbers', {}, key('rope.pattern', array('u32', [1, 1])), /rope\.pattern/],
  ['a pattern of windows where none slides', {}, key('attention.sliding_window_pattern', array('bool', [true, false])),
    /sliding_window_pattern/],
  ['an embedding scale that is no number', {}, key('embedding_scale', f32(Infinity)), /embedding_scale/],
  ['a flag for a word', {}, key('loop.exit', bool(true)), /loop\.exit/],
];

for (const [name, program, { keys, tensors = (list) => list, ...rest }, mention] of BROKEN) {
  test(`refused: ${name}`, async () => {
    const blocks = program.layerMap ? Math.max(...program.layerMap) + 1 : 2;
    const model = randomModel(shared('broken', blocks, program, rest));
    writeGGUF(file, { kv: { ...model.kv, ...keys }, tensors: tensors(model.tensors) });
    await refused('native', file, ['RP_ERR_FORMAT', 'RP_ERR_UNSUPPORTED'], mention);
  });
}

test.run();
