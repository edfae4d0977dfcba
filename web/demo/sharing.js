// The sharing view: the score of the model in use, the visit that is being computed, and what sharing saves.
import { byId, h } from './dom.js'
import { bytes, count } from './format.js'
import { Score } from './score.js'

const slowMs = 120 // a visit, when slowed down

export class Sharing {
  #place = byId('score')
  #caption = byId('score-caption')
  #savings = byId('savings')
  #slow = byId('slow')
  /** @type {Score | null} */ #score = null
  /** @type {any} */ #info = null
  #visit = -1
  #scheduled = false
  #visible = true

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(this.#place)
    new IntersectionObserver(([entry]) => {
      this.#visible = entry.isIntersecting
    }).observe(this.#place)
  }

  /** @param {any} model */
  show({ info, plan }) {
    this.#info = info
    this.#score = null
    this.#draw()
    this.rest()
    const saved = info.unrolledBytes - info.fileBytes
    this.#savings.replaceChildren(
      this.#bars('Download', info.fileBytes, info.unrolledBytes),
      this.#bars('Memory', plan.memory, plan.memory + saved),
      h('p', { class: 'note', text: saved > 0
        ? 'Grey: the same model with a block of its own for each visit. The KV cache is the same, '
          + `${count(plan.kvPerToken)} bytes a token, and so is the time: what is played twice is computed twice.`
        : 'Each block is visited once, so blocks share nothing here. '
          + `KV cache: ${count(plan.kvPerToken)} bytes a token.` }))
  }

  /** Called before each visit; the model waits for a promise. Otherwise a few a frame are shown, the rest pass.
   * @param {number} visit */
  onVisit = (visit) => {
    this.#visit = visit
    if (this.#slow.checked) {
      this.#light()
      return new Promise((resolve) => setTimeout(resolve, slowMs))
    }
    if (this.#scheduled || !this.#visible) return
    this.#scheduled = true
    requestAnimationFrame(() => {
      this.#scheduled = false
      this.#light()
    })
  }

  /** Nothing is being computed. */
  rest() {
    this.#visit = -1
    this.#light()
    this.#caption.textContent = this.#info ? this.#summary() : ''
  }

  #summary() {
    const { blocks, visits } = this.#info
    return blocks < visits
      ? `${blocks} blocks are stored, ${visits} are played for every token.`
      : `${blocks} blocks, each played once for every token.`
  }

  #light() {
    this.#score?.light(this.#visit)
    if (this.#visit < 0 || !this.#slow.checked) return
    const { program } = this.#info, { attn, slot, writes } = program[this.#visit]
    const time = program.slice(0, this.#visit + 1).filter((visit) => visit.attn === attn).length
    const again = time > 1 ? ` for the ${['', '', '2nd', '3rd'][time] ?? `${time}th`} time` : ''
    this.#caption.textContent = `Visit ${this.#visit + 1} of ${program.length}: block ${attn}${again}, `
      + (slot < 0 ? 'no KV slot' : `${writes ? 'writes' : 'reads'} KV slot ${slot}`)
  }

  #draw() {
    const width = Math.floor(this.#place.clientWidth)
    if (!this.#info || !width || this.#score?.width === width) return
    this.#score = new Score(this.#info.program, width)
    this.#place.replaceChildren(this.#score.element)
    this.#place.setAttribute('aria-label', `${this.#summary()} The order of blocks: ${this.#score.blocks.join(', ')}.`)
  }

  /** @param {string} label @param {number} shared @param {number} unrolled */
  #bars(label, shared, unrolled) {
    const bar = (className, size, text) => {
      const element = h('span', { class: className })
      element.style.inlineSize = `${size / unrolled * 100}%`
      return h('span', { class: 'track' }, element, h('span', { class: 'amount', text }))
    }
    return h('div', { class: 'saving' }, h('span', { class: 'label', text: label }), bar('ours', shared, bytes(shared)),
      ...(unrolled > shared ? [bar('theirs', unrolled, `${bytes(unrolled)} unrolled`)] : []))
  }
}
