// Which WebAssembly build this browser runs, found by trying: what it validates, and whether the sums come out right.
import { IOError, UnsupportedError } from './errors.js'
import { Engine, PAGE_BYTES } from './engine.js'
import { simd } from './lazy/wasm-feature-detect/index.js'

/** @typedef {import('./engine.js').Build} Build */

/** @param {URL} url */
async function compile(url) {
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

/** A small instance, for a look at something. */
export function smallMemory(maximum = 16384) {
  return new WebAssembly.Memory({ initial: 32, maximum })
}

/** @param {string} isa @param {ArrayBuffer} [bytes] of the module, when it is given @returns {Promise<Build | undefined>} */
async function attempt(isa, bytes) {
  const module = await (bytes ? WebAssembly.compile(bytes) : compile(new URL(`./wasm/page-${isa}.wasm`, import.meta.url)))
  const build = { module, isa }
  const engine = await Engine.create(build, smallMemory())
  return engine.check() ? build : undefined
}

/** @param {ArrayBuffer} [bytes] @returns {Promise<Build>} */
export async function chooseBuild(bytes) {
  if (typeof WebAssembly !== 'object') throw new UnsupportedError('this browser has no WebAssembly')
  if (bytes) return (await attempt('simd128', bytes)) ?? Promise.reject(new UnsupportedError('the module computes wrong sums here'))
  const build = ((await simd()) && (await attempt('simd128'))) || (await attempt('scalar'))
  if (!build) throw new UnsupportedError('WebAssembly computes wrong sums in this browser')
  return build
}

export { PAGE_BYTES }
