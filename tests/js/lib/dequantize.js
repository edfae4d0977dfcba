// A copy of a GGUF file with all its weights as F32: what an engine computes from it has no rounding of activations
// to 8 bits, and so shows how far that rounding alone moves the logits. Knows the types that SmolLM2's file has.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

const SCALARS = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8]; // bytes of a metadata value, by its type
const STRING = 8, ARRAY = 9, ALIGNMENT = 32;
const TYPES = { 0: { columns: 1, bytes: 4 }, 1: { columns: 1, bytes: 2 }, 3: { columns: 32, bytes: 20 }, 8: { columns: 32, bytes: 34 }, 30: { columns: 1, bytes: 2 } }; // F32, F16, Q4_1, Q8_0, BF16

function reader(bytes) {
  let at = 0;
  const u32 = () => bytes.readUInt32LE((at += 4) - 4);
  const u64 = () => Number(bytes.readBigUInt64LE((at += 8) - 8));
  const text = () => { const size = u64(); return bytes.subarray(at, (at += size)); };
  const value = (type) => {
    if (type === STRING) text();
    else if (type === ARRAY) for (let of = u32(), left = u64(); left > 0; left--) value(of);
    else at += SCALARS[type];
  };
  return { u32, u64, text, value, skip: (size) => (at += size), at: () => at };
}

/** The value of a half float's bits; infinities and NaN are no weights. */
export function half(bits) {
  const exponent = (bits >> 10) & 31, fraction = bits & 1023, sign = bits >> 15 ? -1 : 1;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

function dequantize(type, bytes, count) {
  if (type === 0) return bytes;
  if (type !== 3 && type !== 8) throw new Error(`type ${type} is not dequantized here`);
  const out = new Float32Array(count);
  for (let block = 0, from = 0; block < count; block += 32, from += TYPES[type].bytes) {
    const d = half(bytes.readUInt16LE(from));
    if (type === 8) for (let i = 0; i < 32; i++) out[block + i] = d * bytes.readInt8(from + 2 + i);
    else {
      const minimum = half(bytes.readUInt16LE(from + 2));
      for (let i = 0; i < 16; i++) {
        const code = bytes[from + 4 + i];
        out[block + i] = d * (code & 15) + minimum;
        out[block + 16 + i] = d * (code >> 4) + minimum;
      }
    }
  }
  return Buffer.from(out.buffer);
}

function readTensors(read, count) {
  return Array.from({ length: count }, () => {
    const name = read.text(), shape = Array.from({ length: read.u32() }, read.u64), type = read.u32(), offset = read.u64();
    if (!TYPES[type]) throw new Error(`${name}: type ${type} is not known here`);
    return { name, shape, type, offset, count: shape.reduce((a, b) => a * b) };
  });
}

/** What stands in a file: where its keys end, its tensors, and where their data begin. @param {Buffer} bytes */
function directory(bytes) {
  const read = reader(bytes);
  read.skip(8);
  const tensorCount = read.u64();
  for (let keys = read.u64(); keys > 0; keys--) { read.text(); read.value(read.u32()); }
  const keysEnd = read.at(), tensors = readTensors(read, tensorCount);
  return { keysEnd, tensors, data: Math.ceil(read.at() / ALIGNMENT) * ALIGNMENT };
}

/** Each tensor's type, shape and bytes, by its name. @param {string} path @returns {Record<string, { type: number, shape: number[], bytes: Buffer }>} */
export function tensorsOf(path) {
  const file = readFileSync(path), { tensors, data } = directory(file);
  return Object.fromEntries(tensors.map(({ name, type, shape, count, offset }) => {
    const size = (count / TYPES[type].columns) * TYPES[type].bytes;
    return [name.toString(), { type, shape, bytes: file.subarray(data + offset, data + offset + size) }];
  }));
}

export function writeDequantized(from, to) {
  const bytes = readFileSync(from), { keysEnd, tensors, data } = directory(bytes), parts = [bytes.subarray(0, keysEnd)];
  const number = (value, size) => { const b = Buffer.alloc(size); b.writeUIntLE(value, 0, Math.min(size, 6)); return b; };
  let offset = 0;
  for (const { name, shape, count } of tensors) {
    parts.push(number(name.length, 8), name, number(shape.length, 4), ...shape.map((n) => number(n, 8)), number(0, 4), number(offset, 8));
    offset += Math.ceil((count * 4) / ALIGNMENT) * ALIGNMENT;
  }
  const header = Buffer.concat(parts), file = openSync(to, 'w');
  writeSync(file, Buffer.concat([header, Buffer.alloc(-header.length & (ALIGNMENT - 1))]));
  for (const { type, count, offset: at } of tensors) {
    const size = (count / TYPES[type].columns) * TYPES[type].bytes;
    const values = dequantize(type, bytes.subarray(data + at, data + at + size), count);
    writeSync(file, Buffer.concat([values, Buffer.alloc(-values.length & (ALIGNMENT - 1))]));
  }
  closeSync(file);
}
