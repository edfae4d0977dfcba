// What steers a model without touching its weights, in the worker: adapters (LoRA) over them, and for proxy-tuning (Liu 2024) an expert
// and an anti-expert, each the model itself, an adapter, or a model of its own in the same memory. Imported by loads that have any
// of it.
import { EngineSession } from './engine-session.js'
import { ArgumentError, FormatError, RepriseError } from './errors.js'

/** @typedef {import('./engine.js').Engine} Engine */
/** @typedef {import('./source.js').Source} Source */
/** @typedef {import('./session-worker.js').WorkerSession} WorkerSession */
/** Without an adapter or file of its own it is the model itself.
 * @typedef {{ name: string, source?: Source, adapter?: number, head?: Engine, first?: Uint8Array[], rest?: AsyncIterator<Uint8Array>,
 * engine?: Engine }} Helper */
/** @typedef {{ readHeader: typeof import('./loader.js').readHeader, feedPiece: typeof import('./loader.js').feedPiece,
 * compute: typeof import('./generate.js').compute }} Tools */

const HEAD_BYTES = 1 << 16 // in which an adapter says that it is one
const ROLES = ['expert', 'antiexpert']

/** The key general.type and its value, as a GGUF file spells them. */
const IS_ADAPTER = '\x0c\0\0\0\0\0\0\0general.type\x08\0\0\0\x07\0\0\0\0\0\0\0adapter'

/** @param {Uint8Array[]} pieces */
const isAdapter = (pieces) => new TextDecoder('latin1').decode(new Uint8Array(pieces.flatMap((piece) => [...piece.subarray(0, HEAD_BYTES)]))).includes(IS_ADAPTER)

/** @param {Uint8Array[]} first @param {AsyncIterator<Uint8Array>} rest */
async function* chain(first, rest) {
  yield* first
  for (let next; !(next = await rest.next()).done; ) yield next.value
}

/** An error of ours that says whose it is; others, such as a signal's reason, stay as they are. @param {string} name @param {any} error */
function named(name, error) {
  if (error instanceof RepriseError) error.message = `${name}: ${error.message}`
  return error
}

/** Bytes that are not what they should be must not be found again in the cache. @param {Source | undefined} source @param {unknown} error */
async function drop(source, error) {
  if (error instanceof FormatError) await source?.discard()
}

export class Extras {
  /** @type {Map<string, number>} addresses of adapters */
  #adapters = new Map()
  /** @type {Helper[]} */
  #helpers = []
  #tools
  #sources

  /** @param {{ name: string, source?: Source }[]} sources adapters, then the expert and the anti-expert, which have no source if they are the
   * model itself @param {Tools} tools */
  constructor(sources, tools) {
    this.#sources = sources
    this.#tools = tools
  }

  /** Reads adapters into the instance that has the model's header, and the headers of other models.
   * @param {Engine} head @param {import('./engine.js').Build} build @param {AbortSignal} signal */
  async read(head, build, signal) {
    for (const { name, source } of this.#sources) {
      /** @type {Helper} */
      const helper = { name, source }
      const isRole = ROLES.includes(name)
      if (isRole) this.#helpers.push(helper)
      try {
        if (!source) continue
        await this.#begin(helper, signal)
        if (!isRole || isAdapter(helper.first ?? [])) helper.adapter = await this.#readAdapter(head, helper)
        else await this.#readHead(helper, build)
      } catch (error) {
        await helper.rest?.return?.()
        await drop(source, error)
        throw named(name, error)
      }
      if (!isRole && helper.adapter) this.#adapters.set(name.replace(/^adapter /, ''), helper.adapter)
    }
  }

