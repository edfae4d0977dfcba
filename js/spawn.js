// Starts the worker and connects a channel to it, in a browser and in Node, and notices when it dies.
import { Channel } from './channel.js'
import { IOError, UnsupportedError } from './errors.js'
import { version } from './version.js'

/** @typedef {import('./channel.js').Listeners} Listeners */

/** Workers start from files of the page's own origin. For a script from elsewhere a Blob of one line imports it: the only case,
 * beside the single-file page, in which a Blob is used, and `workerUrl` avoids it. A page that is one file passes a Blob of its
 * own, a classic script: browsers start no module worker there.
 * @param {string | URL} [url] */
function startWorker(url) {
  const file = new URL(url ?? './worker.js', import.meta.url)
  if (file.origin === location.origin || file.protocol === 'blob:') {
    if (!url) return new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }) // bundlers look for this line
    return new Worker(file, { type: file.protocol === 'blob:' ? 'classic' : 'module' })
  }
  const blob = URL.createObjectURL(new Blob([`import ${JSON.stringify(file.href)}`], { type: 'text/javascript' }))
  const worker = new Worker(blob, { type: 'module' })
  setTimeout(() => URL.revokeObjectURL(blob), 60_000)
  return worker
}

/** Calls `died` when a worker of a browser is gone without a word: it holds a lock for as long as it lives.
 * @param {string} name @param {() => void} died */
function watchLock(name, died) {
  const stop = new AbortController()
  navigator.locks?.request(name, { signal: stop.signal }, died).catch(() => {})
  return () => stop.abort()
}

/** @param {string | URL | undefined} url @param {{ message(data: any): void, failed(why: string): void }} on */
async function startPort(url, on) {
  if (typeof Worker === 'function') {
    const worker = startWorker(url)
    worker.onmessage = ({ data }) => on.message(data)
    worker.onerror = (event) => {
      event.preventDefault()
      on.failed(event.message || 'its file could not be loaded, or the page may not start it')
    }
    worker.onmessageerror = () => on.failed('a message could not be read')
    return worker
  }
  const threads = await import('node:worker_threads')
  const worker = new threads.Worker(new URL(url ?? './worker.js', import.meta.url))
  worker.on('message', on.message)
  worker.on('error', (/** @type {Error} */ error) => on.failed(error.message))
  worker.on('exit', () => on.failed('it ended'))
  return worker
}

/** A channel to a new worker of this version.
 * @param {string | URL | undefined} workerUrl @param {Listeners} notices @param {AbortSignal} [signal] @returns {Promise<Channel>} */
export function connect(workerUrl, notices, signal) {
  return new Promise((resolve, reject) => {
    /** @type {Channel | undefined} */
    let channel
    let port = /** @type {any} */ (null)
    let unwatch = () => {}
    let early = /** @type {any[]} */ ([])
    const end = (/** @type {unknown} */ error) => {
      unwatch()
      port?.terminate()
      channel?.close(error)
      reject(error)
    }
    const failed = (/** @type {string} */ why) =>
      end(new IOError(`the worker stopped: ${why}`, { url: String(workerUrl ?? new URL('./worker.js', import.meta.url)) }))
    const abort = () => end(/** @type {AbortSignal} */ (signal).reason)
    signal?.addEventListener('abort', abort)
    const hello = (/** @type {{ version: string, lock?: string }} */ greeting) => {
      if (greeting.version !== version) {
        const message = `the worker is version ${greeting.version}, this script is ${version}: serve files of one version`
        return end(new UnsupportedError(message))
      }
      if (greeting.lock) unwatch = watchLock(greeting.lock, () => failed('it ended'))
      const terminate = () => {
        unwatch()
        port.terminate()
      }
      const line = {
        postMessage: (/** @type {any} */ data, /** @type {any} */ transfer) => port.postMessage(data, transfer),
        busy: (/** @type {boolean} */ yes) => (yes ? port.ref?.() : port.unref?.()),
        terminate,
      }
      line.busy(false) // from here on open calls keep a program alive, not the worker
      channel = new Channel(line, notices)
      signal?.removeEventListener('abort', abort)
      resolve(channel)
    }
    const message = (/** @type {any} */ data) => {
      if (!port) early.push(data)
      else if (data.hello) hello(data.hello)
      else channel?.receive(data)
    }
    startPort(workerUrl, { message, failed }).then(
      (started) => {
        port = started
        if (signal?.aborted) abort()
        early.splice(0).forEach(message)
      },
      (error) => failed(error.message),
    )
  })
}
