// One file over HTTP, from any byte on: pieces in order, with retries and resumption after a cut. Nothing of what a
// server says about lengths is believed before the bytes are there, and a resumed answer is of the same file or it is
// `Changed`. Across origins no header is sent that would ask for a preflight, and few can be read: there, bytes are
// compared.
import { IOError } from '../errors.js'
import { free } from './store.js'

const ATTEMPTS = 3 // in a row without a new byte
const PIECE = 2 ** 18
const COMPARED = 2 ** 20

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/** The file on the server is another one than the one that was begun. */
export class Changed extends Error {}

/** The last MiB that was given on, for comparing. */
export class Tail {
  /** @type {Bytes | undefined} a ring */
  #ring
  #start = 0
  #end = 0

  /** Knows nothing any more. */
  free() {
    free(this.#ring)
    this.#ring = undefined
    this.#start = this.#end = 0
  }
  /** Bytes at `at`, which usually follow those before. @param {number} at @param {Uint8Array} bytes */
  put(at, bytes) {
    this.#ring ??= new Uint8Array(COMPARED)
    if (at !== this.#end) this.#start = at
    this.#end = at + bytes.length
    this.#start = Math.max(this.#start, this.#end - COMPARED)
    for (let from = Math.max(0, bytes.length - COMPARED); from < bytes.length; ) {
      const place = (at + from) % COMPARED
      const part = bytes.subarray(from, from + COMPARED - place)
      this.#ring.set(part, place)
      from += part.length
    }
  }
  /** Where what is known just before `at` begins. @param {number} at */
  start(at) {
    return at === this.#end ? this.#start : at
  }
  /** Whether bytes at `at` are those that are known; unknown ones are. @param {number} at @param {Uint8Array} bytes */
  matches(at, bytes) {
    const to = Math.min(this.#end, at + bytes.length)
    for (let i = Math.max(this.#start, at); i < to; i++)
      if (/** @type {Bytes} */ (this.#ring)[i % COMPARED] !== bytes[i - at]) return false
    return true
  }
}

/** @param {number} ms @param {AbortSignal} signal */
const sleep = (ms, signal) => new Promise((/** @type {(value?: unknown) => void} */ resolve, reject) => {
  const stop = () => {
    clearTimeout(timer)
    reject(signal.reason)
  }
  const timer = setTimeout(() => {
    signal.removeEventListener('abort', stop)
    resolve()
  }, ms)
  signal.addEventListener('abort', stop, { once: true })
})

/** Reads a body with one buffer where the browser can; else each piece is freed when the next is asked for.
 * @param {Response} response */
export function openBody({ body }) {
  /** @type {any} */
  let reader
  /** @type {Bytes | undefined} the buffer, or the last piece */
  let last
  let byob = true
  try {
    reader = body?.getReader({ mode: 'byob' })
    last = new Uint8Array(PIECE)
  } catch {
    byob = false
    reader = body?.getReader()
  }
  const freeLast = () => {
    if (byob || last?.length === last?.buffer.byteLength) free(last)
    last = undefined
  }
  return {
    /** @returns {Promise<Bytes | undefined>} */
    async read() {
      if (!byob) freeLast()
      const { value, done } = (await reader?.read(last && new Uint8Array(last.buffer))) ?? { done: true }
      last = value
      return done ? undefined : value
    },
    cancel() {
      freeLast()
      reader?.cancel().catch(() => {})
    },
  }
}

/** Whether a status may be another one in a second. @param {number} status */
const passing = (status) => status === 408 || status === 429 || status >= 500

/** An ETag without what compression adds to it. @param {string} etag */
const plainTag = (etag) => etag.replace(/^W\/|[-;]+gzip(?="$)/g, '')

export class Http {
  etag = ''
  lastModified = ''
  /** The file's size, when a Content-Range told it. */
  total = 0
  /** What Content-Length says, which may be anything. */
  hint = 0
  received = 0
  tail = new Tail()
  #plain = false // Range does not work here
  #fresh = false // the browser's own cache is not asked any more
  #packed = false // the server compresses, maybe also what was asked for otherwise

  /** @param {string} url @param {any} request fields of a RequestInit
   * @param {number} pause milliseconds before the second attempt */
  constructor(url, request, pause) {
    this.url = url
    this.request = request
    this.pause = pause
  }

  /** What an earlier visit knew. @param {{ etag: string, lastModified: string, total: number }} meta */
  recall({ etag, lastModified, total }) {
    Object.assign(this, { etag, lastModified, total })
  }

  /** Nothing is known of the file any more. */
  forget() {
    this.etag = this.lastModified = ''
    this.total = this.hint = 0
    this.tail.free()
  }

  /** Pieces from byte `at` on, each valid until the next is asked for; whoever takes them puts them into `tail` before
   * that. At `end`, if there is one, a server that knows ranges stops. With a `window`, as many bytes are asked for at
   * once, and twice as many the next time. The file is not over before `wanted` bytes.
   * @param {number} at
   * @param {{ end?: number, window?: number, wanted: () => number, signal: AbortSignal }} options
   * @returns {AsyncGenerator<Bytes, void, void>} */
  async *pieces(at, { end = 0, window = 0, wanted, signal }) {
    for (let failures = 0; ; ) {
      const to = window ? Math.min(at + window, end || Infinity) : end
      /** @type {any} */
      let error
      try {
        const answer = await this.#ask(at, to, signal)
        try {
          for (let piece; (piece = await answer?.read(at)); ) {
            if (!piece.length) continue
            failures = 0
            at += piece.length
            yield piece
          }
        } finally {
          answer?.cancel()
        }
        window *= 2
        if (to && at === to && at !== end) continue
        const least = wanted() || this.total
        if (end ? at >= end : at >= least) return
        error = new IOError(`${this.url} ends after ${at} of ${end || least} bytes`, { url: this.url })
      } catch (caught) {
        signal.throwIfAborted()
        error = this.#explain(caught)
      }
      if (++failures === ATTEMPTS) throw error
      // A browser may drop what it had got of an answer that broke off: less at once is more.
      if (failures > 1 && !error.status) window ||= PIECE
      this.#fresh = true
      await sleep(this.pause * 2 ** (failures - 1), signal)
    }
  }

  /** What was thrown, as an error to throw in the end; throws at once what another attempt cannot mend.
   * @param {any} error */
  #explain(error) {
    if (error instanceof Changed) throw error
    if (error instanceof IOError) {
      if (passing(/** @type {any} */ (error).status ?? 500)) return error
      throw error
    }
    const why = [error?.message ?? error, error?.cause?.message].filter(Boolean).join(': ')
    return new IOError(`cannot fetch ${this.url}: ${why}`, { url: this.url })
  }

  /** Whether headers may be sent and read freely. */
  get #near() {
    const { origin } = globalThis // Node has none
    return origin === undefined || new URL(this.url).origin === origin
  }

  /** Sends one request for byte `at` and those behind it. One that gets no answer at all may have wanted a preflight
   * (of the server, or of another that it was redirected to): then it is sent once more with less. Chromium takes no
   * compressed answer to a request with a range.
   * @param {number} at @param {number} to 0: all @param {AbortSignal} signal
   * @returns {Promise<{ read(at: number): Promise<Bytes | undefined>, cancel(): void } | undefined>} */
  async #ask(at, to, signal, certain = at > 0 && this.#near && /^"/.test(this.etag), plain = this.#plain) {
    const headers = new Headers(this.request.headers)
    headers.delete('Range')
    const from = certain ? at : this.tail.start(at)
    const ranged = !plain && (from > 0 || to > 0)
    if (ranged) headers.set('Range', `bytes=${from}-${to ? to - 1 : ''}`)
    if (ranged && certain) headers.set('If-Range', this.etag)
    let response
    try {
      response = await fetch(this.url, { ...this.request, headers, signal, ...(this.#fresh && { cache: 'no-store' }) })
    } catch (error) {
      if (signal.aborted || !ranged || (this.#near && !certain && !this.#packed)) throw error
      return this.#ask(at, to, signal, false, !certain || this.#packed)
    }
    const body = openBody(response)
    try {
      const start = this.#check(response, at, from, ranged)
      return start === undefined ? void body.cancel() : this.#after(body, start)
    } catch (error) {
      body.cancel()
      throw error
    }
  }

  /** Where the answer begins; undefined when the file ends there.
   * @param {Response} response @param {number} at @param {number} from @param {boolean} ranged */
  #check({ status, ok, type, headers }, at, from, ranged) {
    const { url } = this
    const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(headers.get('Content-Range') ?? '')
    const total = Number(range?.[2]) || 0
    if (type === 'opaque') throw new IOError(`${url} cannot be read in mode no-cors`, { url, status: 400 })
    if (status === 416) {
      if (!ranged) throw new IOError(`${url} answers 416 to no range`, { url }) // Firefox's cache, after a wrong length
      if (from < at || (total && total < at && total !== this.total)) throw new Changed()
      return undefined
    }
    if (!ok) throw new IOError(`${url} answers ${status}`, { url, status })
    const etag = headers.get('ETag') ?? ''
    const modified = headers.get('Last-Modified') ?? ''
    const same = etag && this.etag ? plainTag(etag) === plainTag(this.etag)
      : !modified || !this.lastModified || modified === this.lastModified
    if (!same || (total && total < this.total)) throw new Changed()
    if (!this.etag) this.etag = etag
    if (!this.lastModified) this.lastModified = modified
    const encoded = headers.get('Content-Encoding') ?? 'identity'
    if (status !== 206) {
      this.#packed = encoded !== 'identity'
      if (!this.#packed) this.hint ||= Number(headers.get('Content-Length')) || 0
      return 0
    }
    this.total ||= total
    const start = range?.[1] ? Number(range[1]) : from
    this.#plain = encoded !== 'identity' || start > at
    if (this.#plain) throw new IOError(`${url} answers with other bytes than those asked for`, { url })
    return start
  }

  /** The body from the byte on that is asked for, when it begins at or before it: those before must be those that are
   * known.
   * @param {ReturnType<typeof openBody>} body @param {number} position */
  #after(body, position) {
    return {
      cancel: body.cancel,
      read: async (/** @type {number} */ at) => {
        const piece = await body.read()
        if (!piece) return undefined
        this.received += piece.length
        const old = Math.min(piece.length, Math.max(0, at - position))
        if (!this.tail.matches(position, piece.subarray(0, old))) throw new Changed()
        position += piece.length
        return piece.subarray(old)
      },
    }
  }
}
