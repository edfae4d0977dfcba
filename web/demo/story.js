// Story mode: a beginning, and a model that goes on. The text stays whatever happens to models and sessions.
import { Alternatives } from './alternatives.js'
import { byId, copyText } from './dom.js'
import { clearFault, showFault } from './faults.js'
import { Passage } from './passage.js'
import { recall, remember } from './remember.js'
import { newSeed } from './sampling.js'
import { ending } from './writer.js'

export class Story {
  #writer
  #passage = new Passage()
  #alternatives
  /** @type {any} */ #model = null
  /** @type {any} */ #session = null
  #fault = byId('story-fault')
  #status = byId('story-status')
  #prompt = byId('prompt')
  #seed = byId('story-seed')
  #main = byId('story-main')
  /** Whether the text can go on. */ #open = false

  /** @param {import('./writer.js').Writer} writer */
  constructor(writer) {
    this.#writer = writer
    byId('story-text').append(this.#passage.element)
    this.#alternatives = new Alternatives(this.#passage, (index, alternative) => this.#pick(index, alternative))
    this.#prompt.value = recall('prompt', this.#prompt.value)
    byId('story-form').addEventListener('submit', (event) => {
      event.preventDefault()
      this.tell()
    })
    this.#prompt.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      event.preventDefault()
      this.tell()
    })
    byId('seed-form').addEventListener('submit', (event) => {
      event.preventDefault()
      this.tell(Number(this.#seed.value) || 0)
    })
    this.#main.addEventListener('click', () => (writer.busy ? writer.stop() : this.#goOn()))
    byId('story-copy').addEventListener('click', async () => {
      this.#status.textContent = await copyText(this.#passage.text) ? 'copied' : 'the browser did not allow copying'
    })
    writer.addEventListener('state', () => this.#showState())
  }

  get empty() {
    return this.#passage.text === ''
  }

  /** @param {any} model */
  use(model) {
    this.release()
    this.#model = model
    this.#showState()
  }

  /** Gives the session back; the text stays and can go on. */
  release() {
    this.#session?.destroy()
    this.#session = null
    this.#alternatives.hide()
    if (this.#passage.tokens.length) this.#open = true
    this.#passage.settle()
  }

  /** @param {boolean} on */
  shade(on) {
    this.#alternatives.hide()
    this.#passage.shade(on)
  }

  /** From the prompt. @param {number} [seed] */
  async tell(seed = newSeed()) {
    if (!this.#model) return
    await this.#writer.stop()
    const prompt = this.#prompt.value
    remember('prompt', prompt)
    this.#seed.value = seed
    this.#alternatives.hide()
    this.#passage.reset(prompt)
    this.#session?.destroy()
    this.#session = this.#model.session({ chat: false })
    await this.#write(prompt || { ids: [Math.max(0, this.#model.info.bos)] }, seed)
  }

  async #goOn() {
    if (!this.#model || this.empty) return this.tell()
    this.#session ??= this.#model.session({ chat: false, text: this.#passage.text })
    await this.#write(undefined, Number(this.#seed.value) || 0)
  }

  async #pick(index, alternative) {
    await this.#writer.stop()
    const { position, top } = this.#passage.tokens[index]
    try {
      await this.#session.rewind({ tokens: position })
      await this.#session.append({ ids: [alternative.id] }, this.#writer.computing)
    } catch (error) {
      return showFault(this.#fault, error)
    }
    this.#passage.truncate(index)
    this.#passage.push([{ ...alternative, position, top }], true)
    this.#alternatives.focus(index)
    await this.#write(undefined, Number(this.#seed.value) || 0)
  }

  async #write(input, seed) {
    clearFault(this.#fault)
    this.#status.textContent = 'writing'
    const before = this.#passage.tokens.length
    try {
      const task = { session: this.#session, passage: this.#passage, input, seed, what: 'Story' }
      const result = await this.#writer.write(task)
      this.#open = !['stop', 'context'].includes(result.finishReason)
      this.#status.textContent = ending(result, before)
    } catch (error) {
      this.#open = true
      this.#status.textContent = 'interrupted; the text so far is kept'
      showFault(this.#fault, error, { 'Try again': () => this.#goOn() })
    }
    this.#showState()
  }

  #showState() {
    const { busy } = this.#writer
    this.#main.textContent = busy ? 'Stop' : 'Continue'
    this.#main.disabled = !busy && (!this.#open || !this.#model)
    byId('story-tell').disabled = !this.#model
  }
}
