// The models that the page knows, from models/catalogue.json, and those that somebody brings along.

const address = new URL('../../models/catalogue.json', import.meta.url)

/** A model that can be picked. `source` is what `Model.load` takes.
 * @typedef {{ id: string, name: string, about?: string, source: any, bytes?: number, integrity?: string,
 *   licence?: string, parameters?: string, sharing?: string, context?: number, modes?: string[], shipped?: boolean,
 *   cache?: boolean }} Entry */

/** @returns {Promise<Entry[]>} */
export async function readCatalogue() {
  const response = await fetch(address)
  if (!response.ok) throw new Error(`the list of models answered ${response.status}`)
  const { models } = await response.json()
  return models.map(({ url, ...entry }) => (
    // The service worker keeps the shipped model with the page: a second copy would be wasted.
    { ...entry, source: new URL(url, address).href, cache: !entry.shipped }))
}

/** @param {string} text an address or hf:owner/repo/file.gguf @returns {Entry} */
export function entryOfAddress(text) {
  const source = text.startsWith('hf:') ? text : new URL(text, document.baseURI).href
  const file = source.split(/[/?#]/).findLast((part) => part.endsWith('.gguf'))
  return { id: source, name: decodeURIComponent(file ?? source), source }
}

/** @param {File} file @returns {Entry} */
export const entryOfFile = (file) => ({ id: `file:${file.name}`, name: file.name, source: file, bytes: file.size })
