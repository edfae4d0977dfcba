// The worker: one model, its sessions, and the calls that the page makes (model.js, session.js). Knows both sides: messages here,
// the engine there.
import { chooseBuild, compile } from './builds.js'
import { ArgumentError, MemoryError } from './errors.js'
import { compute } from './generate.js'
import { feedPiece, loadModel, planModel, readHeader } from './loader.js'
import { serve } from './serve.js'
import { WorkerSession, nearer } from './session-worker.js'
import { openSource } from './source.js'
import { version } from './version.js'

/** @typedef {import('./serve.js').Task} Task */

/** @type {any} */
let port = globalThis
/** @type {import('./loader.js').LoadedModel | undefined} */
let model
/** @type {Map<number, WorkerSession>} */
const sessions = new Map()
/** @type {Promise<any>} */
let closing = Promise.resolve()

/** @param {any} spec @param {any} options @param {Task} task */
const openOne = (spec, options, task) =>
  openSource(spec.kind === 'pull' ? { ...spec, next: () => task.ask(`pull${spec.line ?? ''}`), cancel: () => task.tell(`leave${spec.line ?? ''}`) } : spec, {
    ...options,
    integrity: options.integrity === undefined ? undefined : [options.integrity].flat(),
    onWarning: (warning) => task.tell('warning', warning),
    onWaiting: (isWaiting) => isWaiting && task.tell('progress', { phase: 'waiting', loaded: 0, total: 0, fromCache: 0 }),
  })

/** What steers the model, if anything does. @param {any} params @param {Task} task */
async function openExtras({ extras, options }, task) {
  if (!extras.length) return undefined
  const { Extras } = await import('./extras.js')
  const open = async (/** @type {any} */ { name, spec }) => ({ name, source: spec && (await openOne(spec, { ...options, integrity: undefined }, task)) })
  return new Extras(await Promise.all(extras.map(open)), { readHeader, feedPiece, compute })
}

/** A model's source, what will compute it, and what steers it. @param {any} params @param {Task} task
 * @returns {Promise<[import('./source.js').Source, import('./engine.js').Build, import('./loader.js').Extras]>} */
function begin({ spec, extras, options }, task) {
  const own = { ...options, held: new Set() }
  return Promise.all([openOne(spec, own, task), chooseBuild(options), openExtras({ extras, options: own }, task)])
}

function loaded() {
  if (!model) throw new ArgumentError('the model has not been loaded')
  return model
}

/** @param {number} id */
function find(id) {
  const session = sessions.get(id)
  if (!session) throw new ArgumentError('the session was destroyed')
  return session
}

/** What changes while the model is used. */
const now = () => ({ memory: model?.engine.memory.buffer.byteLength ?? 0, threads: model?.engine.threads?.count ?? 1 })

/** @param {import('./loader.js').LoadedModel} model @param {number} open */
function checkSessions(model, open) {
  const { sessions = 1, sessionBytes, memory } = model.plan
  if (open < sessions) return
  const bytesNeeded = memory + sessionBytes
  throw new MemoryError(`a session more than the ${sessions} that were planned needs ${bytesNeeded} bytes in all: ` +
    `load with sessions: ${open + 1}`, { bytesNeeded })
}

/** @param {number} id @param {any} options */
function makeSession(id, options) {
  checkSessions(loaded(), sessions.size)
  const tell = (/** @type {any} */ state) => port.postMessage({ notice: 'session', detail: { id, ...now(), ...state } })
  const session = new WorkerSession(loaded(), options, tell)
  session.room = closing
  sessions.set(id, session)
  return session
}

/** A call of a session, by the name of its method. @param {'generate' | 'append' | 'save' | 'restore' | 'logits' | 'embed'} method */
const forward = (method) => (/** @type {any} */ params, /** @type {Task} */ task) => find(params.session)[method](params, task)

/** @type {Record<string, (params: any, task: Task) => any>} */
const handlers = {
  async plan(params, task) {
    const [source, build, extras] = await begin(params, task)
    try {
      return await planModel(source, build, params.options, task.signal, extras)
    } finally {
      source.close()
      extras?.close()
    }
  },
  async load(params, task) {
    const [source, build, extras] = await begin(params, task)
    const progress = (/** @type {any} */ step) => task.tell('progress', step)
    const tell = (/** @type {string} */ event, /** @type {any} */ detail) => task.tell(event, detail)
    model = await loadModel(source, build, params.options, { signal: task.signal, progress, tell }, extras).finally(() => extras?.close())
    if (params.options.threads > model.info.threads)
      task.tell('warning', { kind: 'one-thread', message: 'one thread computes: the page is not cross-origin isolated, or the browser has no SIMD' })
    task.tell('header', { info: model.info, plan: model.plan, ...now() })
    await model.ready
    task.tell('ready', { verified: model.verified, ...now() })
    await source.kept
    progress({ phase: 'stored', loaded: model.info.fileBytes, total: model.info.fileBytes, fromCache: source.fromCache })
  },
  program: ({ how }) => loaded().engine.program({ ...nearer(loaded().how, how), kvType: loaded().plan.kvType }),
  tokenize: ({ text, special, bos }) => Int32Array.from(loaded().engine.tokenize(text, { special, bos })),
  detokenize({ ids }) {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    const bytes = Array.from(ids, (id) => loaded().engine.tokenBytes(id))
    return bytes.map((part) => decoder.decode(part, { stream: true })).join('') + decoder.decode()
  },
  async open({ session, options }) {
    const made = makeSession(session, options)
    try {
      await made.start()
      made.tellState()
    } catch (error) {
      sessions.delete(session)
      throw error
    }
  },
  async clone({ session, copy }, task) {
    const made = makeSession(copy, find(session).options)
    try {
      await find(session).cloneInto(made, task)
    } catch (error) {
      sessions.delete(copy)
      throw error
    }
  },
  async close({ session }) {
    const closed = sessions.get(session)?.close()
    sessions.delete(session)
    await (closing = Promise.all([closing, closed]))
  },
  ids: ({ session }) => Int32Array.from(find(session).conversation.ids),
  rewind: ({ session, to }, task) => find(session).rewind(to, task),
  generate: forward('generate'),
  append: forward('append'),
  save: forward('save'),
  restore: forward('restore'),
  logits: forward('logits'),
  embed: forward('embed'),
  convert: async (params, task) => (await import('./convert-run.js')).convert(params, task, { compile, version }),
}

async function start() {
  if (typeof globalThis.postMessage !== 'function') {
    port = (await import('node:worker_threads')).parentPort
    port.on('message', serve(port, handlers))
    return port.postMessage({ hello: { version } })
  }
  const receive = serve(port, handlers)
  port.onmessage = (/** @type {MessageEvent} */ { data }) => receive(data)
  port.postMessage({ hello: { version } })
  // Held for as long as the worker lives, so that the page hears of its end.
  const lock = `reprise-worker:${crypto.getRandomValues(new Uint32Array(4)).join('-')}`
  const forever = () => (port.postMessage({ lock }), new Promise(() => {}))
  globalThis.navigator?.locks?.request(lock, forever).catch(() => {})
}

start()
