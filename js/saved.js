// A session as bytes: a line of what it is, a checksum, a JSON header, and the rows of the KV cache. Little-endian:
// "RPS1", u32 checksum of all that follows, u32 size of the header, header, padding to 4, rows.
import { checkIds, checkMessages } from './conversation.js'
import { FormatError } from './errors.js'

const MAGIC = 0x31535052 // "RPS1"
const FIXED = 12

/** FNV-1a over 32-bit words. @param {Uint8Array} bytes at an address and of a size divisible by 4 */
function checksum(bytes) {
  let hash = 0x811c9dc5
  for (const word of new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)) hash = Math.imul(hash ^ word, 0x01000193)
  return hash >>> 0
}

/** @param {number} size */
const padded = (size) => (size + 3) & ~3

/** @param {any} state of the conversation @param {import('./engine-session.js').EngineSession} session
 * @param {number} length positions of the KV cache to put in */
export function packState(state, session, length) {
  const header = new TextEncoder().encode(JSON.stringify({ key: session.key, length, state }))
  const start = FIXED + padded(header.length)
  let size = start
  if (length) for (const region of session.regions(length)) size += region.length
  const bytes = new Uint8Array(padded(size))
  bytes.set(header, FIXED)
  let at = start
  if (length)
    for (const region of session.regions(length)) {
      bytes.set(region, at)
      at += region.length
    }
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC, true)
  view.setUint32(8, header.length, true)
  view.setUint32(4, checksum(bytes.subarray(8)), true)
  return bytes
}

/** Fails when a conversation could not go on from it. @param {any} state that anybody may have written @param {number} vocab */
function checkState({ messages, ids, isOpen, inner: { marks, ...texts } }, vocab) {
  checkMessages(messages)
  checkIds(ids, vocab)
  for (const text of [...Object.values(texts), ...marks.map((/** @type {any} */ mark) => mark.text)])
    if (typeof text !== 'string') throw new TypeError('a text is none')
  if (isOpen && messages[messages.length - 1]?.role !== 'assistant') throw new TypeError('there is no answer')
}

/** @param {Uint8Array} given @param {string} key of the session that takes it over @param {number} vocab
 * @returns {{ state: any, length: number, regions: Uint8Array }} */
export function unpackState(given, key, vocab) {
  const bytes = given.slice() // aligned
  const view = new DataView(bytes.buffer)
  if (bytes.length < FIXED || view.getUint32(0, true) !== MAGIC) throw new FormatError('this is no saved session')
  if (bytes.length % 4 || view.getUint32(4, true) !== checksum(bytes.subarray(8)))
    throw new FormatError('the saved session is damaged: its checksum is wrong')
  const size = view.getUint32(8, true)
  if (size > bytes.length - FIXED) throw new FormatError('the saved session is damaged: it ends inside its header')
  let header
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(FIXED, FIXED + size)))
    if (header.key === key) checkState(header.state, vocab)
  } catch (error) {
    throw new FormatError(`the saved session is damaged: ${/** @type {Error} */ (error).message}`)
  }
  if (header.key !== key) throw new FormatError(`the saved session is of another model, program or KV type (${header.key}, want ${key})`)
  return { state: header.state, length: header.length, regions: bytes.subarray(FIXED + padded(size)) }
}
