// A model in several GGUF files, as one: the first part's keys, the tensors of all parts, their data one after another.
// Every part's header is read before any weight is fetched. Loaded only for such files.
import { ArgumentError, FormatError, IOError } from '../errors.js'
import { align, parseHeader } from './gguf-head.js'

const MOST_PARTS = 999

/** @typedef {import('../source.js').Source} Source */
/** @typedef {import('../source.js').UrlSpec} UrlSpec */
/** @typedef {import('../source.js').SourceOptions} SourceOptions */
/** A part's header and its bytes. @typedef {import('./gguf-head.js').Header & { raw: Uint8Array }} Head */

/** Reads a part's header, and no more than that. @param {Source} part @param {AbortSignal} [signal]
 * @returns {Promise<Head>} */
async function readHead(part, signal) {
  let bytes = new Uint8Array(2 ** 18)
  let fill = 0
  let enough = 1
  for await (const piece of part.head(signal)) {
    if (fill + piece.length > bytes.length) {
      const larger = new Uint8Array(2 * (fill + piece.length))
      larger.set(bytes.subarray(0, fill))
      bytes = larger
    }
    bytes.set(piece, fill)
    fill += piece.length
    if (fill < enough) continue // else a header in small pieces is parsed again and again
    const header = parseHeader(bytes.subarray(0, fill), part.url ?? '')
    if (header) return { ...header, raw: bytes.slice(0, Math.min(fill, header.data)) }
    enough = fill * 1.5
  }
  const header = parseHeader(bytes.subarray(0, fill), part.url ?? '')
  if (header) return { ...header, raw: bytes.slice(0, fill) }
  throw new FormatError(`${part.url} ends within its header`)
}

/** @param {Head[]} heads @param {string[]} urls */
function checkParts(heads, urls) {
  const tensors = heads.reduce((sum, head) => sum + head.tensors.length, 0)
  heads.forEach(({ numbers, alignment, version }, i) => {
    const expect = (/** @type {string} */ what, /** @type {unknown} */ found, /** @type {number} */ wanted) => {
      if (found !== wanted) throw new FormatError(`${urls[i]}: ${what} is ${found}, expected ${wanted}`)
    }
    expect('split.no', numbers.get('split.no'), i)
    expect('split.count', numbers.get('split.count'), heads.length)
    expect('split.tensors.count', numbers.get('split.tensors.count'), tensors)
    expect('the GGUF version', version, heads[0].version)
    if (alignment % heads[0].alignment) expect('general.alignment', alignment, heads[0].alignment)
  })
}

/** The header of the whole. @param {Head[]} heads @returns {Uint8Array} */
function joinHeads(heads) {
  const [{ version, alignment, keys, raw: first }] = heads
  const tensors = heads.reduce((sum, head) => sum + head.tensors.length, 0)
  const size = [...keys, ...heads.flatMap((head) => head.tensors.map(({ start, end }) => ({ start, end: end + 8 })))]
    .reduce((sum, { start, end }) => sum + end - start, 24)
  const bytes = new Uint8Array(align(size, alignment))
  const view = new DataView(bytes.buffer)
  bytes.set(first.subarray(0, 4))
  view.setUint32(4, version, true)
  view.setBigUint64(8, BigInt(tensors), true)
  view.setBigUint64(16, BigInt(keys.length), true)
  let at = 24
  const copy = (/** @type {Uint8Array} */ from, /** @type {import('./gguf-head.js').Span} */ { start, end }) => {
    bytes.set(from.subarray(start, end), at)
    at += end - start
  }
  for (const key of keys) copy(first, key)
  let base = 0
  for (const head of heads) {
    for (const tensor of head.tensors) {
      copy(head.raw, tensor)
      view.setBigUint64(at, BigInt(base + tensor.offset), true)
      at += 8
    }
    base += align(head.bytes, alignment)
    if (!Number.isSafeInteger(base)) throw new FormatError('the parts are larger together than a file can be')
  }
  return bytes
}

