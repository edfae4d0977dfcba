// Reprise behind the face that measure.js knows, by its public interface alone.
import { Model } from '/js/index.js';
import { ids } from './ids.js';

/** @param {Blob} blob @param {import('./measure.js').Options} options */
export async function start(blob, { isa, threads, kv, context }) {
  const model = await Model.load(blob, { cache: false, context, kvType: kv, isa, threads });
  const ran = { isa: model.info.isa, threads: model.info.threads ?? 1 };
  if (ran.isa !== isa || ran.threads !== threads)
    throw Object.assign(new Error(`runs ${ran.isa} on ${ran.threads} threads`), { name: 'Unavailable' });
  const session = model.session({ chat: false });
  const greedy = { temperature: 0, logitBias: { [model.info.eos]: -Infinity } };

  return {
    ready: model.ready,
    memory: () => ({ wasm: model.memory, planned: model.plan.memory }),
    async prefill(count) {
      await session.rewind({ tokens: 0 });
      const begun = performance.now();
      const { usage } = await session.prompt({ ids: ids(count, model.info.vocab, count) }, { ...greedy, maxTokens: 1 });
      const took = performance.now() - begun;
      if (usage.reusedTokens || usage.promptTokens !== count) throw new Error(`a prompt of ${JSON.stringify(usage)}`);
      return took;
    },
    async decode(depth, count) {
      await session.rewind({ tokens: 0 });
      await session.append({ ids: ids(Math.max(depth, 1), model.info.vocab) });
      const begun = performance.now();
      const { usage, timings } = await session.prompt(undefined, { ...greedy, maxTokens: count + 1 });
      const took = performance.now() - begun - timings.firstTokenMs;
      if (usage.completionTokens !== count + 1) throw new Error(`${usage.completionTokens} tokens were written`);
      return took;
    },
    end: () => model.destroy(),
  };
}
