// Random tensors of every type, made directly as blocks: random codes under scales that give the values a
// wanted standard deviation and a mean near zero. Bytes depend on nothing but the seed text, the type, the shape
// and the deviation; no Math function whose last bit may differ between engines is used, sqrt being exact.
import { TENSOR_TYPES } from './gguf-writer.js';

/** A generator of 32-bit integers (mulberry32) seeded by a text through FNV-1a. */
export function generator(seed) {
  let state = 0x811c9dc5;
  for (const byte of Buffer.from(seed)) state = Math.imul(state ^ byte, 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

const unit = (next) => next() / 2 ** 32;

/** The bits of the half nearest to `value`, ties to even, subnormal halves included. */
export function halfBits(value) {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65520) return sign | 0x7c00;
  let exponent = -14;
  while (exponent < 15 && size >= 2 ** (exponent + 1)) exponent++;
  const steps = size / 2 ** (exponent - 10);
  const below = Math.floor(steps);
  const rest = steps - below;
  const mantissa = below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0);
  return sign | (mantissa + (exponent + 14) * 1024);
}

// For each block type: `codes` says where random bytes go (everything, then scales are written over them), `std` is
// the deviation of scale-less values, `scale` the byte offset of d, `min` that of dmin or m with its ratio to d
// (chosen so that the mean is zero). Derived from uniform codes: 4 bits have mean 7.5 and mean square 77.5, and so on.
const BLOCKS = {
  Q4_0: { std: 4.64, scale: 0 },
  Q4_1: { std: 4.61, scale: 0, min: 2, ratio: -7.5 },
  Q5_0: { std: 9.25, scale: 0 },
  Q5_1: { std: 9.23, scale: 0, min: 2, ratio: -15.5 },
  Q8_0: { std: 73.9, scale: 0 },
  Q2_K: { std: 13.9, scale: 80, min: 82, ratio: 1.5 },
  Q3_K: { std: 43.3, scale: 108 },
  Q4_K: { std: 258, scale: 0, min: 2, ratio: 7.5 },
  Q5_K: { std: 527, scale: 0, min: 2, ratio: 15.5 },
  Q6_K: { std: 1366, scale: 208 },
  IQ4_NL: { std: 72, scale: 0 },
  IQ4_XS: { std: 1330, scale: 0 },
};

function randomBytes(next, size) {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i++) bytes[i] = next() >>> 24;
  return bytes;
}

// Scales vary by a third around the wanted one, as those of real blocks do; half of those that stand without a
// minimum are negative, as ggml's quantizers make them.
function randomBlocks(next, type, count, std) {
  const { values, bytes: size } = TENSOR_TYPES[type];
  const block = BLOCKS[type];
  const data = randomBytes(next, (count / values) * size);
  for (let at = 0; at < data.length; at += size) {
    const d = (std / block.std) * (0.67 + 0.66 * unit(next));
    const sign = block.min === undefined && next() & 1 ? -1 : 1;
    data.writeUInt16LE(halfBits(sign * d), at + block.scale);
    if (block.min !== undefined) data.writeUInt16LE(halfBits(d * block.ratio), at + block.min);
  }
  return data;
}

function writeFloat(data, type, index, value) {
  if (type === 'F32') data.writeFloatLE(value, index * 4);
  else if (type === 'F16') data.writeUInt16LE(halfBits(value), index * 2);
  else {
    const bits = new Uint32Array(new Float32Array([value]).buffer)[0];
    data.writeUInt16LE((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16, index * 2);
  }
}

/** Bytes of a tensor whose values have mean `mean` (floats only) and standard deviation `std`. */
export function randomTensor(seed, type, shape, { std, mean = 0 }) {
  const next = generator(seed);
  const count = shape.reduce((product, size) => product * size, 1);
  if (BLOCKS[type]) return randomBlocks(next, type, count, std);
  const data = Buffer.alloc(count * TENSOR_TYPES[type].bytes);
  const reach = std * Math.sqrt(3);
  for (let i = 0; i < count; i++) writeFloat(data, type, i, mean + reach * (2 * unit(next) - 1));
  return data;
}
