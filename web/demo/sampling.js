// The drawer with the sampling options. Each field explains itself; what was set is remembered.
import { byId, closeable, h } from './dom.js'
import { recall, remember } from './remember.js'

/** Name, label, smallest, largest, step, default, help. */
const fields = [
  ['temperature', 'Temperature', 0, 2, 0.05, 0.7, '0 takes the likeliest token'],
  ['topK', 'Top-k', 0, 200, 1, 40, 'only the k likeliest; 0 is off'],
  ['topP', 'Top-p', 0, 1, 0.01, 0.95, 'the likeliest, up to p; 0 is off'],
  ['minP', 'Min-p', 0, 1, 0.01, 0.05, 'at least this part of the best; 0 is off'],
  ['repeatPenalty', 'Repeat penalty', 1, 2, 0.01, 1, '1 is off'],
  ['maxTokens', 'Most tokens', 0, 4096, 1, 0, '0 is as many as fit'],
].map(([name, label, min, max, step, value, help]) => ({ name, label, min, max, step, value, help }))
const defaults = Object.fromEntries(fields.map(({ name, value }) => [name, value]))

export class Sampling {
  #dialog = byId('sampling')
  #values = { ...defaults, ...recall('sampling', {}) }
  /** @type {(() => void)[]} */ #updates = []

  constructor() {
    closeable(this.#dialog)
    byId('sampling-button').addEventListener('click', () => this.#dialog.showModal())
    byId('sampling-reset').addEventListener('click', () => {
      Object.assign(this.#values, defaults)
      remember('sampling', undefined)
      for (const update of this.#updates) update()
    })
    byId('sampling-fields').append(...fields.map((field) => this.#row(field)))
  }

  /** As `pieces()` takes them. */
  get options() {
    const { maxTokens, ...options } = this.#values
    return { ...options, ...(maxTokens > 0 ? { maxTokens } : {}) }
  }

  #row({ name, label, min, max, step, help }) {
    const shape = { min, max, step, id: `sampling-${name}` }
    /** @returns {any} */
    const input = (type, props) => h('input', { type, ...shape, ...props })
    const number = input('number', { inputmode: 'decimal', 'aria-describedby': `help-${name}` })
    const slider = input('range', { id: `slide-${name}`, tabindex: -1, 'aria-hidden': 'true' })
    const update = () => {
      number.value = slider.value = String(this.#values[name])
    }
    const take = (event) => {
      const value = Number(event.target.value)
      const good = event.target.value !== '' && value >= min && value <= max
      number.setAttribute('aria-invalid', !good)
      if (!good) return
      this.#values[name] = value
      remember('sampling', this.#values)
      update()
    }
    slider.addEventListener('input', take)
    number.addEventListener('change', take)
    this.#updates.push(update)
    update()
    return h('div', { class: 'field' }, h('label', { for: shape.id, text: label }), number, slider,
      h('p', { class: 'note', id: `help-${name}`, text: help }))
  }
}

/** A seed that reads well. */
export const newSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1e6
