// llama.cpp as rival: prefill and decode in tokens/s, one thread, flash attention off as in its defaults for the CPU.
// A fresh context for each measurement; the model stays loaded.
import { getLlama } from 'node-llama-cpp';

let engine;
const models = new Map();

const ids = (count, vocabulary) => Array.from({ length: count }, (_, i) => ((i + 1) * 7919) % vocabulary);

export async function openRival(path, prompt, generate) {
  engine ??= await getLlama({ gpu: false, build: 'never', logLevel: 'error' });
  if (!models.has(path)) models.set(path, await engine.loadModel({ modelPath: path, useMmap: false }));
  const model = models.get(path);
  const context = await model.createContext({ contextSize: prompt + generate + 8, batchSize: 512, threads: 1 });
  const sequence = context.getSequence();
  const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
  const tokens = ids(prompt + generate, vocabulary);
  await sequence.controlledEvaluate(tokens.slice(0, 8)); // warm-up
  await sequence.clearHistory();
  let start = performance.now();
  await sequence.controlledEvaluate(tokens.slice(0, prompt));
  const prefill = (prompt / (performance.now() - start)) * 1000;
  start = performance.now();
  const wants = { generateNext: { logits: { filter: { includeTop: 1 } } } };
  for (const id of tokens.slice(prompt)) await sequence.controlledEvaluate([[id, wants]]);
  const decode = (generate / (performance.now() - start)) * 1000;
  await context.dispose();
  return { prefill, decode };
}
