// What stands in a GGUF file, for tests: where its keys end, its tensors and their bytes. Keys are passed over.
import { readFileSync } from 'node:fs';
import { TENSOR_TYPES } from './gguf-writer.js';

const SCALARS = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8]; // bytes of a metadata value, by its type
const STRING = 8, ARRAY = 9;
export const ALIGNMENT = 32;
export const TYPES = Object.fromEntries(Object.entries(TENSOR_TYPES).map(([name, { id, values, bytes }]) => [id, { name, columns: values, bytes }]));

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

function readTensors(read, count) {
  return Array.from({ length: count }, () => {
    const name = read.text(), shape = Array.from({ length: read.u32() }, read.u64), type = read.u32(), offset = read.u64();
    if (!TYPES[type]) throw new Error(`${name}: type ${type} is not known here`);
    return { name, shape, type, offset, count: shape.reduce((a, b) => a * b) };
  });
}

/** What stands in a file: where its keys end, its tensors, and where their data begin. @param {Buffer} bytes */
export function directory(bytes) {
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
