// Which WebAssembly build this browser runs: the best that it validates and whose sums come out right, with threads where memory
// can be shared. As a rule one is fetched.
import { IOError, UnsupportedError } from './errors.js'
import { Engine } from './engine.js'
import { relaxedSimd, simd } from './lazy/wasm-feature-detect/index.js'

/** @typedef {import('./engine.js').Build} Build */

/** @param {URL} url */
export async function compile(url) {
  if (url.protocol === 'file:' && globalThis.process?.versions?.node) {
    const { readFile } = await import('node:fs/promises')
    return WebAssembly.compile(new Uint8Array(await readFile(url)))
  }
  let response
  try {
    response = await fetch(url)
  } catch (error) {
    throw new IOError(`${url}: ${/** @type {Error} */ (error).message}`, { url: url.href })
  }
  if (!response.ok) throw new IOError(`${url}: HTTP status ${response.status}`, { url: url.href, status: response.status })
  // A server that does not know the type application/wasm is common; compileStreaming insists on it.
  const streams = response.headers.get('content-type')?.startsWith('application/wasm')
  return streams ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer())
}

/** @type {Record<string, () => Promise<boolean>>} best first */
const isas = { relaxed: relaxedSimd, simd128: simd, scalar: async () => true }

/** How many threads are worth starting here. @param {number | 'auto'} wanted */
function threadsFor(wanted) {
  // In Node nothing says that it is isolated, nor need it be.
  if (typeof SharedArrayBuffer !== 'function' || globalThis.crossOriginIsolated === false) return 1
  return wanted === 'auto' ? Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, 8) : wanted
}

/** @param {string} isa @param {number} threads @param {ArrayBuffer} [bytes] of the module, when it is given @returns {Promise<Build | undefined>} */
async function attempt(isa, threads, bytes) {
  const name = threads > 1 ? `${isa}-threads` : isa
  const module = await (bytes ? WebAssembly.compile(bytes) : compile(new URL(`./wasm/page-${name}.wasm`, import.meta.url)))
  const build = { module, isa, threads }
  const engine = await Engine.create(build)
  return engine.check() ? build : undefined
}

/** @param {{ wasm?: ArrayBuffer, isa?: string, threads?: number | 'auto' }} options @returns {Promise<Build>} */
export async function chooseBuild({ wasm, isa, threads = 'auto' }) {
  if (typeof WebAssembly !== 'object') throw new UnsupportedError('this browser has no WebAssembly')
  if (wasm) return (await attempt('simd128', 1, wasm)) ?? Promise.reject(new UnsupportedError('the module computes wrong sums here'))
  for (const name of isa ? [isa] : Object.keys(isas)) {
    if (!(await isas[name]())) continue
    const most = name === 'scalar' ? 1 : threadsFor(threads)
    const alone = (/** @type {unknown} */ error) => {
      if (most < 2 || error instanceof IOError) throw error
      return attempt(name, 1) // memory that is shared could not be had
    }
    const build = await attempt(name, most).catch(alone)
    if (build) return build
  }
  throw new UnsupportedError(isa ? `isa is ${isa}, which this browser does not run` : 'WebAssembly computes wrong sums in this browser')
}
