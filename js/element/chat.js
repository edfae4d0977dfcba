// <reprise-chat src="model.gguf">: a conversation with a model. The messages are kept here; the session is given them
// again when another element needed its place.
import { RepriseElement } from './base.js'
import { make } from './dom.js'
import { applyStyle } from './style.js'

/** @typedef {import('../index.js').Message} Message */

export class RepriseChat extends RepriseElement {
  /** @type {Message[]} without the system message */ #messages = []
  #list = make('ol', { part: 'messages', 'aria-label': 'Conversation', tabindex: '0' })
  #input = make('textarea', { part: 'input', rows: '1', 'aria-label': 'Your message' })
  #send = make('button', { part: 'send', type: 'submit' }, 'Send')
  #form = make('form', { part: 'form' }, this.#input, this.#send)

  constructor() {
    super()
    applyStyle(this.root)
    this.root.append(make('div', { part: 'frame' }, this.#list, this.bar, this.status, this.#form, this.announcement))
    this.#input.addEventListener('focus', () => this.getAttribute('load') !== 'manual' && this.load().catch(() => {}))
    this.#input.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      event.preventDefault()
      if (!this.busy) this.#submit()
    })
    this.#form.addEventListener('submit', (/** @type {SubmitEvent} */ event) => {
      event.preventDefault()
      if (this.busy) this.stop()
      else this.#submit()
    })
  }

  connectedCallback() {
    super.connectedCallback()
    this.refresh()
  }

  refresh() {
    this.#input.placeholder = this.getAttribute('placeholder') ?? 'Your message'
    this.#input.disabled = this.#send.disabled = this.hasAttribute('disabled')
  }

  /** @param {FocusOptions} [options] */
  focus(options) {
    this.#input.focus(options)
  }

  /** The conversation, system message first. */
  get messages() {
    const system = this.getAttribute('system')
    const first = system ? [{ role: 'system', content: system }] : []
    return [...first, ...this.#messages.map((message) => ({ ...message }))]
  }

  set messages(messages) {
    this.stop()
    this.dropSession()
    this.#messages = messages.filter(({ role }) => role !== 'system').map((message) => ({ ...message }))
    const system = messages.find(({ role }) => role === 'system')
    if (system) this.setAttribute('system', system.content)
    this.#list.replaceChildren()
    for (const { role, content } of this.#messages) this.#show(role, content)
  }

  /** Forgets the conversation. */
  clear() {
    this.messages = this.messages.filter(({ role }) => role === 'system')
  }

  #submit() {
    const text = this.#input.value.trim()
    if (!text) return
    this.#input.value = ''
    this.send(text).catch(() => {})
  }

  /** Says something and has it answered. Resolves to the package's `Result`; rejects when it fails, and the text of
   * the question is in the input again. @param {string} text */
  async send(text) {
    if (this.busy) throw new Error('an answer is being written')
    const running = this.running = new AbortController()
    const before = this.messages, conversation = this.#messages
    conversation.push({ role: 'user', content: text })
    const asked = this.#show('user', text), answered = this.#show('assistant', '')
    this.#send.textContent = 'Stop'
    this.emit('reprise-message', { message: { role: 'user', content: text } })
    try {
      const session = await this.session((model) => model.session({ chat: true, messages: before }))
      running.signal.throwIfAborted()
      const stream = session.stream(text, { ...this.options, signal: running.signal })
      const result = await this.#write(stream, answered, running.signal)
      const message = { role: 'assistant', content: answered.textContent ?? '' }
      conversation.push(message) // nobody's any more, if others were set meanwhile
      this.announcement.textContent = message.content
      this.emit('reprise-message', { message, result })
      return result
    } catch (error) {
      conversation.pop()
      if (conversation === this.#messages) this.#takeBack(text, asked, answered)
      this.fail(error)
      throw error
    } finally {
      if (this.running === running) this.running = null
      this.#send.textContent = 'Send'
    }
  }

  /** @param {import('../index.js').Stream<string>} stream @param {HTMLElement} place @param {AbortSignal} signal */
  async #write(stream, place, signal) {
    stream.result.catch(() => {})
    try {
      for await (const text of stream) {
        const end = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 40
        place.append(text)
        if (end) this.#list.scrollTop = this.#list.scrollHeight
        this.emit('reprise-token', { text })
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
    return stream.result
  }

  /** A question without an answer is not part of the conversation.
   * @param {string} text @param {HTMLElement[]} shown */
  #takeBack(text, ...shown) {
    for (const element of shown) element.remove()
    this.dropSession()
    if (!this.#input.value) this.#input.value = text
  }

  /** @param {string} role @param {string} text @returns {HTMLElement} */
  #show(role, text) {
    const element = make('li', { part: `message ${role === 'user' ? 'user' : 'assistant'}` }, text)
    this.#list.append(element)
    this.#list.scrollTop = this.#list.scrollHeight
    return element
  }
}