  /** @param {Helper} helper @param {AbortSignal} signal */
  async #begin(helper, signal) {
    const rest = (helper.rest = /** @type {Source} */ (helper.source).read(signal)[Symbol.asyncIterator]())
    const first = (helper.first = /** @type {Uint8Array[]} */ ([]))
    for (let bytes = 0, next; bytes < HEAD_BYTES && !(next = await rest.next()).done; bytes += next.value.length) first.push(next.value.slice())
  }

  /** @param {Engine} head @param {Helper} helper */
  async #readAdapter(head, { first, rest, source }) {
    const { x, page } = head
    const adapter = head.address(x.adapter_open(page))
    for await (const piece of chain(first ?? [], /** @type {any} */ (rest)))
      for (let from = 0; from < piece.length; from += HEAD_BYTES)
        head.borrow(piece.subarray(from, from + HEAD_BYTES), (at, size) => head.ok(x.adapter_feed(page, adapter, at, size)))
    head.ok(x.adapter_finish(page, adapter))
    await source?.finish()
    return adapter
  }

  /** @param {Helper} helper @param {import('./engine.js').Build} build */
  async #readHead(helper, build) {
    const kept = /** @type {Uint8Array[]} */ ([])
    const pieces = chain(helper.first ?? [], /** @type {any} */ (helper.rest))
    const { head, iterator } = await this.#tools.readHeader((async function* () {
      for await (const piece of pieces) {
        if (!helper.head) kept.push(piece.slice())
        yield piece
      }
    })(), build)
    helper.source?.expect(head.info().fileBytes)
    Object.assign(helper, { head, first: kept, rest: iterator })
  }

  /** Sessions in the base's engine for one of a caller. */
  get sessions() {
    return 1 + this.#helpers.filter((helper) => !helper.source ? this.#adapters.size : helper.adapter).length
  }

  /** What helpers of their own files take. @param {any} options as a plan's */
  bytes({ context, kvType, sessions }) {
    return this.#helpers.reduce((sum, { head }) => sum + (head?.plan({ context, kvType, sessions }).total ?? 0), 0)
  }

  /** Reads the helpers' files into the model's memory. @param {Engine} base */
  async fill(base) {
    for (const helper of this.#helpers) {
      if (!helper.head) continue
      try {
        const engine = (helper.engine = base.beside())
        for await (const piece of chain(helper.first ?? [], /** @type {any} */ (helper.rest))) this.#tools.feedPiece(engine, piece)
        engine.finish()
        await helper.source?.finish()
        base.ok(base.x.page_same_vocabulary(base.page, engine.page))
      } catch (error) {
        await helper.rest?.return?.()
        await drop(helper.source, error)
        throw named(helper.name, error)
      } finally {
        helper.first = []
        helper.head = undefined
      }
    }
  }

  /** Ends what still is read. */
  async close() {
    for (const { rest, source } of this.#helpers) {
      await rest?.return?.()
      source?.close()
    }
  }

  get isSteered() {
    return this.#helpers.length > 0
  }

  /** Addresses and scales. @param {Record<string, number>} adapters by name */
  find(adapters) {
    return Object.entries(adapters).map(([name, scale]) => {
      const adapter = this.#adapters.get(name)
      if (!adapter) throw new ArgumentError(`there is no adapter ${name}, loaded are ${[...this.#adapters.keys()].join(', ') || 'none'}`)
      if (typeof scale !== 'number' || !Number.isFinite(scale)) throw new ArgumentError(`the scale of adapter ${name} is ${scale}, want a number`)
      return { adapter, scale }
    })
  }

  /** @param {Engine} engine @param {EngineSession} session @param {{ adapter: number, scale: number }[]} uses */
  use(engine, session, uses) {
    const block = new ArrayBuffer(uses.length * 8)
    new Int32Array(block, 0, uses.length).set(uses.map(({ adapter }) => adapter))
    new Float32Array(block, uses.length * 4).set(uses.map(({ scale }) => scale))
    engine.borrow(new Uint8Array(block), (at) =>
      engine.ok(engine.x.session_adapters(engine.page, session.address, at, at + uses.length * 4, uses.length)))
  }

  /** The sessions that steer one. @param {WorkerSession} own */
  companions(own) {
    return new Companions(own, this.#helpers, this.#tools.compute, this)
  }
}

/** An expert's and an anti-expert's sessions, which follow one of the model. */
class Companions {
  #own
  #compute
  /** @type {(EngineSession | undefined)[]} */
  #sessions

  /** @param {WorkerSession} own @param {Helper[]} helpers @param {Tools['compute']} compute @param {Extras} extras */
  constructor(own, helpers, compute, extras) {
    const { engine, plan } = own.model
    this.#own = own
    this.#compute = compute
    this.#sessions = []
    try {
      for (const { adapter, source, engine: helper } of helpers) {
        const isOwn = !source && !Object.keys(own.how.adapters ?? {}).length
        const session = isOwn ? undefined : helper ? new EngineSession(helper, { ...plan, kvSlots: 0 }) : own.openEngine()
        this.#sessions.push(session)
        if (adapter && session) extras.use(engine, session, [{ adapter, scale: 1 }])
      }
    } catch (error) {
      this.close()
      throw error
    }
  }

  close() {
    for (const session of this.#sessions) session?.close()
  }

  /** Computes the same ids, and steers the logits of `session` by theirs; false when the task was aborted.
   * @param {EngineSession} session @param {number[]} ids @param {import('./serve.js').Task} task */
  async steer(session, ids, task) {
    const { model, how } = this.#own
    for (const companion of this.#sessions) {
      companion?.begin(ids)
      if (companion && (await this.#compute(model, companion, task)) === false) return false
    }
    const [expert, antiexpert] = this.#sessions.map((companion) => companion?.address ?? 0)
    model.engine.ok(model.engine.x.session_steer(model.engine.page, session.address, expert, antiexpert, how.alpha))
    return true
  }
}
