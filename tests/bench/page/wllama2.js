// wllama 2 behind the same face: its own completion loop without what that does beside computing (accepting tokens for penalties).
import { Wllama } from '/tests/node_modules/wllama-2/esm/index.min.js';
import { ids } from '/web/bench/ids.js';

const FOLDER = '/tests/node_modules/wllama-2/esm';

/** @param {Blob} blob @param {import('./measure.js').Options} options */
export async function start(blob, { threads, context }) {
  const paths = { 'single-thread/wllama.wasm': `${FOLDER}/single-thread/wllama.wasm`, 'multi-thread/wllama.wasm': `${FOLDER}/multi-thread/wllama.wasm` };
  const quiet = { debug() {}, log() {}, warn: console.warn, error: console.error };
  const engine = new Wllama(paths, { suppressNativeLog: true, logger: quiet });
  await engine.loadModel([blob], { n_ctx: context, n_threads: threads });
  await engine.samplingInit({ temp: 0 });
  if (engine.getNumThreads() !== threads) throw new Error(`runs on ${engine.getNumThreads()} threads`);
  const { nVocab } = engine.getModelMetadata().hparams;
  const holds = async (tokens, expected) => {
    const { nPast } = await engine.decode(tokens, {});
    if (nPast !== expected) throw new Error(`holds ${nPast} tokens, not ${expected}`);
  };

  return {
    ready: Promise.resolve(),
    memory: () => ({}),
    async prefill(count) {
      await engine.kvClear();
      const begun = performance.now();
      await holds(ids(count, nVocab, count), count);
      await engine.samplingSample();
      return performance.now() - begun;
    },
    async decode(depth, count) {
      await engine.kvClear();
      const prompt = ids(Math.max(depth, 1), nVocab);
      await holds(prompt, prompt.length);
      let { token } = await engine.samplingSample();
      const begun = performance.now();
      for (let i = 1; i <= count; i++) {
        await holds([token], prompt.length + i);
        ({ token } = await engine.samplingSample());
      }
      return performance.now() - begun;
    },
    end: () => engine.exit(),
  };
}
