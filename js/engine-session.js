// A session, a sampler and a text of the engine as objects; addresses end here and in engine.js.

import { FormatError } from './errors.js'

/** @typedef {import('./engine.js').Engine} Engine */

const TOGETHER = 32

export class EngineSession {
  #engine
  #at
  #ids // room for `context` ids
  #isOne = false // position to compute
  /** @param {Engine} engine @param {{ context: number, kvType?: string, kvSlots?: number }} options kvSlots: room for at least so many */
  constructor(engine, { context, kvType = 'f16', kvSlots = 0 }) {
    const { x, page, layout } = engine
    this.#engine = engine
    this.context = context
    this.#at = engine.address(x.session_open(page, context, layout.kv.indexOf(kvType), 0, kvSlots))
    try {
      this.#ids = engine.address(x.page_alloc(context * 4))
    } catch (error) {
      x.session_close(this.#at)
      throw error
    }
  }

  close() {
    this.#engine.x.session_close(this.#at)
    this.#engine.x.page_free(this.#ids)
    this.#at = 0
  }

  get address() {
    return this.#at
  }

  /** @param {ArrayLike<number>} ids */
  #put(ids) {
    this.#engine.ids(this.#ids, ids.length).set(ids)
  }

  /** Makes the session hold exactly these ids, by steps to come; returns how many it holds already.
   * @param {ArrayLike<number>} ids at most `context` */
  begin(ids) {
    const { x, page } = this.#engine
    this.#put(ids)
    return this.#begun(ids.length, x.session_begin(page, this.#at, this.#ids, ids.length))
  }

  /** The same ids and one more.
   * @param {number} id @param {number} count with it */
  beginNext(id, count) {
    const { x, page } = this.#engine
    this.#engine.ids(this.#ids, count)[count - 1] = id
    return this.#begun(count, x.session_begin(page, this.#at, this.#ids, count))
  }

