// A forward pass in doubles, from the papers' formulas, for small models in floats: what injection, step biases,
// low-rank terms, norms and the exit rule of a program are to compute. Every position at once, nothing is cached.
import { half } from './dequantize.js';
import { complete, randomModel } from './random-model.js';
import { countTimes, loopVisits, visitsOf } from './random-program.js';

function floats({ type, data, shape: [columns, rows = 1] }) {
  const count = columns * rows;
  if (type === 'F16') return Float64Array.from({ length: count }, (_, i) => half(data.readUInt16LE(2 * i)));
  return Float64Array.from({ length: count }, (_, i) => data.readFloatLE(4 * i));
}

// y = W x; W has rows of x.length columns.
function multiply(w, x) {
  const y = new Float64Array(w.length / x.length);
  for (let row = 0, at = 0; row < y.length; row++) for (let column = 0; column < x.length; column++) y[row] += w[at++] * x[column];
  return y;
}

const plus = (x, y) => x.map((value, i) => value + y[i]);
const silu = (x) => x / (1 + Math.exp(-x));
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

function norm(x, weight, epsilon) {
  const scale = 1 / Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + epsilon);
  return x.map((value, i) => value * scale * weight[i]);
}

// RoPE over neighbouring pairs of each head.
function rotate(x, position, { headDim, ropeBase }) {
  const y = x.slice();
  for (let i = 0; i < x.length; i += 2) {
    const angle = position * ropeBase ** (-(i % headDim) / headDim), c = Math.cos(angle), s = Math.sin(angle);
    y[i] = x[i] * c - x[i + 1] * s;
    y[i + 1] = x[i] * s + x[i + 1] * c;
  }
  return y;
}

function attend(q, keys, values, { heads, kvHeads, headDim }) {
  const out = new Float64Array(q.length);
  for (let head = 0; head < heads; head++) {
    const from = Math.floor(head / (heads / kvHeads)) * headDim, at = head * headDim;
    const scores = keys.map((key) => {
      let sum = 0;
      for (let i = 0; i < headDim; i++) sum += q[at + i] * key[from + i];
      return Math.exp(sum / Math.sqrt(headDim));
    });
    const total = scores.reduce((a, b) => a + b);
    values.forEach((value, t) => {
      for (let i = 0; i < headDim; i++) out[at + i] += (scores[t] / total) * value[from + i];
    });
  }
  return out;
}

// The exit rule, for one position after a loop.
function ask(exit, leaves, x, threshold = 1) {
  exit.sum += leaves * exit.stays;
  exit.stays *= 1 - leaves;
  if (!exit.x && exit.sum >= threshold) exit.x = x;
}

/** Logits after each of `ids` of a described model of type F32, without biases, windows or norms of heads. */
export function referenceLogits(description, ids) {
  const model = complete(description), { dim, epsilon, program = {}, sandwich, rotates, embeddingRank } = model;
  const tensors = new Map(randomModel(description).tensors.map((tensor) => [tensor.name, floats(tensor)]));
  const visits = visitsOf(model), times = { attn: countTimes(visits, 'attn'), ffn: countTimes(visits, 'ffn') };
  const isNamed = program.entryVisit ?? program.injectVisits ?? program.normVisits ?? program.exitVisits;
  const loop = isNamed === undefined ? loopVisits(model) : program;
  const has = (list, visit) => list?.includes(visit) ?? false;
  const output = tensors.get('output_norm.weight');
  let states = ids.map((id) => {
    const width = embeddingRank ?? dim, row = tensors.get('token_embd.weight').slice(id * width, (id + 1) * width);
    const x = embeddingRank ? multiply(tensors.get('token_embd_proj.weight'), row) : row;
    return x.map((value) => value * (model.embeddingScale ?? 1));
  });
  let input = [];
  const slots = [], exits = ids.map(() => ({ stays: 1, sum: 0, x: null }));

  visits.forEach((blocks, visit) => {
    const get = (half, part) => {
      const block = blocks[half], own = `blk.${block}.r${times[half][visit]}.${part}`;
      return tensors.get(own) ?? tensors.get(`blk.${block}.${part}`);
    };
    const product = (half, part, x) => {
      const y = multiply(get(half, `${part}.weight`), x), a = get(half, `${part}.weight.lora_a`);
      return a ? plus(y, multiply(get(half, `${part}.weight.lora_b`), multiply(a, x))) : y;
    };
    const add = (x, y, weight) => {
      if (!sandwich || sandwich === 'none') return plus(x, y);
      return sandwich === 'sum' ? norm(plus(x, y), weight, epsilon) : plus(x, norm(y, weight, epsilon));
    };
    if (visit === loop.entryVisit) {
      input = states;
      if (program.zeroStart) states = states.map((x) => x.map(() => 0));
    }
    if (has(loop.injectVisits, visit))
      states = states.map((x, t) => program.injection === 'add' ? plus(x, input[t])
        : multiply(tensors.get('loop_inject.weight'), Float64Array.from([...x, ...input[t]])));
    const bias = get('attn', 'step.bias');
    if (bias) states = states.map((x) => plus(x, bias));
    const slot = program.kvMap?.[visit] ?? visit, turns = rotates?.[blocks.attn] ?? true;
    const turn = (x, t) => (turns ? rotate(x, t, model) : x);
    if (slot >= 0) {
      const normed = states.map((x) => norm(x, get('attn', 'attn_norm.weight'), epsilon));
      slots[slot] ??= {
        keys: normed.map((x, t) => turn(product('attn', 'attn_k', x), t)), values: normed.map((x) => product('attn', 'attn_v', x)),
      };
      const { keys, values } = slots[slot];
      states = states.map((x, t) => {
        const mixed = attend(turn(product('attn', 'attn_q', normed[t]), t), keys.slice(0, t + 1), values.slice(0, t + 1), model);
        return add(x, product('attn', 'attn_output', mixed), get('attn', 'post_attention_norm.weight'));
      });
    }
    states = states.map((x) => {
      const normed = norm(x, get('ffn', 'ffn_norm.weight'), epsilon);
      const up = product('ffn', 'ffn_up', normed), gate = product('ffn', 'ffn_gate', normed).map((value, i) => silu(value) * up[i]);
      return add(x, product('ffn', 'ffn_down', gate), get('ffn', 'post_ffw_norm.weight'));
    });
    const gate = (x) => multiply(tensors.get('exit_gate.weight'), norm(x, output, epsilon))[0] + tensors.get('exit_gate.bias')[0];
    if (has(loop.exitVisits, visit)) exits.forEach((exit, t) => ask(exit, sigmoid(gate(states[t])), states[t], program.exitThreshold));
    if (has(loop.normVisits, visit)) states = states.map((x) => norm(x, output, epsilon));
  });
  const head = tensors.get('output.weight') ?? tensors.get('token_embd.weight');
  return states.map((x, t) => {
    const last = norm(exits[t].x ?? x, output, epsilon);
    return multiply(head, embeddingRank ? multiply(tensors.get('output_proj.weight'), last) : last);
  });
}
