// The popover of a shaded passage: how probable a token was, what else was likely there, and picking one of those.
// By pointer: hover shows, click keeps. By keyboard: arrows move among tokens, Enter goes into the list, Escape out.
import { h } from './dom.js'
import { percent, visible } from './format.js'

let popovers = 0

export class Alternatives {
  #passage
  #onPick
  #index = -1
  #pinned = false
  #timer = 0
  #quiet = false
  #popover = h('div', { class: 'alternatives', id: `alternatives-${++popovers}`, hidden: true })

  /** @param {import('./passage.js').Passage} passage
   * @param {(index: number, alternative: any) => void} onPick */
  constructor(passage, onPick) {
    this.#passage = passage
    this.#onPick = onPick
    const { element } = passage
    element.after(this.#popover)
    element.addEventListener('pointerover', (event) => this.#hover(event))
    element.addEventListener('click', (event) => this.#click(event))
    element.addEventListener('focusin', (event) => !this.#quiet && this.#show(this.#indexOf(event.target)))
    element.addEventListener('keydown', (event) => this.#key(event))
    this.#popover.addEventListener('keydown', (event) => this.#listKey(event))
    this.#popover.addEventListener('pointerenter', () => clearTimeout(this.#timer))
    for (const part of [element, this.#popover]) {
      part.addEventListener('pointerleave', () => this.#leave())
      part.addEventListener('focusout', (event) => this.#focusLeft(event))
    }
  }

  /** Moves the focus to a token and shows nothing. @param {number} index */
  focus(index) {
    this.#quiet = true
    this.#move(index)
    this.#quiet = false
  }

  hide() {
    clearTimeout(this.#timer)
    this.#popover.hidden = true
    this.#pinned = false
    this.#passage.spans[this.#index]?.removeAttribute('aria-describedby')
    this.#passage.spans[this.#index]?.classList.remove('looked-at')
    this.#index = -1
  }

  #indexOf(target) {
    return this.#passage.shaded ? this.#passage.spans.indexOf(target) : -1
  }

  #hover(event) {
    const index = this.#indexOf(event.target)
    if (index < 0 || this.#pinned || event.pointerType === 'touch') return
    clearTimeout(this.#timer)
    this.#timer = window.setTimeout(() => this.#show(index), 60)
  }

  #click(event) {
    const index = this.#indexOf(event.target)
    if (index < 0) return
    this.#move(index)
    this.#pinned = true
  }

  #leave() {
    clearTimeout(this.#timer)
    if (!this.#pinned) this.#timer = window.setTimeout(() => this.hide(), 250)
  }

  #focusLeft(event) {
    const to = event.relatedTarget
    if (!this.#passage.element.contains(to) && !this.#popover.contains(to)) this.hide()
  }

  #key(event) {
    const at = this.#indexOf(event.target)
    if (at < 0) return
    const last = this.#passage.spans.length - 1
    const to = {
      ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last,
      ArrowDown: this.#line(at, 1), ArrowUp: this.#line(at, -1),
    }[event.key]
    if (event.key === 'Escape') this.hide()
    else if (event.key === 'Enter' || event.key === ' ') {
      this.#show(at)
      this.#pinned = true
      this.#popover.querySelector('button')?.focus()
    } else if (to !== undefined) this.#move(Math.max(0, Math.min(last, to)))
    else return
    event.preventDefault()
  }

  /** The nearest token a line further down or up. */
  #line(at, direction) {
    const spans = this.#passage.spans, from = spans[at].getBoundingClientRect()
    let best = at, distance = Infinity, line
    for (let i = at + direction; i >= 0 && i < spans.length; i += direction) {
      const box = spans[i].getBoundingClientRect()
      if ((box.bottom - from.bottom) * direction < from.height / 2) continue
      line ??= box.bottom
      if (Math.abs(box.bottom - line) > from.height / 2) break
      if (Math.abs(box.left - from.left) < distance) [best, distance] = [i, Math.abs(box.left - from.left)]
    }
    return best
  }

  #listKey(event) {
    const buttons = [...this.#popover.querySelectorAll('button')], at = buttons.indexOf(event.target)
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (event.key === 'Escape') {
      const index = this.#index
      this.hide()
      this.#move(index)
    } else if (step) buttons[(at + step + buttons.length) % buttons.length].focus()
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  #move(index) {
    const { spans } = this.#passage
    for (const span of spans) if (span.tabIndex === 0) span.tabIndex = -1
    spans[index].tabIndex = 0
    spans[index].focus()
  }

  #show(index) {
    if (index < 0 || index === this.#index) return
    this.hide()
    this.#index = index
    const token = this.#passage.tokens[index], span = this.#passage.spans[index]
    this.#popover.replaceChildren(
      h('p', { id: `${this.#popover.id}-p` },
        h('q', { text: visible(token.text) }), ` had ${percent(Math.exp(token.logprob))}`),
      this.#list(token, index))
    span.classList.add('looked-at')
    span.setAttribute('aria-describedby', `${this.#popover.id}-p`)
    this.#popover.hidden = false
    this.#place(span)
  }

  #list(token, index) {
    return h('ul', { 'aria-label': 'Likely here' }, ...token.top.slice(0, 7).map((alternative) => {
      const p = Math.exp(alternative.logprob), current = alternative.id === token.id
      const bar = h('span', { class: 'bar' })
      bar.style.inlineSize = `${(p * 100).toFixed(1)}%`
      return h('li', {}, h('button', {
        type: 'button', 'aria-current': current ? 'true' : null, on: {
          click: () => {
            this.hide()
            this.#onPick(index, alternative)
          },
        },
      }, bar, h('span', { class: 'word', text: visible(alternative.text) }),
      h('span', { class: 'p', text: percent(p) })))
    }))
  }

  /** Under the token, inside the passage's width; above it where the window ends. */
  #place(span) {
    const frame = /** @type {HTMLElement} */ (this.#popover.offsetParent)?.getBoundingClientRect()
    if (!frame) return
    const box = [...span.getClientRects()].at(-1) ?? span.getBoundingClientRect()
    const { offsetWidth: width, offsetHeight: height } = this.#popover
    const left = Math.max(4, Math.min(box.left - frame.left - 8, frame.width - width - 4))
    const below = box.bottom + height + 12 < innerHeight || box.top < height + 12
    this.#popover.style.left = `${left}px`
    this.#popover.style.top = `${below ? box.bottom - frame.top + 2 : box.top - frame.top - height - 2}px`
  }
}
