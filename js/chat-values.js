// The library's values of one rendering, and which of its strings are texts: strings of a conversation and what is made
// of them. A text's value has its guards (chat-guard.js); beside it its clean spelling is kept, for tests and methods.
import { GUARD, withoutGuards } from './chat-guard.js'
import { ArgumentError } from './errors.js'

const DEEPEST = 64 // of data

/** @typedef {import('./chat-limits.js').Value} Value */
/** @typedef {new (value: any) => Value} Type */

export class Values {
  #jinja
  #guard
  /** @type {WeakMap<Value, string>} */
  #texts = new WeakMap()

  /** @param {import('./chat-run.js').Jinja} jinja @param {import('./chat-guard.js').Guard} guard */
  constructor(jinja, guard) {
    this.#jinja = jinja
    this.#guard = guard
    const typeOf = (/** @type {unknown} */ value) => this.#plain(value).constructor
    const [string, integer, boolean, array, object, method] = ['', 1, true, [], {}, () => null].map(typeOf)
    /** @type {Record<'string' | 'integer' | 'boolean' | 'array' | 'object' | 'method', Type>} */
    this.types = { string, integer, boolean, array, object, method }
    /** @type {Value} */
    this.nothing = this.#plain(undefined)
  }

  /** @param {unknown} value */
  #plain(value) {
    return new this.#jinja.Environment().set('x', value)
  }

  /** @param {Value} value */
  isText(value) {
    return this.#texts.has(value)
  }

  /** @param {unknown} value @param {number} depth @returns {Value} */
  valueOf(value, depth) {
    if (depth > DEEPEST) throw new ArgumentError(`messages, tools or options are nested more than ${DEEPEST} deep`)
    if (typeof value === 'string') return this.text(value.replaceAll(GUARD, '\ufffd'))
    if (Array.isArray(value)) return new this.types.array(value.map((item) => this.valueOf(item ?? null, depth + 1)))
    if (value && typeof value === 'object') {
      const map = new Map()
      for (const [key, item] of Object.entries(value))
        if (item !== undefined) map.set(this.#guard.guard(key), this.valueOf(item, depth + 1))
      return new this.types.object(map)
    }
    if (value !== null && typeof value !== 'number' && typeof value !== 'boolean')
      throw new ArgumentError(`a ${typeof value} in messages, tools or options`)
    return this.#plain(value)
  }

  /** @param {string} clean @returns {Value} */
  text(clean) {
    const value = new this.types.string(this.#guard.guard(clean))
    this.#texts.set(value, clean)
    return value
  }

  /** @param {Value} value @returns {Value} what tests and methods look at */
  clean(value) {
    const clean = this.#texts.get(value)
    return clean === undefined || clean === value.value ? value : new this.types.string(clean)
  }

  /** The result of a filter or method: a text if it was one of a text, or has a control token that was not there.
   * @param {Value | undefined} result @param {boolean} isText @param {Value[]} from @returns {Value} */
  made(result, isText, from) {
    if (typeof result?.value === 'string') {
      const spells = (/** @type {Value} */ { value }) => typeof value === 'string' && this.#guard.spells(value)
      return isText || (spells(result) && !from.some(spells)) ? this.text(withoutGuards(result.value)) : result
    }
    if (!isText || !Array.isArray(result?.value)) return result ?? this.nothing
    return new this.types.array(result.value.map((item) => this.made(item, isText, from)))
  }
}
