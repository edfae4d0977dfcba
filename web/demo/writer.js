// Lets a session write into a passage, one at a time for the whole page, and tells figures, score and screen readers.
import { newSeed } from './sampling.js'
import { Run } from './run.js'

/** Events: `state` whenever it begins or ends to write. */
export class Writer extends EventTarget {
  /** @type {Run | null} */ #run = null
  #parts

  /** @param {{ sampling: any, sharing: any, figures: any, announcer: any }} parts */
  constructor(parts) {
    super()
    this.#parts = parts
  }

  get busy() {
    return this.#run !== null
  }

  /** What is computed with, for what is added without writing. */
  get computing() {
    return this.#parts.sharing.options
  }

  /** Ends what is being written and waits until the session is free. */
  async stop() {
    const run = this.#run
    run?.stop()
    await run?.finished.catch(() => {})
  }

  /** @param {{ session: any, passage: import('./passage.js').Passage, input?: any, seed?: number, what: string,
   *   onText?: () => void }} task
   * @returns {Promise<any>} the package's Result */
  async write({ session, passage, input, seed = newSeed(), what, onText }) {
    await this.stop()
    const { sampling, sharing, figures, announcer } = this.#parts
    const run = this.#run = new Run({
      session, input, options: { ...sampling.options, ...sharing.options, seed }, onVisit: sharing.onVisit,
      onPrefill: (progress) => figures.prefill(progress),
      onTokens: (tokens) => {
        passage.push(tokens)
        onText?.()
        announcer.write(tokens.map(({ text }) => text).join(''))
        figures.speed(run.perSecond)
        figures.context(session)
      },
    })
    this.dispatchEvent(new Event('state'))
    try {
      const result = await run.finished
      figures.result(result)
      announcer.finish(result.finishReason === 'abort' ? 'Stopped.' : `${what} finished.`)
      return result
    } finally {
      if (this.#run === run) this.#run = null
      figures.context(session)
      sharing.rest()
      this.dispatchEvent(new Event('state'))
    }
  }
}

const reasons = { stop: 'the end', length: 'as long as asked for', context: 'the context is full', abort: 'stopped' }

/** Why a text ended, for its foot. @param {any} result */
export function ending({ finishReason, usage, seed }, before = 0) {
  const tokens = usage.completionTokens + before
  return `${tokens} ${tokens === 1 ? 'token' : 'tokens'}, seed ${seed} · ${reasons[finishReason]}`
}
