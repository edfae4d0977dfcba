// Letting others have a turn, in a worker and in Node.

const { port1, port2 } = new MessageChannel()
/** @type {(() => void)[]} */
const waiting = []
port1.onmessage = () => waiting.shift()?.()
// In Node an open port keeps the program alive; whoever waits here has work to do anyhow.
;/** @type {any} */ (port1).unref?.()

/** Resolves after messages that arrived by now were taken: a turn of the event loop, without a timer's least delay. */
export function turn() {
  return new Promise((resolve) => {
    waiting.push(() => resolve(undefined))
    port2.postMessage(0)
  })
}

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
