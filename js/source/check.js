// Where a file ends and whether it is what it should be, while its pieces pass.
import { ArgumentError, FormatError } from '../errors.js'

const TRAILING = 2 ** 20 // bytes behind the last tensor that a digest may count

/** @typedef {{ update(bytes: Uint8Array): unknown, digest(): Uint8Array, clone(): Hash }} Hash */

/** @returns {Promise<Hash>} */
const startHash = async () => (await import('../lazy/noble-hashes/sha2.js')).sha256.create()

/** @param {Uint8Array} bytes */
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** `sha256-` and hexadecimal digits, of the same in base64 or already so. @param {string} integrity */
export function normalize(integrity) {
  const digest = /^sha256-(?:([0-9a-f]{64})|([\w+/-]{43}=?))$/i.exec(integrity)
  if (!digest) throw new ArgumentError(`integrity is 'sha256-' and 64 hex or 44 base64 digits, not '${integrity}'`)
  if (digest[1]) return integrity.toLowerCase()
  const text = atob(digest[2].replace(/-/g, '+').replace(/_/g, '/'))
  return `sha256-${hex(Uint8Array.from(text, (letter) => letter.charCodeAt(0)))}`
}

export class Check {
  /** The size that the file's header tells; 0 before. */
  expected = 0
  /** Where to stop, as soon as that is known: where the last tensor ends, or behind that where the digest is right. */
  end = 0
  /** @type {FormatError | undefined} */
  failure
  /** @type {Hash | undefined} */
  hash
  /** @type {Promise<Hash> | undefined} */
  ready

  /** @param {string} name for messages @param {string} [integrity] in its normal form */
  constructor(name, integrity) {
    this.name = name
    this.integrity = integrity
  }

  reset() {
    this.end = 0
    this.hash = this.failure = this.ready = undefined
  }

  /** From here on pieces are hashed, if there is something to compare with: as soon as `ready`, which must be before
   * the first. */
  start() {
    if (this.integrity) this.ready = startHash().then((hash) => (this.hash = hash))
    return this.ready
  }

  /** @param {number} at @param {Uint8Array} piece */
  count(at, piece) {
    const rest = this.expected ? this.expected - at : Infinity
    if (!this.hash || rest < 0 || piece.length < rest) this.hash?.update(piece)
    else {
      this.hash.update(piece.subarray(0, rest))
      if (this.#matches()) this.end = this.expected
      else this.hash.update(piece.subarray(rest))
    }
    const over = piece.length - rest
    if (!this.end && over >= (this.hash ? TRAILING : 0)) this.end = this.hash ? at + piece.length : this.expected
  }

  /** After the last piece: whether all is well as far as one can tell. */
  judge() {
    if (this.hash && !this.#matches())
      this.failure = new FormatError(`${this.name} does not match its integrity: it has ${this.#digest()}`)
    return !this.failure
  }

  #digest() {
    return `sha256-${hex(/** @type {Hash} */ (this.hash).clone().digest())}`
  }
  #matches() {
    return this.#digest() === this.integrity
  }
}
