// What a caller gave the converter, as something that can be sent to its worker: files by their names in the model's folder, "" being
// a file that is the whole model; in Node a path, under which the worker looks itself.
import { ArgumentError, IOError } from './index.js'

const inNode = !!globalThis.process?.versions?.node
const MOST_FILES = 10_000 // somebody dropped a disk
const TOKENIZER_MOST = 64 << 20 // of a GGUF no more than its header is looked at

/** `blob` in a page; in Node, which reads Blobs only later, their `bytes`.
 * @typedef {{ name: string, blob?: Blob, bytes?: Uint8Array }} InputFile */
/** @typedef {{ files: InputFile[] } | { path: string }} Input */
/** @typedef {{ path: string, file: Blob }} Named */

/** A path of Node, of a text or a file: address. @param {any} source */
async function pathOf(source) {
  if (!inNode) throw new ArgumentError('a page has no paths: want a File, files or a folder')
  const { fileURLToPath } = await import('node:url')
  const { resolve } = await import('node:path')
  if (source instanceof URL && source.protocol !== 'file:') throw new ArgumentError(`${source} is no file: address`)
  return resolve(source instanceof URL ? fileURLToPath(source) : source)
}

/** @param {any} value @returns {value is string | URL} */
const isPath = (value) => typeof value === 'string' || value instanceof URL
/** @param {any} value @returns {value is BufferSource} */
const isBytes = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value)

/** @param {any} folder a FileSystemDirectoryHandle @param {string} prefix @param {Named[]} into */
async function readFolder(folder, prefix, into) {
  for await (const entry of folder.values()) {
    if (entry.name.startsWith('.')) continue // .git and the like
    if (into.length >= MOST_FILES) throw new ArgumentError(`the folder has more than ${MOST_FILES} files: want a model's`)
    if (entry.kind === 'directory') await readFolder(entry, `${prefix}${entry.name}/`, into)
    else into.push({ path: prefix + entry.name, file: await entry.getFile() })
  }
  return into
}

/** @param {any} item @returns {Named} */
function named(item) {
  if (item instanceof Blob) return { path: /** @type {File} */ (item).webkitRelativePath || /** @type {File} */ (item).name || '', file: item }
  if (typeof item?.path === 'string' && item.file instanceof Blob) return item
  throw new ArgumentError('the list of files holds something that is neither a File nor { path, file }')
}

/** Without the folders that all of them lie in. @param {Named[]} files */
function strip(files) {
  if (!files.length) throw new ArgumentError('there are no files')
  const parts = files.map(({ path }) => path.split('/').filter((part) => part && part !== '.'))
  let common = 0
  while (parts.every((names) => names.length > common + 1 && names[common] === parts[0][common])) common++
  return files.map(({ file }, i) => ({ name: parts[i].slice(common).join('/'), blob: file }))
}

/** @param {any} input @returns {Promise<{ name: string, blob: Blob }[]>} */
async function listFiles(input) {
  if (input instanceof Blob) return [{ name: '', blob: input }]
  if (isBytes(input)) return [{ name: '', blob: new Blob([input]) }]
  if (input?.kind === 'file') return [{ name: '', blob: await input.getFile() }]
  if (input?.kind === 'directory') return strip(await readFolder(input, '', []))
  if (!input?.[Symbol.iterator]) throw new ArgumentError('a model to convert comes as a File, files, a folder, bytes, or in Node a path')
  const files = Array.from(input, named)
  const isSingle = files.length === 1 && !/(^|[/])config\.json$/.test(files[0].path)
  return isSingle ? [{ name: '', blob: files[0].file }] : strip(files)
}

/** @param {any} input @returns {Promise<{ files: Input, total: number }>} with the bytes of all files, where they are known */
export async function describeInput(input) {
  try {
    if (isPath(input)) {
      const path = await pathOf(input)
      await (await import('node:fs/promises')).access(path)
      return { files: { path }, total: 0 }
    }
    const files = await listFiles(input)
    const total = files.reduce((sum, { blob }) => sum + blob.size, 0)
    if (!inNode) return { files: { files }, total }
    const read = async (/** @type {{ name: string, blob: Blob }} */ { name, blob }) => ({ name, bytes: new Uint8Array(await blob.arrayBuffer()) })
    return { files: { files: await Promise.all(files.map(read)) }, total }
  } catch (error) {
    if (error instanceof ArgumentError || error instanceof IOError) throw error
    throw new IOError(`the input cannot be read: ${/** @type {Error} */ (error).message}`)
  }
}

/** A tokenizer's file: its bytes, as many as can matter, and a name for errors. @param {any} tokenizer */
export async function readTokenizer(tokenizer) {
  try {
    if (isPath(tokenizer)) {
      const path = await pathOf(tokenizer)
      const { openAsBlob } = await import('node:fs')
      return { name: path, bytes: await firstBytes(await openAsBlob(path)) }
    }
    if (isBytes(tokenizer)) return { name: 'the tokenizer', bytes: await firstBytes(new Blob([tokenizer])) }
    if (tokenizer instanceof Blob) return { name: /** @type {File} */ (tokenizer).name ?? 'the tokenizer', bytes: await firstBytes(tokenizer) }
  } catch (error) {
    if (error instanceof ArgumentError) throw error
    throw new IOError(`the tokenizer cannot be read: ${/** @type {Error} */ (error).message}`)
  }
  throw new ArgumentError('a tokenizer comes as a File, Blob or bytes, or in Node a path')
}

/** @param {Blob} blob */
const firstBytes = async (blob) => new Uint8Array(await blob.slice(0, TOKENIZER_MOST).arrayBuffer())
