// The program of a described model: its metadata, and its twin without a program, in which every visit has a block of
// its own. The twin is made from the shared document's rules alone: it knows nothing of how the engine does it.
//
// program: {layerMap, attn, ffn, kvMap, loops, skipLoopNorm, first, last, min, max, injection, zeroStart, norm, exit,
// exitThreshold, entryVisit, injectVisits, normVisits, exitVisits}, each as the key of its name says.
// variants: a list of {block, time, norms, bias, lora}: what is different on a block's visit `time`, counted from 0.
// norms is a list of tensors' names, lora an object from a matrix' name to its rank.
import { array, bool, f32, i32, string, u32 } from './gguf-writer.js';

const KEYS = {
  layerMap: ['layer_map', (list) => array('u32', list)],
  attn: ['layer_map.attn', (list) => array('u32', list)],
  ffn: ['layer_map.ffn', (list) => array('u32', list)],
  kvMap: ['attention.kv_map', (list) => array('i32', list)],
  loops: ['num_loops', u32],
  skipLoopNorm: ['skip_loop_final_norm', bool],
  first: ['loop.first', u32],
  last: ['loop.last', i32],
  min: ['loop.min', u32],
  max: ['loop.max', u32],
  injection: ['loop.injection', string],
  zeroStart: ['loop.zero_start', bool],
  norm: ['loop.norm', string],
  exit: ['loop.exit', string],
  exitThreshold: ['loop.exit_threshold', f32],
  entryVisit: ['loop.entry_visit', u32],
  injectVisits: ['loop.inject_visits', (list) => array('u32', list)],
  normVisits: ['loop.norm_visits', (list) => array('i32', list)],
  exitVisits: ['loop.exit_visits', (list) => array('u16', list)],
};

/** Metadata of a described model's program, under its architecture's name. */
export function programKeys({ architecture, program = {} }) {
  const said = Object.keys(KEYS).filter((name) => program[name] !== undefined);
  return Object.fromEntries(said.map((name) => [`${architecture}.${KEYS[name][0]}`, KEYS[name][1](program[name])]));
}

/** Blocks of each visit: {attn, ffn}. */
export function visitsOf({ blocks, program = {} }) {
  const { layerMap, attn, ffn, loops = 1 } = program;
  const map = layerMap ?? Array.from({ length: blocks * loops }, (_, i) => i % blocks);
  return map.map((block, visit) => ({ attn: attn?.[visit] ?? block, ffn: ffn?.[visit] ?? block }));
}

/** The visits at which something happens because of their place in a loop; none where the blocks do not repeat as a stack. */
export function loopVisits(model) {
  const { program = {}, blocks } = model;
  const { first = 0, last = blocks - 1, injection, zeroStart, exit } = program;
  const norm = program.norm ?? (program.loops > 1 && !program.skipLoopNorm ? 'between' : 'none');
  const visits = visitsOf(model).map(({ attn }) => attn);
  const start = visits.findIndex((block) => block >= first && block <= last);
  const core = visits.filter((block) => block >= first && block <= last);
  const size = last - first + 1, loops = core.length / size;
  const found = { injectVisits: [], normVisits: [], exitVisits: [] };
  if (core.some((block, i) => block !== first + (i % size))) return found;
  if (injection && injection !== 'none') found.entryVisit = start;
  for (let loop = 0; loop < loops; loop++) {
    const begin = start + loop * size, end = begin + size - 1;
    if (found.entryVisit !== undefined && (loop > 0 || zeroStart)) found.injectVisits.push(begin);
    if (norm === (loop + 1 < loops ? 'between' : 'end')) found.normVisits.push(end);
    if (exit === 'gate') found.exitVisits.push(end);
  }
  return found;
}

/** Of each visit how often its block's half was visited before. */
export function countTimes(visits, half) {
  const times = [];
  return visits.map((visit) => (times[visit[half]] = (times[visit[half]] ?? -1) + 1));
}

// Beginnings of names of tensors that a visit does not need: one without attention, one that reads another's keys and values.
function unused(kvMap, visit) {
  if (kvMap?.[visit] === -1) return ['attn_', 'post_attention_norm'];
  return kvMap?.indexOf(kvMap[visit]) < visit ? ['attn_k.', 'attn_k_norm', 'attn_v.'] : [];
}

/**
 * The twin of a model with a program: it stores each visit's block by itself and runs them once, in order; where
 * something happens between visits, it names the visits. Visits that only read a KV slot have no K and V.
 */
export function unrolled(model) {
  const { program = {}, variants = [], slides, rotates } = model;
  const visits = visitsOf(model), { injection, zeroStart, exit, exitThreshold, kvMap } = program;
  const attn = countTimes(visits, 'attn'), ffn = countTimes(visits, 'ffn');
  const listed = Object.entries(loopVisits(model)).filter(([, list]) => !Array.isArray(list) || list.length);
  const omit = visits.flatMap((_, visit) => unused(kvMap, visit).map((part) => `blk.${visit}.${part}`));
  return {
    ...model,
    name: `${model.name}-unrolled`,
    blocks: visits.length,
    program: { injection, zeroStart, exit, exitThreshold, kvMap, ...Object.fromEntries(listed) },
    sources: visits.map((visit, i) => ({ attn: { block: visit.attn, time: attn[i] }, ffn: { block: visit.ffn, time: ffn[i] } })),
    originals: variants,
    variants: [],
    omit,
    slides: slides && visits.map((visit) => slides[visit.attn]),
    rotates: rotates && visits.map((visit) => rotates[visit.attn]),
  };
}
