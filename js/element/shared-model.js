// One model for all elements that name the same file in the same way. It is loaded when the first of them asks, has as
// many sessions as there were such elements by then, and is destroyed when the last of them has gone. An element that
// comes later takes over the session that was idle the longest: elements keep their own state and can begin again.
import { Model } from '../index.js'

/** @typedef {{ source: string, context?: number, integrity?: string, workerUrl?: string }} Wish */
/** @typedef {import('../index.js').Session} Session */
/** @typedef {import('../index.js').LoadProgress} LoadProgress */
/** @typedef {{ progress(progress: LoadProgress): void, idle(): boolean, evicted(): void }} User */

/** @type {Map<string, SharedModel>} */
const models = new Map()

export class SharedModel {
  /** @type {Map<User, Session>} oldest use first */ #sessions = new Map()
  /** @type {Set<User>} */ #users = new Set()
  /** @type {Promise<Model> | null} */ #loading = null
  #abort = new AbortController()
  #most = 1

  /** Joins the users of a model; nothing is loaded yet.
   * @param {Wish} wish @param {User} user */
  static join(wish, user) {
    const key = JSON.stringify(wish)
    const shared = models.get(key) ?? new SharedModel(key, wish)
    models.set(key, shared)
    shared.#users.add(user)
    return shared
  }

  /** @param {string} key @param {Wish} wish */
  constructor(key, wish) {
    this.key = key
    this.wish = wish
  }

  /** The model, when it can be used; its weights may still be arriving. A load that failed can be tried again. */
  load() {
    this.#loading ??= this.#load().catch((error) => {
      this.#loading = null
      throw error
    })
    return this.#loading
  }

  async #load() {
    const { source, ...options } = this.wish
    this.#most = this.#users.size
    const model = await Model.load(source, {
      ...options, sessions: this.#most, signal: this.#abort.signal,
      onProgress: (progress) => this.#users.forEach((user) => user.progress(progress)),
    })
    model.ready.catch(() => {
      this.#loading = null
    })
    return model
  }

  /** The user's own session, or a new one made for it. @param {User} user @param {(model: Model) => Session} make */
  async session(user, make) {
    const model = await this.load()
    let session = this.#sessions.get(user)
    if (session?.model !== model) {
      this.drop(user)
      if (this.#sessions.size >= this.#most) this.#evict()
      session = make(model)
    }
    this.#sessions.delete(user)
    this.#sessions.set(user, session)
    return session
  }

  #evict() {
    const users = [...this.#sessions.keys()]
    const user = users.find((one) => one.idle()) ?? users[0]
    this.drop(user)
    user.evicted()
  }

  /** Gives a session back. @param {User} user */
  drop(user) {
    this.#sessions.get(user)?.destroy()
    this.#sessions.delete(user)
  }

  /** @param {User} user */
  leave(user) {
    this.drop(user)
    this.#users.delete(user)
    if (this.#users.size) return
    models.delete(this.key)
    this.#abort.abort()
    this.#loading?.then((model) => model.destroy(), () => {})
  }
}
