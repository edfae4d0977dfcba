// Where a file ends and whether it is what it should be, while its pieces pass.
import { FormatError } from '../errors.js'
import { hex, startHash } from './sha256.js'

const TRAILING = 2 ** 20 // bytes behind the last tensor that a digest may count

export class Check {
  /** The size that the file's header tells; 0 before. */
  expected = 0
  /** Where to stop, as soon as that is known: where the last tensor ends, or behind that where the digest is right. */
  end = 0
  /** @type {FormatError | undefined} */
  failure
  /** @type {import('./sha256.js').Hash | undefined} */
  hash

  /** @param {string} name for messages @param {string} [integrity] in its normal form */
  constructor(name, integrity) {
    this.name = name
    this.integrity = integrity
  }

  reset() {
    this.end = 0
    this.hash = this.failure = undefined
  }

  /** From here on pieces are hashed, if there is something to compare with. */
  async start() {
    if (this.integrity) this.hash = await startHash()
    return this.hash
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
      this.failure = new FormatError(`${this.name} does not match its integrity ${this.integrity}: it has ${this.#digest()}`)
    return !this.failure
  }

  #digest() {
    return `sha256-${hex(/** @type {import('./sha256.js').Hash} */ (this.hash).clone().digest())}`
  }
  #matches() {
    return this.#digest() === this.integrity
  }
}
