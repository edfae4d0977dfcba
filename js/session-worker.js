// A session in the worker: its conversation, its KV cache, and the turns that its calls take.
import { Conversation, checkIds, checkMessages } from './conversation.js'
import { ArgumentError, FormatError } from './errors.js'
import { EngineSession } from './engine-session.js'
import { compute, Generation } from './generate.js'
import { packState, unpackState } from './saved.js'
import { Moved } from './serve.js'

/** @typedef {import('./serve.js').Task} Task */
/** @typedef {import('./loader.js').LoadedModel} LoadedModel */

/** The chat template and what it needs, loaded when the first conversation begins.
 * @param {LoadedModel} model @param {string} source @param {any} options */
async function chatOptions(model, source, options) {
  const [chat, jinja] = await Promise.all([import('./chat.js'), import('./lazy/jinja/index.js')])
  const { engine, info } = model
  model.control ??= Array.from({ length: info.vocab }, (_, id) => id).filter((id) => engine.tokenIsControl(id)).map((id) => engine.tokenPiece(id))
  const { control } = model
  const piece = (/** @type {number} */ id) => (id < 0 ? '' : engine.tokenPiece(id))
  return { ...options, template: chat.compileTemplate(jinja, source), guard: chat.guardFor(control), control,
    bos: piece(info.bos), eos: piece(info.eos) }
}

export class WorkerSession {
  /** @type {Conversation} */
  conversation
  /** @type {EngineSession | undefined} opened when something is computed */
  #engineSession
  /** @type {Promise<void>} */
  #turn = Promise.resolve()
  /** @type {Set<Task>} */
  #tasks = new Set()
  #closed = false

  /** @param {LoadedModel} model @param {any} options @param {(state: any) => void} tell */
  constructor(model, options, tell) {
    this.model = model
    this.options = options
    this.policy = options.onContextFull ?? 'stop'
    this.tell = tell
    this.conversation = new Conversation(model.engine, {})
  }

  async start() {
    const { chat, messages, text, chatTemplate, tools, templateOptions } = this.options
    const source = chatTemplate ?? this.model.template
    if (!['stop', 'shift'].includes(this.policy)) throw new ArgumentError(`onContextFull is ${this.policy}, want stop or shift`)
    if (chat) {
      if (!source) throw new ArgumentError('the file has no chat template: pass chatTemplate, or chat: false for plain text')
      this.conversation = new Conversation(this.model.engine, await chatOptions(this.model, source, { tools, templateOptions }))
      checkMessages(messages ?? [])
      this.conversation.messages = structuredClone(messages ?? [])
    } else {
      if (messages?.length) throw new ArgumentError('messages need a chat: this session continues plain text')
      if (text) this.conversation.add(text, false)
    }
  }

