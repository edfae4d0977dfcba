// A model's program of visits as a score: above, what is stored, one bar a block, with repeat signs where a passage is
// played again; below, what is played, one note a visit with its KV slot. Knows nothing of models but the program.
import { svg } from './dom.js'

/** Passages that are played again: the longest first, from left to right.
 * @param {string[]} blocks the block of each visit
 * @returns {{ blocks: string[], times: number, first: number }[]} */
export function passages(blocks) {
  const found = []
  for (let at = 0; at < blocks.length;) {
    let best = { length: 1, times: 1 }
    for (let length = 1; at + 2 * length <= blocks.length; length++) {
      let times = 1
      const same = (from) => blocks.slice(from, from + length).every((block, i) => block === blocks[at + i])
      while (at + (times + 1) * length <= blocks.length && same(at + times * length)) times++
      if (times > 1 && times * length > best.length * best.times) best = { length, times }
    }
    found.push({ blocks: blocks.slice(at, at + best.length), times: best.times, first: at })
    at += best.length * best.times
  }
  return found
}

const staff = 6 // between two of the five lines
const height = 4 * staff

/** Five lines. */
const lines = (x, y, width) => svg('path', {
  class: 'staff', d: [0, 1, 2, 3, 4].map((i) => `M${x} ${y + i * staff + 0.5}h${width}`).join(''),
})

/** A visit's block, or its attention's block and its FFN's. @param {{ attn: number, ffn: number }} visit */
export const blockOf = ({ attn, ffn }) => (attn === ffn ? `${attn}` : `${attn}/${ffn}`)

/** What is stored: how many blocks give an attention, how many an FFN. @param {{ attn: number, ffn: number }[]} program */
export const halvesOf = (program) => ({ attns: new Set(program.map(({ attn }) => attn)).size, ffns: new Set(program.map(({ ffn }) => ffn)).size })

/** A note for a block: the scale goes up with the block's number. */
function note(x, y, block, blocks) {
  const step = blocks > 1 ? Math.round(block / (blocks - 1) * 7) : 3
  const at = y + height - (step + 0.5) * staff / 2, side = step < 4 ? 1 : -1
  return svg('g', { class: 'note' },
    svg('ellipse', { cx: x, cy: at, rx: staff * 0.68, ry: staff * 0.48, transform: `rotate(-20 ${x} ${at})` }),
    svg('path', { d: `M${x + side * staff * 0.6} ${at - side}v${-side * staff * 3}` }))
}

/** A repeat sign: a thick line, and on the side where the passage is, a thin line and two dots.
 * @param {number} x @param {number} y
 * @param {number[]} sides 1: a passage opens on the right, -1: one closes on the left */
const repeatSign = (x, y, sides) => svg('g', { class: 'repeat' }, svg('rect', { x: x - 1.5, y, width: 3, height }),
  ...sides.flatMap((side) => [svg('rect', { x: x + side * 4 - 0.5, y, width: 1, height }),
    ...[1.5, 2.5].map((line) => svg('circle', { cx: x + side * 8, cy: y + line * staff, r: 1.6 }))]))

export class Score {
  /** @type {SVGElement[][]} what lights up at a visit */ #lights = []
  #lit = -1

  /** @param {{ attn: number, ffn: number, slot: number }[]} program @param {number} width in pixels */
  constructor(program, width) {
    this.program = program
    this.width = width
    this.blocks = program.map(blockOf)
    const { attns, ffns } = halvesOf(program)
    this.stored = attns
    this.parts = passages(this.blocks)
    const repeats = Math.min(attns, ffns) < program.length
    const written = repeats ? this.#written(16) : { group: '', bottom: -6 }
    const slots = new Set(program.map(({ slot }) => slot).filter((slot) => slot >= 0)).size
    const held = slots === program.length ? 'each with a KV slot of its own' : `with ${slots} KV slots`
    const played = this.#played(written.bottom + 22, `${repeats ? 'played' : 'stored and played once'}, ${held}`)
    this.element = svg('svg', {
      class: 'score', viewBox: `0 0 ${width} ${played.bottom}`, width, height: played.bottom, 'aria-hidden': 'true',
    }, written.group, played.group)
  }

