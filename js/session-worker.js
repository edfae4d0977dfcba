// A session in the worker: its conversation, its KV cache, and the turns that its calls take.
import { Conversation, checkIds, checkMessages } from './conversation.js'
import { ArgumentError, FormatError, IOError } from './errors.js'
import { EngineSession } from './engine-session.js'
import { compute, Generation } from './generate.js'
import { Moved } from './serve.js'

/** @typedef {import('./serve.js').Task} Task */
/** @typedef {import('./loader.js').LoadedModel} LoadedModel */

/** Scripts that are imported when they are needed: a network that fails then is no fault of ours.
 * @template T @param {Promise<T>} scripts */
const fetched = (scripts) =>
  scripts.catch((error) => {
    throw new IOError(error.message)
  })

/** The chat template and what it needs, loaded when the first conversation begins.
 * @param {LoadedModel} model @param {string} source @param {any} options */
async function chatOptions(model, source, options) {
  const [chat, jinja] = await fetched(Promise.all([import('./chat.js'), import('./lazy/jinja/index.js')]))
  const { engine, info } = model
  const control = (model.control ??= engine.controlTokens(info.vocab))
  const piece = (/** @type {number} */ id) => (id < 0 ? '' : engine.tokenPiece(id))
  return { ...options, template: chat.compileTemplate(jinja, source), guard: chat.guardFor(control), control,
    bos: piece(info.bos), eos: piece(info.eos) }
}

/** Options over others. A depth and layers are each other's alternative. @param {any} far @param {any} near */
export const nearer = (far, near) => ({ ...far, ...(near.depth || near.layers ? { depth: undefined, layers: undefined } : {}), ...near })

export class WorkerSession {
  /** @type {Conversation} */
  conversation
  /** @type {EngineSession | undefined} opened when something is computed */
  #engineSession
  /** @type {ReturnType<import('./extras.js').Extras['companions']> | undefined} its expert and anti-expert, once they are asked */
  #companions
  /** @type {any} what is computed with */
  how
  /** @type {Promise<void>} */
  #turn = Promise.resolve()
  /** @type {Set<Task>} */
  #tasks = new Set()
  #closed = false
  room = Promise.resolve() // sessions that were closed before have given their memory back

  /** @param {LoadedModel} model @param {any} options @param {(state: any) => void} tell */
  constructor(model, options, tell) {
    this.model = model
    this.options = options
    this.policy = options.onContextFull ?? 'stop'
    this.tell = tell
    this.conversation = new Conversation(model.engine, {})
    this.use({})
  }

  /** What is computed with from now on; a session that did otherwise starts over. @param {any} how see ComputeOptions in index.d.ts */
  use(how) {
    const { engine, extras, how: whole } = this.model
    const next = nearer(nearer(whole, this.options.how ?? {}), how)
    next.adapters ??= {}
    if (Object.keys(next.adapters).length && !extras) throw new ArgumentError('no adapter was loaded: see adapters of Model.load')
    extras?.find(next.adapters)
    if (next.alpha !== undefined && !(extras?.isSteered && Math.abs(next.alpha) < 1e6))
      throw new ArgumentError(extras?.isSteered ? `alpha is ${next.alpha}, want a number` : 'alpha needs the expert and antiexpert of Model.load')
    engine.program(next)
    const key = (/** @type {any} */ { alpha, ...own }) => JSON.stringify(own)
    if (this.how && key(this.how) !== key(next)) this.#closeEngine()
    this.how = next
  }

  async start() {
    const { chat, messages, text, chatTemplate, tools, templateOptions } = this.options
    const source = chatTemplate ?? this.model.template
    await this.room
    if (!['stop', 'shift'].includes(this.policy)) throw new ArgumentError(`onContextFull is ${this.policy}, want stop or shift`)
    if (chat) {
      if (!source) throw new ArgumentError('the file has no chat template: pass chatTemplate, or chat: false for plain text')
      this.conversation = new Conversation(this.model.engine, await chatOptions(this.model, source, { tools, templateOptions: templateOptions ?? {} }))
      checkMessages(messages ?? [])
      this.conversation.messages = structuredClone(messages ?? [])
    } else {
      if (messages?.length) throw new ArgumentError('messages need a chat: this session continues plain text')
      if (text) this.conversation.add(text, false)
    }
  }

