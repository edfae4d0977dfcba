// Keeps the end of a text that is being written in view, until the reader scrolls up to read.

export class Follow {
  #on = true
  #last = scrollY

  /** @param {HTMLElement} dock what sticks to the window's foot and covers the text */
  constructor(dock) {
    this.dock = dock
    addEventListener('scroll', () => {
      if (scrollY < this.#last - 2) this.#on = false
      this.#last = scrollY
    }, { passive: true })
  }

  begin() {
    this.#on = true
  }

  /** @param {HTMLElement} end of what was written last */
  keep(end) {
    const covered = end.getBoundingClientRect().bottom - this.dock.getBoundingClientRect().top + 12
    if (this.#on && covered > 0) scrollBy(0, covered)
  }
}
