// transformers.js on its WebAssembly backend behind the same face, with an ONNX file of the same shape (onnx.js).
import { AutoModelForCausalLM, env, Tensor } from '/tests/node_modules/@huggingface/transformers/dist/transformers.min.js';
import { ids } from '/web/bench/ids.js';

/** @param {Blob} blob @param {import('./measure.js').Options} options */
export async function start(blob, { threads, file }) {
  Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: `${location.origin}/build/bench/`, useBrowserCache: false, useWasmCache: false });
  env.backends.onnx.wasm.wasmPaths = `${location.origin}/tests/node_modules/onnxruntime-web/dist/`;
  env.backends.onnx.wasm.numThreads = threads;
  // It cannot be given a Blob, so it is answered with one where it fetches.
  const own = env.fetch;
  env.fetch = (url, given) => (String(url).endsWith('.onnx') ? Promise.resolve(new Response(blob, { headers: { 'Content-Length': String(blob.size) } })) : own(url, given));
  const [, folder] = file.match(/build.bench.(.*).onnx.[^/]*$/);
  const model = await AutoModelForCausalLM.from_pretrained(folder, { dtype: file.endsWith('_q4.onnx') ? 'q4' : 'q8', device: 'wasm' });
  const vocabulary = model.config.vocab_size;

  /** Milliseconds to the first token and from there to the last. */
  const generate = async (prompt, count) => {
    const data = BigInt64Array.from(prompt, BigInt), shape = [1, prompt.length];
    let first = 0, pieces = 0;
    // It is told the prompt, then each token.
    const streamer = { put: () => { if (++pieces === 2) first = performance.now(); }, end() {} };
    const begun = performance.now();
    const output = await model.generate({ inputs: new Tensor('int64', data, shape), attention_mask: new Tensor('int64', data.map(() => 1n), shape),
      max_new_tokens: count, min_new_tokens: count, do_sample: false, streamer });
    if (output.dims[1] !== prompt.length + count) throw new Error(`${output.dims} tokens`);
    return [first - begun, performance.now() - first];
  };

  return {
    ready: Promise.resolve(),
    memory: () => ({}),
    prefill: async (count) => (await generate(ids(count, vocabulary, count), 1))[0],
    decode: async (depth, count) => (await generate(ids(Math.max(depth, 1), vocabulary), count + 1))[1],
    end: () => model.dispose(),
  };
}
