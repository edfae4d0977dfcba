// An ONNX file of a model's shape with random weights, for engines that take no GGUF: the graph that converters write for Llama on
// CPUs, with matrices in 4 bits (blocks of 32) or in 8 (activations quantized as they come, one scale a column), and attention with
// its rotary embedding as one operator. To its makers' advantage logits are computed for the last position only. Protocol Buffers
// are written by hand: they are a few lines.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { generator } from '../js/lib/random-blocks.js';

const DIM = 576, FFN = 1536, HEADS = 9, KV_HEADS = 3, HEAD_DIM = 64, BLOCK = 32;
const FLOAT = 1, UINT8 = 2, INT8 = 3, INT32 = 6, INT64 = 7;
const STD_OF_BYTES = 73.9; // of -128 to 127, all equally likely

// ---- Protocol Buffers

function varint(value) {
  const bytes = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}
const number = (field, value) => [varint(field << 3), varint(value)];
const bytes = (field, value) => {
  const parts = [value].flat(Infinity).map((part) => (typeof part === 'string' ? Buffer.from(part) : part));
  return [varint((field << 3) | 2), varint(parts.reduce((sum, part) => sum + part.length, 0)), ...parts];
};
const float = (field, value) => [varint((field << 3) | 5), Buffer.from(Float32Array.of(value).buffer)];

// ---- ONNX

function attribute(name, value) {
  if (Array.isArray(value)) return bytes(5, [bytes(1, name), value.map((one) => number(8, one)), number(20, 7)]);
  return bytes(5, [bytes(1, name), Number.isInteger(value) ? [number(3, value), number(20, 2)] : [float(2, value), number(20, 1)]]);
}

class Graph {
  nodes = [];
  tensors = [];
  #count = 0;
  #quantized = new Set();

  /** @param {string} seed @param {4 | 8} bits of matrices */
  constructor(seed, bits) {
    this.next = generator(seed);
    this.matrix = bits === 4 ? this.matrix4 : this.matrix8;
  }

  /** The names of what it gives. @param {string} type with a domain's ms. in front of Microsoft's */
  node(type, inputs, attributes = {}, outputs = 1) {
    const names = Array.isArray(outputs) ? outputs : Array.from({ length: outputs }, () => `t${this.#count++}`);
    const kind = type.replace('ms.', '');
    this.nodes.push(bytes(1, [inputs.map((name) => bytes(1, name)), names.map((name) => bytes(2, name)), bytes(3, `${kind}_${this.nodes.length}`), bytes(4, kind),
      Object.entries(attributes).map(([name, value]) => attribute(name, value)), type === kind ? [] : bytes(7, 'com.microsoft')]));
    return names[0];
  }

  tensor(type, shape, data) {
    const name = `w${this.#count++}`;
    this.tensors.push(bytes(5, [shape.map((size) => number(1, size)), number(2, type), bytes(8, name), bytes(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength))]));
    return name;
  }
  floats(shape, make) {
    return this.tensor(FLOAT, shape, Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, i) => make(i)));
  }
  ids(...values) {
    return this.tensor(INT64, [values.length], BigInt64Array.from(values, BigInt));
  }
  unit() {
    return this.next() / 2 ** 31 - 1;
  }

  bytes(type, shape) {
    const data = Buffer.alloc(shape.reduce((product, size) => product * size, 1));
    for (let i = 0; i < data.length; i++) data[i] = this.next() >>> 24;
    return this.tensor(type, shape, data);
  }
  /** Around 1 / std. */
  scales(count, std) {
    return this.floats([count], () => (1 + this.unit() / 3) / std);
  }

  /** Multiplies by a matrix of 4 bits. */
  matrix4(input, columns, rows) {
    const scales = this.scales((rows * columns) / BLOCK, Math.sqrt(columns) * 4.64);
    const weights = this.bytes(UINT8, [rows, columns / BLOCK, BLOCK / 2]);
    return this.node('ms.MatMulNBits', [input, weights, scales], { K: columns, N: rows, bits: 4, block_size: BLOCK, accuracy_level: 4 });
  }
  /** The same with 8 bits. */
  matrix8(input, columns, rows) {
    const names = ['codes', 'scale', 'zero'].map((what) => `${input}.${what}`);
    if (!this.#quantized.has(input)) this.node('DynamicQuantizeLinear', [input], {}, names); // once for all that read it
    this.#quantized.add(input);
    const [codes, scale, zero] = names;
    const sums = this.node('MatMulInteger', [codes, this.bytes(INT8, [columns, rows]), zero, this.tensor(INT8, [], Buffer.of(0))]);
    const scales = this.node('Mul', [scale, this.scales(rows, Math.sqrt(columns) * STD_OF_BYTES)]);
    return this.node('Mul', [this.node('Cast', [sums], { to: FLOAT }), scales]);
  }
  norm(input) {
    return this.node('SimplifiedLayerNormalization', [input, this.floats([DIM], () => 1 + this.unit() / 3)], { axis: -1, epsilon: 1e-5, stash_type: 1 });
  }
}

