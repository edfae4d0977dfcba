// The dialog that makes a GGUF file of a model in another form. Fetched, with its style, when it is first opened; the package's converter
// comes with it, and its module once something is converted. Nothing leaves the page.
import { convert } from '../../js/convert.js'
import { byId, h } from './dom.js'
import { clearFault, showFault } from './faults.js'
import { bytes, count } from './format.js'
import { workerUrl } from './loader.js'

const types = {
  '': 'as they are', q4_0: '4 bits, q4_0', q4_1: '4 bits, q4_1', q4_k: '4 bits, q4_k', q5_0: '5 bits, q5_0', q6_k: '6 bits, q6_k',
  q8_0: '8 bits, q8_0', f16: '16 bits, f16', bf16: '16 bits, bf16', f32: '32 bits, f32',
}
const advice = {
  RP_ERR_ARGUMENT: 'Change the value and convert again.',
  RP_ERR_FORMAT: 'A file is damaged or not whole. Fetch the model again.',
  RP_ERR_UNSUPPORTED: 'This converter does not know such a model.',
  RP_ERR_MEMORY: 'Close other tabs and try again, or convert it with the terminal program.',
  RP_ERR_IO: 'Choose the model’s whole folder, and see that there is room on the disk. The converter itself is fetched when it is used.',
}

/** @param {Record<string, string>} options value to text */
const choices = (options) => Object.entries(options).map(([value, text]) => h('option', { value, text }))

/** @param {string} id @param {string} text @param {string} note */
const check = (id, text, note) => h('label', { class: 'wide' }, h('input', { type: 'checkbox', id }),
  h('span', {}, `${text} `, h('span', { class: 'note', text: note })))
const button = (text, id, props = {}) => h('button', { type: 'button', text, id, ...props })

function buildInput() {
  const file = (id, label, props = {}) => h('input', { type: 'file', id, hidden: true, multiple: true, 'aria-label': label, ...props })
  return h('div', {},
    h('div', { class: 'row' }, button('Choose a folder', 'convert-folder-button'), button('Choose a file', 'convert-file-button'),
      file('convert-folder', 'A model’s folder', { webkitdirectory: true }), file('convert-file', 'A model’s file, or all files of its folder')),
    h('p', { id: 'convert-input', role: 'status', text: 'Nothing is chosen yet. A folder or file can also be dropped here.' }))
}

