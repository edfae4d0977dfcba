// One download when several tabs ask for the same file.

/** Takes the lock of that name; resolves to what gives it back. Where there are no locks, nobody waits.
 * @param {string} name @param {AbortSignal} signal @param {(waiting: boolean) => void} onWaiting
 * @returns {Promise<() => void>} */
export async function lock(name, signal, onWaiting) {
  const locks = globalThis.navigator?.locks
  const take = (/** @type {LockOptions} */ options) => new Promise((
    /** @type {(release?: () => void) => void} */ resolve, reject) => {
    const hold = (/** @type {Lock | null} */ got) => got
      ? new Promise((/** @type {(value?: unknown) => void} */ release) => resolve(release)) : resolve()
    locks.request(name, options, hold).catch(reject)
  })
  try {
    const release = locks ? await take({ ifAvailable: true }) : () => {}
    if (release) return release
  } catch {
    return () => {} // an origin without storage has no locks either
  }
  onWaiting(true)
  try {
    return /** @type {() => void} */ (await take({ signal }))
  } finally {
    onWaiting(false)
  }
}
