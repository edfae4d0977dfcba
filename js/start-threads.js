// Threads, for pages that are cross-origin isolated: imported there and nowhere else. The page starts the workers, because Firefox
// hangs now and then when a worker does; the engine's worker opens the pool and finds out how many are worth using (threads.js).
import { IOError } from './errors.js'

/** @param {string | URL | undefined} workerUrl @returns {Promise<any>} */
async function startWorker(workerUrl) {
  if (typeof Worker !== 'function') {
    const threads = await import('node:worker_threads')
    const thread = new threads.Worker(new URL('./thread.js', workerUrl ?? import.meta.url))
    thread.once('online', () => thread.unref()) // it keeps no program alive; said earlier, it is not heard
    return Object.assign(thread, { addEventListener: thread.on })
  }
  const file = new URL('./thread.js', workerUrl ? new URL(workerUrl, location.href) : import.meta.url)
  if (file.origin !== location.origin) {
    const blob = URL.createObjectURL(new Blob([`import ${JSON.stringify(file.href)}`], { type: 'text/javascript' }))
    setTimeout(() => URL.revokeObjectURL(blob), 60_000)
    return new Worker(blob, { type: 'module' })
  }
  if (workerUrl) return new Worker(file, { type: 'module' })
  return new Worker(new URL('./thread.js', import.meta.url), { type: 'module' }) // bundlers look for this line
}

/** Starts a worker for each stack, and ends them with the channel. One that does not come is no failure: there are fewer threads.
 * @param {{ memory: WebAssembly.Memory, pool: number, stacks: number[] }} start @param {import('./channel.js').Channel} channel
 * @param {string | URL} [workerUrl] */
export async function startThreads({ pool, stacks, ...start }, channel, workerUrl) {
  const words = new Int32Array(start.memory.buffer, pool, 2 + stacks.length) // src/pool.h
  // Workers that sleep are let go before they are ended: Chromium would wait two seconds for each.
  channel.atEnd(() => {
    for (const i of words.keys()) {
      Atomics.store(words, i, i ? 0 : 1)
      Atomics.notify(words, i)
    }
  })
  for (const stack of stacks) {
    const thread = await startWorker(workerUrl)
    channel.atEnd(() => thread.terminate())
    let isServing = false
    thread.addEventListener('message', () => (isServing = true))
    thread.addEventListener('error', (/** @type {any} */ event) => {
      event.preventDefault?.()
      // What it was computing will never be done.
      if (isServing) channel.close(new IOError(`a thread stopped: ${event.message}`))
    })
    thread.postMessage({ ...start, stack })
  }
}
