// One generation: reads the pieces of a session, hands tokens on once a frame, and measures the speed.

/** Waits for the next frame; in a hidden tab, where there are none, for a moment. @param {() => void} action */
function soon(action) {
  if (document.hidden) setTimeout(action, 100)
  else requestAnimationFrame(action)
}

/** @typedef {{ id: number, text: string, logprob: number }} Alternative */
/** @typedef {Alternative & { position: number, top: Alternative[] }} Token */

export class Run {
  #abort = new AbortController()
  /** @type {Token[]} */ #pending = []
  #scheduled = false
  #first = 0
  /** Tokens so far, and how many a second since the first. */
  tokens = 0
  perSecond = 0

  /** @param {{ session: any, input?: any, options: any, onTokens: (tokens: Token[]) => void,
   *   onVisit?: (visit: number) => unknown, onPrefill?: (progress: any) => void }} what */
  constructor({ session, input, options, onTokens, onVisit, onPrefill }) {
    this.session = session
    this.onTokens = onTokens
    this.stream = session.pieces(input, { ...options, top: 8, signal: this.#abort.signal, onVisit, onPrefill })
    /** Resolves to the result; what was told by then has been handed on. */
    this.finished = this.#read()
  }

  stop() {
    this.#abort.abort()
  }

  async #read() {
    this.stream.result.catch(() => {}) // the loop tells it as well
    try {
      for await (const { tokens } of this.stream) this.#take(tokens)
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error
    } finally {
      this.#flush()
    }
    return this.stream.result
  }

  /** @param {Token[]} tokens */
  #take(tokens) {
    const now = performance.now()
    if (!this.tokens) this.#first = now
    else this.perSecond = this.tokens / (now - this.#first) * 1000
    this.tokens += tokens.length
    this.#pending.push(...tokens)
    if (this.#scheduled) return
    this.#scheduled = true
    soon(() => this.#flush())
  }

  #flush() {
    this.#scheduled = false
    if (this.#pending.length) this.onTokens(this.#pending.splice(0))
  }
}
