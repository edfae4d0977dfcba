// Splits a GGUF file as llama.cpp's gguf-split does: every part has its own header, the first one all keys, and each says which
// one it is. Reads files by our own parser, and puts parts together from raw bytes.
import { parseHeader } from '../../../js/source/gguf-head.js';

const u64 = (value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const number = (key, type, value) => {
  const bytes = Buffer.alloc(type === 2 ? 6 : 8);
  bytes.writeUInt32LE(type);
  if (type === 2) bytes.writeUInt16LE(value, 4);
  else bytes.writeInt32LE(value, 4);
  return Buffer.concat([u64(key.length), Buffer.from(key), bytes]);
};
const pad = (size) => Buffer.alloc((32 - size % 32) % 32);

/** @param {Buffer} file @param {number} count
 * @param {{ emptyFirst?: boolean, wrong?: Record<string, number> }} [how] `emptyFirst`: no tensors in the first part; `wrong`: what the
 *   last part says instead
 * @returns {Buffer[]} */
export function splitGguf(file, count, { emptyFirst = false, wrong = {} } = {}) {
  const header = parseHeader(file, 'the file');
  const { tensors, keys, data } = header;
  const parts = Array.from({ length: count }, () => []);
  const [from, over] = emptyFirst ? [1, count - 1] : [0, count];
  tensors.forEach((tensor, i) => parts[from + Math.floor(i * over / tensors.length)].push(tensor));
  return parts.map((members, no) => {
    const last = no === count - 1 ? wrong : {};
    const said = [number('split.no', 2, last.no ?? no), number('split.count', 2, last.count ?? count),
      number('split.tensors.count', 5, last.tensors ?? tensors.length)];
    const own = no === 0 ? keys.map(({ start, end }) => file.subarray(start, end)) : [];
    const head = [Buffer.from('GGUF'), file.subarray(4, 8), u64(members.length), u64(own.length + said.length), ...own, ...said];
    const bodies = [];
    let offset = 0;
    for (const { start, end, offset: at, bytes } of members) {
      head.push(file.subarray(start, end), u64(offset));
      bodies.push(file.subarray(data + at, data + at + bytes), pad(bytes));
      offset += bytes + pad(bytes).length;
    }
    const top = Buffer.concat(head);
    return Buffer.concat([top, pad(top.length), ...bodies]);
  });
}

/** @param {number} i from 0 @param {number} count */
export const partName = (i, count) => `model-${String(i + 1).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.gguf`;
