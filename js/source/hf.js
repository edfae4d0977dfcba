// Files of a hub that answers like huggingface.co. Loaded only for `hf:`.
import { ArgumentError } from '../errors.js'

const HUB = 'https://huggingface.co'
const PATIENCE_MS = 10_000 // for the digest, without which the load goes on too

/** @typedef {import('../source.js').SourceOptions} SourceOptions */

/** What the hub says of the files in a folder: path to SHA-256. Empty when it does not answer.
 * @param {string} address @returns {Promise<Map<string, string>>} */
async function digestsIn(address) {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(), PATIENCE_MS)
  try {
    const response = await fetch(address, { signal: controller.signal })
    if (!response.ok) return new Map()
    const files = /** @type {{ path: string, lfs?: { oid: string } }[]} */ (await response.json())
    const isDigest = /^[0-9a-f]{64}$/
    return new Map(files.flatMap(({ path, lfs: { oid } = { oid: '' } }) => (isDigest.test(oid) ? [[path, oid]] : [])))
  } catch {
    return new Map()
  } finally {
    clearTimeout(timer)
  }
}

/** Opens `owner/repo/path/file.gguf[@revision]`, with the hub's own digests when none are given.
 * @param {import('../source.js').HubSpec} spec @param {SourceOptions} options
 * @param {(spec: import('../source.js').UrlSpec, options: SourceOptions) => Promise<import('../source.js').Source>}
 * openUrl */
export async function openHub({ path, hub = HUB }, options, openUrl) {
  const parts = /^(?:hf:)?([\w.-]+\/[\w.-]+)\/([^@]+[^@/])(?:@(.+))?$/.exec(path)
  if (!parts) throw new ArgumentError(`expected hf:owner/repo/file.gguf, with or without @revision, not hf:${path}`)
  const [, repo, file, revision = 'main'] = parts
  const base = hub.replace(/\/+$/, '')
  const escape = (/** @type {string} */ text) => text.split('/').map(encodeURIComponent).join('/')
  const at = encodeURIComponent(revision)
  const url = `${base}/${repo}/resolve/${at}/${escape(file)}`
  let { integrity } = options
  if (!integrity) {
    const folder = file.includes('/') ? `/${escape(file.slice(0, file.lastIndexOf('/')))}` : ''
    const digests = await digestsIn(`${base}/api/models/${repo}/tree/${at}${folder}`)
    const [, stem, count = '1'] = /^(.*)-00001-of-(\d{5})\.gguf$/.exec(file) ?? []
    const names = stem === undefined ? [file] : Array.from({ length: Number(count) },
      (_, i) => `${stem}-${String(i + 1).padStart(5, '0')}-of-${count}.gguf`)
    const found = names.flatMap((name) => digests.get(name) ?? [])
    if (found.length === names.length) integrity = found.map((digest) => `sha256-${digest}`)
  }
  return openUrl({ kind: 'url', url }, { ...options, integrity, trusting: true })
}
