// The page's session: calls to the worker, and the streams that come back. See index.d.ts.
import { ArgumentError } from './errors.js'

/** Cancels what a reader left lying about without ending it, so that the calls behind it are not kept waiting. */
const abandoned = new FinalizationRegistry((/** @type {{ stop(): void }} */ work) => work.stop())

/** What runs for a stream: started at the first next(), stopped by the signal, by the reader, or by the end. */
class Work {
  #start
  /** @type {ReturnType<import('./channel.js').Channel['stream']> | undefined} */
  #line
  #abort = () => this.stop()
  #stopped = false
  /** @type {(result: any) => void} */
  #resolve = () => {}
  /** @type {(error: unknown) => void} */
  #reject = () => {}

  /** @param {() => Promise<ReturnType<import('./channel.js').Channel['stream']>>} start @param {AbortSignal} [signal] */
  constructor(start, signal) {
    this.#start = start
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    const forget = () => signal?.removeEventListener('abort', this.#abort)
    this.result.then(forget, forget)
    if (signal?.aborted) this.stop()
    else signal?.addEventListener('abort', this.#abort)
  }

  async #begin() {
    try {
      this.#line = await this.#start()
      this.#line.result.then(this.#resolve, this.#reject)
      if (this.#stopped) this.#line.stop()
    } catch (error) {
      this.#reject(error)
      throw error
    }
  }

  /** @type {Promise<void> | undefined} */
  #begun

  /** The next piece, or undefined at the end. */
  async next() {
    if (this.#stopped && !this.#begun) return undefined
    this.#begun ??= this.#begin()
    await this.#begun
    const item = await /** @type {any} */ (this.#line).next()
    if (!item) await this.result // a failure shows itself here
    return this.#stopped ? undefined : item
  }

  stop() {
    if (this.#stopped) return
    this.#stopped = true
    this.#line?.stop()
    if (!this.#begun) {
      const usage = { promptTokens: 0, reusedTokens: 0, completionTokens: 0 }
      const timings = { queuedMs: 0, prefillMs: 0, waitedMs: 0, firstTokenMs: 0, decodeMs: 0 }
      this.#resolve({ text: '', finishReason: 'abort', seed: 0, usage, timings })
    }
  }
}

/** @template T */
class Stream {
  #work
  #signal
  #pick
  /** @param {Work} work @param {AbortSignal | undefined} signal @param {(piece: any) => T | undefined} pick */
  constructor(work, signal, pick) {
    this.#work = work
    this.#signal = signal
    this.#pick = pick
    abandoned.register(this, work)
  }
  get result() {
    return this.#work.result
  }
  [Symbol.asyncIterator]() {
    return this
  }
  /** @returns {Promise<IteratorResult<T>>} */
  async next() {
    const signal = this.#signal
    signal?.throwIfAborted()
    for (;;) {
      const piece = await unlessAborted(this.#work.next(), signal)
      if (!piece) return { done: true, value: undefined }
      const value = this.#pick(piece)
      if (value !== undefined) return { done: false, value }
    }
  }
  async return() {
    this.#work.stop()
    return { done: true, value: undefined }
  }
  /** @param {unknown} error */
  async throw(error) {
    this.#work.stop()
    throw error
  }
}

/** Rejects with the signal's reason as soon as it fires. @template T @param {Promise<T>} promise @param {AbortSignal} [signal]
 * @returns {Promise<T>} */
function unlessAborted(promise, signal) {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** What is computed with; see ComputeOptions in index.d.ts. */
const HOW = ['depth', 'layers', 'kvReuse', 'exitThreshold', 'adapters', 'alpha']
const NOT_SAMPLING = ['signal', 'maxTokens', 'stop', 'top', 'onPrefill', 'onVisit', ...HOW]

/** Those of them that are given. @param {any} options */
export const pickHow = (options) => Object.fromEntries(HOW.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]))

export class Session extends EventTarget {
  #channel
  #id
  /** @type {Promise<any>} */
  #opened = Promise.resolve()
  #destroyed = false
  model
  chat
  /** @type {readonly any[]} */
  messages = []
  contextUsed = 0

  /** Not for users: model.session().
   * @param {import('./model.js').Model} model @param {import('./channel.js').Channel} channel @param {number} id @param {boolean} chat */
  constructor(model, channel, id, chat) {
    super()
    this.model = model
    this.chat = chat
    this.#channel = channel
    this.#id = id
  }

  /** Not for users. @param {any} options */
  open(options) {
    this.messages = options.messages ?? []
    this.adopt(this.#channel.call('open', { session: this.#id, options }))
  }

  /** Not for users: what the worker tells. @param {{ messages: any[], used: number }} state */
  takeState({ messages, used }) {
    this.messages = messages
    this.contextUsed = used
  }

  get contextMax() {
    return this.model.plan.context
  }

  #full = (/** @type {any} */ detail) => this.dispatchEvent(new CustomEvent('contextfull', { detail }))

  /** @param {string} method @param {any} [params] @param {AbortSignal} [signal] */
  async #call(method, params, signal) {
    this.#check()
    await this.#opened
    const on = { contextfull: this.#full }
    const value = await this.#channel.call(method, { ...params, session: this.#id }, { signal, on })
    this.#check() // what was stopped by destroy() has no answer
    return value
  }

  #check() {
    if (this.#destroyed) throw new ArgumentError('the session was destroyed')
  }

  /** @param {any} input @param {any} options @param {boolean} pieces */
  #work(input, options, pieces) {
    const sampling = Object.fromEntries(Object.entries(options).filter(([name]) => !NOT_SAMPLING.includes(name)))
    const { maxTokens, stop, top, onPrefill, onVisit } = options
    const params = { session: this.#id, input, sampling, how: pickHow(options), maxTokens, stop, top, pieces, visits: !!onVisit }
    const start = async () => {
      this.#check()
      await this.#opened
      const visit = (/** @type {number} */ place) => {
        const waits = onVisit(place)
        return waits?.then?.(() => true)
      }
      return this.#channel.stream('generate', params, { prefill: onPrefill, visit, contextfull: this.#full })
    }
    return new Work(start, options.signal)
  }

  /** @param {any} [input] @param {any} [options] */
  stream(input, options = {}) {
    const work = this.#work(ownInput(input), options, false)
    return new Stream(work, options.signal, ({ text }) => text || undefined)
  }

  /** @param {any} [input] @param {any} [options] */
  pieces(input, options = {}) {
    return new Stream(this.#work(ownInput(input), options, true), options.signal, (piece) => piece)
  }

  /** @param {any} [input] @param {any} [options] */
  async prompt(input, options = {}) {
    options.signal?.throwIfAborted()
    const stream = this.stream(input, options)
    while (!(await stream.next()).done);
    const result = await stream.result
    if (result.finishReason === 'abort') this.#check()
    return result
  }

  /** @param {any} input @param {any} options */
  async append(input, { signal, ...how } = {}) {
    await this.#call('append', { input: ownInput(input), how: pickHow(how) }, signal)
  }

  /** @returns {Promise<Int32Array>} */
  async ids() {
    return this.#call('ids')
  }

  /** @param {{ messages: number } | { tokens: number }} to */
  async rewind(to) {
    await this.#call('rewind', { to })
  }

  async clone() {
    this.#check()
    await this.#opened
    const copy = this.model.adoptSession(this.chat)
    copy.adopt(this.#channel.call('clone', { session: this.#id, copy: copy.#id }))
    await copy.#opened
    return copy
  }

  /** Not for users. @param {Promise<any>} opened */
  adopt(opened) {
    this.#opened = opened
    opened.catch(() => this.model.forget(this.#id))
  }

  /** @param {{ kv?: boolean }} options @returns {Promise<Uint8Array>} */
  async save({ kv = true } = {}) {
    return this.#call('save', { kv })
  }

  /** @param {Uint8Array | ArrayBuffer} bytes */
  async restore(bytes) {
    if (!(bytes instanceof ArrayBuffer) && !(bytes instanceof Uint8Array)) throw new ArgumentError('restore wants the bytes of save()')
    await this.#call('restore', { bytes: bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes) })
  }

  /** @param {ArrayLike<number>} ids @param {any} options @returns {Promise<Float32Array>} */
  async logits(ids, { signal, ...how } = {}) {
    return this.#call('logits', { ids: Array.from(ids), how: pickHow(how) }, signal)
  }

  /** @param {string} text @param {any} options @returns {Promise<Float32Array>} */
  async embed(text, { signal, ...how } = {}) {
    return this.#call('embed', { text: String(text), how: pickHow(how) }, signal)
  }

  destroy() {
    if (this.#destroyed) return
    this.#destroyed = true
    this.model.forget(this.#id)
    this.#channel.call('close', { session: this.#id }).catch(() => {})
  }
}

/** Ids as an array that can be cloned; the rest as it is. @param {any} input */
const ownInput = (input) => (input?.ids ? { ids: Array.from(input.ids) } : (input ?? undefined))

if (Symbol.dispose) Object.defineProperty(Session.prototype, Symbol.dispose, { value: Session.prototype.destroy })
