// The converter's module (src/wasm_convert.c) in the worker: gives it files to read and takes what it writes, all at once, as it wants it,
// so that nothing else happens in this worker meanwhile: who wants to stop it ends the worker. Addresses end here.
import { errorsByCode, IOError, UnsupportedError } from './errors.js'

const TELL_MS = 50 // between two progress events
const AHEAD = 1 << 20 // a file is read in pieces of at least as many bytes
const PART = 1 << 22 // of an output in memory

/** @typedef {import('./serve.js').Task} Task */
/** @typedef {import('./convert-input.js').Input} Input */
/** `read` fills `to` whole or throws.
 * @typedef {{ size: number, read(offset: number, to: Uint8Array): void, close(): void }} Readable */
/** @typedef {{ write(bytes: Uint8Array): void, end(): Promise<Blob | undefined>, close(): void }} Writable */

// ---- Input --------------------------------------------------------------------------------------------------------------

/** @param {Uint8Array} bytes @returns {Readable} */
const readBytes = (bytes) => ({ size: bytes.length, read: (offset, to) => to.set(bytes.subarray(offset, offset + to.length)), close() {} })

/** Each reading asks another process: small ones are answered from a piece that was read ahead. @param {Blob} blob @returns {Readable} */
function readBlob(blob) {
  const reader = new /** @type {any} */ (globalThis).FileReaderSync()
  const slice = (/** @type {number} */ from, /** @type {number} */ end) => new Uint8Array(reader.readAsArrayBuffer(blob.slice(from, end)))
  let start = 0, piece = new Uint8Array(0)
  return {
    size: blob.size,
    read(offset, to) {
      const end = offset + to.length
      if (to.length >= AHEAD) return to.set(slice(offset, end))
      if (offset < start || end > start + piece.length) piece = slice((start = offset), Math.min(offset + AHEAD, blob.size))
      to.set(piece.subarray(offset - start, end - start))
    },
    close() {
      piece = new Uint8Array(0)
    },
  }
}

/** @param {string} path @param {typeof import('node:fs')} fs @returns {Readable | undefined} undefined: there is no such file */
function readPath(path, fs) {
  if (!fs.statSync(path, { throwIfNoEntry: false })?.isFile()) return undefined
  const handle = fs.openSync(path, 'r')
  return {
    size: fs.fstatSync(handle).size,
    read(offset, to) {
      for (let have = 0, read; have < to.length; have += read) {
        read = fs.readSync(handle, to, have, to.length - have, offset + have)
        if (!read) throw new Error(`${path} ends after ${offset + have} bytes`)
      }
    },
    close: () => fs.closeSync(handle),
  }
}

/** What opens a file by its name in the model's folder. @param {Input} input @returns {Promise<(name: string) => Readable | undefined>} */
async function openerOf(input) {
  if ('path' in input) {
    const fs = await import('node:fs')
    return (name) => readPath(name ? `${input.path}/${name}` : input.path, fs)
  }
  const files = new Map(input.files.map((file) => [file.name, file]))
  return (name) => {
    const file = files.get(name)
    if (!file) return undefined
    return file.bytes ? readBytes(file.bytes) : readBlob(/** @type {Blob} */ (file.blob))
  }
}

// ---- Output -------------------------------------------------------------------------------------------------------------

/** @returns {Writable} */
function writeMemory() {
  /** @type {Blob[]} which browsers may keep elsewhere than in this worker's memory */
  const parts = []
  let part = new Uint8Array(PART), used = 0
  const flush = () => parts.push(new Blob([part.subarray(0, used)]))
  return {
    write(bytes) {
      for (let at = 0; at < bytes.length; ) {
        const piece = bytes.subarray(at, at + PART - used)
        part.set(piece, used)
        at += piece.length
        if ((used += piece.length) < PART) continue
        flush()
        used = 0
      }
    },
    async end() {
      flush()
      return new Blob(parts, { type: 'application/octet-stream' })
    },
    close() {},
  }
}

/** @param {string} folder @param {string} name @returns {Promise<Writable>} */
async function writeStorage(folder, name) {
  const file = /** @type {any} */ (await (await (await navigator.storage.getDirectory()).getDirectoryHandle(folder)).getFileHandle(name))
  const handle = await file.createSyncAccessHandle()
  let at = 0
  return {
    write(bytes) {
      const written = handle.write(bytes, { at })
      if (written < bytes.length) throw new Error('this site may keep no more')
      at += written
    },
    async end() {
      handle.flush()
      handle.close()
      return file.getFile()
    },
    close: () => handle.close(),
  }
}

/** A file that is there, so that none is made where it was just removed. @param {string} path @returns {Promise<Writable>} */
async function writePath(path) {
  const fs = await import('node:fs')
  const handle = fs.openSync(path, 'r+')
  return {
    write(bytes) {
      for (let at = 0; at < bytes.length; ) at += fs.writeSync(handle, bytes, at)
    },
    async end() {
      fs.fsyncSync(handle)
      return undefined
    },
    close: () => fs.closeSync(handle),
  }
}

/** @param {import('./convert-output.js').OutputSpec} spec @returns {Promise<Writable>} */
async function openOutput(spec) {
  if (spec.kind === 'path') return writePath(spec.path)
  return spec.kind === 'storage' ? writeStorage(spec.folder, spec.name).catch(writeMemory) : writeMemory()
}

// ---- The module ---------------------------------------------------------------------------------------------------------

