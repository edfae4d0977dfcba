// The dialog that picks a model: from the catalogue, by address, or a file. What it takes is shown before it is
// fetched: size and licence from the catalogue, then the plan, for which only the header is read.
import { Model } from '../../js/index.js'
import { entryOfAddress, entryOfFile } from './catalogue.js'
import { byId, closeable, h } from './dom.js'
import { clearFault, showFault } from './faults.js'
import { bytes, count } from './format.js'
import { workerUrl } from './loader.js'

const verdicts = { likely: 'It should run here', no: 'It will not run here', unknown: 'It may run here' }

export class Picker {
  #dialog = byId('picker')
  #list = byId('catalogue')
  #plan = byId('plan')
  #fault = byId('picker-fault')
  #context = byId('picker-context')
  #load = byId('picker-load')
  /** @type {import('./catalogue.js').Entry | null} */ #entry = null
  /** @type {AbortController | null} */ #asking = null

  /** @param {(entry: import('./catalogue.js').Entry, context: number | undefined) => void} onLoad
   * @param {() => void} onConvert */
  constructor(onLoad, onConvert) {
    closeable(this.#dialog)
    this.#dialog.addEventListener('close', () => this.#asking?.abort())
    this.#load.addEventListener('click', () => {
      const entry = this.#entry
      this.#dialog.close()
      if (entry) onLoad(entry, Number(this.#context.value) || undefined)
    })
    byId('address-form').addEventListener('submit', (event) => {
      event.preventDefault()
      this.#chooseAddress(byId('address').value.trim())
    })
    byId('file').addEventListener('change', (event) => {
      if (event.target.files[0]) this.openFile(event.target.files[0])
      event.target.value = ''
    })
    byId('file-button').addEventListener('click', () => byId('file').click())
    byId('convert-button').addEventListener('click', onConvert)
    this.#context.addEventListener('change', () => this.#entry && this.#ask(this.#entry))
  }

  /** @param {import('./catalogue.js').Entry[]} entries */
  offer(entries) {
    this.#list.replaceChildren(...entries.map((entry) => this.#card(entry)))
  }

  /** @param {import('./catalogue.js').Entry | null} [entry] */
  open(entry) {
    clearFault(this.#fault)
    if (!this.#dialog.open) this.#dialog.showModal()
    if (entry) this.#choose(entry)
  }

  /** @param {File} file */
  openFile(file) {
    this.open(entryOfFile(file))
  }

  #card(entry) {
    const radio = h('input', {
      type: 'radio', name: 'model', value: entry.id, id: `model-${entry.id}`, 'aria-describedby': `about-${entry.id}`,
    })
    radio.addEventListener('change', () => this.#choose(entry))
    return h('li', { class: 'card' }, radio, h('label', { for: radio.id, text: entry.name }),
      h('span', { class: 'size', text: `${bytes(entry.bytes)} · ${entry.licence}` }),
      h('p', { id: `about-${entry.id}`, text: entry.about }),
      h('p', { class: 'note', text: `${entry.parameters}. ${entry.sharing}.` }))
  }

  #chooseAddress(text) {
    try {
      this.#choose(entryOfAddress(text))
    } catch {
      showFault(this.#fault, { code: 'RP_ERR_ARGUMENT', message: `${text || 'nothing'} is no address` })
    }
  }

  #choose(entry) {
    this.#entry = entry
    for (const radio of this.#list.querySelectorAll('input')) radio.checked = radio.value === entry.id
    this.#context.value = entry.context ?? ''
    this.#ask(entry)
  }

  async #ask(entry) {
    this.#asking?.abort()
    const asking = this.#asking = new AbortController()
    clearFault(this.#fault)
    this.#load.disabled = true
    this.#load.textContent = 'Load'
    this.#plan.replaceChildren(h('p', { class: 'note', text: `Reading the header of ${entry.name} …` }))
    try {
      const context = Number(this.#context.value) || undefined
      const plan = await Model.plan(entry.source, { context, signal: asking.signal, workerUrl })
      this.#tell(entry, plan)
    } catch (error) {
      if (asking.signal.aborted) return
      this.#plan.replaceChildren()
      showFault(this.#fault, error, { 'Try again': () => this.#ask(entry) })
    }
  }

  #tell(entry, plan) {
    const { info, verdict } = plan, whole = plan.file <= plan.cached
    const reason = verdict.reason.replace(/\d{6,}( bytes)?/g, (digits) => bytes(parseInt(digits)))
    const rows = {
      Download: entry.source instanceof Blob ? 'none, the file is yours' : whole ? 'none, it is kept on this device'
        : `${bytes(plan.download)}${plan.cached ? `, ${bytes(plan.cached)} are here already` : ''}`,
      Memory: `${bytes(plan.memory)}: weights ${bytes(plan.weights)}, `
        + `KV cache ${bytes(plan.kv)} for ${count(plan.context)} tokens`,
      Model: `${info.architecture}, ${info.blocks} blocks, ${info.visits} visits${info.loopMin < info.loopMax ? `, depth ${info.loopMin} to ${info.loopMax}` : ''}${info.chat ? ', can chat' : ''}`,
      Licence: entry.licence ?? info.license ?? 'not told by the file',
      ...(plan.storage === undefined ? {} : { 'Space left': bytes(plan.storage) }),
    }
    this.#plan.replaceChildren(
      h('p', { class: verdict.answer }, h('strong', { text: verdicts[verdict.answer] }), `: ${reason}`),
      h('dl', {}, ...Object.entries(rows).flatMap(([term, text]) => [h('dt', { text: term }), h('dd', { text })])))
    if (!this.#context.value) this.#context.value = plan.context
    this.#context.max = info.contextTrained
    this.#load.disabled = verdict.answer === 'no'
    this.#load.textContent = whole || entry.source instanceof Blob ? 'Load' : `Load, ${bytes(plan.download)}`
  }
}