  /** The visit that is being computed; -1: none. @param {number} visit */
  light(visit) {
    if (visit === this.#lit) return
    for (const element of this.#lights[this.#lit] ?? []) element.classList.remove('lit')
    for (const element of this.#lights[visit] ?? []) element.classList.add('lit')
    this.#lit = visit
  }

  /** Rows of bars that fit. @param {number} bars @param {number} smallest */
  #rows(bars, smallest) {
    const rows = Math.ceil(bars / Math.max(1, Math.floor(this.width / smallest)))
    const perRow = Math.ceil(bars / rows)
    return { perRow, rows, bar: this.width / perRow }
  }

  #written(top) {
    const group = svg('g', { class: 'written' })
    const bars = this.parts.flatMap((part) => part.blocks.map((block, i) => ({ block, i, part })))
    const { perRow, rows, bar } = this.#rows(bars.length, 34), rowHeight = height + 42
    group.append(svg('text', { class: 'caption', x: 0, y: top - 4 }, 'stored'))
    bars.forEach(({ block, i, part }, index) => {
      const x = index % perRow * bar, y = top + 8 + Math.floor(index / perRow) * rowHeight
      const middle = x + bar / 2, sign = note(middle, y, parseInt(block), this.stored)
      const wash = svg('rect', { class: 'wash', x: x + 1, y: y - 6, width: bar - 2, height: height + 30, rx: 4 })
      const number = svg('text', { class: 'number', x: middle, y: y + height + 19 }, block)
      group.append(wash, lines(x, y, bar), sign, number)
      this.#barLines(group, { x, y, bar, index, bars, perRow })
      for (let time = 0; time < part.times; time++)
        this.#lights[part.first + time * part.blocks.length + i] = [wash, sign]
    })
    return { group, bottom: top + rows * rowHeight }
  }

  /** What closes a bar on its right, and opens it on its left at a row's beginning. */
  #barLines(group, { x, y, bar, index, bars, perRow }) {
    const opens = (at) => bars[at]?.i === 0 && bars[at].part.times > 1
    const { i, part } = bars[index], closes = part.times > 1 && i === part.blocks.length - 1
    const first = index % perRow === 0, last = (index + 1) % perRow === 0 || index === bars.length - 1
    if (first && opens(index)) group.append(repeatSign(x + 1.5, y, [1]))
    const sides = [...(closes ? [-1] : []), ...(!last && opens(index + 1) ? [1] : [])]
    if (sides.length) group.append(repeatSign(x + bar - (last ? 1.5 : 0), y, sides))
    else group.append(svg('rect', { class: 'line', x: x + bar - 1, y, width: 1, height }))
    if (closes) group.append(svg('text', { class: 'times', x: x + bar - 2, y: y - 5 }, `×${part.times}`))
  }

  #played(top, caption) {
    const group = svg('g', { class: 'played' }), rowHeight = height + 42
    const { perRow, rows, bar } = this.#rows(this.program.length, 20)
    group.append(svg('text', { class: 'caption', x: 0, y: top - 4 }, caption))
    this.program.forEach(({ attn, slot }, visit) => {
      const x = visit % perRow * bar, y = top + 8 + Math.floor(visit / perRow) * rowHeight
      const size = Math.min(14, bar - 4), sign = note(x + bar / 2, y, attn, this.stored)
      const left = x + (bar - size) / 2, className = slot < 0 ? 'slot none' : 'slot'
      const slotBox = svg('rect', { class: className, x: left, y: y + height + 9, width: size, height: size, rx: 3 })
      const wash = svg('rect', { class: 'wash', x: x + 1, y: y - 6, width: bar - 2, height: height + 33, rx: 4 })
      group.append(wash, lines(x, y, bar), sign, slotBox)
      this.#lights[visit] = [...this.#lights[visit] ?? [], wash, sign, slotBox]
    })
    return { group, bottom: top + rows * rowHeight + 4 }
  }
}
