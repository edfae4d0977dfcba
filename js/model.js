// The page's model: a worker and the facts about it. See index.d.ts.
import { describe } from './describe.js'
import { ArgumentError } from './errors.js'
import { pickHow, Session } from './session.js'
import { connect } from './spawn.js'

/** Options that the worker wants; functions and signals stay here. @param {any} options */
function forWorker({ context, kvType, sessions, sequences, spare, memoryLimit, integrity, cache, wasm, isa, threads, ...rest }) {
  const whole = { context, sessions, sequences }
  const counts = { ...whole, spare, memoryLimit }
  for (const [name, value] of Object.entries(counts))
    if (value !== undefined && !(name in whole ? value === value >>> 0 : Number.isFinite(value) && value >= 0))
      throw new ArgumentError(`${name} is ${value}, want ${name in whole ? 'an integer' : 'bytes'}, 0 or more`)
  if (kvType !== undefined && !['f16', 'f32', 'q8_0', 'q8_q4'].includes(kvType))
    throw new ArgumentError(`kvType is ${kvType}, want f16, f32, q8_0 or q8_q4`)
  if (isa !== undefined && !['relaxed', 'simd128', 'scalar'].includes(isa))
    throw new ArgumentError(`isa is ${isa}, want relaxed, simd128 or scalar`)
  if (threads !== undefined && threads !== 'auto' && !(Number.isInteger(threads) && threads > 0 && threads <= 16))
    throw new ArgumentError(`threads is ${threads}, want 1 to 16 or auto`)
  return { ...counts, kvType, integrity, cache, wasm, isa, threads, ...pickHow({ ...rest, adapters: undefined }) }
}

/** A model's source and what steers it, with what the worker may ask of them: of those beside the first by number.
 * @param {any} source @param {any} options @returns {Promise<{ spec: any, extras: any[], on: any }>} */
async function describeAll(source, { hub, adapters, expert, antiexpert, alpha }) {
  if (!expert !== !antiexpert) throw new ArgumentError('expert and antiexpert go together; base is the model itself')
  if (alpha !== undefined && !expert) throw new ArgumentError('alpha needs an expert and antiexpert')
  const { spec, on } = await describe(source, hub)
  const extras = /** @type {any[]} */ ([])
  const sources = Object.entries(adapters ?? {}).map(([name, from]) => [`adapter ${name}`, from])
  for (const [name, from] of expert ? [...sources, ['expert', expert], ['antiexpert', antiexpert]] : sources) {
    const line = /** @type {number} */ (extras.length)
    const one = from === 'base' && !name.startsWith('adapter') ? undefined : await describe(from, hub)
    extras.push({ name, spec: one && { ...one.spec, line } })
    for (const [event, answer] of Object.entries(one?.on ?? {})) on[event + line] = answer
  }
  return { spec, extras, on }
}

/** Ends what is read here. @param {any} on */
function leaveAll(on) {
  for (const event of Object.keys(on)) if (event.startsWith('leave')) on[event]()
}

export class Model extends EventTarget {
  /** @type {import('./channel.js').Channel} */
  #channel
  /** @type {Map<number, Session>} */
  #sessions = new Map()
  #lastSession = 0
  info
  plan
  ready
  memory = 0
  verified = false

  /** Not for users: Model.load().
   * @param {import('./channel.js').Channel} channel @param {any} header @param {Promise<any>} ready */
  constructor(channel, { info, plan, memory, threads }, ready) {
    super()
    this.#channel = channel
    this.info = info
    this.plan = plan
    this.#take({ memory, threads })
    this.ready = ready.then(({ verified, ...now }) => {
      this.verified = verified
      this.#take(now)
    })
    this.ready.catch(() => {})
  }

