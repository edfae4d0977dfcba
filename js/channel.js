// The page's end of the line to the worker. A call is a promise, a stream a sequence of items that are asked for by credit;
// both end when the worker answers, and all of them end when the line is closed: nothing stays pending. The worker's end is
// serve.js.
import { ArgumentError, unpackError } from './errors.js'
import { Signal } from './time.js'

/** Items that may be on their way: an unread stream stops the model after as many. */
const CREDIT = 8

/** `busy`: whether calls are open, for which Node keeps a program alive.
 * @typedef {{ postMessage(message: unknown, transfer: Transferable[]): void, busy(yes: boolean): void, terminate(): void }} Port */
/** What the worker may ask or tell during a call: a function by the name of the event, whose answer is sent back when the worker
 * waits for one. An answer that has a `transfer` list is `{ value, transfer }`.
 * @typedef {Record<string, (detail: any) => any>} Listeners */

/** @typedef {object} Call
 * @property {(value: any) => void} resolve
 * @property {(error: unknown) => void} reject
 * @property {Listeners} on
 * @property {(item: any) => void} [item] */

export class Channel {
  /** @type {Map<number, Call>} */
  #calls = new Map()
  #next = 1
  #port
  /** @type {unknown} why the line is closed */
  #closed
  /** @type {Listeners} */
  #notices
  /** @type {(() => void)[]} */
  #ends = []

  /** @param {Port} port @param {Listeners} notices what the worker tells outside of calls */
  constructor(port, notices) {
    this.#port = port
    this.#notices = notices
  }

  /** Ends every call with this error, and the worker with it.
   * @param {unknown} error */
  close(error) {
    if (this.#closed) return
    this.#closed = error
    this.#port.terminate()
    for (const end of this.#ends) end()
    for (const call of this.#calls.values()) call.reject(error)
    this.#calls.clear()
  }

  /** Calls it when the line is closed, or now if it is. @param {() => void} end */
  atEnd(end) {
    if (this.#closed) end()
    else this.#ends.push(end)
  }

  /** @param {any} message from the worker */
  receive(message) {
    if (message.notice) return void this.#notices[message.notice]?.(message.detail)
    const call = this.#calls.get(message.id)
    if (!call) return
    if ('item' in message) return call.item?.(message.item)
    if ('event' in message) return this.#event(call, message)
    this.#forget(message.id)
    if (!message.error) return call.resolve(message.value)
    const error = unpackError(message.error)
    call.reject(error)
    if (message.error.isFatal) this.close(error)
  }

  /** @param {Call} call @param {{ id: number, event: string, detail: any, ask?: number }} message */
  async #event(call, { id, event, detail, ask }) {
    try {
      const answer = await call.on[event]?.(detail)
      if (ask !== undefined) this.#post({ id, ask, value: answer?.transfer ? answer.value : answer }, answer?.transfer)
    } catch (error) {
      if (ask === undefined) throw error // a listener's own affair: the page hears of it as of any other error
      this.#cancel(id)
      this.#forget(id)
      call.reject(error)
    }
  }

  /** @param {number} id */
  #forget(id) {
    this.#calls.delete(id)
    if (!this.#calls.size) this.#port.busy(false)
  }

  /** @param {unknown} message @param {Transferable[]} [transfer] */
  #post(message, transfer) {
    if (!this.#closed) this.#port.postMessage(message, transfer ?? [])
  }

  /** Sends a call. Aborting rejects at once, and the worker hears of it.
   * @param {string} method @param {unknown} params
   * @param {{ signal?: AbortSignal, on?: Listeners, item?: (item: any) => void }} [options]
   * @returns {{ id: number, promise: Promise<any> }} */
  #send(method, params, { signal, on = {}, item } = {}) {
    const id = this.#next++
    const promise = new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closed)
      if (signal?.aborted) return reject(signal.reason)
      this.#calls.set(id, { resolve, reject, on, item })
      if (this.#calls.size === 1) this.#port.busy(true)
      try {
        this.#post({ id, method, params })
      } catch (error) {
        this.#forget(id) // what was passed cannot be cloned
        reject(new ArgumentError(`an option cannot be sent to the worker: ${/** @type {Error} */ (error).message}`))
      }
    })
    return { id, promise }
  }

  /** Asks the worker to stop a call, which then answers in its own way.
   * @param {number} id */
  #cancel(id) {
    this.#post({ id, cancel: true })
  }

  /** @param {string} method @param {unknown} params @param {{ signal?: AbortSignal, on?: Listeners }} [options] */
  async call(method, params, { signal, on } = {}) {
    const { id, promise } = this.#send(method, params, { signal, on })
    if (!signal) return promise
    let abort = () => {}
    const aborted = new Promise((_, reject) => {
      abort = () => {
        this.#cancel(id)
        reject(signal.reason)
      }
      signal.addEventListener('abort', abort)
    })
    try {
      return await Promise.race([promise, aborted])
    } finally {
      signal.removeEventListener('abort', abort)
      promise.catch(() => {})
    }
  }

  /** Starts a call that sends items. `result` settles with the worker's own answer, also after `stop()`.
   * @param {string} method @param {unknown} params @param {Listeners} on */
  stream(method, params, on) {
    /** @type {any[]} */
    const items = []
    const news = new Signal()
    let ended = false
    const item = (/** @type {any} */ value) => {
      items.push(value)
      news.fire()
    }
    const { id, promise } = this.#send(method, { ...Object(params), credit: CREDIT }, { on, item })
    const end = () => {
      ended = true
      news.fire()
    }
    promise.then(end, end)
    return {
      result: promise,
      stop: () => this.#cancel(id),
      /** The next item, or undefined at the end. */
      next: async () => {
        while (!items.length && !ended) await news.wait()
        if (!items.length) return undefined
        this.#post({ id, credit: 1 })
        return items.shift()
      },
    }
  }
}
