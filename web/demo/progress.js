// The strip under the header while a model arrives: bytes, speed, time left, and a way out.
import { byId } from './dom.js'
import { bytes, duration } from './format.js'

const windowMs = 4000 // the speed is that of the last seconds

export class Progress {
  #strip = byId('progress')
  #name = byId('progress-name')
  #text = byId('progress-text')
  #bar = byId('progress-bar')
  /** @type {[number, number][]} time and bytes from the network */ #samples = []
  #timer = 0

  /** @param {() => void} onCancel */
  constructor(onCancel) {
    byId('progress-cancel').addEventListener('click', onCancel)
  }

  /** Shown when it takes longer than a blink. @param {string} name */
  start(name) {
    this.#samples = []
    this.#name.textContent = name
    this.#text.textContent = 'asking for it'
    this.#bar.removeAttribute('value')
    clearTimeout(this.#timer)
    this.#timer = window.setTimeout(() => {
      this.#strip.hidden = false
    }, 300)
  }

  /** @param {{ phase: string, loaded: number, total: number, fromCache: number }} progress */
  update({ phase, loaded, total, fromCache }) {
    if (phase === 'waiting') {
      this.#text.textContent = 'another tab is fetching it'
      return
    }
    const now = performance.now(), fetched = loaded - fromCache
    this.#samples.push([now, fetched])
    while (this.#samples.length > 2 && now - this.#samples[0][0] > windowMs) this.#samples.shift()
    const [since, before] = this.#samples[0], speed = (fetched - before) / (now - since) * 1000
    const parts = [total ? `${bytes(loaded)} of ${bytes(total)}` : bytes(loaded)]
    if (fromCache >= loaded && loaded > 0) parts.push('from this device')
    else if (speed > 0 && Number.isFinite(speed)) {
      parts.push(`${bytes(speed)}/s`)
      if (total) parts.push(`${duration((total - loaded) / speed)} left`)
    }
    this.#text.textContent = parts.join(' · ')
    if (total) {
      this.#bar.max = total
      this.#bar.value = loaded
    }
  }

  end() {
    clearTimeout(this.#timer)
    this.#strip.hidden = true
  }
}