  /** The KV cache. */
  open() {
    return (this.#engineSession ??= new EngineSession(this.model.engine, this.model.plan))
  }

  tellState() {
    this.tell({ messages: this.conversation.messages, used: this.conversation.ids.length })
  }

  /** Runs a call when those before it are done.
   * @template T @param {Task} task @param {() => T | Promise<T>} action @returns {Promise<T>} */
  async inTurn(task, action) {
    const before = this.#turn
    let leave = () => {}
    const left = new Promise((resolve) => (leave = () => resolve(undefined)))
    this.#turn = before.then(() => left).then(() => {})
    this.#tasks.add(task)
    try {
      await task.orAborted(before)
      this.check()
      return await action()
    } finally {
      this.#tasks.delete(task)
      leave()
      if (!this.#closed) this.tellState()
    }
  }

  check() {
    if (this.#closed) throw new ArgumentError('the session was destroyed')
  }

  /** Ends what runs, then gives the memory back. */
  async close() {
    this.#closed = true
    for (const task of this.#tasks) task.abort()
    await this.#turn
    this.#engineSession?.close()
    this.#engineSession = undefined
  }

  // ---- Calls

  /** @param {any} params @param {Task} task */
  generate(params, task) {
    const queued = performance.now()
    return this.inTurn(task, async () => {
      const generation = new Generation(this, params, task)
      generation.timings.queuedMs = performance.now() - queued
      if (task.signal.aborted) return generation.unstarted()
      return generation.run()
    })
  }

  /** Computes what the conversation holds. @param {Task} task */
  async #computeIds(task) {
    const { ids } = this.conversation
    if (ids.length > this.model.plan.context)
      throw new ArgumentError(`${ids.length} tokens do not fit into a context of ${this.model.plan.context}`)
    this.open().begin(ids)
    await compute(this.model, this.open(), task)
  }

  /** @param {any} params @param {Task} task */
  append({ input }, task) {
    return this.inTurn(task, async () => {
      const before = this.conversation.state()
      this.conversation.add(input, false)
      try {
        await this.#computeIds(task)
      } catch (error) {
        this.conversation.adopt(before)
        throw error
      }
    })
  }

  /** @param {any} to @param {Task} task */
  rewind(to, task) {
    return this.inTurn(task, () => {
      if (to?.messages !== undefined) this.conversation.rewindMessages(to.messages)
      else if (to?.tokens !== undefined) this.conversation.rewindTokens(to.tokens)
      else throw new ArgumentError('rewind to what: { messages } or { tokens }')
    })
  }

  /** Positions of the KV cache that the conversation's ids begin with. */
  #held() {
    const { ids } = this.conversation
    const held = this.#engineSession?.ids() ?? []
    const differs = held.findIndex((id, i) => id !== ids[i])
    return differs < 0 ? held.length : differs
  }

  /** @param {WorkerSession} copy @param {Task} task */
  cloneInto(copy, task) {
    return this.inTurn(task, () => {
      copy.conversation = new Conversation(this.model.engine, this.conversation.options)
      copy.conversation.adopt(this.conversation.state())
      const length = this.#held()
      if (this.#engineSession && length) copy.open().copy(this.#engineSession, length)
      copy.tellState()
    })
  }

  /** @param {{ kv?: boolean }} options @param {Task} task */
  save({ kv = true }, task) {
    return this.inTurn(task, async () => {
      await task.orAborted(this.model.ready)
      const length = kv ? this.#held() : 0
      const bytes = packState(this.conversation.state(), this.open(), length)
      return new Moved(bytes, [bytes.buffer])
    })
  }

  /** @param {{ bytes: Uint8Array }} params @param {Task} task */
  restore({ bytes }, task) {
    return this.inTurn(task, async () => {
      await task.orAborted(this.model.ready)
      const session = this.open()
      const { state, length, regions } = unpackState(bytes, session.key)
      if (state.ids.length > this.model.plan.context + 1)
        throw new FormatError(`the saved session holds ${state.ids.length} tokens, the context is ${this.model.plan.context}`)
      if (state.isChat !== this.conversation.isChat) throw new FormatError('the saved session is of the other kind: see chat')
      checkIds(state.ids, this.model.info.vocab)
      session.fill(regions, length)
      session.adopt(state.ids.slice(0, length))
      this.conversation.adopt(state)
    })
  }

  /** @param {{ ids: ArrayLike<number> }} params @param {Task} task */
  logits({ ids }, task) {
    return this.inTurn(task, async () => {
      const list = Array.from(ids)
      checkIds(list, this.model.info.vocab)
      if (!list.length) throw new ArgumentError('logits of no ids')
      this.conversation.reset(list)
      await this.#computeIds(task)
      return task.signal.aborted ? undefined : this.open().logits()
    })
  }

  /** @param {{ text: string }} params @param {Task} task */
  embed({ text }, task) {
    return this.inTurn(task, async () => {
      const ids = this.model.engine.tokenize(text, { bos: true })
      if (!ids.length || ids.length > this.model.plan.context)
        throw new ArgumentError(`a text of ${ids.length} tokens, want 1 to ${this.model.plan.context}`)
      this.conversation.reset([])
      this.open().beginEmbedding(ids)
      await compute(this.model, this.open(), task)
      return task.signal.aborted ? undefined : this.open().embedding()
    })
  }
}
