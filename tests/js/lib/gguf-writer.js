// Writes GGUF files for tests: the one place on the judging side that knows the container's layout.
// Every metadata value says its type. The same arguments give the same bytes. It checks nothing about
// the model, so that tests can also write files that are wrong.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

// ggml's tensor types: number, values in a block, bytes of a block.
export const TENSOR_TYPES = {
  F32: { id: 0, values: 1, bytes: 4 },
  F16: { id: 1, values: 1, bytes: 2 },
  Q4_0: { id: 2, values: 32, bytes: 18 },
  Q4_1: { id: 3, values: 32, bytes: 20 },
  Q5_0: { id: 6, values: 32, bytes: 22 },
  Q5_1: { id: 7, values: 32, bytes: 24 },
  Q8_0: { id: 8, values: 32, bytes: 34 },
  Q2_K: { id: 10, values: 256, bytes: 84 },
  Q3_K: { id: 11, values: 256, bytes: 110 },
  Q4_K: { id: 12, values: 256, bytes: 144 },
  Q5_K: { id: 13, values: 256, bytes: 176 },
  Q6_K: { id: 14, values: 256, bytes: 210 },
  IQ4_NL: { id: 20, values: 32, bytes: 18 },
  IQ4_XS: { id: 23, values: 256, bytes: 136 },
  BF16: { id: 30, values: 1, bytes: 2 },
};

const VALUE_TYPES = {
  u8: 0, i8: 1, u16: 2, i16: 3, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10, i64: 11, f64: 12,
};

const scalar = (type) => (value) => ({ type, value });
export const u8 = scalar('u8');
export const u32 = scalar('u32');
export const i32 = scalar('i32');
export const f32 = scalar('f32');
export const f64 = scalar('f64');
export const bool = scalar('bool');
export const string = scalar('string');
export const u64 = scalar('u64');
export const i64 = scalar('i64');
/** An array of one element type, such as `array('f32', [0, 1])`. */
export const array = (element, value) => ({ type: 'array', element, value });

function number(size, write) {
  const bytes = Buffer.alloc(size);
  write(bytes);
  return bytes;
}

const WRITERS = {
  u8: (value) => Buffer.from([value]),
  i8: (value) => number(1, (bytes) => bytes.writeInt8(value)),
  u16: (value) => number(2, (bytes) => bytes.writeUInt16LE(value)),
  i16: (value) => number(2, (bytes) => bytes.writeInt16LE(value)),
  u32: (value) => number(4, (bytes) => bytes.writeUInt32LE(value)),
  i32: (value) => number(4, (bytes) => bytes.writeInt32LE(value)),
  f32: (value) => number(4, (bytes) => bytes.writeFloatLE(value)),
  f64: (value) => number(8, (bytes) => bytes.writeDoubleLE(value)),
  bool: (value) => Buffer.from([value ? 1 : 0]),
  u64: (value) => number(8, (bytes) => bytes.writeBigUInt64LE(BigInt(value))),
  i64: (value) => number(8, (bytes) => bytes.writeBigInt64LE(BigInt(value))),
};

function text(value, version) {
  const bytes = Buffer.from(value);
  return Buffer.concat([length(bytes.length, version), bytes]);
}

// Version 1 counted in 32 bits, later ones count in 64.
const length = (value, version) => (version === 1 ? WRITERS.u32(value) : WRITERS.u64(value));

function scalarBytes(type, value, version) {
  return type === 'string' ? text(value, version) : WRITERS[type](value);
}

function valueBytes(entry, version) {
  if (entry.type !== 'array')
    return Buffer.concat([WRITERS.u32(VALUE_TYPES[entry.type]), scalarBytes(entry.type, entry.value, version)]);
  return Buffer.concat([
    WRITERS.u32(VALUE_TYPES.array),
    WRITERS.u32(VALUE_TYPES[entry.element]),
    length(entry.value.length, version),
    ...entry.value.map((value) => scalarBytes(entry.element, value, version)),
  ]);
}

const typeNumber = (type) => (typeof type === 'number' ? type : TENSOR_TYPES[type].id);

/** Bytes that a tensor of this type and shape (columns first) takes. */
export function tensorBytes(type, shape) {
  const { values, bytes } = TENSOR_TYPES[type];
  return (shape.reduce((product, size) => product * size, 1) / values) * bytes;
}

const padding = (size, alignment) => Buffer.alloc((alignment - (size % alignment)) % alignment);

function directory(tensors, alignment, version) {
  const parts = [];
  let next = 0;
  for (const { name, type, shape, data, offset } of tensors) {
    parts.push(text(name, version), WRITERS.u32(shape.length), ...shape.map((size) => length(size, version)));
    parts.push(WRITERS.u32(typeNumber(type)), WRITERS.u64(offset ?? next));
    next += data.length + padding(data.length, alignment).length;
  }
  return parts;
}

/**
 * Writes a GGUF file and returns its bytes; with `path` null only the bytes.
 * kv: an object or a list of [key, value], values made by u32() and its like. tensors: {name, type, shape, data}
 * with the shape in ggml's order, columns first; an `offset` overrides where the directory says the data is.
 */
export function writeGGUF(path, { version = 3, kv, tensors = [], alignment = 32 }) {
  const entries = Array.isArray(kv) ? kv : Object.entries(kv);
  const head = [Buffer.from('GGUF'), WRITERS.u32(version), length(tensors.length, version), length(entries.length, version)];
  for (const [key, value] of entries) head.push(text(key, version), valueBytes(value, version));
  head.push(...directory(tensors, alignment, version));
  const header = Buffer.concat(head);
  const parts = [header, padding(header.length, alignment)];
  for (const { data } of tensors) parts.push(data, padding(data.length, alignment));
  const bytes = Buffer.concat(parts);
  if (path) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
  return bytes;
}
