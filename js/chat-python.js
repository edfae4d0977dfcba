// What Python's Jinja does and @huggingface/jinja does otherwise: equality, white space, stripping of given characters,
// how values are written, dates in English.

/** @typedef {{ value: any, type: string }} Value */

const NOTHING = new Set(['NullValue', 'UndefinedValue'])

const SPACES = new Set('\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007' +
  '\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000')

/** `str.strip` and its halves.
 * @param {string} text @param {unknown} [chars] @param {number} [sides] 1: left, 2: right */
function trim(text, chars, sides = 3) {
  const isCut = typeof chars === 'string' ? new Set(chars) : SPACES
  let from = 0, to = text.length
  if (sides & 1) while (from < to && isCut.has(text[from])) from++
  if (sides & 2) while (from < to && isCut.has(text[to - 1])) to--
  return text.slice(from, to)
}

/** Methods of strings, with what is passed as plain values.
 * @type {Map<string, (text: string, ...args: any[]) => string>} */
export const METHODS = new Map([
  ['strip', (/** @type {string} */ text, /** @type {any} */ chars) => trim(text, chars)],
  ['lstrip', (/** @type {string} */ text, /** @type {any} */ chars) => trim(text, chars, 1)],
  ['rstrip', (/** @type {string} */ text, /** @type {any} */ chars) => trim(text, chars, 2)],
  ['capitalize', (/** @type {string} */ text) => text.slice(0, 1).toUpperCase() + text.slice(1).toLowerCase()],
  ['removeprefix', (/** @type {string} */ text, /** @type {any} */ part) =>
    (typeof part === 'string' && text.startsWith(part) ? text.slice(part.length) : text)],
  ['removesuffix', (/** @type {string} */ text, /** @type {any} */ part) =>
    (typeof part === 'string' && part && text.endsWith(part) ? text.slice(0, -part.length) : text)],
])

/** `==`. @param {Value} a @param {Value} b @param {(value: Value) => Value} clean @returns {boolean} */
export function equal(a, b, clean) {
  if (NOTHING.has(a.type) || NOTHING.has(b.type)) return a.type === b.type
  const left = clean(a).value, right = clean(b).value
  const isPlain = (/** @type {unknown} */ value) => typeof value === 'number' || typeof value === 'boolean'
  if (isPlain(left) && isPlain(right)) return Number(left) === Number(right)
  if (left === right) return true
  if (Array.isArray(left)) {
    if (!Array.isArray(right) || left.length !== right.length) return false
    return left.every((item, i) => equal(item, right[i], clean))
  }
  if (!(left instanceof Map && right instanceof Map) || left.size !== right.size) return false
  return [...left].every(([key, item]) => right.has(key) && equal(item, right.get(key), clean))
}

/** @param {string} operator @param {string} a @param {string} b */
export function compare(operator, a, b) {
  switch (operator) {
    case '<':
      return a < b
    case '>':
      return a > b
    case '<=':
      return a <= b
    case '>=':
      return a >= b
    default:
      throw new Error(`${operator} between strings`)
  }
}

/** What a template writes for a value. @param {Value} value @returns {string} */
export function printed(value) {
  if (typeof value.value === 'string') return value.value
  return value.type === 'UndefinedValue' ? '' : repr(value)
}

/** @param {Value} value @returns {string} */
function repr(value) {
  const inner = value.value
  if (value.type === 'NullValue') return 'None'
  if (value.type === 'UndefinedValue') return 'Undefined'
  if (typeof inner === 'boolean') return inner ? 'True' : 'False'
  if (typeof inner === 'string') return quoted(inner)
  if (inner instanceof Map) return `{${Array.from(inner, ([key, item]) => `${quoted(key)}: ${repr(item)}`).join(', ')}}`
  if (typeof inner === 'function') return '<function>'
  if (!Array.isArray(inner)) return value.toString()
  const items = inner.map(repr).join(', ')
  if (value.type !== 'TupleValue') return `[${items}]`
  return inner.length === 1 ? `(${items},)` : `(${items})`
}

const ESCAPES = new Map([['\\', '\\\\'], ['\n', '\\n'], ['\r', '\\r'], ['\t', '\\t']])

/** @param {string} text */
function quoted(text) {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const escaped = text.replace(/[\\\x00-\x1f\x7f-\xa0\xad']/g, (c) => {
    if (c === "'") return quote === c ? "\\'" : c
    return ESCAPES.get(c) ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
  return quote + escaped + quote
}

/** Code points. @param {string} text */
export function lengthOf(text) {
  let count = text.length
  for (let at = 1; at < text.length; at++)
    if ((text.charCodeAt(at) & 0xfc00) === 0xdc00 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800) count--
  return count
}

/** `range`, as long as `most` allows. @param {number} most @param {any[]} args */
export function range(most, ...args) {
  const [start, stop, step = 1] = args.length > 1 ? args : [0, args[0]]
  if (![start, stop, step].every(Number.isSafeInteger) || !step) throw new Error('range() wants integers')
  const count = Math.max(0, Math.ceil((stop - start) / step))
  if (count > most) throw new Error(`it needs a range of more than ${most} elements`)
  return Array.from({ length: count }, (_, i) => start + i * step)
}

const MONTHS = 'January February March April May June July August September October November December'.split(' ')
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ')

/** @param {Date} date @param {string} format */
export function strftime(date, format) {
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0')
  const month = MONTHS[date.getMonth()], day = DAYS[date.getDay()]
  const year = date.getFullYear(), hours = date.getHours()
  /** @type {Record<string, string>} */
  const parts = {
    Y: `${year}`, y: two(year % 100), m: two(date.getMonth() + 1), d: two(date.getDate()), '%': '%',
    B: month, b: month.slice(0, 3), A: day, a: day.slice(0, 3), H: two(hours), I: two(hours % 12 || 12),
    M: two(date.getMinutes()), S: two(date.getSeconds()), p: hours < 12 ? 'AM' : 'PM',
  }
  return format.replace(/%(.)/g, (all, letter) => parts[letter] ?? all)
}
