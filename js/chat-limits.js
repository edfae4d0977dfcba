// What one rendering of a chat template may take. Time is looked at between steps of the library, so whatever one step
// could blow up is refused before it runs; every value is measured when it is made.
import { FormatError } from './errors.js'

/** Milliseconds; characters of a text, of a list as it would be written, and of all that is made; elements of a list,
 * and of one to be sorted; depth of steps and of data; characters of a template, and of white space in a row in it. */
export const LIMITS = {
  ms: 2000,
  characters: 2 ** 21,
  allCharacters: 2 ** 26,
  items: 2 ** 16,
  sorted: 2 ** 12,
  depth: 250,
  source: 2 ** 18,
  space: 512,
}
const STEPS_A_LOOK = 16
const LARGE = 4096
const SEARCH = 2 ** 27 // steps of the slowest search for a text in another
const ATTRIBUTE = 64 // characters of a path such as "function.name"
const INDENT = 32

/** A value of the library: `value` is a string, number, boolean, null, undefined, list, Map or function.
 * @typedef {{ value: any, type: string }} Value */
/** As it would be written. @typedef {{ weight: number, nodes: number, depth: number }} Size */

/** @param {string} what */
export const tooMuch = (what) => new FormatError(`chat template: it needs ${what}`)

/** How often, as far as `most` and one more. @param {string} text @param {string} part @param {number} most */
function occurrences(text, part, most) {
  let count = 0
  for (let at = text.indexOf(part); at >= 0 && count <= most; at = text.indexOf(part, at + part.length)) count++
  return count
}

export class Budget {
  #limits
  #deadline
  #left
  #steps = 0
  #depth = 0
  /** @type {WeakMap<Value, Size>} */
  #sizes = new WeakMap()

  /** @param {typeof LIMITS} limits */
  constructor(limits) {
    this.#limits = limits
    this.#deadline = performance.now() + limits.ms
    this.#left = limits.allCharacters
  }

  get depth() {
    return this.#depth
  }

