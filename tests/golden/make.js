// Writes the goldens beside this file from llama.cpp: `node tests/golden/make.js [smollm2] [smollm2-f32]
// [random-models] [perplexity]`.
// Nothing of ours runs here but the writer of the models. Random models are made from their seeds under build/tests.
// log-probabilities are natural, rounded to 5 decimals, as flat lists of [id, logprob].
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { writeDequantized } from '../js/lib/dequantize.js';
import { compactJSON, golden, goldenPath, made, perplexityText, perplexityWindows, sha256, SMOLLM2 } from '../js/lib/golden.js';
import { judgeDescription, openJudge, summary } from '../js/lib/judge.js';
import { prompts } from '../js/lib/prompts.js';
import { randomIds, writeRandomModel } from '../js/lib/random-model.js';
import { architectureModels, judged, typeModels } from '../js/lib/random-models.js';
import { VOCABULARY_SIZE } from '../js/lib/random-vocabulary.js';

const GREEDY_TOKENS = 64;
const PROMPT_TOKENS = 48;
const POSITIONS = 8;
const TOP = 10;
const EXTRA_IDS = [0, 2, 64, 150, VOCABULARY_SIZE - 1];
const WINDOW = 512;

const smollm2Hash = () => sha256(readFileSync(SMOLLM2));

// The prompt, then llama.cpp's own greedy ids one by one, past any end token.
async function greedyRun(judge, { text, special }) {
  const prompt = judge.tokenize(text, special);
  const greedy = [];
  const positions = [];
  const take = (_, logits) => {
    const { top } = summary(logits, TOP);
    greedy.push(top[0][0]);
    positions.push(top);
  };
  await judge.clear();
  await judge.feed(prompt, take, prompt.length - 1);
  while (greedy.length < GREEDY_TOKENS) await judge.feed([greedy.at(-1)], take);
  return { text, special, prompt, greedy, positions };
}

async function makeSmollm2() {
  const judge = await openJudge(SMOLLM2, 512);
  const runs = [];
  for (const prompt of prompts) runs.push(await greedyRun(judge, prompt));
  await judge.close();
  return { model: smollm2Hash(), runs };
}

// The same ids on the same weights turned into F32: what llama.cpp says without rounding activations to 8 bits.
async function makeSmollm2F32() {
  const path = made('judge/smollm2-f32.gguf');
  writeDequantized(SMOLLM2, path);
  const judge = await openJudge(path, 512);
  const runs = [];
  for (const { prompt, greedy } of golden('smollm2').runs) {
    const positions = [];
    await judge.clear();
    await judge.feed([...prompt, ...greedy.slice(0, -1)], (_, logits) => positions.push(summary(logits, TOP).top), prompt.length - 1);
    runs.push({ positions });
  }
  await judge.close();
  rmSync(path);
  return { model: smollm2Hash(), runs };
}

async function randomRun(description) {
  const path = made(`judge/${description.name}.gguf`);
  const judgeBytes = writeRandomModel(path, judged(description));
  const ours = writeRandomModel(null, description);
  const judge = await openJudge(path, 256);
  const ids = randomIds(description.name, PROMPT_TOKENS);
  const positions = [];
  await judge.feed(ids, (_, logits) => positions.push(summary(logits, TOP, EXTRA_IDS)), PROMPT_TOKENS - POSITIONS);
  await judge.close();
  return { name: description.name, judged: sha256(judgeBytes), model: sha256(ours), ids, positions };
}

async function makeRandomModels() {
  const runs = [];
  for (const description of [...architectureModels, ...typeModels]) runs.push(await randomRun(description));
  return { runs };
}

async function makePerplexity() {
  const text = perplexityText();
  if (text === null) throw new Error('the corpus is absent');
  const judge = await openJudge(SMOLLM2, WINDOW);
  const ids = judge.tokenize(text);
  const windows = [];
  for (const window of perplexityWindows(ids, judge.bos, WINDOW)) {
    const scores = await judge.score(window);
    windows.push(Number(scores.reduce((sum, nll) => sum + nll, 0).toFixed(3)));
    process.stderr.write(`\rperplexity: ${windows.length} windows`);
  }
  process.stderr.write('\n');
  await judge.close();
  const nll = windows.reduce((sum, part) => sum + part, 0);
  const bytes = Buffer.byteLength(text);
  return {
    model: smollm2Hash(), text: sha256(text), bytes, window: WINDOW, bos: judge.bos, tokens: ids.length,
    nll: Number(nll.toFixed(3)), perplexity: Number(Math.exp(nll / ids.length).toFixed(5)), windows,
  };
}

const MAKERS = { smollm2: makeSmollm2, 'smollm2-f32': makeSmollm2F32, 'random-models': makeRandomModels, perplexity: makePerplexity };

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(MAKERS);
mkdirSync(made('judge'), { recursive: true });
for (const name of wanted) {
  const value = { judge: judgeDescription(), ...(await MAKERS[name]()) };
  writeFileSync(goldenPath(name), `${compactJSON(value)}\n`);
  process.stdout.write(`${name}: ${statSync(goldenPath(name)).size} bytes\n`);
}
process.exit(0);
