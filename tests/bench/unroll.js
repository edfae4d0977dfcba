// Writes the twin of a shared file that any GGUF reader can run: each visit's block stored by itself, no map, a plain architecture
// name. Only for files whose program is a `layer_map`. Everything else is copied as it stands.
import { readFileSync, writeFileSync } from 'node:fs';
import { align, parseHeader } from '../../js/source/gguf-head.js';

const u32 = (value) => Buffer.from(Uint32Array.of(value).buffer);
const u64 = (value) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
const text = (value) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

const U32 = 4, STRING = 8;

/** The keys of the twin, and the map that it does without. @param {Buffer} bytes @param {{ start: number, end: number }[]} spans */
function readKeys(bytes, spans) {
  const entries = spans.map(({ start, end }) => {
    const size = Number(bytes.readBigUInt64LE(start)), value = start + 8 + size;
    return { name: bytes.toString('utf8', start + 8, value), value: bytes.subarray(value, end) };
  });
  const architecture = entries.find(({ name }) => name === 'general.architecture').value.toString('utf8', 12);
  const base = architecture.replace('reprise-', '');
  const { value: map } = entries.find(({ name }) => name === `${architecture}.layer_map`);
  const visits = Array.from({ length: Number(map.readBigUInt64LE(8)) }, (_, visit) => map.readUInt32LE(16 + 4 * visit));
  const keys = entries.filter(({ name }) => name !== `${architecture}.layer_map`).map(({ name, value }) => {
    if (name === 'general.architecture') value = Buffer.concat([u32(STRING), text(base)]);
    if (name === `${architecture}.block_count`) value = Buffer.concat([u32(U32), u32(visits.length)]);
    return Buffer.concat([text(name.replace(`${architecture}.`, `${base}.`)), value]);
  });
  return { keys, visits };
}

/** @param {string} from @param {string} to */
export function unroll(from, to) {
  const bytes = readFileSync(from), header = parseHeader(bytes, from);
  const { keys, visits } = readKeys(bytes, header.keys);
  const ofBlock = (block) => header.tensors.filter(({ name }) => name.startsWith(`blk.${block}.`));
  const tensors = [
    ...header.tensors.filter(({ name }) => !name.startsWith('blk.')).map((tensor) => ({ ...tensor, as: tensor.name })),
    ...visits.flatMap((block, visit) => ofBlock(block).map((tensor) => (
      { ...tensor, as: tensor.name.replace(/^blk\.\d+/, `blk.${visit}`) }))),
  ];
  let offset = 0;
  const directory = [], data = [];
  for (const { as, name, start, end, offset: at, bytes: size } of tensors) {
    directory.push(text(as), bytes.subarray(start + 8 + Buffer.byteLength(name), end), u64(offset));
    const padded = Buffer.alloc(align(size, header.alignment));
    bytes.copy(padded, 0, header.data + at, header.data + at + size);
    data.push(padded);
    offset += padded.length;
  }
  const head = Buffer.concat([Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(keys.length), ...keys, ...directory]);
  const padding = Buffer.alloc(align(head.length, header.alignment) - head.length);
  writeFileSync(to, Buffer.concat([head, padding, ...data]));
}
