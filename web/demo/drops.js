// What is dropped anywhere on the page: a GGUF file is a model to load, a folder or anything else one to convert.
import { byId } from './dom.js'

/** Files with their paths, and a name for all of it.
 * @typedef {{ name: string, files: { path: string, file: File }[] }} Dropped */

/** Where everything that is dropped is to be converted. */
const forAll = 'dialog[open][data-takes-drops]'

/** @param {any} reader of a folder: gives some at a time @returns {Promise<any[]>} */
async function readAll(reader) {
  const all = []
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))
    if (!some.length) return all
    all.push(...some)
  }
}

/** @param {any} entry a FileSystemEntry @param {Dropped['files']} into */
async function collect(entry, into) {
  if (entry.name.startsWith('.')) return
  if (entry.isDirectory) for (const child of await readAll(entry.createReader())) await collect(child, into)
  else into.push({ path: entry.fullPath, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) })
}

/** Events: `model` (detail: File), `other` (detail: Dropped). */
export class Drops extends EventTarget {
  #hint = byId('drop-hint')

  constructor() {
    super()
    addEventListener('dragover', (event) => {
      if (!event.dataTransfer?.types.includes('Files')) return
      event.preventDefault()
      this.#hint.hidden = false
    })
    addEventListener('dragleave', (event) => {
      if (!event.relatedTarget) this.#hint.hidden = true
    })
    addEventListener('drop', (event) => {
      this.#hint.hidden = true
      if (!event.dataTransfer?.files.length) return
      event.preventDefault()
      this.#take(event.dataTransfer)
    })
  }

  /** @param {DataTransfer} data which is empty after the event */
  async #take(data) {
    const list = [...data.files], entries = [...data.items].map((item) => item.webkitGetAsEntry?.())
    const isModel = list.length === 1 && !entries[0]?.isDirectory && list[0].name.endsWith('.gguf')
    if (isModel && !document.querySelector(forAll)) return this.#tell('model', list[0])
    /** @type {Dropped['files']} */
    const files = []
    for (const entry of entries.filter(Boolean)) await collect(entry, files).catch(() => {}) // what cannot be read is missed later
    if (!files.length) files.push(...list.map((file) => ({ path: file.name, file })))
    this.#tell('other', { name: list[0].name, files })
  }

  /** @param {string} type @param {any} detail */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }))
  }
}
