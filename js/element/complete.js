// <reprise-complete src="model.gguf" name="…">: a field of a form in which a model offers how the text might go on. Tab
// takes the offer, Escape or going on typing declines it. Without an offer Tab leaves the field as everywhere, and a
// second Tab after taking one does too: nobody is kept in.
import { RepriseElement } from './base.js'
import { make } from './dom.js'
import { applyStyle } from './style.js'

const pauseMs = 400 // of typing, before something is offered
const offeredTokens = 16

export class RepriseComplete extends RepriseElement {
  static formAssociated = true
  static observedAttributes = [...RepriseElement.observedAttributes, 'value', 'required']
  #internals = this.attachInternals()
  #input = make('textarea', { part: 'input', rows: '3', 'aria-describedby': 'hint' })
  #typed = make('span')
  #suggestion = make('span', { part: 'suggestion' })
  #mirror = make('div', { class: 'mirror', 'aria-hidden': 'true' }, this.#typed, this.#suggestion)
  #accept = make('button', { part: 'accept', type: 'button', hidden: true }, 'Take it (Tab)')
  #hint = make('p', { part: 'hint', id: 'hint', class: 'hidden' }, 'Tab takes what is offered, Escape declines it.')
  #timer = 0
  #touched = false
  #disabled = false

  constructor() {
    super()
    applyStyle(this.root)
    this.root.append(make('div', { part: 'field' }, this.#mirror, this.#input),
      make('div', { part: 'foot' }, this.#accept, this.status, this.bar, this.#hint, this.announcement))
    this.#input.addEventListener('focus', () => this.#begin())
    this.#input.addEventListener('blur', () => this.#decline())
    this.#input.addEventListener('input', () => this.#changed())
    this.#input.addEventListener('change', () => this.dispatchEvent(new Event('change', { bubbles: true })))
    this.#input.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => this.#key(event))
    const keepFocus = (/** @type {Event} */ event) => event.preventDefault()
    this.#accept.addEventListener('pointerdown', keepFocus)
    this.#accept.addEventListener('click', () => this.accept())
  }

  connectedCallback() {
    super.connectedCallback()
    if (!this.#touched) this.#set(this.defaultValue)
    this.refresh()
  }

  refresh() {
    this.#input.placeholder = this.getAttribute('placeholder') ?? ''
    this.#input.disabled = this.#disabled || this.hasAttribute('disabled')
    this.#input.required = this.hasAttribute('required')
    if (!this.#touched) this.#set(this.defaultValue)
    this.#validate()
  }

  // As of a form field.

  get value() {
    return this.#input.value
  }

  set value(value) {
    this.#touched = true
    this.#set(value)
  }

  get defaultValue() {
    return this.getAttribute('value') ?? ''
  }

  get name() {
    return this.getAttribute('name') ?? ''
  }

  set name(name) {
    this.setAttribute('name', name)
  }

  get type() {
    return 'reprise-complete'
  }

  get form() {
    return this.#internals.form
  }

  get labels() {
    return this.#internals.labels
  }

  get validity() {
    return this.#internals.validity
  }

  get validationMessage() {
    return this.#internals.validationMessage
  }

  get willValidate() {
    return this.#internals.willValidate
  }

  checkValidity() {
    return this.#internals.checkValidity()
  }

  reportValidity() {
    return this.#internals.reportValidity()
  }

  formResetCallback() {
    this.#touched = false
    this.#set(this.defaultValue)
  }

  /** @param {boolean} disabled by a fieldset */
  formDisabledCallback(disabled) {
    this.#disabled = disabled
    this.refresh()
  }

  /** @param {string} value what the browser kept */
  formStateRestoreCallback(value) {
    this.value = value
  }

  // The offer.

  /** What is offered now, if anything. */
  get suggestion() {
    return this.#suggestion.textContent ?? ''
  }

  /** Takes the offer. */
  accept() {
    const text = this.suggestion
    if (!text) return
    this.#decline()
    this.value = this.value + text
    this.#input.setSelectionRange(this.value.length, this.value.length)
    this.dispatchEvent(new Event('input', { bubbles: true, composed: true }))
    this.emit('reprise-accept', { text })
  }

  #begin() {
    const label = this.getAttribute('aria-label') ?? this.#internals.labels?.[0]?.textContent?.trim()
    this.#input.setAttribute('aria-label', label || 'Text')
    if (this.getAttribute('load') !== 'manual') this.load().catch(() => {})
  }

  #changed() {
    this.#touched = true
    this.#set(this.#input.value)
    this.#decline()
    this.#timer = window.setTimeout(() => this.suggest().catch(() => {}), pauseMs)
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const plain = !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey
    if (event.key === 'Tab' && plain && this.suggestion) {
      event.preventDefault()
      this.accept()
    } else if (event.key === 'Escape' && (this.suggestion || this.busy)) {
      event.preventDefault()
      this.#decline()
    }
  }

  #decline() {
    clearTimeout(this.#timer)
    this.stop()
    this.#suggestion.textContent = ''
    this.#accept.hidden = true
  }

  /** Offers how the text might go on. Resolves to the offer. */
  async suggest() {
    const { value, selectionStart } = this.#input
    this.#decline()
    if (!value.trim() || selectionStart !== value.length || this.#input.disabled) return ''
    const running = this.running = new AbortController()
    try {
      const session = await this.session((model) => model.session({ chat: false }))
      if (running.signal.aborted) return ''
      await session.rewind({ tokens: 0 }) // what the texts have in common is reused all the same
      const options = { maxTokens: offeredTokens, stop: '\n', ...this.options, signal: running.signal }
      for await (const text of session.stream(value, options)) {
        if (running.signal.aborted) return ''
        this.#suggestion.append(text)
        this.#accept.hidden = false
      }
      this.announcement.textContent = this.suggestion && `Offered: ${this.suggestion}`
      this.emit('reprise-suggestion', { text: this.suggestion })
      return this.suggestion
    } catch (error) {
      if (!running.signal.aborted) this.fail(error)
      return ''
    } finally {
      if (this.running === running) this.running = null
    }
  }

  /** @param {string} value */
  #set(value) {
    if (this.#input.value !== value) this.#input.value = value
    this.#typed.textContent = this.#input.value
    this.#internals.setFormValue(this.#input.value)
    this.#validate()
  }

  #validate() {
    const missing = this.hasAttribute('required') && !this.#input.value
    if (missing) this.#internals.setValidity({ valueMissing: true }, 'Please fill in this field.', this.#input)
    else this.#internals.setValidity({})
  }
}