class Converter {
  /** @type {any} */
  x // exports
  /** @type {Map<number, Readable>} */
  #files = new Map()
  #opened = 0
  #told = 0
  /** @type {any} why the last import failed */
  #failure

  /** @param {(name: string) => Readable | undefined} open @param {Writable} output @param {Task} task */
  constructor(open, output, task) {
    /** @template T @param {() => T} action @param {T} otherwise when it throws, which C must not see */
    const attempt = (action, otherwise) => {
      try {
        return action()
      } catch (error) {
        this.#failure = error
        return otherwise
      }
    }
    this.host = {
      open: (/** @type {number} */ name) => attempt(() => {
        const file = open(this.text(name))
        if (!file) return -1
        this.#files.set(this.#opened, file)
        return this.#opened++
      }, -1),
      size: (/** @type {number} */ file) => this.#file(file).size,
      close: (/** @type {number} */ file) => attempt(() => {
        this.#file(file).close()
        this.#files.delete(file)
      }, undefined),
      read: (/** @type {number} */ file, /** @type {number} */ offset, /** @type {number} */ at, /** @type {number} */ size) =>
        attempt(() => (this.#file(file).read(offset, this.#bytes(at, size)), 1), 0),
      write: (/** @type {number} */ at, /** @type {number} */ size) => attempt(() => (output.write(this.#bytes(at, size)), 1), 0),
      progress: (/** @type {number} */ what, /** @type {number} */ done, /** @type {number} */ total) => {
        if (done < total && performance.now() - this.#told < TELL_MS) return 1
        this.#told = performance.now()
        task.tell('progress', { phase: this.text(what), done, total })
        return 1
      },
    }
  }

  /** @param {number} file */
  #file(file) {
    return /** @type {Readable} */ (this.#files.get(file))
  }
  /** @param {number} at @param {number} size */
  #bytes(at, size) {
    return new Uint8Array(this.x.memory.buffer, at >>> 0, size >>> 0)
  }
  /** @param {number} at of a zero-terminated string */
  text(at) {
    const all = new Uint8Array(this.x.memory.buffer, at >>> 0)
    return new TextDecoder().decode(all.slice(0, all.indexOf(0)))
  }
  /** The address of a copy, which is given back with the instance. @param {Uint8Array} bytes */
  #put(bytes) {
    const at = this.x.convert_alloc(bytes.length) >>> 0
    if (!at) throw new errorsByCode.RP_ERR_MEMORY(`${bytes.length} bytes could not be had`, { bytesNeeded: bytes.length })
    this.#bytes(at, bytes.length).set(bytes)
    return at
  }
  /** @param {string | undefined} text */
  #putText(text) {
    return text === undefined ? 0 : this.#put(new TextEncoder().encode(`${text}\0`))
  }

  /** @param {any} options @param {{ name: string, bytes: Uint8Array } | undefined} tokenizer @param {string} version */
  run({ type, headType, layers, unroll, dedup }, tokenizer, version) {
    const { x } = this, conversion = x.convert_open()
    const layout = JSON.parse(this.text(x.convert_json(conversion)))
    if (layout.version !== version)
      throw new UnsupportedError(`the converter is version ${layout.version}, this script is ${version}: serve files of one version`)
    const flags = (unroll && layout.flags.unroll) | (dedup && layout.flags.dedup)
    const texts = [type, headType, layers].map((text) => this.#putText(text))
    const vocabulary = tokenizer ? [this.#put(tokenizer.bytes), tokenizer.bytes.length, this.#putText(tokenizer.name)] : [0, 0, 0]
    const code = layout.status[x.convert_run(conversion, ...texts, flags, ...vocabulary)]
    if (code === 'RP_OK') return JSON.parse(this.text(x.convert_json(conversion)))
    const why = code === 'RP_ERR_IO' && this.#failure ? ` (${this.#failure.message})` : ''
    const message = this.text(x.convert_message(conversion)) + why
    throw new errorsByCode[code](message, code === 'RP_ERR_MEMORY' ? { bytesNeeded: x.convert_bytes_needed(conversion) } : undefined)
  }

  close() {
    for (const file of this.#files.values()) file.close()
  }
}

/** @param {{ input: Input, output: import('./convert-output.js').OutputSpec, tokenizer?: any, options: any, wasm?: ArrayBuffer }} params
 * @param {Task} task @param {{ compile(url: URL): Promise<WebAssembly.Module>, version: string }} of what the worker has already */
export async function convert({ input, output: spec, tokenizer, options, wasm }, task, { compile, version }) {
  task.tell('progress', { phase: 'reading', done: 0, total: 0 })
  const module = await (wasm ? WebAssembly.compile(wasm) : compile(new URL('./wasm/convert.wasm', import.meta.url)))
  const open = await openerOf(input)
  const output = await openOutput(spec).catch((error) => Promise.reject(new IOError(`the output cannot be opened: ${error.message}`)))
  const converter = new Converter(open, output, task)
  try {
    const instance = await WebAssembly.instantiate(module, { host: converter.host, env: { emscripten_notify_memory_growth() {} } })
    converter.x = instance.exports
    converter.x._initialize?.()
    const facts = converter.run(options, tokenizer, version)
    const blob = await output.end().catch((error) => Promise.reject(new IOError(`the output cannot be put in place: ${error.message}`)))
    return { ...facts, blob }
  } finally {
    converter.close()
    output.close()
  }
}
