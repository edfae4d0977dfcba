// Files kept in the origin's private file system: a folder a URL, named by its hash, with what is known of it (`meta`)
// and a file for each MiB, followed by that MiB's SHA-256. Whatever does not match its hash is not there. Reading takes
// no handle that shuts others out.
import { hex } from './check.js'

export const CHUNK = 2 ** 20
const FOLDER = 'reprise-1'
const HASH = 32
const WRITES = 2 // at once
const AHEAD = 3 // chunks that are read before they are asked for

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */
/** `total` is the file's size where it is certain; `done`: all of it was here once, `integrity` what it was checked
 * against then.
 * @typedef {{ url: string, total: number, done: boolean, etag: string, lastModified: string, integrity?: string, time:
 * number }} Meta */

/** Streams of files that are read: Chromium takes one that nobody holds for garbage, with whoever waits for it. */
export const held = new Set()

/** @param {Bytes} bytes */
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
const nameOf = (/** @type {number} */ index) => String(index).padStart(6, '0')

/** Gives a buffer's memory back now rather than when it is collected; it must be of nobody else.
 * @param {any} bytes a view of all of the buffer, or of that part of it that matters */
export function free(bytes) {
  if (bytes?.buffer.byteLength) bytes.buffer.transfer?.(0)
}

/** A URL's address in the cache: without its fragment. @param {string | URL} url */
export const addressOf = (url) => String(url).replace(/#.*/, '')

/** @param {string} url */
export const keyOf = async (url) => hex(await sha256(/** @type {Bytes} */ (new TextEncoder().encode(url))))

/** Why there is no cache in this place; '' when there may be one. */
export function whyNoCache() {
  if (!globalThis.crypto?.subtle) return 'not a secure context'
  return globalThis.navigator?.storage?.getDirectory === undefined ? 'no private file system here' : ''
}

/** The folder of all entries. Throws where the browser has none or does not give it.
 * @returns {Promise<FileSystemDirectoryHandle>} */
export const openFolder = async () =>
  (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true })

/** @param {FileSystemDirectoryHandle} folder @param {string} name @param {Bytes[]} parts */
async function writeFile(folder, name, ...parts) {
  const file = /** @type {any} */ (await folder.getFileHandle(name, { create: true }))
  try {
    if (file.createSyncAccessHandle) {
      const handle = await file.createSyncAccessHandle()
      try {
        await handle.truncate(0)
        let at = 0
        for (const part of parts) {
          const written = handle.write(part, { at })
          if (written < part.length) throw new DOMException('short write', 'QuotaExceededError')
          at += written
        }
      } finally {
        await handle.close()
      }
    } else {
      const stream = await file.createWritable()
      for (const part of parts) await stream.write(part)
      await stream.close()
    }
  } catch (error) {
    // Somebody else may be writing the same bytes; else what is there is torn.
    if (/** @type {any} */ (error).name === 'NoModificationAllowedError') return
    await folder.removeEntry(name).catch(() => {})
    throw error
  }
}

/** One file's entry. */
export class Store {
  /** @type {Meta | undefined} */
  meta
  /** @type {Set<number>} chunks that are there, by their names */
  #chunks = new Set()
  #folder = /** @type {FileSystemDirectoryHandle | undefined} */ (undefined)
  #ahead = /** @type {Map<number, Promise<Bytes | undefined>>} */ (new Map()) // chunks that were not asked for yet
  #given = /** @type {ArrayBuffer | undefined} */ (undefined) // the memory of the last one
  #spare = /** @type {ArrayBuffer[]} */ ([]) // and of those before

  /** @param {FileSystemDirectoryHandle} root @param {string} key */
  constructor(root, key) {
    this.root = root
    this.key = key
  }

  /** @param {string} url */
  static async open(url) {
    const store = new Store(await openFolder(), await keyOf(url))
    await store.refresh()
    return store
  }

