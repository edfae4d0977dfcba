// Native llama.cpp as the yardstick, in a process of its own, so that its memory can be read and nothing of it is left behind:
// node tests/bench/llama.js FILE OPTIONS WORK, the last two as JSON and as page/measure.js has them. Prints what that returns.
import { readFileSync } from 'node:fs';
import { getLlama } from 'node-llama-cpp';
import { ids } from '../../web/bench/ids.js';

const [file, options, work] = [process.argv[2], ...process.argv.slice(3).map((text) => JSON.parse(text))];

const begun = performance.now();
const engine = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: 0 });
const model = await engine.loadModel({ modelPath: file, useMmap: false });
const type = options.kv === 'q8_0' ? 'Q8_0' : 'F16';
const context = await model.createContext({ contextSize: options.context, batchSize: 512, threads: options.threads,
  // A quantized cache of values needs it; without that it is as llama.cpp has it on CPUs.
  flashAttention: options.kv === 'q8_0', experimentalKvCacheKeyType: type, experimentalKvCacheValueType: type });
const load = performance.now() - begun;
const sequence = context.getSequence();
const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length;

async function prefill(count) {
  await sequence.clearHistory();
  const start = performance.now();
  await sequence.controlledEvaluate(ids(count, vocabulary, count));
  return performance.now() - start;
}

/** Its own greedy sampler draws, so that no logits come to JavaScript; the first token belongs to the prompt. */
async function decode(depth, count) {
  await sequence.clearHistory();
  const prompt = ids(Math.max(depth, 1), vocabulary);
  if (prompt.length > 1) await sequence.controlledEvaluate(prompt.slice(0, -1));
  let written = -1, start = 0;
  for await (const _ of sequence.evaluate(prompt.slice(-1), { temperature: 0, yieldEogToken: true })) {
    if (++written === 0) start = performance.now();
    if (written === count) break;
  }
  return performance.now() - start;
}

await prefill(work.start);
const result = { start: performance.now() - begun, load, prefill: {}, decode: {}, memory: {} };
await prefill(work.warm);
await decode(0, work.tokens);
for (const count of work.prefill) result.prefill[count] = await prefill(count);
for (const depth of work.decode) result.decode[depth] = (await decode(depth, work.tokens)) / work.tokens;
result.peak = Number(readFileSync('/proc/self/status', 'utf8').match(/VmHWM:\s+(\d+)/)[1]) * 1024;
console.log(JSON.stringify(result));
process.exit(0); // it keeps threads
