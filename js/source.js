// Where a file's bytes come from: the network through the cache, a Blob, a stream. A source gives its file's pieces in
// order, each once, straight from where they arrive; beside that they are hashed, and kept in chunks (source/store.js).
// Runs in the model's worker.
import { ArgumentError, IOError } from './errors.js'
import { Check, normalize } from './source/check.js'
import { Changed } from './source/http.js'
import { Net } from './source/net.js'

/** @typedef {import('./index.js').Warning} Warning */
/** @typedef {Net | import('./source/local.js').Local} Origin */
/** @typedef {{ kind: 'url', url: string, request?: Record<string, any> }} UrlSpec */
/** @typedef {{ kind: 'hf', path: string, hub?: string }} HubSpec */
/** @typedef {{ kind: 'blob', blob: Blob }} BlobSpec */
/** @typedef {{ kind: 'pull', total?: number, url?: string, next: () => Promise<Uint8Array | null | undefined>, cancel:
 * () => void }} PullSpec */
/** @typedef {UrlSpec | HubSpec | BlobSpec | PullSpec} SourceSpec */
/** `cache` undefined: where there is one. `trusting`: without `integrity`, what the cached file was checked against
 * holds on. `pause`: milliseconds before a second attempt.
 * `held`: the locks of a load's sources, so that a file that is named twice does not wait for itself.
 * @typedef {{ cache?: boolean, integrity?: string[], onWarning: (warning: Warning) => void, onWaiting: (waiting:
 * boolean) => void, trusting?: boolean, pause?: number, held?: Set<string> }} SourceOptions */

/** Opens a source; fetches nothing yet but what a hub says of the file.
 * @param {SourceSpec} spec what the page sent
 * @param {SourceOptions} options
 * @returns {Promise<Source>} */
export async function openSource(spec, options) {
  const open = { ...options, integrity: options.integrity?.map(normalize) }
  if (spec.kind === 'hf') return (await import('./source/hf.js')).openHub(spec, open, openUrl)
  if (spec.kind === 'url') return openUrl(spec, open)
  const { Local } = await import('./source/local.js')
  return new Source(spec, open, (check) => new Local(spec, check))
}

/** @param {UrlSpec} spec @param {SourceOptions} options @returns {Promise<Source>} */
async function openUrl(spec, options) {
  const parts = /-00001-of-(\d{5})\.gguf$/i.exec(new URL(spec.url).pathname)
  if (parts && Number(parts[1]) > 1) {
    const { SplitSource } = await import('./source/split.js')
    return /** @type {any} */ (await SplitSource.open(spec, options, Number(parts[1]), openOne))
  }
  return openOne(spec, options)
}

/** @param {UrlSpec} spec @param {SourceOptions} options */
async function openOne(spec, options) {
  /** @type {Net | undefined} */
  let net
  const source = new Source(spec, options, (check) => (net = new Net(spec, options, check)))
  await net?.open()
  return source
}

export class Source {
  verified = false
  #check
  #origin
  /** @type {AbortController | undefined} */
  #reading

  /** @param {UrlSpec | BlobSpec | PullSpec} spec @param {SourceOptions} options `integrity` in its normal form
   * @param {(check: Check) => Origin} open */
  constructor(spec, options, open) {
    const { integrity: [integrity, more] = [] } = options
    if (more) throw new ArgumentError('integrity is one digest for each file')
    this.url = spec.kind === 'blob' ? undefined : spec.url
    this.options = options
    this.#check = new Check(this.url ?? 'the file', integrity)
    this.#origin = open(this.#check)
  }

  /** Bytes of the file, 0 while unknown. */
  get total() {
    return this.#check.expected || this.#origin.total
  }
  get fromCache() {
    return this.#origin.fromCache
  }
  /** Bytes that came over the network. */
  get downloaded() {
    return this.#origin.received
  }
  /** When nothing is written to the cache any more; never rejects. Nobody has to wait for it. */
  get kept() {
    return this.#origin.kept
  }
  /** Bytes of the file that are in the cache now. */
  async cachedBytes() {
    return this.#origin.cached
  }
  /** The file's true size, from its header: what is behind it is of no interest. @param {number} bytes */
  expect(bytes) {
    this.#check.expected = bytes
  }
  close() {
    this.#reading?.abort(new IOError(`${this.#check.name} was closed`))
  }
  /** After an error of what was read: keeps nothing of it. */
  async discard() {
    await this.#origin.discard()
  }

  /** All pieces, in order; each is valid until the next is asked for and must be left as it is. Leaving the loop stops
   * the fetch.
   * @param {AbortSignal} [signal] */
  read(signal) {
    return this.#pieces(signal, (stop) => this.#origin.pieces(stop))
  }
  /** The same for whoever needs only the beginning, and fetches little more than that. Nothing new is kept.
   * @param {AbortSignal} [signal] */
  head(signal) {
    return this.#pieces(signal, (stop) => this.#origin.head(stop))
  }

  /** After the last piece: whether the file is what it should be. */
  async finish() {
    const { failure, integrity, name } = this.#check
    if (failure) throw failure
    this.verified = !!integrity
    if (!integrity)
      this.options.onWarning({ kind: 'unverified', message: `${name} was read without an integrity to check` })
  }

  /** What `open` gives, up to the file's end; and once more from the start when the file on the server turns out to
   * have changed before anything was given on.
   * @param {AbortSignal | undefined} signal @param {(stop: AbortSignal) => AsyncIterable<Uint8Array>} open
   * @returns {AsyncGenerator<Uint8Array, void, void>} */
  async *#pieces(signal, open) {
    signal?.throwIfAborted()
    const reading = (this.#reading = new AbortController())
    const stop = () => reading.abort(signal?.reason)
    signal?.addEventListener('abort', stop, { once: true })
    try {
      while (!(yield* this.#once(open(reading.signal), reading.signal)));
    } catch (error) {
      reading.signal.throwIfAborted() // that, rather than what came of it
      throw error
    } finally {
      signal?.removeEventListener('abort', stop)
      reading.abort()
    }
  }

  /** Returns whether it came to the end.
   * @param {AsyncIterable<Uint8Array>} pieces @param {AbortSignal} signal
   * @returns {AsyncGenerator<Uint8Array, boolean, void>} */
  async *#once(pieces, signal) {
    const check = this.#check
    let at = 0
    check.reset()
    try {
      for await (const piece of pieces) {
        const rest = (check.expected || Infinity) - at
        if (rest > 0) yield piece.length > rest ? piece.subarray(0, rest) : piece
        signal.throwIfAborted()
        await check.ready
        check.count(at, piece)
        at += piece.length
      }
    } catch (error) {
      if (!(error instanceof Changed)) throw error
      await this.#origin.forget()
      if (at) throw new IOError(`${check.name} changed on the server while it was read`, { url: this.url })
      return false
    }
    if (at >= check.expected) return true
    throw new IOError(`${check.name} ends after ${at} of ${check.expected} bytes`, { url: this.url })
  }
}