  /** The KV cache. */
  open() {
    if (this.#engineSession) return this.#engineSession
    const session = this.openEngine()
    try {
      this.model.extras?.use(this.model.engine, session, this.model.extras.find(this.how.adapters))
    } catch (error) {
      session.close()
      throw error
    }
    return (this.#engineSession = session)
  }

  /** One more with this program. */
  openEngine() {
    this.model.engine.program(this.how)
    return new EngineSession(this.model.engine, this.model.plan)
  }

  #closeEngine() {
    this.#companions?.close()
    this.#engineSession?.close()
    this.#companions = this.#engineSession = undefined
  }

  /** Computes what was begun, which are the conversation's ids, and steers it. Returns as compute(). @param {Task} task
   * @param {Parameters<typeof compute>[3]} [options] */
  async compute(task, options) {
    const session = this.open()
    const waited = await compute(this.model, session, task, options)
    if (waited === false || !this.how.alpha) return waited
    this.#companions ??= /** @type {any} */ (this.model.extras).companions(this)
    return (await /** @type {any} */ (this.#companions).steer(session, this.conversation.ids, task)) && waited
  }

  tellState() {
    this.tell({ messages: this.conversation.messages, used: this.conversation.ids.length })
  }

  /** Runs a call when those before it are done; one that is aborted before that touches nothing.
   * @template T @param {Task} task @param {() => T | Promise<T>} action @param {() => any} [unstarted] its answer then
   * @returns {Promise<T>} */
  async inTurn(task, action, unstarted) {
    const before = this.#turn
    let leave = () => {}
    const left = new Promise((resolve) => (leave = () => resolve(undefined)))
    this.#turn = before.then(() => left).then(() => {})
    this.#tasks.add(task)
    try {
      await task.orAborted(before)
      this.check()
      return await (task.signal.aborted ? unstarted?.() : action())
    } finally {
      this.#tasks.delete(task)
      leave()
      if (!this.#closed) this.tellState()
    }
  }

  /** The same for a call that changes the conversation: one that fails, or is aborted, leaves it as it was.
   * @template T @param {Task} task @param {() => T | Promise<T>} action */
  #change(task, action) {
    return this.inTurn(task, async () => {
      const before = this.conversation.state()
      try {
        return await action()
      } catch (error) {
        this.conversation.adopt(before)
        throw error
      }
    })
  }

  check() {
    if (this.#closed) throw new ArgumentError('the session was destroyed')
  }

  /** Ends what runs, then gives the memory back. */
  async close() {
    this.#closed = true
    for (const task of this.#tasks) task.abort()
    await this.#turn
    this.#closeEngine()
  }

  // ---- Calls

  /** @param {any} params @param {Task} task */
  generate(params, task) {
    const queued = performance.now()
    const generation = new Generation(this, params, task)
    const start = (/** @type {() => any} */ run) => () => {
      generation.timings.queuedMs = performance.now() - queued
      return run.call(generation)
    }
    return this.inTurn(task, start(generation.run), start(generation.unstarted))
  }

  /** Makes the ids fit into the context, if that may be done. @param {Task} task */
  fit(task) {
    const { conversation, policy } = this
    const room = this.model.plan.context
    if (conversation.ids.length <= room) return 'fits'
    const dropped = policy === 'shift' ? conversation.shift(room) : 0
    task.tell('contextfull', { policy, dropped })
    return policy === 'shift' ? 'shifted' : 'full'
  }


  /** Computes what the conversation holds. @param {Task} task */
  async #computeIds(task) {
    const { ids } = this.conversation
    if (this.fit(task) === 'full')
      throw new ArgumentError(`${ids.length} tokens do not fit into a context of ${this.model.plan.context}`)
    this.open().begin(ids)
    if ((await this.compute(task)) === false) throw new ArgumentError('the session was destroyed') // by a signal: who aborted has its answer
    return this.open()
  }

  /** @param {any} params @param {Task} task */
  append({ input, how }, task) {
    return this.#change(task, async () => {
      this.use(how)
      this.conversation.add(input, false)
      await this.#computeIds(task)
    })
  }

  /** @param {any} to @param {Task} task */
  rewind(to, task) {
    return this.#change(task, () => {
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
    return this.inTurn(task, async () => {
      await copy.room
      copy.conversation = new Conversation(this.model.engine, this.conversation.options)
      copy.conversation.adopt(this.conversation.state())
      copy.use(this.how)
      const length = this.#held()
      if (this.#engineSession && length) copy.open().copy(this.#engineSession, length)
      copy.tellState()
    })
  }

  /** @param {{ kv?: boolean }} options @param {Task} task */
  save({ kv = true }, task) {
    return this.inTurn(task, async () => {
      await task.orAborted(this.model.ready)
      const { packState } = await fetched(import('./saved.js'))
      const length = kv ? this.#held() : 0
      const bytes = packState(this.conversation.state(), this.open(), length)
      return new Moved(bytes, [bytes.buffer])
    })
  }

  /** @param {{ bytes: Uint8Array }} params @param {Task} task */
  restore({ bytes }, task) {
    return this.inTurn(task, async () => {
      await task.orAborted(this.model.ready)
      const { unpackState } = await fetched(import('./saved.js'))
      const session = this.open()
      const { state, length, regions } = unpackState(bytes, session.key, this.model.info.vocab)
      if (state.isChat !== this.conversation.isChat) throw new FormatError('the saved session is of the other kind: see chat')
      session.fill(regions, length)
      session.adopt(state.ids.slice(0, length))
      this.conversation.adopt(state)
    })
  }

  /** @param {{ ids: ArrayLike<number>, how: any }} params @param {Task} task */
  logits({ ids, how }, task) {
    return this.#change(task, async () => {
      this.use(how)
      const list = Array.from(ids)
      checkIds(list, this.model.info.vocab)
      if (!list.length) throw new ArgumentError('logits of no ids')
      this.conversation.reset(list)
      return (await this.#computeIds(task)).logits()
    })
  }

  /** @param {{ text: string, how: any }} params @param {Task} task */
  embed({ text, how }, task) {
    return this.#change(task, async () => {
      this.use(how)
      const ids = this.model.engine.tokenize(text, { bos: true })
      if (!ids.length || ids.length > this.model.plan.context)
        throw new ArgumentError(`a text of ${ids.length} tokens, want 1 to ${this.model.plan.context}`)
      this.conversation.reset([])
      this.open().beginEmbedding(ids)
      if ((await compute(this.model, this.open(), task)) === false) throw new ArgumentError('the session was destroyed')
      return this.open().embedding()
    })
  }
}
