// A copy of a GGUF file with all its weights as F32: what an engine computes from it has no rounding of activations
// to 8 bits, and so shows how far that rounding alone moves the logits. Knows the types that SmolLM2's file has.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { ALIGNMENT, directory, TYPES } from './gguf-reader.js';

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
