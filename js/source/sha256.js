// SHA-256 of a stream, and how a digest is written.
import { ArgumentError } from '../errors.js'

/** @typedef {{ update(bytes: Uint8Array): unknown, digest(): Uint8Array, clone(): Hash }} Hash */

/** @returns {Promise<Hash>} */
export const startHash = async () => (await import('../lazy/noble-hashes/sha2.js')).sha256.create()

/** @param {Uint8Array} bytes */
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** `sha256-` and hexadecimal digits, of the same in base64 or already so. @param {string} integrity */
export function normalize(integrity) {
  const digest = /^sha256-(?:([0-9a-f]{64})|([\w+/-]{43}=?))$/i.exec(integrity)
  if (!digest) throw new ArgumentError(`integrity is 'sha256-' and 64 hexadecimal or 44 base64 digits, not '${integrity}'`)
  if (digest[1]) return integrity.toLowerCase()
  const text = atob(digest[2].replace(/-/g, '+').replace(/_/g, '/'))
  return `sha256-${hex(Uint8Array.from(text, (letter) => letter.charCodeAt(0)))}`
}
