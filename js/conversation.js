// What a session's text is, as messages and as token ids, in the worker. The ids are the truth: an answer's ids are those that
// were sampled, never its text tokenized again. The KV cache follows them (generate.js).
import { ArgumentError } from './errors.js'

const LEAST_SINKS = 4 // attention sinks, Xiao 2023

/** @typedef {{ role: string, content: string, [key: string]: unknown }} Message */
/** A place up to which rendered text and ids are known to be the same: after an answer.
 * @typedef {{ messages: number, text: string, ids: number }} Mark */

export class Conversation {
  /** @type {Message[]} */
  messages = []
  /** @type {number[]} */
  ids = []
  /** The last message is an answer that can go on. */
  isOpen = false
  answerStart = 0 // place in ids
  #answer = '' // text of the ids from there on
  #rendered = '' // of the answer, what stands before: it was part of what was rendered
  #dropped = '' // of the answer, what a shift took out of the ids
  #text = '' // rendered, up to the answer
  /** @type {Mark[]} */
  #marks = []
  #engine
  #options

  /** @param {import('./engine.js').Engine} engine
   * @param {{ template?: import('./chat.js').ChatTemplate, guard?: (text: string) => string, control?: string[], bos?: string,
   *   eos?: string, tools?: unknown[], templateOptions?: Record<string, unknown> }} options without a template: plain text */
  constructor(engine, options) {
    this.#engine = engine
    this.#options = options
  }

  get isChat() {
    return !!this.#options.template
  }

  get options() {
    return this.#options
  }

  /** Forgets everything but these ids. @param {number[]} ids */
  reset(ids) {
    this.adopt({ messages: [], ids, isOpen: false, answerStart: 0, inner: { answer: '', rendered: '', dropped: '', text: '', marks: [] } })
  }

  /** Adds what was passed, and makes `ids` the prompt of what is to be generated. Callers undo what was done before it failed.
   * @param {any} input @param {boolean} answering whether an answer is to follow */
  add(input, answering) {
    if (this.isChat) this.#addMessages(input, answering)
    else this.#addPlain(input)
    if (answering && !this.ids.length) throw new ArgumentError('there is nothing to go on from: pass a text')
  }

