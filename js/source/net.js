// A file of the network, through the cache: what is there is read from there, what is not is fetched and kept.
import { IOError } from '../errors.js'
import { Http } from './http.js'
import { addressOf, CHUNK, Keeper, Store, whyNoCache } from './store.js'

const HEAD_WINDOW = 2 ** 18
const PAUSE_MS = 500 // before the second attempt

/** @typedef {AsyncGenerator<Uint8Array, void, void>} Pieces */

/** @param {IteratorResult<Uint8Array, void>} first @param {Pieces} rest @returns {Pieces} */
async function* chain(first, rest) {
  if (!first.done) yield first.value
  yield* rest
}

/** One download when several tabs ask: takes the lock of that name and resolves to what gives it back. Where there are
 * no locks, nobody waits.
 * @param {string} name @param {AbortSignal} signal @param {(waiting: boolean) => void} onWaiting
 * @returns {Promise<() => void>} */
async function lock(name, signal, onWaiting) {
  const locks = globalThis.navigator?.locks
  /** @returns {Promise<(() => void) | undefined>} */
  const take = (/** @type {LockOptions} */ options) => new Promise((resolve, reject) => {
    const hold = (/** @type {Lock | null} */ got) =>
      got ? new Promise((release) => resolve(() => release(undefined))) : resolve(undefined)
    locks.request(name, options, hold).catch(reject)
  })
  try {
    const release = locks ? await take({ ifAvailable: true }) : () => {}
    if (release) return release
  } catch {
    return () => {} // an origin without storage has no locks either
  }
  onWaiting(true)
  try {
    return /** @type {() => void} */ (await take({ signal }))
  } finally {
    onWaiting(false)
  }
}

export class Net {
  fromCache = 0
  /** @type {Store | undefined} */
  #store
  #release = () => {} // gives the lock back
  kept = Promise.resolve()

  /** @param {import('../source.js').UrlSpec} spec @param {import('../source.js').SourceOptions} options
   * @param {import('./check.js').Check} check */
  constructor(spec, options, check) {
    this.spec = spec
    this.options = options
    this.check = check
    this.http = new Http(spec.url, spec.request ?? {}, options.pause ?? PAUSE_MS)
  }

  get total() {
    return this.#store?.meta?.total || this.http.total || this.http.hint
  }
  get received() {
    return this.http.received
  }
  get cached() {
    return this.#store?.bytes ?? 0
  }

  /** Finds the file's entry in the cache. */
  async open() {
    const { url, request: { cache: mode = '' } = {} } = this.spec
    const { cache } = this.options
    if (cache === false || !/^https?:/.test(url) || mode === 'no-store') return
    const why = whyNoCache()
    // In Node there is none, which nobody misses who did not ask for it.
    if (why && (cache || !('process' in globalThis))) this.#uncached(why)
    if (why) return
    try {
      this.#store = await Store.open(addressOf(url))
      if (!mode) this.http.request = { ...this.spec.request, cache: 'no-store' } // what we keep need not be kept twice
      if (mode === 'reload') await this.#store.drop()
      if (this.options.trusting) this.check.integrity ??= this.#store.meta?.integrity
    } catch (error) {
      this.#uncached(error)
    }
  }