  /** Looks at what is there now. */
  async refresh() {
    this.meta = undefined
    this.#chunks.clear()
    this.#ahead.clear()
    try {
      this.#folder = await this.root.getDirectoryHandle(this.key)
    } catch (error) {
      if (/** @type {any} */ (error).name !== 'NotFoundError') throw error
      this.#folder = undefined
      return
    }
    try {
      const meta = JSON.parse(await (await (await this.#folder.getFileHandle('meta')).getFile()).text())
      for await (const name of this.#folder.keys()) if (/^\d{6}$/.test(name)) this.#chunks.add(Number(name))
      this.meta = meta
    } catch {
      this.#chunks.clear() // torn, or another tab just begins it
    }
  }

  get complete() {
    return !!this.meta?.done && this.#chunks.size >= Math.ceil(this.meta.total / CHUNK)
  }
  /** @param {number} index */
  has(index) {
    return this.#chunks.has(index)
  }
  /** Where the next chunk at or behind `at` begins that is here; 0 when there is none. @param {number} at */
  next(at) {
    const later = [...this.#chunks].filter((index) => index * CHUNK >= at)
    return later.length ? Math.min(...later) * CHUNK : 0
  }
  /** The first chunk that is missing. */
  get gap() {
    let index = 0
    while (this.has(index)) index++
    return index
  }
  get bytes() {
    const total = this.meta?.total || Infinity
    let sum = 0
    for (const index of this.#chunks) sum += Math.max(0, Math.min(CHUNK, total - index * CHUNK))
    return sum
  }

  /** A file's bytes, in one of a few buffers where the browser can: one for each would stay until garbage is collected.
   * @param {File} file @returns {Promise<Bytes>} */
  async #take(file) {
    const spare = this.#spare.pop()
    if (file.size > CHUNK + HASH) return new Uint8Array(0)
    let reader = /** @type {any} */ (undefined)
    try {
      reader = new Response(file).body?.getReader({ mode: 'byob' })
    } catch {
      return new Uint8Array(await file.arrayBuffer())
    }
    held.add(reader)
    let bytes = /** @type {Bytes} */ (new Uint8Array(/** @type {any} */ (spare ?? CHUNK + HASH)))
    let at = 0
    try {
      for (let done = false; at < file.size && !done; at += bytes.length)
        ({ value: bytes, done } = await reader.read(new Uint8Array(bytes.buffer, at, file.size - at)))
      return new Uint8Array(bytes.buffer, 0, at)
    } finally {
      held.delete(reader)
      await reader.cancel()
    }
  }

  /** A chunk's bytes; undefined when it is damaged.
   * @param {number} index @returns {Promise<Bytes | undefined>} */
  async #load(index) {
    try {
      const file = await (await this.#folder?.getFileHandle(nameOf(index)))?.getFile()
      const all = file ? await this.#take(file) : new Uint8Array(0)
      const bytes = all.subarray(0, Math.max(0, all.length - HASH))
      const { done, total } = this.meta ?? { total: 0 }
      const size = Math.min(CHUNK, (total || Infinity) - index * CHUNK)
      const fits = bytes.length === size || (!done && bytes.length === CHUNK)
      if (fits && hex(await sha256(bytes)) === hex(all.subarray(bytes.length))) return bytes
    } catch {
      // gone meanwhile
    }
    return undefined
  }

  /** A chunk's bytes, good until the next is read; undefined when it is damaged, and gone then. Reads those behind it.
   * @param {number} index @returns {Promise<Bytes | undefined>} */
  async read(index) {
    if (this.#given) this.#spare.push(this.#given)
    const loading = this.#ahead.get(index) ?? this.#load(index)
    if (!this.#ahead.size) await loading // the first goes alone: who opens a file waits for it
    this.#ahead.delete(index)
    for (let i = index + 1; i <= index + AHEAD && this.has(i); i++)
      if (!this.#ahead.has(i)) this.#ahead.set(i, this.#load(i))
    const bytes = await loading
    this.#given = bytes?.buffer
    if (bytes) return bytes
    this.#chunks.delete(index)
    await this.#folder?.removeEntry(nameOf(index)).catch(() => {})
    return undefined
  }

  /** @param {number} index @param {Bytes} bytes */
  async write(index, bytes) {
    const hash = await sha256(bytes)
    const write = async () => writeFile(await this.#open(), nameOf(index), bytes, hash)
    await write().catch(async (error) => {
      if (error.name !== 'NotFoundError') throw error
      const { meta } = this // the entry was deleted: it begins anew
      await this.drop()
      await this.note(meta ?? {})
      await write()
    })
    this.#chunks.add(index)
  }

  /** Writes what is known; the first time, whatever else is there is of another file. @param {Partial<Meta>} fields */
  async note(fields) {
    if (!this.meta) await this.drop()
    this.meta = /** @type {Meta} */ ({ time: Date.now(), ...this.meta, ...fields })
    const bytes = new TextEncoder().encode(JSON.stringify(this.meta))
    await writeFile(await this.#open(), 'meta', /** @type {Bytes} */ (bytes))
  }

  async #open() {
    return (this.#folder ??= await this.root.getDirectoryHandle(this.key, { create: true }))
  }

  /** Removes the entry. */
  async drop() {
    this.meta = this.#folder = undefined
    this.#chunks.clear()
    this.#ahead.clear()
    await this.root.removeEntry(this.key, { recursive: true }).catch(() => {})
  }
}

/** Gathers what passes into chunks and writes them, two at once at most. */
export class Keeper {
  /** @type {unknown} why it writes no more */
  failure
  /** @type {Bytes | undefined} */
  #buffer
  #start = 0
  #fill = 0
  /** @type {Bytes[]} */
  #free = []
  /** @type {Set<Promise<void>>} */
  #writing = new Set()

  /** @param {Store} store @param {() => Partial<Meta>} about what is known of the file */
  constructor(store, about) {
    this.store = store
    this.about = about
  }

  /** @param {number} at @param {Uint8Array} bytes */
  async take(at, bytes) {
    if (at !== this.#start + this.#fill) this.#fill = 0 // a jump
    for (let from = 0; from < bytes.length && !this.failure; ) {
      const place = (at + from) % CHUNK
      const part = bytes.subarray(from, from + CHUNK - place)
      from += part.length
      if (place === 0) this.#start = at + from - part.length
      else if (place !== this.#fill) continue // its beginning is not here
      this.#buffer ??= this.#free.pop() ?? new Uint8Array(CHUNK)
      this.#buffer.set(part, place)
      this.#fill = place + part.length
      if (this.#fill === CHUNK) await this.#write()
    }
  }

  /** Waits for all writes; with the file's size, when it is whole, the last chunk is one of them.
   * @param {number} [size] */
  async end(size) {
    if (size && this.#fill && this.#start + this.#fill === size) await this.#write()
    await Promise.all(this.#writing)
    for (const buffer of [this.#buffer, ...this.#free.splice(0)]) free(buffer)
    this.#buffer = undefined
    this.#fill = 0
  }

  async #write() {
    const buffer = /** @type {Bytes} */ (this.#buffer)
    const [index, bytes] = [this.#start / CHUNK, buffer.subarray(0, this.#fill)]
    this.#buffer = undefined
    this.#start += this.#fill
    this.#fill = 0
    if (!this.store.meta) await this.store.note(this.about()).catch((error) => (this.failure ??= error))
    if (this.failure) return
    const writing = this.store.write(index, bytes).catch((error) => void (this.failure ??= error)).then(() => {
      this.#writing.delete(writing)
      this.#free.push(buffer)
    })
    this.#writing.add(writing)
    if (this.#writing.size >= WRITES) await Promise.race(this.#writing)
  }
}
