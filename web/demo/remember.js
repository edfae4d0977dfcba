// What the page remembers between visits, in localStorage. Where that is forbidden or full, it remembers nothing.

const prefix = 'reprise:'

/** @param {string} key @param {any} [otherwise] */
export function recall(key, otherwise) {
  try {
    const text = localStorage.getItem(prefix + key)
    return text === null ? otherwise : JSON.parse(text)
  } catch {
    return otherwise
  }
}

/** @param {string} key @param {any} value */
export function remember(key, value) {
  try {
    if (value === undefined) localStorage.removeItem(prefix + key)
    else localStorage.setItem(prefix + key, JSON.stringify(value))
  } catch {
    // Nothing is lost but the comfort.
  }
}
