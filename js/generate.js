// One generation, in the worker: prompt, prefill by steps, and the loop that draws tokens. Every step is short, and between steps
// the worker hears of aborts. The KV cache is made to follow the conversation's ids, so that whatever was computed before is
// reused.
import { ArgumentError } from './errors.js'
import { Sampler, Text } from './engine-session.js'
import { pacer, turn } from './time.js'

const SLICE_MS = 8 // of work between two looks at the messages
const TELL_MS = 50 // between two progress events
const FRAME_MS = 16 // between two visits that are told to a page that does not wait

/** The terminal program's defaults. Zero is "off". */
export const SAMPLING = {
  temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05, typicalP: 0, repeatPenalty: 0, presencePenalty: 0, frequencyPenalty: 0,
  penaltyLast: 0, dryMultiplier: 0, dryBase: 0, dryAllowed: 0, dryLast: 0, mirostatTau: 0, mirostatEta: 0,
}

/** @typedef {import('./serve.js').Task} Task */
/** @typedef {import('./loader.js').LoadedModel} LoadedModel */
/** @typedef {import('./engine-session.js').EngineSession} EngineSession */

/** Runs the steps that begin() planned. Sessions that decode at the same time share them: each first lets the others get as far. One
 * whose visits are told goes alone, since it may be made to wait.
 * Returns how long it waited for weights, or false when the task was aborted.
 * @param {LoadedModel} model @param {EngineSession} session @param {Task} task
 * @param {{ visits?: { next: number }, tell?: (done: number) => void }} [options] visits: they are told, from that time on */
export async function compute(model, session, task, options = {}) {
  if (!options.visits) model.computing.add(session)
  try {
    if (session.isOne && model.computing.size > 1) await turn()
    return await runSteps(model, session, task, options)
  } finally {
    model.computing.delete(session)
  }
}

/** @param {LoadedModel} model @param {EngineSession} session @param {Task} task
 * @param {{ visits?: { next: number }, tell?: (done: number) => void }} options */
async function runSteps(model, session, task, { visits, tell }) {
  const pause = pacer(SLICE_MS)
  let waited = 0
  let told = performance.now()
  for (let visit = -1; ; await pause()) {
    if (task.signal.aborted) {
      session.cancel()
      return false
    }
    const state = session.step(visits ? [] : model.computing)
    if (state === 'done') return waited
    if (state === 'wait') {
      const from = performance.now()
      await task.orAborted(model.untilMoreWeights())
      waited += performance.now() - from
      continue
    }
    if (visits && session.visit !== visit && performance.now() >= visits.next) {
      // A page that does not wait is not waited for at every visit either.
      const isWaiting = await task.ask('visit', (visit = session.visit))
      visits.next = isWaiting ? 0 : performance.now() + FRAME_MS
    }
    if (tell && performance.now() - told > TELL_MS) {
      tell(session.done)
      told = performance.now()
    }
  }
}

/** @param {any} params @param {LoadedModel} model */
function readOptions(params, model) {
  const options = { ...SAMPLING, ...params.sampling }
  for (const [name, value] of Object.entries(SAMPLING)) {
    options[name] ??= value
    if (typeof options[name] !== 'number') throw new ArgumentError(`${name} is ${options[name]}, want a number`)
  }
  for (const name of Object.keys(params.sampling))
    if (!(name in SAMPLING) && name !== 'seed' && name !== 'logitBias') throw new ArgumentError(`there is no option ${name}`)
  const seed = params.sampling.seed ?? Math.floor(Math.random() * 2 ** 32)
  if (!Number.isSafeInteger(seed) || seed < 0) throw new ArgumentError(`seed is ${seed}, want an integer from 0 to 2^53 - 1`)
  const { maxTokens = params.policy === 'shift' ? model.plan.context : Infinity, top = 0 } = params
  if (!(maxTokens >= 0)) throw new ArgumentError(`maxTokens is ${maxTokens}, want 0 or more`)
  if (!(top >= 0 && top <= 64)) throw new ArgumentError(`top is ${top}, want 0 to 64`)
  const stops = [params.stop ?? []].flat().filter((/** @type {any} */ stop) => stop !== '')
  if (stops.some((/** @type {any} */ stop) => typeof stop !== 'string' || stop.includes('\0')))
    throw new ArgumentError('stop is a text or a list of texts')
  return { sampling: { ...options, seedLow: seed % 2 ** 32, seedHigh: Math.floor(seed / 2 ** 32) }, seed, maxTokens, top, stops }
}

/** What runs while one answer is made. */
export class Generation {
  #own
  #model
  #task
  #params
  #options
  #text = ''
  #count = 0
  /** @type {'stop' | 'length' | 'context' | 'abort'} */
  #finish = 'length'
  #isExact = true // the ids are those of the text
  #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  /** @type {{ next: number } | undefined} */
  #visits
  usage = { promptTokens: 0, reusedTokens: 0, completionTokens: 0 }

