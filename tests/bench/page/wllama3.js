// wllama 3 behind the same face. It takes texts only, and does its own timing: what is returned leaves its messages out, which is
// in its favour. Its prompt cache is used where only the way to a depth becomes shorter.
import { Wllama } from '/tests/node_modules/wllama-3/esm/index.min.js';

/** @param {Blob} blob @param {import('./measure.js').Options} options */
export async function start(blob, { threads, context, texts }) {
  const quiet = { debug() {}, log() {}, warn() {}, error: console.error };
  const engine = new Wllama({ default: '/tests/node_modules/wllama-3/esm/wasm/wllama.wasm' }, { suppressNativeLog: true, logger: quiet });
  await engine.loadModel([blob], { n_ctx: context, n_threads: threads, n_gpu_layers: 0, n_parallel: 1 });
  if (engine.getNumThreads() !== threads) throw new Error(`runs on ${engine.getNumThreads()} threads`);
  const complete = async (length, tokens, cache) => {
    const { timings } = await engine.createCompletion({ prompt: texts[length], max_tokens: tokens, temperature: 0, top_k: 1, ignore_eos: true, cache_prompt: cache });
    if (length >= 8 && timings.cache_n + timings.prompt_n !== length) throw new Error(`a prompt of ${JSON.stringify(timings)}, not ${length}`);
    return timings;
  };

  return {
    ready: Promise.resolve(),
    memory: () => ({}),
    async prefill(count) {
      const { prompt_ms: ms, cache_n: cached } = await complete(count, 1, false);
      if (cached) throw new Error(`${cached} tokens came from a cache`);
      return ms;
    },
    async decode(depth, count) {
      const { predicted_ms: ms, predicted_n: written } = await complete(Math.max(depth, 1), count + 1, true);
      if (written !== count + 1) throw new Error(`${written} tokens were written`);
      return (ms / written) * count;
    },
    end: () => engine.exit(),
  };
}
