// The header of a GGUF file: where its keys and tensors stand, as far as joining the parts of a split file asks for.
import { FormatError, UnsupportedError } from '../errors.js'

const LONGEST = 2 ** 28 // of a header
const STRING = 8
const ARRAY = 9
const SCALAR_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8]
const DEFAULT_ALIGNMENT = 32

/** Values in a block and bytes of a block, by ggml's number of the type. @type {Record<number, [number, number]>} */
const BLOCKS = {
  0: [1, 4], 1: [1, 2], 2: [32, 18], 3: [32, 20], 6: [32, 22], 7: [32, 24], 8: [32, 34], 9: [32, 36], 10: [256, 84],
  11: [256, 110], 12: [256, 144], 13: [256, 176], 14: [256, 210], 15: [256, 292], 16: [256, 66], 17: [256, 74],
  18: [256, 98], 19: [256, 50], 20: [32, 18], 21: [256, 110], 22: [256, 82], 23: [256, 136], 24: [1, 1], 25: [1, 2],
  26: [1, 4], 27: [1, 8], 28: [1, 8], 29: [256, 56], 30: [1, 2], 34: [256, 54], 35: [256, 66], 39: [32, 17],
}

/** A place in a file: `start` and the byte behind it. @typedef {{ start: number, end: number }} Span */
/** `end` of a tensor is where its offset stands. @typedef {Span & { name: string, offset: number, bytes: number }}
 * TensorSpan */
/** `data` is where the tensors' bytes begin and `bytes` how many there are.
 * @typedef {{ version: number, alignment: number, keys: Span[], tensors: TensorSpan[], numbers: Map<string, number>,
 * data: number, bytes: number }} Header */

/** More bytes are needed. */
class Short extends Error {}

/** @param {number} size @param {number} alignment */
export const align = (size, alignment) => Math.ceil(size / alignment) * alignment

/** Reads on through a header that may end too early. */
class Cursor {
  at = 0
  /** @param {Uint8Array} bytes @param {string} name */
  constructor(bytes, name) {
    this.bytes = bytes
    this.name = name
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  /** @param {string} what @returns {never} */
  fail(what) {
    throw new FormatError(`${this.name}: ${what}`)
  }
  /** Where the next bytes stand. @param {number} count */
  skip(count) {
    const at = this.at
    this.at += count
    if (this.at > LONGEST) this.fail(`the header is longer than ${LONGEST} bytes`)
    if (this.at > this.bytes.length) throw new Short()
    return at
  }
  u32() {
    return this.view.getUint32(this.skip(4), true)
  }
  u64() {
    const value = Number(this.view.getBigUint64(this.skip(8), true))
    return Number.isSafeInteger(value) ? value : this.fail(`${value} is no size`)
  }
  string() {
    const size = this.u64()
    const at = this.skip(size)
    return new TextDecoder().decode(this.bytes.subarray(at, at + size))
  }
  /** @param {number} type @returns {number | undefined} its value when it is a whole number */
  value(type) {
    if (type === STRING) return void this.skip(this.u64())
    if (type === ARRAY) {
      const element = this.u32()
      const count = this.u64()
      if (element !== STRING) return void this.skip(count * this.size(element))
      for (let i = 0; i < count; i++) this.skip(this.u64())
      return undefined
    }
    const size = this.size(type)
    const at = this.skip(size)
    if (type === 6 || type === 12) return undefined // floats
    return size === 8 ? Number(this.view.getBigInt64(at, true)) : size === 4 ? this.view.getInt32(at, true)
      : size === 2 ? this.view.getUint16(at, true) : this.view.getUint8(at)
  }
  /** @param {number} type */
  size(type) {
    return SCALAR_BYTES[type] || this.fail(`there is no value of type ${type}`)
  }
}

/** @param {Cursor} cursor @param {number} alignment @returns {TensorSpan} */
function readTensor(cursor, alignment) {
  const start = cursor.at
  const name = cursor.string()
  const dimensions = cursor.u32()
  if (dimensions > 4) cursor.fail(`tensor ${name} has ${dimensions} dimensions`)
  let values = 1
  for (let i = 0; i < dimensions; i++) values *= cursor.u64()
  const type = cursor.u32()
  const end = cursor.at
  const offset = cursor.u64()
  if (!BLOCKS[type]) throw new UnsupportedError(`${cursor.name}: tensor ${name} has type ${type}, which is not known`)
  const bytes = values / BLOCKS[type][0] * BLOCKS[type][1]
  if (!Number.isInteger(bytes) || !Number.isSafeInteger(offset + bytes)) cursor.fail(`no tensor is as large as ${name}`)
  if (offset % alignment) cursor.fail(`tensor ${name} stands at ${offset}, which is no multiple of ${alignment}`)
  return { name, start, end, offset, bytes }
}

/** @param {Uint8Array} bytes @param {string} name for messages
 * @returns {Header | undefined} undefined: more is needed */
export function parseHeader(bytes, name) {
  const cursor = new Cursor(bytes, name)
  try {
    if (cursor.u32() !== 0x46554747) cursor.fail('is no GGUF file')
    const version = cursor.u32()
    if (version !== 2 && version !== 3) throw new UnsupportedError(`${name}: GGUF version ${version}`)
    const tensorCount = cursor.u64()
    const keyCount = cursor.u64()
    const keys = []
    const numbers = new Map()
    for (let i = 0; i < keyCount; i++) {
      const start = cursor.at
      const key = cursor.string()
      const value = cursor.value(cursor.u32())
      if (/^(split\.|general\.alignment$)/.test(key)) numbers.set(key, value)
      if (!key.startsWith('split.')) keys.push({ start, end: cursor.at })
    }
    const alignment = numbers.get('general.alignment') ?? DEFAULT_ALIGNMENT
    if (!(alignment > 0) || alignment & (alignment - 1)) cursor.fail(`an alignment of ${alignment}`)
    const tensors = []
    let end = 0
    for (let i = 0; i < tensorCount; i++) {
      const tensor = readTensor(cursor, alignment)
      end = Math.max(end, tensor.offset + tensor.bytes)
      tensors.push(tensor)
    }
    return { version, alignment, keys, tensors, numbers, data: align(cursor.at, alignment), bytes: end }
  } catch (error) {
    if (error instanceof Short) return undefined
    throw error
  }
}
