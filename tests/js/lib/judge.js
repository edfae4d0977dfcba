// llama.cpp, through node-llama-cpp's prebuilt binary, as judge of ids and logits, of goldens and of converted files.
// One thread, no GPU, no flash attention and a KV cache in F32, so that what differs from us is arithmetic alone.
// Logits come out raw: the sampler is greedy, without temperature or penalties; `summary` checks that the
// probabilities they give sum to 1 over the whole vocabulary.
import { readFileSync } from 'node:fs';
import { getLlama } from 'node-llama-cpp';

const CONTEXT_OPTIONS = {
  threads: 1, batchSize: 512, flashAttention: false,
  experimentalKvCacheKeyType: 'F32', experimentalKvCacheValueType: 'F32',
};

const packageFile = (name) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.resolve('node-llama-cpp')), 'utf8'));

/** What a golden's header says about where its figures come from. */
export function judgeDescription() {
  return {
    engine: `llama.cpp ${packageFile('llama/binariesGithubRelease.json').release}`,
    through: `node-llama-cpp ${packageFile('package.json').version}`,
    options: 'CPU, one thread, batch 512, no flash attention, KV cache F32',
  };
}

const round = (value) => Math.round(value * 1e5) / 1e5;

/** log(sum(exp(logit))) over a Map of logits, in doubles. */
function logSumExp(logits) {
  const largest = logits.values().next().value;
  let sum = 0;
  for (const logit of logits.values()) sum += Math.exp(logit - largest);
  return largest + Math.log(sum);
}

/** The `count` likeliest ids of a Map of all logits with their log-probabilities, and those of `extra` ids. */
export function summary(logits, count, extra = []) {
  const total = logSumExp(logits);
  let mass = 0;
  for (const logit of logits.values()) mass += Math.exp(logit - total);
  if (Math.abs(mass - 1) > 1e-9) throw new Error(`probabilities sum to ${mass}`);
  const top = [...logits].sort(([a, x], [b, y]) => y - x || a - b).slice(0, count);
  const pairs = (list) => list.map(([id, logit]) => [id, round(logit - total)]);
  return { top: pairs(top), ...(extra.length ? { extra: pairs(extra.map((id) => [id, logits.get(id)])) } : {}) };
}

let engine;

/** Opens a model in llama.cpp, with LoRA adapters over it. The caller closes it. @param {string} path @param {number} contextSize
 * @param {{ filePath: string, scale: number }[]} [adapters] */
export async function openJudge(path, contextSize, adapters) {
  engine ??= await getLlama({ gpu: false, build: 'never', logLevel: 'error' });
  const model = await engine.loadModel({ modelPath: path, useMmap: false });
  const context = await model.createContext({ ...CONTEXT_OPTIONS, contextSize, ...(adapters && { lora: { adapters } }) });
  const sequence = context.getSequence();
  return {
    vocabulary: model.fileInfo.metadata.tokenizer.ggml.tokens.length,
    bos: model.tokens.bos,
    tokenize: (text, special = false) => model.tokenize(text, special),
    /** Feeds ids after what is there; calls each(index, logits) with a Map of all logits after every id asked for. */
    async feed(ids, each, from = 0) {
      const wants = { generateNext: { logits: true } };
      const items = ids.map((id, index) => (index < from ? id : [id, wants]));
      await sequence.controlledEvaluate(items, { onTokenResult: (index, { next }) => each(index, next.logits) });
    },
    /** Negative log-likelihoods of ids[1…] in one window; ids[0] is only read. */
    async score(ids) {
      await sequence.clearHistory();
      const items = ids.slice(0, -1).map((id, index) => [
        id, { generateNext: { logits: { filter: { tokens: [ids[index + 1]], includeTop: 1 } }, totalLogitWeight: true } },
      ]);
      const results = await sequence.controlledEvaluate(items);
      return results.map(({ next }, index) => {
        const largest = Math.max(...next.logits.values());
        return largest + Math.log(next.totalLogitWeight) - next.logits.get(ids[index + 1]);
      });
    },
    clear: () => sequence.clearHistory(),
    async close() {
      await context.dispose();
      await model.dispose();
    },
  };
}
