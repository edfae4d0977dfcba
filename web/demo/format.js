// Figures as people read them. Bytes are decimal: 1 MB is 1,000,000 bytes.

const number = new Intl.NumberFormat('en')

/** @param {number} n */
export const count = (n) => number.format(Math.round(n))

/** @param {number} n */
export function bytes(n) {
  if (!(n >= 0)) return 'unknown size'
  if (n < 1000) return `${Math.round(n)} bytes`
  const [unit, name] = n < 1e6 ? [1e3, 'kB'] : n < 1e9 ? [1e6, 'MB'] : [1e9, 'GB']
  const value = n / unit
  return `${value.toFixed(value < 9.95 ? 1 : 0)} ${name}`
}

/** @param {number} p a probability */
export function percent(p) {
  const value = p * 100
  return value < 0.1 ? '< 0.1 %' : `${value.toFixed(value < 9.95 ? 1 : 0)} %`
}

/** @param {number} seconds */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return ''
  if (seconds < 1) return 'less than a second'
  if (seconds < 90) return `${Math.round(seconds)} s`
  return `${Math.round(seconds / 60)} min`
}

/** @param {number} perSecond */
export const rate = (perSecond) => (Number.isFinite(perSecond) && perSecond > 0
  ? `${perSecond < 9.95 ? perSecond.toFixed(1) : count(perSecond)} tokens/s` : '–')

/** Spaces and line breaks of a token made visible. @param {string} text */
export function visible(text) {
  return text === '' ? '(part of a character)' : text.replace(/\n/g, '↵').replace(/^ | $/g, '·').replace(/\t/g, '⇥')
}
