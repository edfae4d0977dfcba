// How many threads a step uses, in the engine's worker: imported where there are any. The page starts them (start-threads.js).
import { EngineSession } from './engine-session.js'

const SAMPLES = 6 // steps in a row with one number of threads; the first is not counted
const ROUNDS = 2
const AGAIN = 4000 // steps until it is measured again: the machine may have other work by then
const WORTH = 0.97 // more threads must be that much faster
const CALIBRATION_MS = 6

/** @param {number[]} times */
const median = (times) => times.sort((a, b) => a - b)[times.length >> 1]

/** The number of threads for one kind of step, found while working: what is computed is the same with any. */
class Choice {
  best = 1
  #counts = [1]
  #step = 0
  /** @type {number[][]} */
  #times = [[]]

  /** @param {number} there threads that there are */
  count(there) {
    if (there !== this.#counts.at(-1)) {
      this.#counts = [1, 2, 4, 8].filter((count) => count < there).concat(there)
      this.best = there
      this.#restart()
    }
    if (this.#step > this.#all + AGAIN) this.#restart()
    return this.isMade ? this.best : this.#counts[Math.floor(this.#step / SAMPLES) % this.#counts.length]
  }

  #restart() {
    this.#step = 0
    this.#times = this.#counts.map(() => [])
  }

  get #all() {
    return this.#counts.length * SAMPLES * ROUNDS
  }
  get isMade() {
    return this.#step >= this.#all
  }

  /** @param {number} ms of a step with the last count */
  took(ms) {
    if (!this.isMade && this.#step % SAMPLES) this.#times[Math.floor(this.#step / SAMPLES) % this.#counts.length].push(ms)
    if (++this.#step !== this.#all) return
    const times = this.#times.map(median)
    let best = 0
    times.forEach((time, i) => (best = time < WORTH * times[best] ? i : best))
    this.best = this.#counts[best]
  }
}

export class Threads {
  #engine
  #isAuto
  #one = new Choice() // steps of one position
  #many = new Choice()

  /** Takes memory for pool and stacks, and tells the page to start workers.
   * @param {import('./engine.js').Engine} engine @param {import('./engine.js').Build} build @param {boolean} isAuto
   * @param {(event: string, detail: any) => void} tell */
  constructor(engine, { module, threads }, isAuto, tell) {
    const { x, page, memory } = engine
    this.#engine = engine
    this.#isAuto = isAuto
    engine.address(x.page_threads_open(page, threads))
    const stacks = Array.from({ length: threads - 1 }, (_, i) => x.page_stack(page, i + 1) >>> 0)
    tell('threads', { module, memory, page, pool: x.page_pool(page) >>> 0, stacks })
  }

  /** With the engine's own. */
  get #there() {
    return this.#engine.x.page_threads(this.#engine.page)
  }

  /** Threads that steps of one position use. */
  get count() {
    return this.#isAuto ? this.#one.best : this.#there
  }

  /** Runs a step with the number of threads that is best, or to find out which; all of them when their number was asked for.
   * @param {() => number} step @param {boolean} isOne of one position */
  run(step, isOne) {
    const { x, page } = this.#engine
    const choice = isOne ? this.#one : this.#many
    x.page_threads_use(page, this.#isAuto ? choice.count(this.#there) : this.#there)
    const start = performance.now()
    const state = step()
    if (state === 1) choice.took(performance.now() - start) // not the logits, not a wait
    return state
  }

  /** Some steps of one position, to know before somebody waits. @param {{ context: number, kvType: string }} plan */
  calibrate({ context, kvType }) {
    if (!this.#isAuto) return
    const start = performance.now()
    let session
    try {
      session = new EngineSession(this.#engine, { context: Math.min(context, 32), kvType })
    } catch {
      return // all the memory that was planned for sessions is theirs
    }
    const isOver = () => this.#one.isMade || performance.now() - start > CALIBRATION_MS
    while (!isOver()) {
      session.beginNext(0, 1)
      while (session.step() === 'more' && !isOver());
    }
    session.close()
  }
}
