// A file that is not fetched: a Blob, or a stream whose pieces the page sends.
import { IOError, RepriseError } from '../errors.js'
import { openBody } from './http.js'
import { free, held } from './store.js'

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
  async discard() {}

  /** What gives the bytes: a Blob's come as those of an answer would, since slices would each wait for another process. */
  #open() {
    const { spec } = this
    return spec.kind === 'pull' ? { read: spec.next, cancel: spec.cancel } : openBody(new Response(spec.blob))
  }

  /** @param {any} error @returns {never} */
  #fail(error) {
    if (error instanceof RepriseError) throw error
    throw new IOError(`${this.check.name} cannot be read: ${error?.message ?? error}`)
  }

  /** @param {AbortSignal} signal @returns {AsyncGenerator<Uint8Array, void, void>} */
  async *pieces(signal) {
    this.check.start()
    const aborted = new Promise((/** @type {(value: never) => void} */ _, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    aborted.catch(() => {})
    const body = this.#open()
    held.add(body)
    let piece
    try {
      const next = () => body.read().catch((/** @type {any} */ error) => this.#fail(error))
      while (!this.check.end && (piece = await Promise.race([next(), aborted]))) {
        yield piece
        if (this.spec.kind === 'pull' && piece.length === piece.buffer.byteLength) free(piece)
      }
    } finally {
      held.delete(body)
      if (piece !== null) body.cancel()
    }
    this.check.judge()
  }

  /** @param {AbortSignal} signal */
  head(signal) {
    return this.pieces(signal)
  }
}
