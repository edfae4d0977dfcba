// From a source's bytes to a model in memory, in the worker. The header is read in an instance that is thrown away; then memory
// is made, with the plan as its maximum, for the instance that stays: what the first one holds is copied, all other bytes are fed.
import { Engine, PAGE_BYTES } from './engine.js'
import { MemoryError } from './errors.js'
import { pacer, Signal } from './time.js'

const HIGHEST_MEMORY = 2 ** 32
const TELL_MS = 50 // between two progress events

/** @typedef {import('./source.js').Source} Source */

/** Reads the header of a file; `loaded` bytes were taken for it, of which `rest` are behind it.
 * @param {AsyncIterable<Uint8Array>} pieces @param {import('./engine.js').Build} build */
export async function readHeader(pieces, build) {
  const head = (await Engine.create(build)).open()
  const iterator = pieces[Symbol.asyncIterator]()
  let rest = new Uint8Array(0)
  let loaded = 0
  try {
    while (head.state === 'header') {
      const { value, done } = await iterator.next()
      if (done) head.finish() // says that the file ends too early
      rest = value.subarray(head.feed(value))
      loaded += value.length
    }
  } catch (error) {
    await iterator.return?.()
    throw error
  }
  return { head, rest, loaded, iterator }
}

/** @param {Engine} head @param {import('./engine.js').Build} build @param {any} options
 * @param {import('./extras.js').Extras} [extras] */
function describe(head, { threads }, options, extras) {
  const info = head.info()
  const template = head.string('tokenizer.chat_template')
  Object.assign(info, { isa: head.layout.isa[info.isa], threads, name: head.string('general.name'), license: head.string('general.license'), chat: !!template })
  const sessions = options.sessions ?? 1
  const deepest = { ...options, depth: options.depth || (options.layers || info.loopMax <= info.loops ? 0 : info.loopMax) }
  const bytes = (/** @type {number} */ count) => {
    const { total, context } = head.plan({ ...options, sessions: count * (extras?.sessions ?? 1) })
    const more = extras?.bytes({ ...options, context, sessions: count }) ?? 0
    return Math.ceil((total + more) / PAGE_BYTES) * PAGE_BYTES
  }
  head.program(deepest)
  const memory = bytes(sessions)
  const sessionBytes = bytes(sessions + 1) - memory
  const { weights, kv, kvPerToken, kvSlots, context } = head.plan(options)
  Object.assign(info, head.program(options), options.depth && { loops: options.depth })
  const plan = { memory, weights, kv, kvPerToken, kvSlots, context, sessions, sessionBytes, kvType: options.kvType ?? 'f16' }
  return { info, template, plan }
}

/** Whether that much memory can be had, and what was looked at. @param {number} bytes @param {number} [limit] */
function judge(bytes, limit) {
  const checked = ['address space']
  const answer = (/** @type {string} */ word, /** @type {string} */ reason) => ({ answer: word, reason, checked })
  if (bytes > HIGHEST_MEMORY) return answer('no', `needs ${bytes} bytes of memory, WebAssembly addresses ${HIGHEST_MEMORY}`)
  if (limit !== undefined) {
    checked.push('memoryLimit')
    if (bytes > limit) return answer('no', `needs ${bytes} bytes of memory, the limit is ${limit}`)
  }
  checked.push('creating the memory')
  try {
    new WebAssembly.Memory({ initial: bytes / PAGE_BYTES, maximum: bytes / PAGE_BYTES })
  } catch {
    return answer('no', `needs ${bytes} bytes of memory, the browser does not give them`)
  }
  const machine = /** @type {any} */ (globalThis.navigator)?.deviceMemory * 2 ** 30
  if (!machine) return answer('unknown', 'this browser does not tell how much memory the machine has')
  checked.push('memory of the machine')
  if (bytes > machine / 2) return answer('unknown', `needs ${bytes} bytes of the ${machine} that the machine has at least`)
  return answer('likely', `needs ${bytes} bytes, the machine has at least ${machine}`)
}

/** @typedef {import('./extras.js').Extras | undefined} Extras */

/** What a file would take, from its header alone.
 * @param {Source} source @param {import('./engine.js').Build} build @param {any} options @param {AbortSignal} signal @param {Extras} extras */
export async function planModel(source, build, options, signal, extras) {
  const { head, iterator } = await readHeader(source.head(signal), build)
  await iterator.return?.()
  await extras?.read(head, build, signal)
  const { info, plan } = describe(head, build, options, extras)
  source.expect(info.fileBytes)
  const cached = await source.cachedBytes()
  const estimate = await globalThis.navigator?.storage?.estimate?.().catch(() => undefined)
  const storage = estimate?.quota === undefined ? undefined : estimate.quota - (estimate.usage ?? 0)
  const download = Math.max(info.fileBytes - cached, 0)
  return { ...plan, file: info.fileBytes, cached, download, storage, verdict: judge(plan.memory, options.memoryLimit), info }
}