  /** @param {{ memory: number, threads: number }} now */
  #take({ memory, threads }) {
    this.memory = memory
    this.info.threads = threads
  }

  /** Not for users: a worker without a model, for convert.js. */
  static connect = connect

  /** @param {any} source @param {any} options */
  static async plan(source, { signal, workerUrl, ...options } = {}) {
    signal?.throwIfAborted()
    const worker = forWorker(options)
    const { on, ...from } = await describeAll(source, options)
    /** @type {import('./channel.js').Channel | undefined} */
    let channel
    try {
      channel = await connect(workerUrl, {}, signal)
      return await channel.call('plan', { ...from, options: worker }, { signal, on })
    } finally {
      channel?.close(new ArgumentError('the plan is made'))
      leaveAll(on)
    }
  }

  /** @param {any} source @param {any} options */
  static async load(source, { signal, workerUrl, onProgress, onWarning, ...options } = {}) {
    signal?.throwIfAborted()
    const worker = forWorker(options)
    const { on, ...from } = await describeAll(source, options)
    /** @type {Model | undefined} */
    let model
    const warnings = /** @type {any[]} */ ([])
    const warn = (/** @type {any} */ warning) => {
      onWarning?.(warning)
      if (model) tell(warning)
      else warnings.push(warning)
    }
    const tell = (/** @type {any} */ detail) => model?.dispatchEvent(new CustomEvent('warning', { detail }))
    const leave = (/** @type {any} */ error) => {
      leaveAll(on)
      throw error
    }
    const session = (/** @type {any} */ state) => model?.takeState(state)
    const channel = await connect(workerUrl, { session }, signal).catch(leave)
    return new Promise((resolve, reject) => {
      /** @type {(facts: any) => void} */
      let isReady = () => {}
      const ready = new Promise((resolve, reject) => {
        isReady = resolve
        queueMicrotask(() => whole.catch(reject))
      })
      const header = (/** @type {any} */ facts) => {
        model = new Model(channel, facts, ready)
        resolve(model)
        setTimeout(() => warnings.forEach(tell)) // by then who waited for the model can listen
      }
      const threads = (/** @type {any} */ start) =>
        void import('./start-threads.js').then((scripts) => scripts.startThreads(start, channel, workerUrl)).catch(() => {}) // fewer, then
      const listeners = { ...on, progress: onProgress, warning: warn, header, ready: isReady, threads }
      const whole = channel.call('load', { ...from, options: worker }, { signal, on: listeners })
      ready.catch((error) => {
        reject(error)
        channel.close(error)
        leaveAll(on)
      })
    })
  }

  /** Not for users: what the worker tells of a session. @param {any} state */
  takeState({ id, memory, threads, ...state }) {
    this.#take({ memory, threads })
    this.#sessions.get(id)?.takeState(state)
  }

  /** @param {any} options */
  async program(options = {}) {
    return this.#channel.call('program', { how: pickHow(options) })
  }

  /** @param {any} options */
  session(options = {}) {
    const chat = options.chat ?? (this.info.chat || !!options.chatTemplate)
    const session = this.adoptSession(chat)
    session.open({ ...options, chat, how: pickHow(options) })
    return session
  }

  /** Not for users: a session that exists in the worker. @param {boolean} chat */
  adoptSession(chat) {
    const session = new Session(this, this.#channel, ++this.#lastSession, chat)
    this.#sessions.set(this.#lastSession, session)
    return session
  }

  /** Not for users. @param {number} id */
  forget(id) {
    this.#sessions.delete(id)
  }

  /** @param {string} text @param {{ special?: boolean, bos?: boolean }} options */
  async tokenize(text, { special = false, bos = false } = {}) {
    return this.#channel.call('tokenize', { text: String(text), special, bos })
  }

  /** @param {ArrayLike<number>} ids */
  async detokenize(ids) {
    return this.#channel.call('detokenize', { ids: Array.from(ids) })
  }

  destroy() {
    this.#channel.close(new ArgumentError('the model was destroyed'))
    this.#sessions.clear()
  }
}

if (Symbol.dispose) Object.defineProperty(Model.prototype, Symbol.dispose, { value: Model.prototype.destroy })
