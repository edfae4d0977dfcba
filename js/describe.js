// What a caller passed as a source, as something that can be sent to the worker. What can be read only here (streams, buffers) is
// pulled by the worker piece by piece.
import { ArgumentError, IOError } from './errors.js'

const PIECE_BYTES = 1 << 20
const inNode = !!globalThis.process?.versions?.node

/** Relative addresses are relative to the page; in Node to the working directory. */
const base = () => globalThis.document?.baseURI ?? globalThis.location?.href ?? `file://${process.cwd()}/`

/** @param {ReadableStream<Uint8Array>} stream */
function pull(stream) {
  const reader = stream.getReader()
  return {
    async pull() {
      const { value, done } = await reader.read().catch((error) => {
        throw new IOError(`cannot be read: ${error?.message ?? error}`)
      })
      if (done) return null
      if (!ArrayBuffer.isView(value)) throw new ArgumentError('the stream gives no Uint8Array')
      const whole = value.byteOffset === 0 && value.byteLength === value.buffer.byteLength
      return { value, transfer: whole ? [value.buffer] : [] }
    },
    leave: () => void reader.cancel().catch(() => {}),
  }
}

/** Pieces are copies: the caller's buffer stays as it is. @param {Uint8Array} bytes */
function pullBytes(bytes) {
  let at = 0
  return {
    pull() {
      if (at >= bytes.length) return null
      const value = bytes.slice(at, (at += PIECE_BYTES))
      return { value, transfer: [value.buffer] }
    },
    leave() {},
  }
}

/** @param {URL} url */
async function describeUrl(url) {
  if (url.protocol !== 'file:' || !inNode) return { spec: { kind: 'url', url: url.href }, on: {} }
  const { openAsBlob } = await import('node:fs')
  try {
    return describeBlob(await openAsBlob(url))
  } catch (error) {
    throw new IOError(`${url.pathname} cannot be opened: ${/** @type {Error} */ (error).message}`, { url: url.href })
  }
}

/** Node cannot send a Blob that is a file. @param {Blob} blob */
function describeBlob(blob) {
  if (inNode) return { spec: { kind: 'pull', total: blob.size }, on: pull(blob.stream()) }
  return { spec: { kind: 'blob', blob }, on: {} }
}

/** @param {any} source see Source in index.d.ts @param {string} [hub]
 * @returns {Promise<{ spec: any, on: import('./channel.js').Listeners }>} */
export async function describe(source, hub) {
  if (typeof source === 'string' && source.startsWith('hf:')) return { spec: { kind: 'hf', path: source.slice(3), hub }, on: {} }
  if (typeof source === 'string' || source instanceof URL) {
    if (!URL.canParse(String(source), base())) throw new ArgumentError(`${source} is no URL`)
    return describeUrl(new URL(source, base()))
  }
  if (source instanceof Blob) return describeBlob(source)
  if (source instanceof Request) {
    const { credentials, mode, referrerPolicy, redirect, cache } = source
    if (source.method !== 'GET' || source.integrity) throw new ArgumentError('a Request must be a GET without integrity')
    const request = { credentials, mode, referrerPolicy, redirect, cache, headers: [...source.headers] }
    return { spec: { kind: 'url', url: source.url, request }, on: {} }
  }
  if (source instanceof Response) {
    if (!source.ok) throw new ArgumentError(`the response has HTTP status ${source.status}`)
    if (!source.body || source.bodyUsed) throw new ArgumentError('the response has no body, or it was read')
    return { spec: { kind: 'pull', url: source.url || undefined, total: 0 }, on: pull(source.body) }
  }
  if (source instanceof ReadableStream) {
    if (source.locked) throw new ArgumentError('the stream is locked')
    return { spec: { kind: 'pull', total: 0 }, on: pull(source) }
  }
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    const bytes = ArrayBuffer.isView(source) ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength) : new Uint8Array(source)
    return { spec: { kind: 'pull', total: bytes.length }, on: pullBytes(bytes) }
  }
  throw new ArgumentError('a model comes from a URL, Request, Response, Blob, ReadableStream or ArrayBuffer')
}