/** The engine with one model, whole or still arriving. */
export class LoadedModel {
  arrived = new Signal() // weights came, or will not
  /** @type {Set<import('./engine-session.js').EngineSession>} sessions that compute now */
  computing = new Set()
  /** @type {Promise<void>} settles when all bytes are there and verified */
  ready = Promise.resolve()
  lastByteAt = 0
  verified = false
  /** @type {string[] | undefined} spellings of control tokens, once a conversation asks for them */
  control
  /** @type {unknown} why weights will not come */
  failure

  /** @param {Engine} engine @param {ReturnType<typeof describe>} described @param {any} options @param {Extras} extras */
  constructor(engine, { info, template, plan }, { depth, layers, kvReuse, exitThreshold, alpha }, extras) {
    this.engine = engine
    this.extras = extras
    this.how = { depth, layers, kvReuse, exitThreshold, adapters: {}, alpha: extras?.isSteered ? (alpha ?? 1) : undefined }
    this.info = info
    this.template = template
    this.plan = plan
  }

  /** Resolves when some arrived, rejects when none will. */
  async untilMoreWeights() {
    if (this.failure) throw this.failure
    await this.arrived.wait()
    if (this.failure) throw this.failure
  }
}

/** Starts a load; resolves once the header is understood, with weights arriving behind `ready`.
 * @param {Source} source @param {import('./engine.js').Build} build @param {any} options
 * @param {{ signal: AbortSignal, progress: (progress: any) => void,
 * tell: (event: string, detail: any) => void }} on @param {Extras} extras */
export async function loadModel(source, build, options, { signal, progress, tell }, extras) {
  const lazy = build.threads > 1 ? import('./threads.js') : undefined
  lazy?.catch(() => {}) // it is waited for below
  progress({ phase: 'header', loaded: 0, total: 0, fromCache: 0 })
  const { head, rest, loaded, iterator } = await readHeader(source.read(signal), build)
  const model = await makeModel(head, build, options, signal, extras).catch(async (error) => {
    await iterator.return?.()
    throw error
  })
  const { engine } = model
  source.expect(model.info.fileBytes)
  if (lazy) engine.threads = new (await lazy).Threads(engine, build, (options.threads ?? 'auto') === 'auto', tell)
  feedPiece(engine, rest)
  collectGarbage()
  model.ready = feedRest(model, source, loaded, iterator, progress)
  model.ready.catch((error) => {
    model.failure = error
    model.arrived.fire()
  })
  return model
}

/** The instance that stays, with what a header says. @param {Engine} head @param {import('./engine.js').Build} build @param {any} options
 * @param {AbortSignal} signal @param {Extras} extras */
async function makeModel(head, build, options, signal, extras) {
  await extras?.read(head, build, signal)
  const described = describe(head, build, options, extras)
  const { memory } = described.plan
  const verdict = judge(memory, options.memoryLimit)
  if (verdict.answer === 'no') throw new MemoryError(verdict.reason, { bytesNeeded: memory })
  const engine = await Engine.create(build, memory / PAGE_BYTES, head)
  await extras?.fill(engine)
  return new LoadedModel(engine, described, options, extras)
}

/** Asks for a garbage collection: V8 takes a large buffer for pressure. It costs nothing, since nobody writes to it; without it the
 * header's instance would lie about, unused, for as long as nothing else comes up. */
function collectGarbage() {
  try {
    ;/** @type {any} */ (new ArrayBuffer(2 ** 27)).transfer?.(0)
  } catch {
    // too large for here
  }
}

/** @param {Engine} engine @param {Uint8Array} piece */
export function feedPiece(engine, piece) {
  for (let used = 0; used < piece.length; ) used += engine.feed(piece.subarray(used))
  return piece.length
}

/** @param {LoadedModel} model @param {Source} source @param {number} loaded @param {AsyncIterator<Uint8Array>} iterator
 * @param {(progress: any) => void} progress */
async function feedRest(model, source, loaded, iterator, progress) {
  const { engine, info } = model
  const pause = pacer(4)
  let told = 0
  try {
    for (let next; !(next = await iterator.next()).done; ) {
      loaded += feedPiece(engine, next.value)
      model.arrived.fire()
      if (performance.now() - told > TELL_MS) {
        progress({ phase: 'weights', loaded, total: info.fileBytes, fromCache: source.fromCache })
        told = performance.now()
      }
      await pause()
    }
    engine.finish()
    engine.threads?.calibrate(model.plan)
    model.lastByteAt = performance.now()
    model.arrived.fire()
    await source.finish()
  } finally {
    await iterator.return?.()
    source.close()
  }
  model.verified = source.verified
  model.arrived.fire()
  progress({ phase: 'ready', loaded, total: info.fileBytes, fromCache: source.fromCache })
}
