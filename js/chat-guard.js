// Guards: U+FDD0 before whatever in a message's text is spelled like a control token, so that the engine's tokenizer
// (RP_TOKENIZE_GUARDED) reads it as text: no special token begins right behind a guard or runs across one. Only
// spellings of control tokens get guards. Linear in the text, whatever it says.

export const GUARD = '\ufdd0'

const NONE = 0, WHOLE = 1, CUT = 2 // a spelling lies there; the text ends in the middle of one
const LONGEST = 256 // of a longer spelling only this much is looked for: that guards too much, never too little

/** @param {string} text */
const reversed = (text) => {
  let out = ''
  for (let at = text.length - 1; at >= 0; at--) out += text[at]
  return out
}

/** First place in `sorted`, from `low` to `high`, whose unit at `depth` is not below `unit`.
 * @param {string[]} sorted @param {number} low @param {number} high @param {number} depth @param {number} unit */
function bound(sorted, low, high, depth, unit) {
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle].charCodeAt(depth) < unit) low = middle + 1
    else high = middle
  }
  return low
}

/** What of `sorted` lies in `text` at `at`: a trie walk by binary search, as deep as they agree.
 * @param {string[]} sorted @param {string} text @param {number} at */
function match(sorted, text, at) {
  let low = 0, high = sorted.length
  for (let depth = 0; low < high; depth++) {
    if (sorted[low].length === depth) return WHOLE // the shortest comes first
    if (at + depth === text.length) return CUT
    const unit = text.charCodeAt(at + depth)
    low = bound(sorted, low, high, depth, unit)
    high = bound(sorted, low, high, depth, unit + 1)
  }
  return NONE
}

export class Guard {
  /** @type {string[]} */
  #spellings
  /** @type {string[]} */
  #reversed
  #begins = new Uint8Array(0x10000) // whether a spelling begins with that unit
  #longest = 0
  #shortened = false

  /** @param {Iterable<string>} control spellings of control tokens */
  constructor(control) {
    const spellings = [...new Set(control)].filter((text) => text !== '')
    this.#spellings = [...new Set(spellings.map((text) => text.slice(0, LONGEST)))].sort()
    this.#reversed = [...new Set(spellings.map((text) => reversed(text.slice(-LONGEST))))].sort()
    for (const text of spellings) {
      this.#begins[text.charCodeAt(0)] = 1
      this.#longest = Math.max(this.#longest, Math.min(text.length, LONGEST))
      this.#shortened ||= text.length > LONGEST
    }
  }

  /** The text with a guard before each spelling, overlapping ones too, before an end of it that begins one, and in
   * front of it where it begins with the end of one: none forms with what a template puts around it. U+FDD0 itself
   * becomes U+FFFD. @param {string} text */
  guard(text) {
    const clean = text.includes(GUARD) ? text.replaceAll(GUARD, '\ufffd') : text
    const parts = this.#beginsCut(clean) ? [GUARD] : []
    let from = 0
    for (let at = 0; at < clean.length; at++) {
      if (!this.#begins[clean.charCodeAt(at)] || match(this.#spellings, clean, at) === NONE) continue
      parts.push(clean.slice(from, at), GUARD)
      from = at
    }
    if (!parts.length) return clean
    parts.push(clean.slice(from))
    return parts.join('')
  }

  /** Whether a text would be read as containing a control token.
   * @param {string} text guarded */
  spells(text) {
    for (let at = 0; at < text.length; at++) {
      if (!this.#begins[text.charCodeAt(at)] || text[at - 1] === GUARD) continue
      if (match(this.#spellings, text, at) === WHOLE) return true
    }
    return false
  }

  /** @param {string} text */
  #beginsCut(text) {
    const head = reversed(text.slice(0, this.#longest))
    for (let at = 0; at < head.length; at++) {
      const found = match(this.#reversed, head, at)
      if (found === CUT || (found === WHOLE && this.#shortened)) return true
    }
    return false
  }
}

/** @param {string} text */
export const withoutGuards = (text) => text.replaceAll(GUARD, '')
