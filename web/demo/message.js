// One message of a conversation on the page.
import { h } from './dom.js'
import { Passage } from './passage.js'

const names = { user: 'You', assistant: 'Model' }

export class ChatMessage {
  passage = new Passage()

  /** @param {'user' | 'assistant'} role @param {string} [text] */
  constructor(role, text = '') {
    this.role = role
    this.passage.reset(text)
    this.foot = h('div', { class: 'foot' })
    const who = h('h3', { class: 'who', text: names[role] })
    this.element = h('li', { class: `message ${role}` }, who, this.passage.element, this.foot)
  }

  get content() {
    return this.passage.text
  }
}
