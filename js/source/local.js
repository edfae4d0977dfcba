// A file that is not fetched: a Blob, or a stream whose pieces the page sends.
import { IOError, RepriseError } from '../errors.js'
import { free } from './store.js'

const PIECE = 2 ** 20

/** @typedef {import('../source.js').BlobSpec} BlobSpec */
/** @typedef {import('../source.js').PullSpec} PullSpec */

export class Local {
  cached = 0
  fromCache = 0
  received = 0
  kept = Promise.resolve()

  /** @param {BlobSpec | PullSpec} spec @param {import('./check.js').Check} check */
  constructor(spec, check) {
    this.spec = spec
    this.check = check
  }
  get total() {
    return (this.spec.kind === 'blob' ? this.spec.blob.size : this.spec.total) ?? 0
  }
  async forget() {}

  /** @param {number} at @returns {Promise<Uint8Array | null | undefined>} */
  async #next(at) {
    const { spec } = this
    try {
      if (spec.kind === 'pull') return await spec.next()
      return at < spec.blob.size ? new Uint8Array(await spec.blob.slice(at, at + PIECE).arrayBuffer()) : null
    } catch (error) {
      if (error instanceof RepriseError) throw error
      throw new IOError(`${this.check.name} cannot be read: ${/** @type {any} */ (error)?.message ?? error}`)
    }
  }

  /** @param {AbortSignal} signal @returns {AsyncGenerator<Uint8Array, void, void>} */
  async *pieces(signal) {
    this.check.start()
    const aborted = new Promise((/** @type {(value: never) => void} */ _, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    aborted.catch(() => {})
    let piece
    try {
      for (let at = 0; !this.check.end && (piece = await Promise.race([this.#next(at), aborted])); ) {
        const { length } = piece
        yield piece
        at += length
        if (length === piece.buffer.byteLength) free(piece)
      }
    } finally {
      if (this.spec.kind === 'pull' && piece !== null) this.spec.cancel()
    }
    this.check.judge()
  }

  /** @param {AbortSignal} signal */
  head(signal) {
    return this.pieces(signal)
  }
}
