// Writes safetensors files as Hugging Face lays them out: a 64-bit length, a JSON header padded with spaces to eight
// bytes, then the tensors in the header's order without gaps. Several shards come with the index that names them.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FLOAT_BYTES, randomFloats } from './random.js'

/**
 * A tensor to be made: `like` is the name of one whose bytes it repeats.
 * @typedef {{ name: string, shape: number[], mean: number, std: number, like?: string }} Tensor
 * @typedef {import('./random.js').FloatType} FloatType
 */

const METADATA = { format: 'pt' }

/** @param {Tensor} tensor */
const countOf = ({ shape }) => shape.reduce((product, size) => product * size, 1)

/**
 * @param {string} seed
 * @param {FloatType} type
 * @param {Tensor[]} tensors
 */
function fileBytes(seed, type, tensors) {
  /** @type {Record<string, unknown>} */
  const header = { __metadata__: METADATA }
  const parts = []
  let at = 0
  for (const tensor of tensors) {
    const data = randomFloats(`${seed} ${tensor.like ?? tensor.name}`, type, countOf(tensor), tensor)
    header[tensor.name] = { dtype: type, shape: tensor.shape, data_offsets: [at, at + data.length] }
    at += data.length
    parts.push(data)
  }
  const text = JSON.stringify(header)
  const head = Buffer.from(text.padEnd(Math.ceil(Buffer.byteLength(text) / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(head.length))
  return Buffer.concat([length, head, ...parts])
}

/** @param {number} number */
const five = (number) => String(number).padStart(5, '0')

/**
 * Writes the tensors of a model, sorted by name, into as many shards as wanted.
 * @param {string} folder
 * @param {{ seed: string, type: FloatType, shards: number, tensors: Tensor[] }} model
 */
export function writeSafetensors(folder, { seed, type, shards, tensors }) {
  const sorted = [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1))
  if (shards === 1) {
    writeFileSync(join(folder, 'model.safetensors'), fileBytes(seed, type, sorted))
    return
  }
  const total = sorted.reduce((sum, tensor) => sum + countOf(tensor) * FLOAT_BYTES[type], 0)
  /** @type {Record<string, string>} */
  const map = {}
  for (let shard = 0; shard < shards; shard++) {
    const file = `model-${five(shard + 1)}-of-${five(shards)}.safetensors`
    const from = Math.floor((sorted.length * shard) / shards)
    const own = sorted.slice(from, Math.floor((sorted.length * (shard + 1)) / shards))
    for (const { name } of own) map[name] = file
    writeFileSync(join(folder, file), fileBytes(seed, type, own))
  }
  const index = { metadata: { total_size: total }, weight_map: map }
  writeFileSync(join(folder, 'model.safetensors.index.json'), `${JSON.stringify(index, null, 2)}\n`)
}