  step() {
    if (++this.#steps % STEPS_A_LOOK === 0) this.#look()
  }

  enter() {
    this.step()
    if (++this.#depth > this.#limits.depth) throw tooMuch(`steps more than ${this.#limits.depth} deep`)
  }

  /** @param {Value} value that a step gives @param {boolean} isNew whether it was made by it */
  leave(value, isNew) {
    this.#depth--
    const inner = value.value
    if (typeof inner === 'string') {
      if (isNew || inner.length > this.#limits.characters) this.pay(inner.length)
    } else if (inner && typeof inner === 'object' && !this.#sizes.has(value)) {
      const count = inner.length ?? inner.size
      this.#checkCount(count)
      this.#sizeOf(value)
      this.pay(count * 8)
    }
    return value
  }

  /** @param {number} depth where a loop that is left or goes on began */
  backTo(depth) {
    this.#depth = depth
  }

  #look() {
    if (performance.now() > this.#deadline) throw tooMuch(`more than ${this.#limits.ms} ms`)
  }

  /** @param {number} characters that are going to be made */
  pay(characters) {
    if (characters > this.#limits.characters) throw tooMuch(`a text of more than ${this.#limits.characters} characters`)
    this.#left -= characters
    if (this.#left < 0) throw tooMuch(`more than ${this.#limits.allCharacters} characters in all`)
    if (characters > LARGE) this.#look()
  }

  /** @param {number} count of elements */
  #checkCount(count) {
    if (count > this.#limits.items) throw tooMuch(`a list of more than ${this.#limits.items} elements`)
  }

  /** Lists and mappings never change; a namespace may, and is in none of them.
   * @param {Value} value @returns {Size} */
  #sizeOf(value) {
    const inner = value.value
    if (typeof inner === 'string') return { weight: inner.length + 2, nodes: 1, depth: 0 }
    if (typeof inner === 'function') return { weight: LARGE, nodes: 1, depth: 0 }
    if (inner === null || typeof inner !== 'object') return { weight: 24, nodes: 1, depth: 0 }
    const known = this.#sizes.get(value)
    if (known) return known
    const { characters, depth: deepest } = this.#limits
    const size = { weight: 2, nodes: 1, depth: 0 }
    for (const [key, item] of inner.entries()) {
      if (item.type === 'NamespaceValue') throw tooMuch('a namespace inside of another value')
      const { weight, nodes, depth } = this.#sizeOf(item)
      size.weight += weight + 2 + (typeof key === 'string' ? key.length + 4 : 0)
      size.nodes += nodes
      size.depth = Math.max(size.depth, depth + 1)
      if (size.weight > characters) throw tooMuch(`a value of more than ${characters} characters`)
    }
    if (size.depth > deepest) throw tooMuch(`values more than ${deepest} deep`)
    if (value.type !== 'NamespaceValue') this.#sizes.set(value, size)
    return size
  }

  /** A search through `text` for `part`. @param {string} text @param {string} part */
  checkSearch(text, part) {
    if (part.length <= text.length && part.length * text.length > SEARCH) throw tooMuch('too long a search')
  }

  /** A filter or method that is about to run. @param {string} name @param {Value} on @param {Value[]} args
   * @param {Record<string, Value>} named */
  check(name, on, args, named) {
    const [first, second] = args.map(({ value }) => value)
    if (name === 'tojson') this.#checkJSON(on, named)
    else if (name === 'join') this.#checkJoin(on, `${first ?? named.separator?.value ?? ''}`)
    else if (['sort', 'dictsort', 'map'].includes(name)) this.#checkSort(name, on, [...args, named.attribute ?? on])
    else if (typeof on.value === 'string') {
      if (name === 'indent') this.#checkIndent(on.value, Number(first ?? named.width?.value ?? 4))
      else if (name === 'split') this.#checkSplit(on.value, first)
      else if (name === 'replace') this.#checkReplace(on.value, `${first}`, `${second}`)
    }
  }

  /** @param {Value} on @param {Record<string, Value>} named */
  #checkJSON(on, named) {
    const { weight, nodes, depth } = this.#sizeOf(on)
    const width = Number(named.indent?.value ?? 0)
    if (width > INDENT) throw tooMuch(`an indentation of more than ${INDENT}`)
    const separators = named.separators?.value
    let between = 0
    if (Array.isArray(separators)) for (const { value } of separators) between += `${value}`.length
    this.pay((named.ensure_ascii?.value ? 2 : 1) * weight + nodes * (between + (width ? 1 + width * (depth + 1) : 0)))
  }

  /** @param {Value} on @param {string} separator */
  #checkJoin(on, separator) {
    const length = on.value?.length ?? 0
    const weight = typeof on.value === 'string' ? length : this.#sizeOf(on).weight
    this.pay(weight + length * separator.length)
  }

  /** @param {string} name @param {Value} on @param {Value[]} args */
  #checkSort(name, on, args) {
    const { sorted } = this.#limits
    const count = on.value?.length ?? on.value?.size
    if (name !== 'map' && count > sorted) throw tooMuch(`more than ${sorted} elements in order`)
    for (const { value } of args)
      if (typeof value === 'string' && value.length > ATTRIBUTE) throw tooMuch('too long an attribute')
  }

  /** @param {string} text @param {number} width */
  #checkIndent(text, width) {
    this.pay(text.length + (occurrences(text, '\n', text.length) + 1) * Math.max(width, 0))
  }

  /** @param {string} text @param {unknown} separator */
  #checkSplit(text, separator) {
    if (typeof separator !== 'string') this.#checkCount(text.match(/\s(?=\S)/g)?.length ?? 0)
    else if (separator) {
      this.checkSearch(text, separator)
      this.#checkCount(occurrences(text, separator, this.#limits.items))
    }
  }

  /** @param {string} text @param {string} part @param {string} by */
  #checkReplace(text, part, by) {
    this.checkSearch(text, part)
    const count = part ? occurrences(text, part, text.length) : text.length + 1
    this.pay(text.length + count * by.length)
  }
}
