// The WebAssembly module (src/wasm.c) as objects. Addresses end here: nothing outside of this file sees one, and nothing here
// keeps a view of memory over a call, because memory grows. Methods throw the five errors and nothing else.
import { ArgumentError, errorsByCode, UnsupportedError } from './errors.js'
import { version } from './version.js'

export const PAGE_BYTES = 65536
const FEED_BYTES = 1 << 16
const HEADER_PAGES = 16 // of memory to read a header in: fewer than the smallest model's plan

const utf8 = new TextEncoder()
const text8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** @typedef {{ module: WebAssembly.Module, isa: string, threads: number }} Build */

/** One instance of a module, its memory and the one model in it. */
export class Engine {
  /** @type {any} */
  x // exports
  memory = /** @type {WebAssembly.Memory} */ (/** @type {unknown} */ (undefined))
  /** @type {any} names and values of C, see page_layout() */
  layout
  #page = 0
  #staging = 0
  #planned = 1 // threads
  /** @type {import('./threads.js').Threads | undefined} */
  threads

  /** @param {Build} build @param {number} [maximum] of the memory, in pages @param {Engine} [from] goes on from what that one holds */
  static async create(build, maximum = 16384, from) {
    const engine = new Engine()
    const size = from?.memory.buffer.byteLength ?? 0
    const memory = new WebAssembly.Memory({ initial: size / PAGE_BYTES || Math.min(HEADER_PAGES, maximum), maximum, shared: build.threads > 1 })
    engine.#planned = build.threads
    const imports = { env: { memory, emscripten_notify_memory_growth() {} } }
    engine.memory = memory
    engine.x = (await WebAssembly.instantiate(build.module, imports)).exports
    engine.x._initialize?.()
    if (from) {
      engine.bytes(0, size).set(from.bytes(0, size))
      engine.#page = from.#page
      engine.#staging = from.#staging
    }
    engine.layout = JSON.parse(engine.#string(engine.x.page_layout()))
    if (engine.layout.version !== version) {
      const found = engine.layout.version
      throw new UnsupportedError(`the WebAssembly module is version ${found}, this script is ${version}: serve files of one version`)
    }
    return engine
  }

  /** True when the kernels compute what they do everywhere. */
  check() {
    return this.x.page_check() >>> 0 === this.layout.check
  }

  /** Starts a model. */
  open() {
    this.#page = this.address(this.x.page_open())
    this.#staging = this.address(this.x.page_alloc(FEED_BYTES))
    return this
  }

  /** Another model in the same memory; one thread computes it. */
  beside() {
    const other = new Engine()
    Object.assign(other, { x: this.x, memory: this.memory, layout: this.layout })
    return other.open()
  }

  /** @param {number} at @param {number} size @returns {Uint8Array<ArrayBuffer>} */
  bytes(at, size) {
    return new Uint8Array(/** @type {ArrayBuffer} */ (this.memory.buffer), at >>> 0, size)
  }
  /** @param {number} at @param {number} count */
  ids(at, count) {
    return new Int32Array(this.memory.buffer, at >>> 0, count)
  }
  /** @param {number} at @param {number} count */
  floats(at, count) {
    return new Float32Array(this.memory.buffer, at >>> 0, count)
  }

  /** @param {number} at of a zero-terminated string */
  #string(at) {
    const all = new Uint8Array(this.memory.buffer)
    return text8.decode(all.slice(at >>> 0, all.indexOf(0, at >>> 0)))
  }

