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
  // Its own greedy sampler draws, so that no logits come to JavaScript; the first token belongs to the prompt's last id.
  let count = -1;
  for await (const _ of sequence.evaluate([tokens[prompt]], { temperature: 0, yieldEogToken: true })) {
    if (count < 0) start = performance.now();
    if (++count === generate) break;
  }
  const decode = (generate / (performance.now() - start)) * 1000;
  await context.dispose();
  return { prefill, decode };
}
