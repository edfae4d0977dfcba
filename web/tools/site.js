// The files of the pages as a server or a copy has them: which address is which file, and the list that the service
// worker keeps. The addresses are those of the repository (web/, js/, models/), so that any static host will do.
// This module only reads.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../', import.meta.url))

/** The list's own address: it is made, not stored. */
export const listAddress = 'web/precache-list.js'

/** Where a part of the address space lies on disk, first match first. */
const folders = [
  ['web/', 'web/'],
  ['js/', 'build/package/'], // as npm has it: few and small scripts
  ['models/', 'models/'],
  ['models/', 'build/models/'],
  ['reprise-story.html', 'build/reprise-story.html'],
]

/** What a page needs when there is no network. Adapters, terminal program and types are not part of that. */
const kept = [/^web\/[^/]+\.(html|js|webmanifest|svg|png)$/, /^web\/(bench|demo|style|icons)\/.*\.(js|css|svg|png)$/,
  /^js\/(?!bin\/).*\.js$/, /^js\/wasm\/page-.*\.wasm$/,
  /^models\/(catalogue\.json|stories\.gguf)$/]
const left = [/\.test\.js$/, /^web\/(sw|coi-sw|precache-list)\.js$/]

/** @param {string} address @returns {string | undefined} the file's path on disk */
export function fileAt(address) {
  if (address.split('/').some((part) => part.startsWith('.'))) return
  for (const [prefix, folder] of folders) {
    const path = join(root, folder + address.slice(prefix.length))
    if (address.startsWith(prefix) && existsSync(path) && statSync(path).isFile()) return path
  }
}

/** @returns {string[]} addresses of what lies in a folder */
function addresses(prefix, folder) {
  const at = join(root, folder)
  if (!existsSync(at)) return []
  return readdirSync(at, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .map((entry) => prefix + join(entry.parentPath ?? entry.path, entry.name).slice(at.length))
}

export const siteFiles = () => folders.slice(0, 3).flatMap(([prefix, folder]) => addresses(prefix, folder))
  .filter((file) => !/(^|\/)\.|\.(md|py|sh|txt)$|^web\/(tools|screenshots)\/|^models\/train\//.test(file))

const digests = new Map()

/** @param {string} file @returns {string} base64 SHA-256; remembered while size and time stay the same */
function digest(file) {
  const path = /** @type {string} */ (fileAt(file)), { size, mtimeMs } = statSync(path), key = `${file} ${size} ${mtimeMs}`
  if (!digests.has(key)) digests.set(key, createHash('sha256').update(readFileSync(path)).digest('base64'))
  return digests.get(key)
}

/** @returns {string} the script that tells the service worker what belongs to this version */
export function precacheList() {
  const matches = (rules, file) => rules.some((rule) => rule.test(file))
  const files = siteFiles().filter((file) => matches(kept, file) && !matches(left, file)).sort()
    .map((file) => [file, digest(file)])
  const worker = digest('web/sw.js')
  const version = createHash('sha256').update(JSON.stringify([files, worker])).digest('hex').slice(0, 16)
  return '// Made by web/tools/site.js: what belongs to this version, each file with its SHA-256.\n' +
    `self.precacheList = ${JSON.stringify({ version, files }, null, 1)}\n`
}
