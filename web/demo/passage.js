// A text by a model, token by token: what was given, then what was made. Shaded, each token shows how probable it was.
import { h } from './dom.js'

/** Shades by probability; a token above the first limit has none. */
const limits = [0.8, 0.5, 0.25, 0.1, 0.03]

/** @param {number} logprob */
const shadeOf = (logprob) => limits.filter((limit) => Math.exp(logprob) < limit).length

export class Passage {
  /** @type {import('./run.js').Token[]} */ tokens = []
  shaded = false
  #given = h('span', { class: 'given' })
  #made = h('span', { class: 'made' })
  element = h('div', { class: 'passage' }, this.#given, this.#made)

  get text() {
    return this.given + this.tokens.map(({ text }) => text).join('')
  }

  get given() {
    return this.#given.textContent ?? ''
  }

  /** @returns {HTMLElement[]} */
  get spans() {
    return /** @type {any} */ ([...this.#made.children])
  }

  /** Starts anew. @param {string} given */
  reset(given = '') {
    this.#given.textContent = given
    this.#made.replaceChildren()
    this.tokens = []
  }

  /** All of it is given from now on: the session that made it is gone. */
  settle() {
    if (this.tokens.length) this.reset(this.text)
  }

  /** @param {import('./run.js').Token[]} tokens @param {boolean} [chosen] picked by the reader */
  push(tokens, chosen = false) {
    const first = this.tokens.length
    this.tokens.push(...tokens)
    this.#made.append(...tokens.map((token, i) => {
      const shade = shadeOf(token.logprob)
      const span = h('span', { 'data-shade': shade, class: chosen ? 'chosen' : null, text: token.text })
      if (this.shaded) this.#expose(span, token, first + i)
      return span
    }))
  }

  /** Keeps the first `length` tokens. @param {number} length */
  truncate(length) {
    this.tokens.length = length
    while (this.#made.childElementCount > length) this.#made.lastElementChild?.remove()
  }

  /** @param {boolean} on */
  shade(on) {
    this.shaded = on
    this.element.classList.toggle('shaded', on)
    if (on) this.element.setAttribute('aria-label', 'Tokens: arrow keys move, Enter shows alternatives')
    else this.element.removeAttribute('aria-label')
    if (on) this.element.setAttribute('role', 'group')
    else this.element.removeAttribute('role')
    this.spans.forEach((span, i) => (on ? this.#expose(span, this.tokens[i], i) : this.#hide(span)))
  }

  /** One token of a shaded passage is in the tab order, the arrow keys move from there. */
  #expose(span, token, index) {
    span.setAttribute('role', 'button')
    span.tabIndex = index === 0 ? 0 : -1
    if (!token.text.trim()) span.setAttribute('aria-label', token.text.includes('\n') ? 'line break' : 'space')
  }

  #hide(span) {
    for (const name of ['role', 'tabindex', 'aria-label', 'aria-describedby']) span.removeAttribute(name)
  }
}
