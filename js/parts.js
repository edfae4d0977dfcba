// In Node: files that are being written, under a name of their own beside the one they are for, NAME.PROCESS.part. What processes that are gone
// have left is removed when the same name is written again. Imports nothing of Node's, for pages' bundlers look in here, too.

let made = 0

/** @param {string} path */
export const partOf = (path) => `${path}.${globalThis.process.pid}${made++ ? `.${made}` : ''}.part`

/** @param {string} pid */
function isGone(pid) {
  try {
    return !globalThis.process.kill(Number(pid), 0)
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH'
  }
}

/** @param {Pick<typeof import('node:fs'), 'readdirSync' | 'rmSync'>} fs @param {string} path */
export function sweepParts(fs, path) {
  const at = Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1, name = path.slice(at)
  try {
    for (const entry of fs.readdirSync(path.slice(0, at) || '.')) {
      const pid = entry.startsWith(`${name}.`) && entry.slice(name.length).match(/^\.(\d+)(\.\d+)?\.part$/)?.[1]
      if (pid && isGone(pid)) fs.rmSync(path.slice(0, at) + entry, { force: true })
    }
  } catch {} // a folder that cannot be read will say so when it is written to
}
