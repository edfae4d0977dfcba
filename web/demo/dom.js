// Building elements without markup strings: whatever a model says can only become text here.

/** Makes an element. `text` is its text, `on` its listeners, the rest are attributes (`true`: present, `false`,
 * `null` and `undefined`: absent).
 * @param {string} tag @param {Record<string, any>} [props] @param {...(Node | string)} children */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(props)) {
    if (name === 'text') element.textContent = value
    else if (name === 'on') for (const [event, action] of Object.entries(value)) element.addEventListener(event, action)
    else if (value === true) element.setAttribute(name, '')
    else if (value !== false && value != null) element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

const svgNamespace = 'http://www.w3.org/2000/svg'

/** The same for SVG.
 * @param {string} tag @param {Record<string, string | number>} [props] @param {...(Node | string)} children */
export function svg(tag, props = {}, ...children) {
  const element = document.createElementNS(svgNamespace, tag)
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, String(value))
  element.append(...children)
  return element
}

/** The element of an id, which the page must have. @param {string} id @returns {any} */
export function byId(id) {
  const element = document.getElementById(id)
  if (!element) throw new Error(`the page has no #${id}`)
  return element
}

/** A dialog closes when the space around it is clicked, and by its close button.
 * @param {HTMLDialogElement} dialog */
export function closeable(dialog) {
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog || /** @type {Element} */ (event.target).closest('[data-close]')) dialog.close()
  })
}

/** @param {string} text */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return false
  }
}
