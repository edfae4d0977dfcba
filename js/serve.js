// The worker's end of the line (channel.js is the page's): runs each call as a task that can be aborted, sends items against
// credit, asks the page and waits for its answer.
import { packError } from './errors.js'

/** @typedef {{ postMessage(message: any, transfer?: any[]): void }} Line */

export class Task {
  #line
  #id
  #abort = new AbortController()
  /** @type {Promise<void>} resolves when the task is aborted */
  #aborted = new Promise((resolve) => this.signal.addEventListener('abort', () => resolve(), { once: true }))
  #credit = 0
  #wake = () => {}
  #asked = 0
  /** @type {Map<number, (value: any) => void>} */
  #asks = new Map()

  /** @param {Line} line @param {number} id @param {number} credit */
  constructor(line, id, credit) {
    this.#line = line
    this.#id = id
    this.#credit = credit
  }

  get signal() {
    return this.#abort.signal
  }

  /** Waits for a promise, or for the task to be aborted. @param {Promise<any>} promise */
  orAborted(promise) {
    return Promise.race([promise, this.#aborted])
  }

  /** Sends an item once the reader has room for it; false when the task was aborted meanwhile.
   * @param {any} item */
  async item(item) {
    while (this.#credit <= 0 && !this.signal.aborted) await new Promise((resolve) => (this.#wake = () => resolve(undefined)))
    if (this.signal.aborted) return false
    this.#credit--
    this.#line.postMessage({ id: this.#id, item })
    return true
  }

  /** @param {string} event @param {any} [detail] */
  tell(event, detail) {
    this.#line.postMessage({ id: this.#id, event, detail })
  }

  /** Resolves to the page's answer; to undefined when the task is aborted.
   * @param {string} event @param {any} [detail] @returns {Promise<any>} */
  ask(event, detail) {
    if (this.signal.aborted) return Promise.resolve()
    const ask = this.#asked++
    this.#line.postMessage({ id: this.#id, event, detail, ask })
    return new Promise((resolve) => this.#asks.set(ask, resolve))
  }

  abort() {
    this.#abort.abort()
    for (const resolve of this.#asks.values()) resolve(undefined)
    this.#asks.clear()
    this.#wake()
  }

  /** @param {{ cancel?: boolean, credit?: number, ask?: number, value?: any }} message from the page, of this task */
  receive({ cancel, credit, ask, value }) {
    if (cancel) this.abort()
    if (credit) this.#credit += credit
    if (ask !== undefined) {
      this.#asks.get(ask)?.(value)
      this.#asks.delete(ask)
    }
    this.#wake()
  }
}

/** An answer whose buffers move to the page instead of being copied. */
export class Moved {
  /** @param {any} value @param {Transferable[]} transfer */
  constructor(value, transfer) {
    this.value = value
    this.transfer = transfer
  }
}

/** Answers calls; `handlers[method](params, task)` may return a promise.
 * @param {Line} line @param {Record<string, (params: any, task: Task) => any>} handlers
 * @returns {(message: any) => void} takes the page's messages */
export function serve(line, handlers) {
  /** @type {Map<number, Task>} */
  const tasks = new Map()
  return async (message) => {
    const { id, method, params } = message
    if (!method) return tasks.get(id)?.receive(message)
    const task = new Task(line, id, params?.credit ?? 0)
    tasks.set(id, task)
    try {
      const answer = await handlers[method](params, task)
      if (answer instanceof Moved) line.postMessage({ id, value: answer.value }, answer.transfer)
      else line.postMessage({ id, value: answer })
    } catch (error) {
      line.postMessage({ id, error: packError(error) })
    } finally {
      tasks.delete(id)
    }
  }
}