  /** @returns {never} */
  fail() {
    const { x } = this
    const code = this.layout.status[x.page_status(this.#page)]
    const fields = code === 'RP_ERR_MEMORY' ? { bytesNeeded: x.page_bytes_needed(this.#page) } : undefined
    throw new (errorsByCode[code] ?? errorsByCode.RP_ERR_ARGUMENT)(this.#string(x.page_message(this.#page)), fields)
  }

  /** The address that a function returned, 0 being its failure.
   * @param {number} at */
  address(at) {
    if (!at) {
      if (this.#page) this.fail()
      throw new errorsByCode.RP_ERR_MEMORY('memory for a model could not be had', { bytesNeeded: FEED_BYTES })
    }
    return at >>> 0
  }

  /** The number that a function returned, below 0 being its failure.
   * @param {number} count */
  count(count) {
    if (count < 0) this.fail()
    return count
  }

  /** @param {number} status */
  ok(status) {
    if (status) this.fail()
  }

  get page() {
    return this.#page
  }

  /** A short list of addresses, for one call. @param {number[]} addresses */
  list(addresses) {
    this.ids(this.#staging, addresses.length).set(addresses)
    return this.#staging
  }

  // ---- Loading

  /** Takes the file's next bytes; returns how many, fewer than given at the moment the header is understood.
   * @param {Uint8Array} bytes */
  feed(bytes) {
    let used = 0
    while (used < bytes.length) {
      const part = bytes.subarray(used, used + FEED_BYTES)
      this.bytes(this.#staging, part.length).set(part)
      const taken = this.count(this.x.page_feed(this.#page, this.#staging, part.length))
      used += taken
      if (taken < part.length) break
    }
    return used
  }

  get state() {
    return this.layout.state[this.x.page_load_state(this.#page)]
  }

  finish() {
    this.ok(this.x.page_finish(this.#page))
  }

  info() {
    return JSON.parse(this.#string(this.address(this.x.page_info(this.#page))))
  }

  /** What sessions run that are opened from now on, and plans count; as ModelInfo tells it.
   * @param {any} options see ComputeOptions in index.d.ts */
  program({ depth = 0, layers = '', kvReuse, exitThreshold = 0, kvType = 'f16' }) {
    if (depth !== depth >>> 0) throw new ArgumentError(`depth is ${depth}, want an integer`)
    if (typeof layers !== 'string') throw new ArgumentError('layers is a text like 0-9,10-13x2')
    if (kvReuse !== undefined && kvReuse !== 'last-loop') throw new ArgumentError(`kvReuse is ${kvReuse}, want last-loop`)
    if (typeof exitThreshold !== 'number') throw new ArgumentError(`exitThreshold is ${exitThreshold}, want a number`)
    const text = utf8.encode(layers + '\0')
    const at = layers && this.address(this.x.page_alloc(text.length))
    if (at) this.bytes(at, text.length).set(text)
    const kv = this.layout.kv.indexOf(kvType)
    return JSON.parse(this.#string(this.address(this.x.page_program(this.#page, depth, at, kvReuse ? 1 : 0, exitThreshold, kv))))
  }

  /** @param {{ context?: number, kvType?: string, sessions?: number, sequences?: number, spare?: number }} options */
  plan({ context = 0, kvType = 'f16', sessions = 1, sequences = 1, spare = 0 }) {
    const kv = this.layout.kv.indexOf(kvType)
    return JSON.parse(
      this.#string(this.address(this.x.page_plan(this.#page, context, kv, 0, sessions, sequences, spare, this.#planned))),
    )
  }

  /** A string of the file's metadata.
   * @param {string} key @returns {string | undefined} */
  string(key) {
    const at = this.borrow(utf8.encode(key), (place, size) => this.x.page_string(this.#page, place, size))
    return at ? text8.decode(this.bytes(at, this.x.page_size(this.#page)).slice()) : undefined
  }

  // ---- Tokens

  /** Copies bytes into memory for the length of a call.
   * @template T @param {Uint8Array} bytes @param {(at: number, size: number) => T} use */
  borrow(bytes, use) {
    const at = this.address(this.x.page_alloc(Math.max(bytes.length, 1)))
    try {
      this.bytes(at, bytes.length).set(bytes)
      return use(at, bytes.length)
    } finally {
      this.x.page_free(at)
    }
  }

  /** @param {string} text @param {{ special?: boolean, bos?: boolean, guarded?: boolean, continues?: boolean }} [flags] @returns {number[]} */
  tokenize(text, flags = {}) {
    let bits = 0
    for (const [name, bit] of Object.entries(this.layout.tokenize)) if (/** @type {any} */ (flags)[name]) bits |= bit
    const use = (/** @type {number} */ at, /** @type {number} */ size) => this.x.page_tokenize(this.#page, at, size, bits)
    const count = this.count(this.borrow(utf8.encode(text), use))
    return [...this.ids(this.x.page_ids(this.#page), count)]
  }

  /** Bytes of one token; of a control token none.
   * @param {number} id */
  tokenBytes(id) {
    const at = this.x.page_token_bytes(this.#page, id)
    return at ? this.bytes(at, this.x.page_size(this.#page)).slice() : new Uint8Array(0)
  }

  /** A token as the vocabulary spells it.
   * @param {number} id */
  tokenPiece(id) {
    const at = this.x.page_token_piece(this.#page, id)
    return at ? text8.decode(this.bytes(at, this.x.page_size(this.#page)).slice()) : ''
  }

  /** @param {number} id */
  tokenEnds(id) {
    return (this.x.page_token_flags(this.#page, id) & 1) !== 0
  }
  /** Spellings of all control tokens. @param {number} vocab */
  controlTokens(vocab) {
    const spellings = []
    for (let id = 0; id < vocab; id++) if (this.tokenIsControl(id)) spellings.push(this.tokenPiece(id))
    return spellings
  }
  /** @param {number} id */
  tokenIsControl(id) {
    return (this.x.page_token_flags(this.#page, id) & 2) !== 0
  }

  /** Text that a generation held back until now; see rp_text in reprise.h. */
  get piece() {
    const size = this.x.page_size(this.#page)
    return size ? text8.decode(this.bytes(this.x.page_piece(this.#page), size).slice()) : ''
  }
}