  /** @param {any} input @param {boolean} answering */
  #addMessages(input, answering) {
    if (input !== undefined && !input.ids) {
      const added = typeof input === 'string' ? [{ role: 'user', content: input }] : Array.isArray(input) ? input : [input]
      checkMessages(added)
      this.messages.push(...structuredClone(added))
      this.isOpen = false
    }
    if (!this.messages.length) throw new ArgumentError('there is nothing to answer: pass a message')
    if (answering || input?.ids) this.#openAnswer()
    else this.#render(false)
    if (input?.ids) this.#pushIds(input.ids)
  }

  /** @param {any} input */
  #addPlain(input) {
    if (input === undefined) {
      if (!this.ids.length) this.ids = this.#engine.tokenize('', { bos: true })
    } else if (typeof input === 'string') this.ids = [...this.ids, ...this.#engine.tokenize(input, this.#joint())]
    else if (input.ids) this.#pushIds(input.ids)
    else throw new ArgumentError('messages need a chat: this session continues plain text')
  }

  /** How a text is read that comes behind the ids. */
  #joint() {
    const last = this.ids[this.ids.length - 1]
    return { bos: last === undefined, continues: last !== undefined && !this.#engine.tokenIsControl(last) }
  }

  /** @param {ArrayLike<number>} added */
  #pushIds(added) {
    const ids = Array.from(added)
    checkIds(ids, this.#engine.info().vocab)
    this.ids = [...this.ids, ...ids]
    if (this.isOpen) this.#readAnswer()
  }

  /** @param {number} from place in ids @param {number} [to] */
  #textOf(from, to) {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    return this.ids.slice(from, to).map((id) => decoder.decode(this.#engine.tokenBytes(id), { stream: true })).join('') + decoder.decode()
  }

  /** @param {Message[]} messages @param {boolean} addGenerationPrompt @param {boolean} continueFinal */
  #textOfMessages(messages, addGenerationPrompt, continueFinal) {
    const { template, tools, templateOptions, bos = '', eos = '', control = [] } = this.#options
    const options = { messages, tools, options: templateOptions, bos, eos, control, addGenerationPrompt, continueFinal }
    return /** @type {NonNullable<typeof template>} */ (template).render(options)
  }

  /** Makes `ids` those of the messages, keeping those of the longest beginning that is known.
   * @param {boolean} addGenerationPrompt @param {boolean} [continueFinal] */
  #render(addGenerationPrompt, continueFinal = false) {
    const text = this.#textOfMessages(this.messages, addGenerationPrompt, continueFinal)
    const isKnown = (/** @type {Mark} */ mark) =>
      mark.messages <= this.messages.length && mark.ids <= this.ids.length && text.startsWith(mark.text)
    while (this.#marks.length && !isKnown(this.#marks[this.#marks.length - 1])) this.#marks.pop()
    const mark = this.#marks[this.#marks.length - 1]
    const flags = { special: true, guarded: true }
    this.ids = this.ids.slice(0, mark?.ids ?? 0)
    this.ids = [...this.ids, ...this.#engine.tokenize(text.slice(mark?.text.length ?? 0), { ...flags, ...this.#joint() })]
    this.#text = text
    this.#answer = this.#dropped = ''
    this.answerStart = this.ids.length
  }

  /** Makes the last message an answer that can go on: a new one, or the one that is there. */
  #openAnswer() {
    if (this.isOpen) return
    const last = this.messages[this.messages.length - 1]
    const goesOn = last.role === 'assistant'
    this.#render(!goesOn, goesOn)
    this.#rendered = goesOn ? last.content : ''
    if (!goesOn) this.messages.push({ role: 'assistant', content: '' })
    this.isOpen = true
  }

  /** The answer is what the ids say. */
  #readAnswer() {
    this.#setAnswer(this.#dropped + this.#textOf(this.answerStart))
  }

  /** @param {string} answer */
  #setAnswer(answer) {
    this.#answer = answer
    this.messages[this.messages.length - 1].content = this.#rendered + answer
  }

  /** The answer has ended, for now or for good.
   * @param {string} added text since add() @param {'stop' | 'length' | 'context' | 'abort'} finishReason
   * @param {boolean} isExact whether the ids are those of the text: a stop text is in the ids and not in the text */
  endAnswer(added, finishReason, isExact) {
    if (!this.isChat) return
    if (isExact) this.#readAnswer()
    else this.#setAnswer(this.#answer + added)
    this.isOpen = finishReason !== 'stop'
    if (!this.#rendered && !this.#answer && finishReason === 'abort') {
      this.messages.pop()
      this.isOpen = false
    } else if (isExact) {
      const text = this.#text + (this.#options.guard?.(this.#answer) ?? this.#answer)
      this.#marks.push({ messages: this.messages.length, text, ids: this.ids.length })
    }
  }

  /** @param {number} count of messages to keep */
  rewindMessages(count) {
    if (!this.isChat) throw new ArgumentError('plain text has no messages: rewind({ tokens })')
    checkCount('messages', count, this.messages.length)
    if (count === this.messages.length) return
    this.messages.length = count
    this.isOpen = false
    if (count) this.#render(false)
    else this.ids = []
  }

  /** @param {number} count of positions to keep */
  rewindTokens(count) {
    checkCount('tokens', count, this.ids.length)
    if (count === this.ids.length) return
    if (this.isChat) {
      const isAnswer = this.messages[this.messages.length - 1]?.role === 'assistant'
      if (!isAnswer || count < this.answerStart)
        throw new ArgumentError(`rewind to ${count} tokens, want ${this.answerStart} at least, where the last answer begins`)
      this.#marks = this.#marks.filter((mark) => mark.ids <= count)
    }
    this.ids.length = count
    if (!this.isChat) return
    this.isOpen = true
    this.#readAnswer()
  }

  /** Drops the older half of what follows the beginning, until `ids` fit; returns how many were dropped.
   * @param {number} room */
  shift(room) {
    const keep = Math.min(Math.max(LEAST_SINKS, this.#sinks()), room >> 1)
    const before = this.ids.length
    const most = room - keep
    let dropped = 0
    for (let rest = before - keep; rest > most; rest >>= 1) dropped += (rest + 1) >> 1
    if (this.isChat) this.#dropped += this.#textOf(this.answerStart, keep + dropped)
    this.ids.splice(keep, dropped)
    this.answerStart = Math.max(this.answerStart - dropped, keep)
    this.#marks = [] // they count ids that are gone; the end of the answer is the next one
    return dropped
  }

  /** Ids of the system message that the ids begin with. */
  #sinks() {
    if (this.messages[0]?.role !== 'system') return 0
    try {
      const text = this.#textOfMessages(this.messages.slice(0, 1), false, false)
      const system = this.#engine.tokenize(text, { special: true, guarded: true, bos: true })
      const differs = system.findIndex((id, i) => id !== this.ids[i])
      return differs < 0 ? system.length : differs
    } catch {
      return 0 // a template that wants more than a system message
    }
  }

  /** Everything, for save() and clone(). */
  state() {
    const { messages, ids, isOpen, answerStart } = this
    const inner = { answer: this.#answer, rendered: this.#rendered, dropped: this.#dropped, text: this.#text, marks: this.#marks }
    return structuredClone({ isChat: this.isChat, messages, ids, isOpen, answerStart, inner })
  }

  /** @param {Omit<ReturnType<Conversation['state']>, 'isChat'>} state */
  adopt(state) {
    const { inner, messages, ids, isOpen, answerStart } = structuredClone(state)
    Object.assign(this, { messages, ids, isOpen, answerStart })
    this.#answer = inner.answer
    this.#rendered = inner.rendered
    this.#dropped = inner.dropped
    this.#text = inner.text
    this.#marks = inner.marks
  }
}

/** @param {string} name @param {unknown} count @param {number} most */
function checkCount(name, count, most) {
  if (!Number.isInteger(count) || Number(count) < 0 || Number(count) > most)
    throw new ArgumentError(`rewind to ${count} ${name}, want 0 to ${most}`)
}

/** @param {number[]} ids @param {number} vocab */
export function checkIds(ids, vocab) {
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocab)
  if (wrong !== undefined) throw new ArgumentError(`token id ${wrong}, want 0 to ${vocab - 1}`)
}

/** @param {any} messages */
export function checkMessages(messages) {
  if (!Array.isArray(messages)) throw new ArgumentError('messages are a list')
  for (const message of messages) {
    const { role, content } = /** @type {any} */ (message ?? {})
    if (typeof role !== 'string') throw new ArgumentError('a message needs a role, such as "user"')
    if (typeof content !== 'string' && content !== undefined && content !== null && !Array.isArray(content))
      throw new ArgumentError(`the content of a message is ${typeof content}, want a string`)
  }
}