function rotary(graph, context, base, turn) {
  return graph.floats([context, HEAD_DIM / 2], (i) => turn(Math.floor(i / (HEAD_DIM / 2)) / base ** ((2 * (i % (HEAD_DIM / 2))) / HEAD_DIM)));
}

function block(graph, at, input, shared) {
  const x = graph.norm(input), kv = KV_HEADS * HEAD_DIM;
  const qkv = [DIM, kv, kv].map((rows) => graph.matrix(x, DIM, rows));
  const past = ['key', 'value'].map((what) => `past_key_values.${at}.${what}`);
  const [attended, ...present] = [`attended.${at}`, `present.${at}.key`, `present.${at}.value`];
  graph.node('ms.GroupQueryAttention', [...qkv, ...past, ...shared], { num_heads: HEADS, kv_num_heads: KV_HEADS, do_rotary: 1, scale: 1 / Math.sqrt(HEAD_DIM) }, [attended, ...present]);
  const middle = graph.node('Add', [input, graph.matrix(attended, DIM, DIM)]);
  const y = graph.norm(middle), gate = graph.matrix(y, DIM, FFN);
  const activated = graph.node('Mul', [gate, graph.node('Sigmoid', [gate])]);
  return graph.node('Add', [middle, graph.matrix(graph.node('Mul', [activated, graph.matrix(y, DIM, FFN)]), FFN, DIM)]);
}

function value(field, name, type, shape) {
  const dims = shape.map((size) => bytes(1, typeof size === 'number' ? number(1, size) : bytes(2, size)));
  return bytes(field, [bytes(1, name), bytes(2, bytes(1, [number(1, type), bytes(2, dims)]))]);
}

/** What transformers.js reads beside the graph. */
function config({ vocabulary, blocks, ropeBase, context }) {
  return { architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_size: DIM, intermediate_size: FFN, num_hidden_layers: blocks,
    num_attention_heads: HEADS, num_key_value_heads: KV_HEADS, head_dim: HEAD_DIM, vocab_size: vocabulary, max_position_embeddings: context,
    rms_norm_eps: 1e-5, rope_theta: ropeBase, tie_word_embeddings: true, bos_token_id: 1, eos_token_id: 2 };
}

/** @param {string} path in a folder onnx/ of the model's own @param {{ vocabulary: number, blocks: number, ropeBase: number, context?: number }} shape
 * @param {4 | 8} bits */
export function writeOnnx(path, { vocabulary, blocks, ropeBase, context = 8192 }, bits) {
  const graph = new Graph(path.split('/').at(-1), bits);
  const total = graph.node('Gather', [graph.node('Shape', ['attention_mask']), graph.tensor(INT64, [], BigInt64Array.of(1n))], { axis: 0 });
  const held = graph.node('Sub', [graph.node('ReduceSum', ['attention_mask', graph.ids(1)], { keepdims: 0 }), graph.ids(1)]);
  const cast = (name) => graph.node('Cast', [name], { to: INT32 });
  const shared = [cast(held), cast(total), rotary(graph, context, ropeBase, Math.cos), rotary(graph, context, ropeBase, Math.sin)];
  const codes = graph.node('Gather', [graph.bytes(INT8, [vocabulary, DIM]), 'input_ids'], { axis: 0 });
  let x = graph.node('Mul', [graph.node('Cast', [codes], { to: FLOAT }), graph.scales(1, STD_OF_BYTES)]);
  for (let at = 0; at < blocks; at++) x = block(graph, at, x, shared);
  const last = graph.node('Slice', [graph.norm(x), graph.ids(-1), graph.ids(2n ** 62n), graph.ids(1)]);
  graph.node('Identity', [graph.matrix(last, DIM, vocabulary)], {}, ['logits']);
  const cache = (prefix, length) => Array.from({ length: blocks }, (_, at) => ['key', 'value'].map((what) => [`${prefix}.${at}.${what}`, FLOAT, ['batch_size', KV_HEADS, length, HEAD_DIM]])).flat();
  const inputs = [['input_ids', INT64, ['batch_size', 'sequence_length']], ['attention_mask', INT64, ['batch_size', 'total_sequence_length']], ...cache('past_key_values', 'past_sequence_length')];
  const outputs = [['logits', FLOAT, ['batch_size', 'one', vocabulary]], ...cache('present', 'total_sequence_length')];
  const parts = [graph.nodes, bytes(2, 'shape'), graph.tensors, inputs.map((one) => value(11, ...one)), outputs.map((one) => value(12, ...one))];
  const opset = (domain, version) => bytes(8, [domain ? bytes(1, domain) : [], number(2, version)]);
  mkdirSync(dirname(path), { recursive: true });
  for (const [name, content] of [['config.json', config({ vocabulary, blocks, ropeBase, context })], ['generation_config.json', { eos_token_id: 2 }]])
    writeFileSync(join(dirname(path), '..', name), JSON.stringify(content));
  writeFileSync(path, Buffer.concat([number(1, 8), opset('', 17), opset('com.microsoft', 1), bytes(7, parts)].flat(Infinity)));
}
