// The model in use. One at a time: the next one takes its place when its header has been read, so that a load that
// fails early leaves everything as it was. Who cancels after that gets back the one before.
import { Model } from '../../js/index.js'

/** In the pages' scope, so that the service worker also serves what the worker asks for. */
export const workerUrl = new URL('../worker.js', import.meta.url)

/** Events: `start`, `progress` (detail: LoadProgress), `model` (it can be used), `ready` (complete), `fault` (detail:
 * error), `cancel` (nothing is loaded any more), `warning` (detail: Warning). */
export class ModelLoader extends EventTarget {
  /** @type {any} */ model = null
  /** @type {import('./catalogue.js').Entry | null} */ entry = null
  /** The entry that is being loaded. @type {import('./catalogue.js').Entry | null} */ pending = null
  /** The one before `entry`. @type {import('./catalogue.js').Entry | null} */ #before = null
  /** @type {AbortController | null} */ #abort = null
  #leave

  /** @param {() => Promise<void>} leave stops whatever uses the model, before it goes */
  constructor(leave) {
    super()
    this.#leave = leave
  }

  /** @param {string} type @param {any} [detail] */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }))
  }

  /** @param {import('./catalogue.js').Entry} entry @param {number} [context] */
  async load(entry, context = entry.context) {
    this.#stop()
    const abort = this.#abort = new AbortController()
    this.pending = entry
    this.#tell('start', entry)
    const current = () => this.#abort === abort
    try {
      const model = await Model.load(entry.source, {
        signal: abort.signal, context, integrity: entry.integrity, cache: entry.cache, workerUrl,
        onProgress: (progress) => current() && this.#tell('progress', progress),
        onWarning: (warning) => current() && this.#tell('warning', warning),
      })
      await this.#leave()
      abort.signal.throwIfAborted()
      this.model?.destroy()
      this.model = model
      this.#before = this.entry
      this.entry = entry
      this.#tell('model', entry)
      await model.ready
      if (current()) this.#tell('ready', entry)
    } catch (error) {
      if (!abort.signal.aborted) this.#tell('fault', error)
    } finally {
      if (current()) this.pending = this.#abort = null
    }
  }

  /** What somebody wants who does not want what is being loaded. */
  cancel() {
    const hasReplaced = this.pending !== null && this.pending === this.entry
    this.#stop()
    if (hasReplaced && this.#before) this.load(this.#before)
    else if (hasReplaced) this.#tell('fault', new Error('The model was not loaded to its end.'))
  }

  #stop() {
    if (!this.#abort) return
    this.#abort.abort()
    this.#abort = this.pending = null
    this.#tell('cancel')
  }
}
