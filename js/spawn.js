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
  const file = url ? new URL(url, location.href) : new URL('./worker.js', import.meta.url)
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

/** @param {string | URL | undefined} url @param {{ message(data: any): void, failed(why: string): void }} on
 * @returns {Promise<any>} */
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

/** A channel to a new worker. Calls may be made at once: when the worker turns out to be of another version, or does not start,
 * the channel is closed.
 * @param {string | URL | undefined} workerUrl @param {Listeners} notices @param {AbortSignal} [signal] @returns {Promise<Channel>} */
export async function connect(workerUrl, notices, signal) {
  /** @type {Channel | undefined} */
  let channel
  let unwatch = () => {}
  const stopped = (/** @type {string} */ why) =>
    new IOError(`the worker stopped: ${why}`, { url: String(workerUrl ?? new URL('./worker.js', import.meta.url)) })
  const failed = (/** @type {string} */ why) => channel?.close(stopped(why))
  const message = (/** @type {any} */ data) => {
    if (data.lock) unwatch = watchLock(data.lock, () => failed('it ended'))
    else if (!data.hello) channel?.receive(data)
    else if (data.hello.version !== version)
      channel?.close(new UnsupportedError(`the worker is version ${data.hello.version}, this script is ${version}: serve files of one version`))
  }
  const port = await startPort(workerUrl, { message, failed }).catch((error) => Promise.reject(stopped(error.message)))
  const line = {
    postMessage: (/** @type {any} */ data, /** @type {any} */ transfer) => port.postMessage(data, transfer),
    busy: (/** @type {boolean} */ yes) => (yes ? port.ref?.() : port.unref?.()),
    terminate: () => {
      unwatch()
      port.terminate()
    },
  }
  line.busy(false) // open calls keep a program alive, not the worker
  channel = new Channel(line, notices)
  if (signal?.aborted) channel.close(signal.reason)
  signal?.throwIfAborted()
  return channel
}