  /** @param {number} count @param {number} reused */
  #begun(count, reused) {
    this.#isOne = count - reused === 1
    return this.#engine.count(reused)
  }

  /** As begin, for the mean of hidden states.
   * @param {ArrayLike<number>} ids */
  beginEmbedding(ids) {
    const { x, page } = this.#engine
    this.#put(ids)
    this.#isOne = false
    this.#engine.count(x.session_embed_begin(page, this.#at, this.#ids, ids.length))
  }

  /** Computes one visit of some positions, or the logits, and the same for those of other sessions that are at the same point.
   * @param {Iterable<EngineSession>} [all] sessions that compute
   * @returns {'done' | 'more' | 'wait'} */
  step(all = []) {
    const { x, layout, threads } = this.#engine
    const addresses = [this.#at]
    for (const other of all) if (other !== this && addresses.length < TOGETHER) addresses.push(other.address)
    const step = () => x.session_step(this.#engine.list(addresses), addresses.length)
    return layout.step[threads ? threads.run(step, this.#isOne && addresses.length === 1) : step()]
  }
  /** One position is to be computed. */
  get isOne() {
    return this.#isOne
  }
  cancel() {
    this.#engine.x.session_cancel(this.#at)
  }
  /** The visit computed last. */
  get visit() {
    return this.#engine.x.session_progress_visit(this.#at)
  }
  /** Pending positions that are computed. */
  get done() {
    return this.#engine.x.session_progress_done(this.#at)
  }
  /** Ids that are held. */
  ids() {
    const { x } = this.#engine
    return [...this.#engine.ids(x.session_ids(this.#at), x.session_length(this.#at))]
  }

  logits() {
    return this.#engine.floats(this.#engine.address(this.#engine.x.session_logits(this.#at)), this.#engine.info().vocab).slice()
  }
  embedding() {
    return this.#engine.floats(this.#engine.address(this.#engine.x.session_embedding(this.#at)), this.#engine.info().dim).slice()
  }

  /** Log-probability of a next token.
   * @param {number} id @returns {number} */
  logprob(id) {
    return this.#engine.x.logits_logprob(this.#at, id)
  }

  /** The k likeliest next tokens.
   * @param {number} k @returns {{ id: number, logprob: number }[]} */
  top(k) {
    const { x, page } = this.#engine
    const count = this.#engine.count(x.logits_top(page, this.#at, k))
    const logprobs = this.#engine.floats(x.page_logprobs(page), count)
    return Array.from(this.#engine.ids(x.page_ids(page), count), (id, i) => ({ id, logprob: logprobs[i] }))
  }

  /** Copies the first `length` positions of another session.
   * @param {EngineSession} from @param {number} length */
  copy(from, length) {
    const { x, page } = this.#engine
    this.#engine.ok(x.session_copy(page, this.#at, from.address, length))
  }

  /** Names what a saved state depends on besides the ids; empty until all weights are there. */
  get key() {
    const { x, page } = this.#engine
    const at = this.#engine.address(x.session_key(page, this.#at))
    return new TextDecoder().decode(this.#engine.bytes(at, 16).slice())
  }

  /** The KV rows of the first `length` positions, region by region, as views that live until the next call of the engine.
   * @param {number} length */
  *regions(length) {
    const { x, page } = this.#engine
    const count = x.session_regions(this.#at)
    for (let i = 0; i < count; i++) {
      const at = x.session_region(page, this.#at, i, length)
      yield this.#engine.bytes(at, x.page_size(page))
    }
  }

  /** Writes all regions, from bytes that lie one after another.
   * @param {Uint8Array} bytes @param {number} length */
  fill(bytes, length) {
    if (!Number.isInteger(length) || length < 0 || length > this.context) throw new FormatError(`a saved session of ${length} positions`)
    const regions = length ? [...this.regions(length)] : []
    let at = 0
    for (const region of regions) at += region.length
    if (at > bytes.length) throw new FormatError('the saved session is damaged: rows of the KV cache are missing')
    at = 0
    for (const region of regions) region.set(bytes.subarray(at, (at += region.length)))
  }

  /** Says that the first ids.length positions hold these ids, after the regions were written.
   * @param {ArrayLike<number>} ids */
  adopt(ids) {
    const { x, page } = this.#engine
    this.#put(ids)
    this.#engine.ok(x.session_adopt(page, this.#at, this.#ids, ids.length))
  }
}

export class Sampler {
  #x
  #at
  /** @param {Engine} engine @param {Record<string, any>} options with every name of the layout, and logitBias */
  constructor(engine, options) {
    const { x, page, layout } = engine
    const bias = Object.entries(options.logitBias ?? {})
    const doubles = layout.sampler.length
    const block = new ArrayBuffer(doubles * 8 + bias.length * 8)
    new Float64Array(block, 0, doubles).set(layout.sampler.map((/** @type {string} */ name) => options[name]))
    new Int32Array(block, doubles * 8, bias.length).set(bias.map(([id]) => (Number.isInteger(+id) ? +id : -1)))
    new Float32Array(block, doubles * 8 + bias.length * 4, bias.length).set(bias.map(([, value]) => value))
    this.#x = x
    this.#at = engine.borrow(new Uint8Array(block), (at) => {
      const ids = at + doubles * 8
      return engine.address(x.sampler_open(page, at, ids, ids + bias.length * 4, bias.length))
    })
  }
  /** @param {number} id */
  accept(id) {
    this.#x.sampler_accept(this.#at, id)
  }
  /** @param {EngineSession} session @returns {number} */
  pick(session) {
    return this.#x.sampler_pick(this.#at, session.address)
  }
  close() {
    this.#x.sampler_close(this.#at)
  }
}

/** Turns ids into text that can be shown. */
export class Text {
  #engine
  #at
  /** @param {Engine} engine @param {string[]} stops */
  constructor(engine, stops) {
    const all = new TextEncoder().encode(stops.map((stop) => stop + '\0').join(''))
    this.#engine = engine
    this.#at = engine.borrow(all, (at) => engine.address(engine.x.text_open(engine.page, at, stops.length)))
  }
  /** Adds a token; `more` is false when a stop text was completed.
   * @param {number} id */
  push(id) {
    const more = this.#engine.x.text_push(this.#engine.page, this.#at, id) === 1
    return { more, text: this.#engine.piece }
  }
  /** What was held back. */
  finish() {
    this.#engine.x.text_finish(this.#engine.page, this.#at)
    return this.#engine.piece
  }
  close() {
    this.#engine.x.text_close(this.#at)
  }
}
