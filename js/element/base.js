// What both elements have in common: attributes, the shared model, the line that tells how loading goes, events, and
// cleaning up when the element leaves the document.
import { bytes, make } from './dom.js'
import { SharedModel } from './shared-model.js'

/** @typedef {import('../index.js').GenerateOptions} GenerateOptions */
/** @typedef {import('../index.js').LoadProgress} LoadProgress */

const Base = globalThis.HTMLElement ?? class {} // so that importing it on a server does no harm

export class RepriseElement extends Base {
  static observedAttributes = ['src', 'context', 'integrity', 'worker', 'placeholder', 'disabled']
  /** @type {SharedModel | null} */ #shared = null
  /** @type {import('../index.js').Model | null} */ #model = null
  /** @type {AbortController | null} */ running = null
  /** A label of a form's field focuses it. */
  root = this.attachShadow({ mode: 'open', delegatesFocus: 'formAssociated' in this.constructor })
  bar = make('progress', { part: 'progress', 'aria-label': 'Loading the model', hidden: true })
  status = make('p', { part: 'status' })
  announcement = make('p', { class: 'hidden', role: 'status' })

  /** The model in use, or null. */
  get model() {
    return this.#model
  }

  get src() {
    return this.getAttribute('src') ?? ''
  }

  set src(src) {
    this.setAttribute('src', src)
  }

  /** Whether text is being generated. */
  get busy() {
    return this.running !== null
  }

  connectedCallback() {
    if (!this.#shared && this.src) this.#join()
    if (this.getAttribute('load') === 'eager') this.load().catch(() => {})
  }

  /** Moving an element takes it out and puts it in again at once: only what stays out gives its model back. */
  disconnectedCallback() {
    queueMicrotask(() => {
      if (!this.isConnected) this.#leave()
    })
  }

  /** @param {string} name @param {string | null} before @param {string | null} value */
  attributeChangedCallback(name, before, value) {
    if (before === value) return
    if (!['src', 'context', 'integrity', 'worker'].includes(name)) return this.refresh()
    if (!this.isConnected || before === value) return
    this.#leave()
    this.connectedCallback()
  }

  /** An attribute that only changes how it looks. */
  refresh() {}

  #join() {
    const worker = this.getAttribute('worker')
    this.#shared = SharedModel.join({
      source: this.src, context: this.#number('context'), integrity: this.getAttribute('integrity') || undefined,
      workerUrl: worker === null ? undefined : new URL(worker, document.baseURI).href,
    }, this)
  }

  #leave() {
    this.stop()
    this.#shared?.leave(this)
    this.#shared = this.#model = null
  }

  /** Loads the model if that has not been done. Resolves when it can be used. */
  async load() {
    try {
      if (!this.#shared) throw new Error('src names no model')
      const shared = this.#shared, model = await shared.load()
      if (this.#model === model || shared !== this.#shared) return model
      this.#model = model
      this.emit('reprise-ready', { model })
      model.ready.then(() => this.#arrived(), (error) => this.fail(error))
      return model
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  /** @param {(model: import('../index.js').Model) => import('../index.js').Session} create */
  async session(create) {
    await this.load()
    if (!this.#shared) throw new Error('the element is not in a document')
    return this.#shared.session(this, create)
  }

  /** Forgets the session; the next one is given the state again. */
  dropSession() {
    this.#shared?.drop(this)
  }

  /** Stops generating. What was written stays. */
  stop() {
    this.running?.abort()
  }

  // What a user of a shared model has to have.

  idle() {
    return !this.busy
  }

  evicted() {
    this.stop()
  }

  /** @param {LoadProgress} progress */
  progress(progress) {
    const { loaded, total, phase } = progress
    this.bar.hidden = this.#hasAll(progress)
    if (total) Object.assign(this.bar, { max: total, value: loaded })
    this.status.textContent = this.bar.hidden ? '' : phase === 'waiting' ? 'Another tab is fetching the model.'
      : `Loading the model: ${bytes(loaded)}${total ? ` of ${bytes(total)}` : ''}`
    this.emit('reprise-progress', progress)
  }

  /** @param {LoadProgress} progress */
  #hasAll({ phase, loaded, total }) {
    return phase === 'ready' || (total > 0 && loaded >= total)
  }

  #arrived() {
    this.bar.hidden = true
    this.status.textContent = ''
  }

  /** Options of `stream()` from the attributes. @returns {GenerateOptions} */
  get options() {
    /** @type {Record<string, number | undefined>} */
    const options = {
      temperature: this.#number('temperature'), maxTokens: this.#number('max-tokens'), seed: this.#number('seed'),
    }
    return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  }

  /** @param {string} name */
  #number(name) {
    const text = this.getAttribute(name), value = Number(text)
    return text === null || text === '' || Number.isNaN(value) ? undefined : value
  }

  /** Shows an error and tells it. @param {any} error */
  fail(error) {
    if (error?.name === 'AbortError') return
    this.bar.hidden = true
    this.status.textContent = `${error.code ?? error.name}: ${error.message}`
    this.announcement.textContent = this.status.textContent
    this.emit('reprise-error', { error })
  }

  /** @param {string} type @param {object} detail */
  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }))
  }
}
