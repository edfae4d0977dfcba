// Starts the single file: gives page and worker the model, the engine and the program, which is one function. Its
// worker is a Blob, the one place where that has to be, and a classic script: Chromium starts no module worker from file://.
{
  /** @param {string} id of an element with base64 */
  const bytes = (id) => {
    const element = document.getElementById(id), text = atob(element.textContent)
    element.remove()
    const array = new Uint8Array(text.length)
    for (let i = 0; i < text.length; i++) array[i] = text.charCodeAt(i)
    return array.buffer
  }

  const worker = new Blob([`(${program})()('js/worker.js')`], { type: 'text/javascript' })
  self.packed = { model: bytes('model'), wasm: bytes('wasm'), workerUrl: URL.createObjectURL(worker) }
  program()('web/single/page.js')
}
