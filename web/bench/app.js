// The page that measures: every variant of the engine that this browser runs, by turns, on a model that comes with the page.
import { readCatalogue } from '../demo/catalogue.js'
import { byId, copyText, h } from '../demo/dom.js'
import { clearFault, showFault } from '../demo/faults.js'
import { bytes } from '../demo/format.js'
import { workerUrl } from '../demo/loader.js'
import { start } from './engine.js'
import { columns, figure, machine, Results } from './results.js'

const firstPrompt = 16
const warmPrompt = 24
const slack = 8
// WebKitGTK says it is isolated and has no memory to share all the same.
const hasThreads = globalThis.crossOriginIsolated && typeof SharedArrayBuffer === 'function'

/** Scalar code is for browsers without SIMD: measured on one thread, to see what SIMD buys. */
function variants() {
  const most = hasThreads ? navigator.hardwareConcurrency : 1
  const threads = [1, 2, 4, 8].filter((count) => count <= most)
  return [...['relaxed', 'simd128'].flatMap((isa) => threads.map((count) => ({ isa, threads: count }))), { isa: 'scalar', threads: 1 }]
}

/** @param {Blob} blob @param {{ isa: string, threads: number }} variant @param {{ prompt: number, tokens: number }} work */
async function measure(blob, variant, { prompt, tokens }) {
  const begun = performance.now()
  const engine = await start(blob, { ...variant, context: Math.max(prompt, warmPrompt) + tokens + slack, workerUrl })
  try {
    await engine.prefill(firstPrompt)
    const first = performance.now() - begun
    await engine.ready
    await engine.prefill(warmPrompt) // the browser compiles again what turns out to be hot
    await engine.decode(0, tokens)
    engine.check()
    const prefill = prompt / (await engine.prefill(prompt)) * 1000
    const decode = tokens / (await engine.decode(0, tokens)) * 1000
    const deep = tokens / (await engine.decode(prompt, tokens)) * 1000
    return { start: first, prefill, decode, deep, memory: engine.memory().wasm / 1e6 }
  } finally {
    engine.end()
  }
}

class Bench {
  /** @type {import('../demo/catalogue.js').Entry[]} */ #entries = []
  #status = byId('bench-status')
  #fault = byId('bench-fault')
  #button = byId('bench-start')
  #running = false
  results = new Results('', { prompt: 0, tokens: 0 })

  async open() {
    byId('bench-machine').textContent = machine()
    byId('bench-threads').hidden = hasThreads
    byId('bench-form').addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault()
      if (this.#running) this.#running = false
      else this.#run()
    })
    byId('bench-copy').addEventListener('click', async () => {
      const copied = await copyText(this.results.text())
      this.#say(copied ? 'The result is copied.' : 'This browser does not let the page copy: select the table instead.')
    })
    try {
      this.#entries = await readCatalogue()
      byId('bench-model').replaceChildren(...this.#entries.map(({ id, name, bytes: size }) => h('option', { value: id, text: `${name}, ${bytes(size ?? 0)}` })))
      this.#button.disabled = false
    } catch (error) {
      showFault(this.#fault, error)
    }
  }

  /** @param {string} text */
  #say(text) {
    this.#status.textContent = text
  }

  async #run() {
    this.#running = true
    this.#button.textContent = 'Stop'
    byId('bench-copy').disabled = true
    clearFault(this.#fault)
    try {
      await this.#measureAll()
      this.#say(this.#running ? 'Done.' : 'Stopped.')
    } catch (error) {
      this.#say('')
      showFault(this.#fault, error)
    }
    byId('bench-copy').disabled = this.results.empty
    this.#button.textContent = 'Measure'
    this.#running = false
  }

  async #measureAll() {
    const number = (/** @type {string} */ id) => Number(byId(id).value)
    const entry = this.#entries.find(({ id }) => id === byId('bench-model').value)
    const work = { prompt: number('bench-prompt'), tokens: number('bench-tokens') }, rounds = number('bench-rounds')
    this.#say(`Fetching ${entry?.name}.`)
    const response = await fetch(entry?.source)
    if (!response.ok) throw Object.assign(new Error(`${entry?.source} answered ${response.status}`), { status: response.status })
    const blob = await response.blob()
    this.results = new Results(entry?.name ?? '', work)
    for (let round = 1; round <= rounds; round++)
      for (const variant of variants()) {
        if (!this.#running) return
        const name = `${variant.isa}, ${variant.threads === 1 ? 'one thread' : `${variant.threads} threads`}`
        if (this.results.isMissing(name)) continue
        this.#say(`Round ${round} of ${rounds}: ${name}.`)
        try {
          this.results.add(name, await measure(blob, variant, work))
        } catch (error) {
          if (/** @type {any} */ (error).name !== 'Unavailable' && /** @type {any} */ (error).code !== 'RP_ERR_UNSUPPORTED') throw error
          this.results.miss(name)
        }
        this.#show()
      }
  }

  #show() {
    const heading = h('tr', {}, h('th', { scope: 'col', text: 'Variant' }), ...columns.map(({ title, unit }) => (
      h('th', { scope: 'col' }, title, h('small', { text: unit })))))
    const rows = this.results.rows().map(({ name, medians }) => h('tr', {}, h('th', { scope: 'row', text: name }),
      ...medians ? columns.map(({ key }) => h('td', { text: figure(medians[key]) }))
        : [h('td', { colspan: String(columns.length), class: 'none', text: 'not in this browser' })]))
    byId('bench-table').replaceChildren(h('thead', {}, heading), h('tbody', {}, ...rows))
    byId('bench-results').hidden = false
  }
}

new Bench().open()
