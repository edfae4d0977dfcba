// Elements without markup strings: what a model says can only become text.

/** @param {string} tag @param {Record<string, string | boolean | undefined>} [attributes] `false` and undefined: absent
 * @param {...(Node | string)} children @returns {any} */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes))
    if (value !== false && value !== undefined) element.setAttribute(name, value === true ? '' : value)
  element.append(...children)
  return element
}

/** @param {number} n */
export function bytes(n) {
  const [unit, name] = n < 1e6 ? [1e3, 'kB'] : n < 1e9 ? [1e6, 'MB'] : [1e9, 'GB']
  return `${(n / unit).toFixed(n / unit < 9.95 ? 1 : 0)} ${name}`
}
