// Chat mode. The conversation lives here, on the page: sessions come and go with models and modes and are given it
// again.
import { Alternatives } from './alternatives.js'
import { byId, copyText, h } from './dom.js'
import { clearFault, showFault } from './faults.js'
import { Follow } from './follow.js'
import { ChatMessage } from './message.js'
import { recall, remember } from './remember.js'
import { newSeed } from './sampling.js'
import { ending } from './writer.js'

export class Chat {
  #writer
  /** @type {any} */ #model = null
  /** @type {any} */ #session = null
  /** @type {ChatMessage[]} */ #messages = []
  #shaded = false
  /** Whether the last answer can go on. */ #open = false
  #list = byId('messages')
  #fault = byId('chat-fault')
  #system = byId('system')
  #composer = byId('composer')
  #send = byId('send')
  #seed = byId('chat-seed')
  #follow = new Follow(byId('chat-dock'))
  /** @type {Alternatives | null} of the last answer */ #alternatives = null

  /** @param {import('./writer.js').Writer} writer */
  constructor(writer) {
    this.#writer = writer
    this.#system.value = recall('system', this.#system.value)
    this.#system.addEventListener('change', () => {
      remember('system', this.#system.value)
      this.release()
    })
    byId('chat-form').addEventListener('submit', (event) => {
      event.preventDefault()
      if (writer.busy) writer.stop()
      else this.#say()
    })
    this.#composer.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      event.preventDefault()
      if (!writer.busy) this.#say()
    })
    byId('new-chat').addEventListener('click', () => this.#restart())
    byId('chat-seed-form').addEventListener('submit', (event) => {
      event.preventDefault()
      this.#again(Number(this.#seed.value) || 0)
    })
    writer.addEventListener('state', () => this.#showState())
  }

  /** @param {any} model */
  use(model) {
    this.release()
    this.#model = model
    byId('chat-offer').hidden = model.info.chat
    byId('chat-room').hidden = !model.info.chat
    this.#showState()
  }

  /** Gives the session back; the conversation stays. */
  release() {
    this.#session?.destroy()
    this.#session = null
    this.#alternatives?.hide()
    for (const { passage } of this.#messages) passage.settle()
  }

  /** @param {boolean} on */
  shade(on) {
    this.#shaded = on
    this.#alternatives?.hide()
    for (const { role, passage } of this.#messages) if (role === 'assistant') passage.shade(on)
  }

  /** What a session is given: the system prompt and the messages before one. */
  #before(end) {
    const system = this.#system.value.trim()
    return [...(system ? [{ role: 'system', content: system }] : []),
      ...this.#messages.slice(0, end).map(({ role, content }) => ({ role, content }))]
  }

  #add(role, text) {
    const message = new ChatMessage(role, text)
    this.#messages.push(message)
    this.#list.append(message.element)
    byId('chat-empty').hidden = true
    return message
  }

  async #say() {
    const text = this.#composer.value.trim()
    if (!text || !this.#model) return
    this.#composer.value = ''
    this.#session ??= this.#model.session({ chat: true, messages: this.#before(this.#messages.length) })
    this.#add('user', text)
    await this.#answer(text, newSeed())
  }

  /** Answers the last message of the user. */
  async #answer(text, seed) {
    for (const { foot } of this.#messages) foot.replaceChildren()
    const message = this.#add('assistant', '')
    this.#alternatives?.hide()
    this.#alternatives = new Alternatives(message.passage, (index, alternative) => this.#pick(index, alternative))
    message.passage.shade(this.#shaded)
    await this.#write(message, text, seed)
  }

  /** The last answer once more, with another seed or the one that is given. */
  async #again(seed = newSeed()) {
    await this.#writer.stop()
    const at = this.#messages.findLastIndex(({ role }) => role === 'user')
    if (at < 0 || !this.#model?.info.chat) return
    for (const { element } of this.#messages.splice(at + 1)) element.remove()
    const before = this.#before(at)
    try {
      if (this.#session) await this.#session.rewind({ messages: before.length })
      else this.#session = this.#model.session({ chat: true, messages: before })
    } catch (error) {
      return showFault(this.#fault, error, { 'Try again': () => this.#again(seed) })
    }
    await this.#answer(this.#messages[at].content, seed)
  }

  async #goOn() {
    const message = this.#messages.at(-1)
    if (!message) return
    this.#session ??= this.#model.session({ chat: true, messages: this.#before(this.#messages.length) })
    await this.#write(message, undefined, Number(this.#seed.value) || 0)
  }

  async #pick(index, alternative) {
    await this.#writer.stop()
    const message = /** @type {ChatMessage} */ (this.#messages.at(-1)), { passage } = message
    const { position, top } = passage.tokens[index]
    try {
      await this.#session.rewind({ tokens: position })
      await this.#session.append({ ids: [alternative.id] }, this.#writer.computing)
    } catch (error) {
      return showFault(this.#fault, error)
    }
    passage.truncate(index)
    passage.push([{ ...alternative, position, top }], true)
    this.#alternatives?.focus(index)
    await this.#write(message, undefined, Number(this.#seed.value) || 0)
  }

  async #write(message, input, seed) {
    clearFault(this.#fault)
    this.#seed.value = seed
    message.element.classList.add('writing')
    this.#follow.begin()
    message.foot.replaceChildren()
    const before = message.passage.tokens.length
    const onText = () => this.#follow.keep(message.element)
    try {
      const { passage } = message
      const task = { session: this.#session, passage, input, seed, what: 'Answer', onText }
      const result = await this.#writer.write(task)
      this.#open = ['abort', 'length'].includes(result.finishReason)
      this.#showFoot(message, ending(result, before))
    } catch (error) {
      this.#open = true
      this.#showFoot(message, 'interrupted; the text so far is kept')
      showFault(this.#fault, error)
    }
    message.element.classList.remove('writing')
  }

  #showFoot(message, text) {
    const status = h('span', { class: 'note', text })
    const button = (text, click) => h('button', { type: 'button', class: 'quiet', text, on: { click } })
    message.foot.replaceChildren(
      ...(this.#open ? [button('Continue', () => this.#goOn())] : []),
      button('Regenerate', () => this.#again()),
      button('Copy', async () => {
        status.textContent = await copyText(message.content) ? 'copied' : 'the browser did not allow copying'
      }), status)
    this.#follow.keep(message.element)
  }

  async #restart() {
    await this.#writer.stop()
    this.release()
    this.#messages = []
    this.#list.replaceChildren()
    clearFault(this.#fault)
    byId('chat-empty').hidden = false
    this.#composer.focus()
  }

  #showState() {
    const { busy } = this.#writer
    this.#send.textContent = busy ? 'Stop' : 'Send'
    this.#send.disabled = !this.#model?.info.chat
  }
}
