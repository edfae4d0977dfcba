// The figures of the model in use: speed, memory, context.
import { byId } from './dom.js'
import { bytes, count, rate } from './format.js'

export class Figures {
  #speed = byId('figure-speed')
  #prefill = byId('figure-prefill')
  #memory = byId('figure-memory')
  #context = byId('figure-context')
  #meter = byId('context-meter')

  /** @param {any} model */
  model(model) {
    const { memory, weights, kv } = model.plan
    this.#memory.textContent = `${bytes(model.memory)} of ${bytes(memory)} planned`
    this.#memory.title = `weights ${bytes(weights)}, KV cache ${bytes(kv)}`
  }

  /** @param {number} perSecond */
  speed(perSecond) {
    this.#speed.textContent = rate(perSecond)
  }

  /** @param {any} session */
  context(session) {
    const { contextUsed, contextMax } = session
    this.#context.textContent = `${count(contextUsed)} of ${count(contextMax)} tokens`
    this.#meter.style.inlineSize = `${Math.min(100, contextUsed / contextMax * 100)}%`
  }

  /** @param {{ done: number, total: number }} progress */
  prefill({ done, total }) {
    this.#prefill.textContent = done < total ? `reading, ${Math.round(done / total * 100)} %` : ''
  }

  /** @param {any} result */
  result({ timings, usage }) {
    const read = usage.promptTokens - usage.reusedTokens
    this.#prefill.textContent = `${count(timings.firstTokenMs)} ms to the first token`
      + (usage.reusedTokens ? `, ${count(read)} read, ${count(usage.reusedTokens)} reused` : `, ${count(read)} read`)
    if (usage.completionTokens > 1 && timings.decodeMs > 0) this.speed(usage.completionTokens / timings.decodeMs * 1000)
  }
}
