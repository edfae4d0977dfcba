// What the converter writes is opened by stock llama.cpp: unrolled files of families whose blocks are plain, and a quantized SmolLM2.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { parseHeader } from '../../js/source/gguf-head.js';
import { writeFamilies } from '../golden/families.js';
import { json } from './lib/cli.js';
import { golden, made, SMOLLM2 } from './lib/golden.js';
import { openJudge, summary } from './lib/judge.js';
import { lastLogits } from './lib/logits.js';
import { skip } from './lib/skip.js';

const GREEDY_TOKENS = 24, CONTEXT = 64;
const folder = made('families-judged');
mkdirSync(folder, { recursive: true });
writeFamilies(folder);

const convert = (from, to, ...options) => json('native', ['convert', from, '-o', to, '--json', ...options]);

/** Greedy ids after a prompt, ours and llama.cpp's. */
async function greedy(file, prompt) {
  const judge = await openJudge(file, CONTEXT), ours = [...prompt], theirs = [...prompt];
  for (let i = 0; i < GREEDY_TOKENS; i++) {
    let best;
    await judge.feed(theirs.slice(i ? -1 : 0), (_, logits) => ([best] = logits.keys()), i ? 0 : prompt.length - 1);
    theirs.push(best);
    ours.push((await lastLogits('native', file, ours, { top: 1 })).top[0].id);
  }
  await judge.close();
  return { ours, theirs };
}

for (const [name, { ids }] of Object.entries(golden('families')))
  test(`${name}: stock llama.cpp runs the unrolled file, or the command says what forbids it`, async () => {
    const { keeps, architecture } = await convert(`${folder}/${name}`, `${folder}/${name}.gguf`, '--unroll');
    const plain = ['llama', 'llama3-rope', 'mobilellm', 'mobilellm-ls', 'mobillama', 'nanbeige-skip-norm'].includes(name);
    assert.is(keeps === null, plain, `${name} keeps ${keeps}`);
    if (!plain) return;
    assert.is(architecture, 'llama');
    const { ours, theirs } = await greedy(`${folder}/${name}.gguf`, ids);
    assert.equal(ours, theirs);
  });

/** Root mean square of the differences between two F32 files' tensors, as shares of the tensors' own. */
function differences(fileA, fileB) {
  const a = readFileSync(fileA), b = readFileSync(fileB), head = parseHeader(a, fileA), other = parseHeader(b, fileB);
  assert.equal(head.tensors.map(({ name }) => name), other.tensors.map(({ name }) => name));
  return head.tensors.map(({ offset, bytes, name }, i) => {
    const x = new Float32Array(a.buffer, a.byteOffset + head.data + offset, bytes / 4);
    const y = new Float32Array(b.buffer, b.byteOffset + other.data + other.tensors[i].offset, bytes / 4);
    let apart = 0, own = 0;
    for (let k = 0; k < x.length; k++) {
      apart += (x[k] - y[k]) ** 2;
      own += x[k] ** 2;
    }
    return { name, share: Math.sqrt(apart / own) };
  });
}

/** @param {string} name @param {() => Promise<void>} run */
const smollm2 = (name, run) => test(name, () => (existsSync(SMOLLM2) ? run() : skip('build/models/smollm2.gguf is absent: make models')));

// Weights in blocks of 32 with a scale of 1/127 of the largest: for normal ones 0.6 % of their size; measured 0.39 to 0.62 %.
smollm2('SmolLM2 to q8_0 and back to F32: each matrix is within 0.7 % of what it was', async () => {
  const [plain, there, back] = ['f32', 'q8_0', 'back'].map((name) => `${folder}/smollm2-${name}.gguf`);
  await convert(SMOLLM2, plain, '--type', 'f32');
  await convert(SMOLLM2, there, '--type', 'q8_0');
  await convert(there, back, '--type', 'f32');
  const found = differences(plain, back), largest = Math.max(...found.map(({ share }) => share));
  console.log(`  largest difference ${(100 * largest).toFixed(3)} %`);
  assert.ok(largest < 0.007 && largest > 0.001, JSON.stringify(found.filter(({ share }) => share >= 0.007)));
  for (const file of [plain, back]) rmSync(file);
});

for (const type of ['q8_0', 'q4_0', 'q4_k', 'q6_k', 'q5_0'])
  smollm2(`SmolLM2 as ${type}: llama.cpp opens it and sees the same next token`, async () => {
    const file = `${folder}/smollm2-${type}.gguf`, { prompt } = golden('smollm2').runs[0];
    await convert(SMOLLM2, file, '--type', type);
    const judge = await openJudge(file, 256), { top } = await lastLogits('native', file, prompt, { top: 5 });
    let theirs;
    await judge.feed(prompt, (_, logits) => (theirs = new Map(summary(logits, 50).top)), prompt.length - 1);
    await judge.close();
    assert.is([...theirs.keys()][0], top[0].id);
    // Both engines round activations to 8 bits, each in its own way: on this prompt they are up to 0.72 apart.
    const apart = top.map(({ id, logprob }) => Math.abs(theirs.get(id) - logprob));
    assert.ok(apart[0] < 0.4 && Math.max(...apart) < 1, `${apart}`);
    rmSync(file);
  });

test.run();