  /** Says that there is no cache, or none from here on. @param {any} error */
  #uncached(error) {
    const why = error?.name === 'QuotaExceededError' ? 'the browser gives no more storage' : error?.message ?? error
    this.options.onWarning({ kind: 'no-cache', message: `${this.spec.url} is not kept: ${why}` })
  }

  /** The file is another one now. */
  async forget() {
    const { url } = this.spec
    this.http.forget()
    await this.#store?.drop()
    this.options.onWarning({ kind: 'changed', message: `${url} is another file now than the one that was begun` })
  }

  /** Keeps nothing of it: what was read is no such file. */
  async discard() {
    await this.kept
    await this.#store?.drop()
  }

  /** Takes the entry for what it is now. */
  async #recall() {
    const { integrity } = this.check
    const meta = this.#store?.meta
    if (integrity && meta?.integrity && meta.integrity !== integrity) await this.#store?.drop()
    else if (meta) this.http.recall(meta)
  }

  /** Waits for another tab that downloads the file. @param {AbortSignal} signal */
  async #wait(signal) {
    await this.kept // of an attempt before
    await this.#recall()
    const store = this.#store
    if (!store || store.complete) return
    const { held, onWaiting } = this.options
    const name = `reprise:${store.key}`
    // Who reads it in the same load may wait for this one: the first keeps the file, and no other.
    if (held?.has(name)) return void (this.#store = undefined)
    const release = await lock(name, signal, onWaiting)
    held?.add(name)
    this.#release = () => {
      held?.delete(name)
      release()
    }
    signal.throwIfAborted()
    try {
      await store.refresh()
      await this.#recall()
    } catch (error) {
      this.#store = undefined
      this.#uncached(error)
    }
    if (!this.#store || store.complete) this.#release()
  }

  /** A chunk from the cache, if it is there and sound. @param {number} at */
  async #chunk(at) {
    const store = this.#store
    const index = at / CHUNK
    if (!store?.has(index)) return undefined
    const bytes = await store.read(index)
    if (bytes) return bytes
    this.options.onWarning({ kind: 'damaged', message: `a cached part of ${this.spec.url} is fetched again` })
    if (this.check.ready || !this.check.integrity) return undefined
    const hash = await this.check.start() // what was checked once is no longer the same: now all of it is hashed
    for (let i = 0; i < index; i++) {
      const before = await store.read(i)
      if (!before) throw new IOError(`the cache of ${this.spec.url} vanished while it was read`, { url: this.spec.url })
      hash?.update(before)
    }
    return undefined
  }

  /** @param {number} at @param {AbortSignal} signal */
  #fetch(at, signal) {
    return this.http.pieces(at, { end: this.#store?.next(at), wanted: () => this.check.expected, signal })
  }

  /** Gives a cached chunk on; returns its length.
   * @param {number} at @param {import('./store.js').Bytes} chunk @returns {Generator<Uint8Array, number, void>} */
  *#give(at, chunk) {
    const { length } = chunk
    this.http.tail.put(at, chunk)
    this.fromCache += length
    yield chunk
    return length
  }

  /** Begins to fetch what is missing before anything of the cache is given on, to learn whether it is still the same
   * file.
   * @param {AbortSignal} signal */
  async #ahead(signal) {
    const store = this.#store
    while (store?.gap && !store.complete) {
      const at = store.gap * CHUNK
      const before = await this.#chunk(at - CHUNK)
      if (!before) continue
      this.http.tail.put(at - CHUNK, before)
      const rest = this.#fetch(at, signal)
      return { at, rest, pieces: chain(await rest.next(), rest) }
    }
    return undefined
  }

  /** @param {AbortSignal} signal @returns {Pieces} */
  async *pieces(signal) {
    const { check, http } = this
    let keeper
    let ahead
    let size = 0
    try {
      await this.#wait(signal)
      const store = this.#store
      if (!store?.complete || store.meta?.integrity !== check.integrity) check.start()
      keeper = store && new Keeper(store, () => this.#about())
      ahead = await this.#ahead(signal)
      let at = 0
      for (let more = true; more && !check.end; ) {
        const chunk = await this.#chunk(at)
        signal.throwIfAborted()
        if (chunk) {
          at += yield* this.#give(at, chunk)
          more = !(store?.complete && at >= (store.meta?.total ?? 0) && at >= check.expected)
          continue
        }
        const end = store?.next(at) ?? 0
        for await (const all of ahead?.at === at ? ahead.pieces : this.#fetch(at, signal)) {
          const piece = end ? all.subarray(0, end - at) : all
          http.tail.put(at, piece)
          yield piece
          if (keeper) await keeper.take(at, check.end ? piece.subarray(0, Math.max(0, check.end - at)) : piece)
          if (keeper?.failure) keeper = await this.#giveUp(keeper)
          at += piece.length
          if (check.end || at === end) break
        }
        more = end > 0 && at === end
      }
      size = check.judge() ? check.end || at : -1
    } finally {
      await ahead?.rest.return()
      http.tail.free()
      this.kept = this.#conclude(keeper, size).finally(this.#release)
      if (size < 0) await this.kept
    }
  }

  /** @returns {Partial<import('./store.js').Meta>} */
  #about() {
    const { etag, lastModified, total } = this.http
    return { url: addressOf(this.spec.url), total: this.check.expected || total, done: false, etag, lastModified }
  }

  /** Keeps no more of this file, and lets others try. @param {Keeper} keeper */
  async #giveUp(keeper) {
    await keeper.end()
    this.#uncached(keeper.failure)
    this.#release()
    return undefined
  }

  /** Notes that the file is whole, or drops one that is not what it should be.
   * @param {Keeper | undefined} keeper @param {number} size 0: not all of it was read; -1: it is not what it should
   * be */
  async #conclude(keeper, size) {
    const store = this.#store
    await keeper?.end(size)
    if (size < 0) return store?.drop()
    if (!store || !keeper || !size || size < this.check.expected) return
    const { integrity = store.meta?.integrity } = this.check
    try {
      if (keeper.failure) throw keeper.failure
      if (store.meta?.done && store.meta.total >= size && store.meta.integrity === integrity) return
      await store.note({ ...this.#about(), done: true, total: size, integrity })
    } catch (error) {
      this.#uncached(error)
    }
  }

  /** Fetches little more than is read, and keeps nothing. @param {AbortSignal} signal @returns {Pieces} */
  async *head(signal) {
    let at = 0
    await this.#recall()
    for (let chunk; (chunk = await this.#chunk(at)); ) {
      signal.throwIfAborted()
      at += yield* this.#give(at, chunk)
    }
    if (this.#store?.complete) return
    try {
      for await (const piece of this.http.pieces(at, { window: HEAD_WINDOW, wanted: () => 0, signal })) {
        this.http.tail.put(at, piece)
        yield piece
        at += piece.length
      }
    } finally {
      this.http.tail.free()
    }
  }
}
