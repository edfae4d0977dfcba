// Tells screen readers what was written, a sentence or more at a time, never faster than they can be spoken to.

const pause = 1500

export class Announcer {
  #region
  #pending = ''
  #timer = 0

  /** @param {HTMLElement} region an aria-live region */
  constructor(region) {
    this.#region = region
  }

  /** Text that was written; told when a sentence is complete. @param {string} text */
  write(text) {
    this.#pending += text
    if (!this.#timer) this.#timer = window.setTimeout(() => this.#tell(), pause)
  }

  /** The rest and, if any, a closing remark. @param {string} [remark] */
  finish(remark = '') {
    clearTimeout(this.#timer)
    this.#timer = 0
    this.#say(`${this.#pending} ${remark}`.trim())
    this.#pending = ''
  }

  /** A short message of its own. @param {string} message */
  say(message) {
    this.#say(message)
  }

  #tell() {
    this.#timer = 0
    const end = this.#pending.search(/[.!?]["'”’)]?\s[^.!?]*$/)
    if (end < 0) return
    const stop = end + this.#pending.slice(end).search(/\s/)
    this.#say(this.#pending.slice(0, stop).trim())
    this.#pending = this.#pending.slice(stop)
  }

  /** @param {string} message */
  #say(message) {
    if (!message) return
    const line = document.createElement('p')
    line.textContent = message
    this.#region.append(line)
    while (this.#region.childElementCount > 6) this.#region.firstElementChild?.remove()
  }
}
