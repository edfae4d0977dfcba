// One variant of the engine with a model in it, and how long it takes for what. Through the package's public interface alone; the
// clock is the page's. Also what `make bench` measures of Reprise.
import { Model } from '../../js/index.js'
import { ids } from './ids.js'

/** @typedef {{ isa: string, threads: number, kv?: string, context: number, workerUrl?: URL }} Variant */

/** @param {Blob} blob @param {Variant} variant */
export async function start(blob, { isa, threads, kv, context, workerUrl }) {
  const model = await Model.load(blob, { cache: false, context, kvType: kv, isa, threads, workerUrl })
  const { info } = model
  const session = model.session({ chat: false })
  const greedy = { temperature: 0, logitBias: { [info.eos]: -Infinity } }

  return {
    ready: model.ready,
    /** Throws an error named Unavailable when something else runs than was asked for. Threads are there a little later than the
     * model: ask when something was computed. */
    check() {
      if (info.isa !== isa || info.threads !== threads)
        throw Object.assign(new Error(`this browser runs ${info.isa} on ${info.threads} threads`), { name: 'Unavailable' })
    },
    memory: () => ({ wasm: model.memory, planned: model.plan.memory }),
    /** Milliseconds of a prompt, its first token drawn. @param {number} count */
    async prefill(count) {
      await session.rewind({ tokens: 0 })
      const begun = performance.now()
      const { usage } = await session.prompt({ ids: ids(count, info.vocab, count) }, { ...greedy, maxTokens: 1 })
      const took = performance.now() - begun
      if (usage.reusedTokens || usage.promptTokens !== count) throw new Error(`a prompt of ${JSON.stringify(usage)}`)
      return took
    },
    /** Milliseconds of so many tokens behind `depth` others. @param {number} depth @param {number} count */
    async decode(depth, count) {
      await session.rewind({ tokens: 0 })
      await session.append({ ids: ids(Math.max(depth, 1), info.vocab) })
      const begun = performance.now()
      const { usage, timings } = await session.prompt(undefined, { ...greedy, maxTokens: count + 1 })
      const took = performance.now() - begun - timings.firstTokenMs
      if (usage.completionTokens !== count + 1) throw new Error(`${usage.completionTokens} tokens were written`)
      return took
    },
    end: () => model.destroy(),
  }
}
