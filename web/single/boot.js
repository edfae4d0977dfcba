// Unpacks the single file: each module becomes a Blob whose imports are the addresses of those before it. Only this page
// does so: a page that was opened from file:// may load neither modules nor workers from files. Chromium starts no module
// worker there either, but a classic one, which unpacks the modules once more for itself.
{
  /** @param {[string, string][]} modules names and texts, imported ones first @returns {Map<string, string>} addresses */
  const unpack = (modules) => {
    const urls = new Map()
    for (const [name, text] of modules) {
      const linked = text.replace(/"module:([^"]+)"/g, (_, other) => JSON.stringify(urls.get(other)))
      urls.set(name, URL.createObjectURL(new Blob([linked], { type: 'text/javascript' })))
    }
    self.packedModules = urls // for imports while running
    return urls
  }

  /** @param {string} id of an element with base64 */
  const bytes = (id) => {
    const element = document.getElementById(id), text = atob(element.textContent)
    element.remove()
    const array = new Uint8Array(text.length)
    for (let i = 0; i < text.length; i++) array[i] = text.charCodeAt(i)
    return array.buffer
  }

  const ModuleWorker = self.Worker
  self.Worker = class extends ModuleWorker {
    constructor(url) {
      super(url)
    }
  }
  const modules = [...document.querySelectorAll('script[data-module]')]
    .map((element) => [element.dataset.module, element.textContent])
  const worker = `import((${unpack})(${JSON.stringify(modules)}).get('js/worker.js'))`
  const workerUrl = URL.createObjectURL(new Blob([worker], { type: 'text/javascript' }))
  self.packed = { model: bytes('model'), wasm: bytes('wasm'), workerUrl }
  import(unpack(modules).get('web/single/page.js'))
}
