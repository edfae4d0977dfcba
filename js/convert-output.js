// Where a converted file comes to lie: in Node at a path, in a page in memory, or in the origin's private file system when it is large.
// A place has what the worker is told of it (`spec`), and is kept or dropped at the end: dropped, nothing is left, as soon as the worker lets go of it.
import { ArgumentError, IOError } from './index.js'
import { partOf, sweepParts } from './parts.js'

const FOLDER = 'reprise-converted' // files here belong to the page that holds the lock of that name

/** @typedef {{ kind: 'memory' } | { kind: 'path', path: string } | { kind: 'storage', folder: string, name: string }} OutputSpec */
/** @typedef {{ spec: OutputSpec, keep(blob?: Blob): Promise<any>, drop(): Promise<unknown> }} Place */

/** @returns {Place} */
const inMemory = () => ({ spec: { kind: 'memory' }, keep: async (blob) => ({ blob, discard: async () => {} }), drop: async () => {} })

/** In Node: what is read, or might be of a folder. @param {import('./convert-input.js').Input} input @param {string | undefined} tokenizer */
async function filesOf(input, tokenizer) {
  const [fs, { join }] = await Promise.all([import('node:fs/promises'), import('node:path')])
  const inside = 'path' in input ? await fs.readdir(input.path).catch(() => []) : []
  const paths = inside.filter((name) => !name.endsWith('.gguf')).map((name) => join(/** @type {any} */ (input).path, name))
  return [...('path' in input ? [input.path] : []), ...paths, ...(tokenizer ? [tokenizer] : [])]
}

/** A temporary file beside it, which takes its place at the end. @param {string} output @param {import('./convert-input.js').Input} input
 * @param {string | undefined} tokenizer its path @returns {Promise<Place>} */
async function atPath(output, input, tokenizer) {
  const fs = await import('node:fs/promises')
  const there = await fs.stat(output).catch(() => undefined)
  if (there && !there.isFile()) throw new ArgumentError(`${output} is no ordinary file`)
  for (const path of there ? await filesOf(input, tokenizer) : []) {
    const from = await fs.stat(path).catch(() => undefined)
    if (from?.dev === there?.dev && from?.ino === there?.ino) throw new ArgumentError(`${output} is one of the inputs: want another output`)
  }
  const temporary = partOf(output)
  sweepParts(await import('node:fs'), output)
  const fail = (/** @type {any} */ error) => Promise.reject(new IOError(`${output} cannot be written: ${error.message}`))
  await fs.open(temporary, 'wx').then((file) => file.close(), fail)
  return {
    spec: { kind: 'path', path: temporary },
    keep: () => fs.rename(temporary, output).then(() => ({ output }), fail),
    drop: () => fs.rm(temporary, { force: true, maxRetries: 9 }),
  }
}

/** Holds a lock until it is let go or the page is gone. @param {string} name @returns {Promise<() => void>} */
const hold = (name) =>
  new Promise((resolve, reject) => {
    navigator.locks.request(name, () => new Promise((release) => resolve(() => release(undefined)))).catch(reject)
  })

/** @param {FileSystemDirectoryHandle} folder @param {string} name */
async function remove(folder, name) {
  for (let attempt = 0; attempt < 100; attempt++) {
    const again = await folder.removeEntry(name).catch((error) => error.name === 'NoModificationAllowedError')
    if (!again) return
    await new Promise((resolve) => setTimeout(resolve, 100)) // Chromium lets a worker that is ended compute for two seconds more
  }
}

/** Removes what pages that are gone have left. @param {FileSystemDirectoryHandle} folder */
async function sweep(folder) {
  for await (const name of /** @type {any} */ (folder).keys())
    await navigator.locks.request(`${FOLDER}/${name}`, { ifAvailable: true }, (lock) => lock && folder.removeEntry(name).catch(() => {}))
}

/** @returns {Promise<Place>} */
async function inStorage() {
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true })
  await sweep(folder)
  const name = crypto.randomUUID()
  const release = await hold(`${FOLDER}/${name}`)
  const discard = () => remove(folder, name).finally(release)
  await folder.getFileHandle(name, { create: true }).catch((error) => {
    release()
    throw error
  })
  return { spec: { kind: 'storage', folder: FOLDER, name }, keep: async (blob) => ({ blob, discard }), drop: async () => void discard() }
}

/** @param {string | URL | undefined} output @param {import('./convert-input.js').Input} input @param {boolean} isLarge
 * @param {string} [tokenizer] its path, in Node @returns {Promise<Place>} */
export async function placeFor(output, input, isLarge, tokenizer) {
  if (output !== undefined && !globalThis.process?.versions?.node) throw new ArgumentError('output is for Node: in a page the result is a blob')
  if (output instanceof URL) return atPath((await import('node:url')).fileURLToPath(output), input, tokenizer)
  if (output !== undefined) return atPath((await import('node:path')).resolve(output), input, tokenizer)
  const { storage, locks } = /** @type {any} */ (globalThis.navigator ?? {})
  const hasStorage = storage?.getDirectory && locks && isSecureContext
  return isLarge && hasStorage ? inStorage().catch(inMemory) : inMemory()
}
