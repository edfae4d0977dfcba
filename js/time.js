// Letting others have a turn, in a worker and in Node.

/** Node takes a thousand messages of one port before it looks at others; it has setImmediate. */
const channel = 'setImmediate' in globalThis ? undefined : new MessageChannel()
/** @type {((value?: any) => void)[]} */
const waiting = []
if (channel) channel.port1.onmessage = () => waiting.shift()?.()

/** Resolves after messages that arrived by now were taken: a turn of the event loop, without a timer's least delay.
 * @returns {Promise<any>} */
export const turn = () => new Promise((resolve) => (channel ? channel.port2.postMessage(waiting.push(resolve)) : setImmediate(resolve)))

/** A function to be awaited between pieces of work: takes a turn when `ms` have passed since the last one.
 * @param {number} ms */
export function pacer(ms) {
  let last = performance.now()
  return async () => {
    if (performance.now() - last < ms) return
    await turn()
    last = performance.now()
  }
}

/** Something that happens again and again and can be waited for. */
export class Signal {
  #wake = () => {}
  #promise = Promise.resolve()
  constructor() {
    this.fire()
  }
  fire() {
    this.#wake()
    this.#promise = new Promise((resolve) => (this.#wake = resolve))
  }
  wait() {
    return this.#promise
  }
}