function buildFields() {
  const noText = { autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false' }
  return h('div', { id: 'convert-fields' },
    h('label', { for: 'convert-type', text: 'Weights' }), h('select', { id: 'convert-type' }, ...choices(types)),
    h('label', { for: 'convert-head', text: 'Output layer' }),
    h('select', { id: 'convert-head', disabled: true }, ...choices({ ...types, '': 'as fits the other weights' })),
    check('convert-dedup', 'Store equal blocks once', 'for models that share weights'),
    check('convert-unroll', 'A block for each visit', 'for programs that know no sharing'),
    h('label', { for: 'convert-layers', text: 'Visits' }),
    h('input', { id: 'convert-layers', type: 'text', placeholder: 'all, or 0-9,10-13x2,14-29', ...noText }),
    h('label', { for: 'convert-tokenizer', text: 'Tokenizer' }),
    h('input', { id: 'convert-tokenizer', type: 'file', 'aria-describedby': 'convert-tokenizer-note' }),
    h('p', { class: 'wide note', id: 'convert-tokenizer-note', text: 'Only for a llama2.c checkpoint, or to replace the model’s own: '
      + 'tokenizer.json, .model or .bin, or a GGUF file.' }))
}

/** The dialog; its elements are found by their ids. */
function build() {
  return h('dialog', { id: 'converter', 'aria-labelledby': 'converter-title', 'data-takes-drops': true }, h('div', { class: 'inside' },
    h('div', { class: 'heading' }, h('h2', { id: 'converter-title', text: 'Convert a model' }),
      h('button', { type: 'button', class: 'round', 'data-close': true, 'aria-label': 'Close', text: '✕' })),
    h('p', { class: 'note', text: 'Into a GGUF file, on this device: a Hugging Face folder (config.json, safetensors and a tokenizer), '
      + 'a llama2.c checkpoint, or another GGUF file.' }),
    buildInput(), buildFields(),
    h('div', { id: 'convert-run', hidden: true },
      h('progress', { id: 'convert-progress', 'aria-label': 'Converted' }), h('p', { id: 'convert-figures', class: 'note' })),
    h('p', { class: 'hidden', id: 'convert-status', role: 'status' }),
    h('div', { id: 'convert-result', class: 'plan' }), h('div', { id: 'convert-fault', class: 'fault-place' }),
    h('div', { class: 'row end' }, button('Cancel', 'convert-cancel', { hidden: true }),
      button('Convert', 'convert-start', { class: 'primary', disabled: true }))))
}

export class Converter {
  #dialog = /** @type {HTMLDialogElement} */ (build())
  /** @type {{ name: string, input: any } | undefined} */ #chosen
  /** @type {AbortController | undefined} while it runs */ #abort
  #told = 0 // tenths that were said
  /** Gives back what the last result takes. */ #forget = () => {}
  #onOpen

  /** @param {(file: File) => void} onOpen who wants to use the result */
  constructor(onOpen) {
    this.#onOpen = onOpen
    document.head.append(h('link', { rel: 'stylesheet', href: String(new URL('../style/convert.css', import.meta.url)) }))
    document.body.append(this.#dialog)
    this.#dialog.addEventListener('click', ({ target }) => {
      const isAround = target === this.#dialog && !this.#abort
      if (isAround || /** @type {Element} */ (target).closest('[data-close]')) this.#dialog.close()
    })
    this.#dialog.addEventListener('cancel', (event) => {
      if (event.target !== this.#dialog || !this.#abort) return // a file input has such an event, too
      event.preventDefault()
      this.#abort.abort()
    })
    this.#dialog.addEventListener('close', () => this.#abort?.abort())
    byId('convert-cancel').addEventListener('click', () => this.#abort?.abort())
    byId('convert-start').addEventListener('click', () => this.#run())
    byId('convert-type').addEventListener('change', () => {
      byId('convert-head').disabled = !byId('convert-type').value
    })
    for (const kind of ['folder', 'file']) {
      const input = byId(`convert-${kind}`)
      byId(`convert-${kind}-button`).addEventListener('click', () => input.click())
      input.addEventListener('change', () => {
        const files = [...input.files]
        if (files.length) this.#choose(files[0].webkitRelativePath.split('/')[0] || files[0].name, files, files)
        input.value = ''
      })
    }
  }

  /** @param {import('./drops.js').Dropped} [dropped] */
  open(dropped) {
    if (!this.#dialog.open) this.#dialog.showModal()
    if (dropped) this.#choose(dropped.name, dropped.files, dropped.files.map(({ file }) => file))
  }

  /** @param {string} name @param {any} input @param {File[]} files */
  #choose(name, input, files) {
    if (this.#abort) return
    this.#clear()
    const size = files.reduce((sum, file) => sum + file.size, 0)
    this.#chosen = { name, input }
    byId('convert-input').textContent = `${name}, ${files.length > 1 ? `${count(files.length)} files, ` : ''}${bytes(size)}`
    byId('convert-start').disabled = false
    byId('convert-start').focus()
  }

  #clear() {
    clearFault(byId('convert-fault'))
    byId('convert-result').replaceChildren()
    this.#forget()
    this.#forget = () => {}
  }

  #options() {
    const text = (/** @type {string} */ id) => byId(id).value.trim() || undefined
    const type = text('convert-type')
    return {
      type, headType: type && text('convert-head'), layers: text('convert-layers'), tokenizer: byId('convert-tokenizer').files[0],
      dedup: byId('convert-dedup').checked, unroll: byId('convert-unroll').checked,
    }
  }

  /** @param {boolean} runs */
  #show(runs) {
    byId('convert-run').hidden = byId('convert-cancel').hidden = !runs
    byId('convert-start').hidden = runs
    const fields = '#convert-fields :is(select, input), #convert-folder-button, #convert-file-button'
    for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (this.#dialog.querySelectorAll(fields)))
      field.disabled = runs || (field.id === 'convert-head' && !byId('convert-type').value)
    byId(runs ? 'convert-cancel' : 'convert-start').focus()
  }

  async #run() {
    const { name, input } = /** @type {NonNullable<typeof this.#chosen>} */ (this.#chosen), options = this.#options()
    const abort = this.#abort = new AbortController()
    this.#clear()
    this.#show(true)
    this.#say('Converting')
    this.#progress({ phase: 'reading', done: 0, total: 0 })
    try {
      const onProgress = (/** @type {any} */ progress) => this.#progress(progress)
      const result = await convert(input, { ...options, workerUrl, signal: abort.signal, onProgress })
      this.#abort = undefined
      this.#show(false)
      this.#tell(result, nameFor(name, options))
    } catch (error) {
      this.#abort = undefined
      this.#show(false)
      if (abort.signal.aborted) this.#say('Stopped. Nothing of it is kept.')
      else showFault(byId('convert-fault'), error, {}, advice[/** @type {any} */ (error).code])
    }
  }

  /** @param {{ phase: string, done: number, total: number }} progress */
  #progress({ phase, done, total }) {
    const bar = byId('convert-progress')
    byId('convert-figures').textContent = phase === 'reading' ? 'Reading the model …' : `${bytes(done)} of ${bytes(total)}`
    if (total) bar.value = done / total
    else bar.removeAttribute('value')
    const tenths = total ? Math.floor(10 * done / total) : 0
    if (tenths > this.#told && tenths < 10) this.#say(`${tenths * 10} %`)
    this.#told = tenths
  }

  /** For screen readers. @param {string} text */
  #say(text) {
    byId('convert-status').textContent = text
  }

  /** @param {import('../../js/convert.js').Converted} result @param {string} name of the file */
  #tell({ blob, discard, architecture, blocks, visits, parameters, bytes: size, equalHalves, fixedDepth, keeps }, name) {
    const file = new File([/** @type {Blob} */ (blob)], name), url = URL.createObjectURL(file)
    let isUsed = false
    this.#forget = () => {
      URL.revokeObjectURL(url)
      if (!isUsed) discard?.()
    }
    const rows = {
      Model: `${architecture}, ${blocks} blocks, ${visits} visits`, Parameters: count(parameters), Size: bytes(size),
      ...(byId('convert-dedup').checked
        ? { Sharing: equalHalves ? `${equalHalves} halves of blocks were stored before` : 'no blocks were equal' } : {}),
      ...(byId('convert-unroll').checked
        ? { Needs: keeps ? `this engine, for ${keeps}` : 'nothing that stock llama.cpp lacks' } : {}),
      ...(fixedDepth ? { Depth: `${fixedDepth}, and no other: the input left a choice` } : {}),
    }
    const use = () => {
      isUsed = true
      this.#dialog.close()
      this.#onOpen(file)
    }
    byId('convert-result').replaceChildren(
      h('p', {}, h('strong', { text: name })),
      h('dl', {}, ...Object.entries(rows).flatMap(([term, text]) => [h('dt', { text: term }), h('dd', { text })])),
      h('div', { class: 'row' },
        h('a', { class: 'button', id: 'convert-download', href: url, download: name, text: `Download, ${bytes(size)}` }),
        h('button', { type: 'button', id: 'convert-use', text: 'Open it here', on: { click: use } })))
    this.#say(`Done: ${name}, ${bytes(size)}`)
    byId('convert-download').focus()
  }
}

/** @param {string} name of what was converted @param {any} options */
function nameFor(name, { type, dedup, unroll, layers }) {
  const parts = [name.replace(/\.(gguf|bin)$/i, ''), layers && 'merged', unroll && 'unrolled', dedup && 'dedup', type].filter(Boolean)
  return `${parts.join('-')}${parts.length === 1 && /\.gguf$/i.test(name) ? '-copy' : ''}.gguf`
}