/** @implements {Omit<Source, 'options'>} */
export class SplitSource {
  verified = false
  /** @type {Head[] | undefined} */
  #heads
  #total = 0

  /** @param {UrlSpec} spec of the first part @param {SourceOptions} options @param {number} count
   * @param {(spec: UrlSpec, options: SourceOptions) => Promise<Source>} open opens one file */
  static async open(spec, options, count, open) {
    const { integrity } = options
    if (integrity && integrity.length !== count)
      throw new ArgumentError(`integrity has ${integrity.length} digests for a file in ${count} parts`)
    if (count > MOST_PARTS) throw new ArgumentError(`${spec.url} says that it has ${count} parts`)
    const said = new Set()
    const onWarning = (/** @type {import('../index.js').Warning} */ warning) => {
      if (warning.kind === 'unverified' || warning.kind === 'no-cache') {
        if (said.has(warning.kind)) return
        said.add(warning.kind)
      }
      options.onWarning(warning)
    }
    const parts = []
    for (let i = 0; i < count; i++) {
      const url = new URL(spec.url)
      url.pathname = url.pathname.replace(/-\d{5}(-of-\d{5}\.gguf)$/i, `-${String(i + 1).padStart(5, '0')}$1`)
      const own = { ...options, onWarning, integrity: integrity && [integrity[i]] }
      parts.push(await open({ ...spec, url: url.href }, own))
    }
    return new SplitSource(spec.url, parts)
  }

  /** @param {string} url @param {Source[]} parts */
  constructor(url, parts) {
    this.url = url
    this.parts = parts
  }

  get total() {
    return this.#total
  }
  get fromCache() {
    return this.parts.reduce((sum, part) => sum + part.fromCache, 0)
  }
  get downloaded() {
    return this.parts.reduce((sum, part) => sum + part.downloaded, 0)
  }
  get kept() {
    return Promise.all(this.parts.map((part) => part.kept)).then(() => {})
  }
  async cachedBytes() {
    let sum = 0
    for (const part of this.parts) sum += await part.cachedBytes()
    return sum
  }
  /** @param {number} bytes */
  expect(bytes) {
    this.#total = bytes
  }
  close() {
    for (const part of this.parts) part.close()
  }
  async discard() {
    for (const part of this.parts) await part.discard()
  }
  async finish() {
    for (const part of this.parts) await part.finish()
    this.verified = this.parts.every((part) => part.verified)
  }

  /** @param {AbortSignal} [signal] */
  async #join(signal) {
    if (!this.#heads) {
      const heads = []
      for (const part of this.parts) heads.push(await readHead(part, signal))
      checkParts(heads, this.parts.map((part) => part.url ?? ''))
      heads.forEach((head, i) => this.parts[i].expect(head.data + head.bytes))
      this.#heads = heads
    }
    const header = joinHeads(this.#heads)
    const { alignment } = this.#heads[0]
    this.#total ||= this.#heads.reduce((sum, { bytes }) => sum + align(bytes, alignment), header.length)
    return header
  }

  /** @param {AbortSignal} [signal] @returns {AsyncGenerator<Uint8Array, void, void>} */
  async *head(signal) {
    yield this.#join(signal)
  }

  /** @param {AbortSignal} [signal] @returns {AsyncGenerator<Uint8Array, void, void>} */
  async *read(signal) {
    yield this.#join(signal)
    const heads = this.#heads ?? []
    for (const [i, { data, bytes, raw }] of heads.entries()) {
      const { url } = this.parts[i]
      let at = 0
      for await (const piece of this.parts[i].read(signal)) {
        for (let j = 0; at + j < raw.length && j < piece.length; j++)
          if (piece[j] !== raw[at + j])
            throw new IOError(`${url} changed on the server while it was read`, { url })
        const tensors = piece.subarray(Math.max(0, data - at), Math.max(0, data + bytes - at))
        at += piece.length
        if (tensors.length) yield tensors
      }
      const padding = align(bytes, heads[0].alignment) - bytes
      if (padding) yield new Uint8Array(padding)
    }
  }
}
