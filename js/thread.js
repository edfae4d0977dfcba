// A thread of the engine: an instance of its module on its memory, with a stack of its own. It computes what it is given and sleeps
// in between, inside of WebAssembly, and hears nothing more: the page ends it. No other script is imported here.

/** @param {{ module: WebAssembly.Module, memory: WebAssembly.Memory, page: number, stack: number }} start
 * @param {(word: string) => void} tell */
async function run({ module, memory, page, stack }, tell) {
  const imports = { env: { memory, emscripten_notify_memory_growth() {} } }
  const { exports } = /** @type {any} */ (await WebAssembly.instantiate(module, imports))
  exports._emscripten_stack_restore(stack)
  tell('serving')
  exports.page_serve(page)
}

if (typeof globalThis.postMessage === 'function') {
  globalThis.onmessage = ({ data }) => run(data, (word) => globalThis.postMessage(word))
} else {
  const { parentPort } = /** @type {any} */ (await import('node:worker_threads'))
  parentPort.once('message', (/** @type {any} */ start) => run(start, (word) => parentPort.postMessage(word)))
}
