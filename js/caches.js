// What is kept in the origin's private file system, for whoever wants to show or clear it. Runs on the page, too.
import { addressOf, keyOf, openFolder, Store, whyNoCache } from './source/store.js'

/** @type {import('./index.js').caches} */
export const caches = {
  async list() {
    const files = []
    if (whyNoCache()) return []
    const folder = await openFolder().catch(() => undefined)
    for await (const key of folder?.keys() ?? []) {
      const store = new Store(/** @type {FileSystemDirectoryHandle} */ (folder), key)
      await store.refresh().catch(() => {})
      const { url = '', total = 0, integrity = undefined } = store.meta ?? {}
      if (url) files.push({ url, bytes: store.bytes, total, complete: store.complete, ...(integrity && { integrity }) })
    }
    return files
  },
  async delete(/** @type {string | URL} */ url) {
    if (whyNoCache()) return false
    const key = await keyOf(addressOf(new URL(url, globalThis.location?.href)))
    try {
      await (await openFolder()).removeEntry(key, { recursive: true })
      return true
    } catch {
      return false
    }
  },
  async persist() {
    return (await globalThis.navigator?.storage?.persist?.()) ?? false
  },
}
