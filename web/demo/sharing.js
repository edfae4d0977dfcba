// The sharing view: the score of the program in use, the visit that is being computed, what sharing saves, and how deep the model
// runs where its file leaves a choice.
import { byId, h } from './dom.js'
import { bytes, count } from './format.js'
import { blockOf, halvesOf, Score } from './score.js'

const slowMs = 120 // a visit, when slowed down

export class Sharing {
  #place = byId('score')
  #caption = byId('score-caption')
  #savings = byId('savings')
  #slow = byId('slow')
  #depth = byId('depth')
  /** @type {any} */ #model = null
  /** @type {Score | null} */ #score = null
  /** What runs: see Program in index.d.ts. @type {any} */ #program = null
  #visit = -1
  #scheduled = false
  #visible = true

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(this.#place)
    new IntersectionObserver(([entry]) => {
      this.#visible = entry.isIntersecting
    }).observe(this.#place)
    this.#depth.addEventListener('input', () => this.#deepen())
  }

  /** @param {any} model */
  show(model) {
    const { info } = model
    this.#model = model
    byId('depth-row').hidden = info.loopMin >= info.loopMax
    Object.assign(this.#depth, { min: info.loopMin, max: info.loopMax, value: info.loops })
    byId('depth-note').textContent = `times that the loop is played, ${info.loopMin} to ${info.loopMax}`
    this.#take(info)
  }

  /** As `pieces()` takes them. */
  get options() {
    const depth = Number(this.#depth.value)
    return this.#model && !byId('depth-row').hidden && depth !== this.#model.info.loops ? { depth } : {}
  }

  /** Another depth holds from the next text on, or the next that is added to this one. */
  async #deepen() {
    const model = this.#model, options = this.options, program = await model.program(options)
    if (model === this.#model && options.depth === this.options.depth) this.#take(program)
  }

  /** @param {any} program */
  #take(program) {
    const { info, plan } = this.#model, { blockBytes, visitedBytes, kvBytes, kvBytesAllSlots } = program.sharing
    byId('depth-value').textContent = this.#depth.value
    this.#program = program
    this.#score = null
    this.#draw()
    this.rest()
    const saved = visitedBytes - blockBytes
    const cache = kvBytes < kvBytesAllSlots ? `${count(kvBytes)} of ${count(kvBytesAllSlots)} bytes a token` : `the same, ${count(kvBytes)} bytes a token`
    this.#savings.replaceChildren(
      this.#bars('Download', info.fileBytes, info.fileBytes + saved),
      this.#bars('Memory', plan.memory, plan.memory + saved),
      h('p', { class: 'note', text: saved > 0
        ? `Grey: the same model with a block of its own for each visit. The KV cache is ${cache}, and the time is the same: `
          + 'what is played again is computed again.'
        : 'Each block is visited once, so blocks share nothing here. '
          + `KV cache: ${count(kvBytes)} bytes a token.` }))
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
    this.#caption.textContent = this.#program ? this.#summary() : ''
  }

  #summary() {
    const { visits, program } = this.#program, { blocks } = this.#model.info, { attns, ffns } = halvesOf(program)
    if (attns !== ffns) return `The attention of ${attns} blocks and the FFN of ${ffns} are stored, ${visits} of each are played for every token.`
    return blocks < visits
      ? `${blocks} blocks are stored, ${visits} are played for every token.`
      : `${blocks} blocks, each played once for every token.`
  }

  #light() {
    this.#score?.light(this.#visit)
    const { program = [] } = this.#program ?? {}, now = program[this.#visit] // none where what runs began at another depth
    if (!now || !this.#slow.checked) return
    const { slot, writes, varies, injects, normAfter, mayExit } = now
    const time = program.slice(0, this.#visit + 1).filter((visit) => blockOf(visit) === blockOf(now)).length
    const again = time > 1 ? ` for the ${['', '', '2nd', '3rd'][time] ?? `${time}th`} time` : ''
    this.#caption.textContent = `Visit ${this.#visit + 1} of ${program.length}: block ${blockOf(now)}${again}, `
      + [slot < 0 ? 'no KV slot' : `${writes ? 'writes' : 'reads'} KV slot ${slot}`, injects && 'takes the input in again', varies && 'has tensors of its own',
        normAfter && 'the norm follows', mayExit && 'may be the last one'].filter(Boolean).join(', ')
  }

  #draw() {
    const width = Math.floor(this.#place.clientWidth)
    if (!this.#program || !width || this.#score?.width === width) return
    this.#score = new Score(this.#program.program, width)
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
