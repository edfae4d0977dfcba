// Writes a GGUF file with its tensors in the order in which a model needs them: the embedding, block after block, what follows the
// last one. Files that come out of converters often have block 10 after block 1, and a page that computes while it downloads has
// to wait for the end of those. Nothing else changes. Usage: node models/order.js FROM.gguf TO.gguf
import { readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { align, parseHeader } from '../js/source/gguf-head.js'

const [from, to] = process.argv.slice(2)
const bytes = readFileSync(from)
const header = parseHeader(bytes, from)
if (!header) throw new Error(`${from} ends inside its header`)

/** @param {string} name of a tensor */
const place = (name) => (name.startsWith('blk.') ? Number(name.split('.')[1]) + 1 : name.startsWith('output') ? Infinity : 0)

const tensors = [...header.tensors].sort((a, b) => (place(a.name) - place(b.name) || 0) || a.offset - b.offset)
const size = tensors.reduce((sum, tensor) => sum + align(tensor.bytes, header.alignment), 0)
const ordered = Buffer.alloc(header.data + size)
bytes.copy(ordered, 0, 0, tensors.reduce((first, tensor) => Math.min(first, tensor.start), header.data))

// The directory lists tensors in the order of their bytes, as readers like it.
let entry = Math.min(...tensors.map(({ start }) => start))
let offset = 0
for (const tensor of tensors) {
  bytes.copy(ordered, entry, tensor.start, tensor.end)
  entry += tensor.end - tensor.start
  ordered.writeBigUInt64LE(BigInt(offset), entry)
  entry += 8
  const data = header.data + tensor.offset
  bytes.copy(ordered, header.data + offset, data, data + tensor.bytes)
  offset += align(tensor.bytes, header.alignment)
}
writeFileSync(to, ordered)
