// What was measured, and how it is told: medians by variant, and a text to pass on.

/** In the table's order. */
export const columns = [
  { key: 'start', title: 'First token', unit: 'ms' },
  { key: 'prefill', title: 'Prompt', unit: 'tokens/s' },
  { key: 'decode', title: 'Writing', unit: 'tokens/s' },
  { key: 'deep', title: 'Behind the prompt', unit: 'tokens/s' },
  { key: 'memory', title: 'Memory', unit: 'MB' },
]

/** @param {number} value */
export const figure = (value) => value.toFixed(value < 9.95 ? 1 : 0)

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** As far as the browser tells. */
export function machine() {
  const cores = navigator.hardwareConcurrency
  return `${navigator.userAgent}, ${cores} ${cores === 1 ? 'core' : 'cores'}`
}

export class Results {
  /** Figures of each round; null: not in this browser. @type {Map<string, Record<string, number>[] | null>} */
  #figures = new Map()

  /** @param {string} model @param {{ prompt: number, tokens: number }} work */
  constructor(model, work) {
    this.model = model
    this.work = work
  }

  get empty() {
    return ![...this.#figures.values()].some(Boolean)
  }

  /** @param {string} variant @param {Record<string, number>} figures */
  add(variant, figures) {
    this.#figures.set(variant, [...this.#figures.get(variant) ?? [], figures])
  }

  /** @param {string} variant */
  miss(variant) {
    this.#figures.set(variant, null)
  }

  /** @param {string} variant */
  isMissing(variant) {
    return this.#figures.get(variant) === null
  }

  /** @returns {{ name: string, medians: Record<string, number> | null }[]} */
  rows() {
    return [...this.#figures].map(([name, rounds]) => (
      { name, medians: rounds && Object.fromEntries(columns.map(({ key }) => [key, median(rounds.map((figures) => figures[key]))])) }))
  }

  /** As Markdown, so that it can be pasted into a report. */
  text() {
    const line = (/** @type {string[]} */ cells) => `| ${cells.join(' | ')} |`
    const { prompt, tokens } = this.work
    const rounds = Math.max(0, ...[...this.#figures.values()].map((list) => list?.length ?? 0))
    const rows = this.rows().map(({ name, medians }) => line([name, ...columns.map(({ key }) => (medians ? figure(medians[key]) : 'not here'))]))
    return [`Reprise, ${this.model}, prompt of ${prompt} tokens, ${tokens} written, median of ${rounds}`, machine(), '',
      line(['variant', ...columns.map(({ title, unit }) => `${title.toLowerCase()}, ${unit}`)]), line(['---', ...columns.map(() => '---:')]), ...rows].join('\n')
  }
}
