// The two tabs: story and chat.
import { byId } from './dom.js'

const modes = ['story', 'chat']

export class Modes extends EventTarget {
  current = 'story'
  #tabs = modes.map((mode) => byId(`tab-${mode}`))

  constructor() {
    super()
    this.#tabs.forEach((tab, at) => {
      tab.addEventListener('click', () => this.show(modes[at]))
      tab.addEventListener('keydown', (event) => {
        if (!['ArrowLeft', 'ArrowRight'].includes(event.key)) return
        this.show(modes[1 - at])
        this.#tabs[1 - at].focus()
      })
    })
  }

  /** @param {string} mode */
  show(mode) {
    if (!modes.includes(mode)) return
    this.current = mode
    modes.forEach((name, at) => {
      this.#tabs[at].setAttribute('aria-selected', name === mode)
      this.#tabs[at].tabIndex = name === mode ? 0 : -1
      byId(name).hidden = name !== mode
    })
    byId('hero').classList.toggle('hidden', mode !== 'story')
    this.dispatchEvent(new Event('change'))
  }
}