  /** @param {import('./session-worker.js').WorkerSession} own @param {any} params @param {Task} task */
  constructor(own, params, task) {
    this.#own = own
    this.#model = own.model
    this.#params = params
    this.#task = task
    this.#visits = params.visits ? { next: 0 } : undefined
    this.#options = readOptions({ ...params, policy: own.policy }, own.model)
    this.timings = { queuedMs: 0, prefillMs: 0, waitedMs: 0, firstTokenMs: 0, decodeMs: 0 }
  }

  /** Computes the prompt; false when there is nothing to go on from. */
  async #prefill() {
    const { ids } = this.#own.conversation
    const session = this.#own.open()
    const start = performance.now()
    const reused = session.begin(ids)
    const tell = (/** @type {number} */ done) => this.#task.tell('prefill', { done: reused + done, total: ids.length, reused })
    const waited = await this.#own.compute(this.#task, { visits: this.#visits, tell })
    // Nothing is shown before the file's integrity was checked.
    await this.#task.orAborted(this.#model.ready)
    this.timings.prefillMs = performance.now() - start
    Object.assign(this.usage, { promptTokens: ids.length, reusedTokens: reused })
    if (waited === false || this.#task.signal.aborted) return false
    this.timings.waitedMs = waited
    tell(ids.length - reused)
    return true
  }

  /** @param {number} id of the token drawn @param {EngineSession} session whose logits it was drawn from */
  #describe(id, session) {
    const { engine } = this.#model
    const text = (/** @type {number} */ token, decoder = new TextDecoder('utf-8', { ignoreBOM: true })) =>
      decoder.decode(engine.tokenBytes(token), { stream: true })
    const top = this.#options.top ? session.top(this.#options.top) : []
    const position = this.#own.conversation.ids.length - 1
    return { id, position, text: text(id, this.#decoder), logprob: session.logprob(id), top: top.map((one) => ({ ...one, text: text(one.id) })) }
  }

  /** @param {Sampler} sampler @param {Text} text @param {EngineSession} session */
  async #decode(sampler, text, session) {
    const { ids } = this.#own.conversation
    const pause = pacer(SLICE_MS / 2)
    while (this.#count < this.#options.maxTokens) {
      const id = sampler.pick(session)
      if (this.#model.engine.tokenEnds(id)) return 'stop'
      ids.push(id)
      this.#count++
      const { more, text: piece } = text.push(id)
      this.#text += piece
      this.#isExact = more
      const tokens = this.#params.pieces ? [this.#describe(id, session)] : []
      if ((piece || tokens.length) && !(await this.#task.item({ text: piece, tokens }))) return 'abort'
      if (!more) return 'stop'
      if (this.#count >= this.#options.maxTokens) return 'length'
      const fit = this.#own.fit(this.#task)
      if (fit === 'full') return 'context'
      if (fit === 'fits') session.beginNext(id, ids.length)
      else session.begin(ids)
      if ((await this.#own.compute(this.#task, { visits: this.#visits })) === false) return 'abort'
      await pause()
    }
    return 'length'
  }

  #result() {
    const { seed } = this.#options
    return { text: this.#text, finishReason: this.#finish, seed, usage: this.usage, timings: this.timings }
  }

  /** The answer to a call that was aborted while it waited for its turn. */
  unstarted() {
    this.#finish = 'abort'
    return this.#result()
  }

  async run() {
    const { conversation } = this.#own
    this.#own.use(this.#params.how)
    const before = conversation.state()
    const started = performance.now()
    /** @type {Sampler | undefined} */ let sampler
    /** @type {Text | undefined} */ let text
    try {
      conversation.add(this.#params.input, true)
      this.#own.tellState()
      this.usage.promptTokens = conversation.ids.length
      if (this.#own.fit(this.#task) === 'full') this.#finish = 'context'
      else if (!(await this.#prefill())) this.#finish = 'abort'
      else {
        this.#stamp(started)
        sampler = new Sampler(this.#model.engine, { ...this.#options.sampling, logitBias: this.#params.sampling.logitBias })
        text = new Text(this.#model.engine, this.#options.stops)
        for (const id of conversation.ids) sampler.accept(id)
        this.#finish = await this.#decode(sampler, text, this.#own.open())
        await this.#end(text)
        this.timings.decodeMs = performance.now() - started - this.timings.firstTokenMs
      }
      conversation.endAnswer(this.#text, this.#finish, this.#isExact)
    } catch (error) {
      if (this.#count) conversation.endAnswer(this.#text, 'abort', false)
      else conversation.adopt(before) // as if it had never been asked
      throw error
    } finally {
      sampler?.close()
      text?.close()
    }
    this.usage.completionTokens = this.#count
    return this.#result()
  }

  /** @param {number} started */
  #stamp(started) {
    const { lastByteAt } = this.#model
    const now = performance.now()
    this.timings.firstTokenMs = now - started
    if (lastByteAt > started) Object.assign(this.timings, { lastByteToFirstTokenMs: now - lastByteAt })
  }

  /** Shows what was held back. @param {Text} text */
  async #end(text) {
    const rest = this.#isExact ? text.finish() : ''
    this.#text += rest
    if (rest) await this.#task.item({ text: rest, tokens: [] })
  }
}
