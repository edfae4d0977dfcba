// Adapters and proxy-tuning: what steers a model, by how much, and that nothing steers it at alpha 0; what cannot be
// put together is a named error.
import { writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json, run } from './lib/cli.js';
import { made } from './lib/golden.js';
import { array, writeGGUF } from './lib/gguf-writer.js';
import { openJudge, summary } from './lib/judge.js';
import { failure } from './lib/logits.js';
import { writeRandomAdapter } from './lib/random-adapter.js';
import { randomIds, randomModel, writeRandomModel } from './lib/random-model.js';
import { VOCABULARY_SIZE } from './lib/random-vocabulary.js';

const file = (name) => made(`steer/${name}.gguf`);
const describe = (name, rest = {}) => ({ name, architecture: 'llama', seed: `steer ${name}`, tied: true, ...rest });
const BASE = describe('base'), SMALL = { dim: 32, ffn: 64, heads: 2, kvHeads: 1, blocks: 2 };
const base = file('base'), expert = file('expert'), antiexpert = file('antiexpert'), lora = file('lora'), other = file('other=lora');
writeRandomModel(base, BASE);
writeRandomModel(expert, describe('expert', SMALL));
writeRandomModel(antiexpert, describe('antiexpert', SMALL));
writeRandomAdapter(lora, BASE, { seed: 'lora' });
writeRandomAdapter(other, BASE, { seed: 'other', targets: ['attn_k', 'attn_output', 'ffn_gate', 'ffn_up'], rank: 3 });

const ids = randomIds('steer', 21).join();
const steered = (alpha, by = expert, against = antiexpert) => ['--expert', by, '--antiexpert', against, '--alpha', `${alpha}`];
const logitsOf = (model, extra = [], target = 'native') => json(target, ['logits', model, '--ids', ids, '--top', `${VOCABULARY_SIZE}`, ...extra]);
const byId = ({ top }) => top.toSorted((a, b) => a.id - b.id);

/** The largest difference between two lists of numbers. */
const apart = (a, b) => Math.max(...a.map((value, i) => Math.abs(value - b[i])));

test('alpha 0 is the base, bit for bit', async () => {
  const want = (await logitsOf(base)).hash;
  for (const by of [[expert, antiexpert], [expert, 'base'], [lora, 'base'], ['base', antiexpert]])
    assert.is((await logitsOf(base, steered(0, ...by))).hash, want, by.join());
  const text = ['generate', base, '--ids', ids, '-n', '30', '--seed', '4', '--json'];
  assert.equal((await json('native', [...text, ...steered(0)])).ids, (await json('native', text)).ids);
  const each = ['logits', base, '--ids', ids, '--top', '0', '--each'];
  assert.is((await run('native', [...each, ...steered(0)])).text, (await run('native', each)).text);
});

test('adapters are llama.cpp\'s: one, or two by their scales, over the same weights give its logits', async () => {
  const prompt = ids.split(',').map(Number);
  for (const scales of [[1, 0], [0.5, 0], [1, -0.7]]) {
    const adapters = [lora, other].map((filePath, i) => ({ filePath, scale: scales[i] })).filter(({ scale }) => scale);
    const plain = file('plain');
    writeRandomModel(plain, { ...BASE, type: 'F32' }); // activations are not rounded, so that what differs is arithmetic
    const judge = await openJudge(plain, 64, adapters);
    let theirs;
    await judge.feed(prompt, (_, logits) => (theirs = new Map(summary(logits, VOCABULARY_SIZE).top)), prompt.length - 1);
    await judge.close();
    const ours = await logitsOf(plain, ['--kv', 'f32', ...adapters.flatMap(({ filePath, scale }) => ['--lora', `${filePath}=${scale}`])]);
    const apartFrom = ({ top }) => Math.max(...top.map(({ id, logprob }) => Math.abs(theirs.get(id) - logprob)));
    assert.ok(apartFrom(ours) < 1e-3, `${scales}: ${apartFrom(ours)}`);
    assert.ok(apartFrom(await logitsOf(plain, ['--kv', 'f32'])) > 0.1);
  }
});

test('against the base itself, alpha 1 is the expert', async () => {
  const logprobs = async (...args) => byId(await logitsOf(...args)).map(({ logprob }) => logprob);
  const alone = await logprobs(expert);
  for (const against of ['base', base]) assert.ok(apart(await logprobs(base, steered(1, expert, against)), alone) < 1e-5);
  assert.ok(apart(await logprobs(base, steered(1, lora, 'base')), await logprobs(base, ['--lora', lora])) < 1e-5);
  assert.ok(apart(await logprobs(base, steered(-1, 'base', antiexpert)), await logprobs(antiexpert)) < 1e-5); // the other way round
});

test('the logits are base + alpha (expert - antiexpert), the same everywhere', async () => {
  const logits = async (...args) => byId(await logitsOf(...args)).map(({ logit }) => logit);
  const [b, e, a] = await Promise.all([logits(base), logits(expert), logits(antiexpert)]);
  for (const alpha of [0.7, -1.5]) {
    const want = b.map((value, i) => value + alpha * (e[i] - a[i]));
    assert.ok(apart(await logits(base, steered(alpha)), want) < 1e-4);
    const { hash } = await logitsOf(base, steered(alpha));
    for (const target of ['asan', 'scalar', 'simd128']) assert.is((await logitsOf(base, steered(alpha), target)).hash, hash, target);
  }
  assert.is((await logitsOf(base, steered(2, lora, lora))).hash, (await logitsOf(base)).hash);
});

test('every position is steered, one by one or all at once', async () => {
  const each = ['logits', base, '--ids', ids, '--top', '1', '--each', ...steered(0.5)];
  const lines = (await run('native', each)).text.trim().split('\n').map((line) => JSON.parse(line));
  assert.is(lines.length, 21);
  for (const at of [1, 2, 16, 17, 21]) {
    const alone = await json('native', ['logits', base, '--ids', ids.split(',').slice(0, at).join(), '--top', '1', ...steered(0.5)]);
    assert.is(lines[at - 1].hash, alone.hash, `position ${at}`);
  }
});

test('text and perplexity are steered', async () => {
  const text = ['--ids', ids, '-n', '25', '--temperature', '0', '--json'];
  const alone = await json('native', ['generate', expert, ...text]);
  const steeredIds = (await json('native', ['generate', base, ...text, ...steered(1, expert, 'base')])).ids;
  assert.equal(steeredIds, alone.ids);
  assert.equal((await json('simd128', ['generate', base, ...text, ...steered(1, expert, 'base')])).ids, steeredIds);
  const { text: words } = await json('native', ['generate', base, '--ids', ids, '-n', '200', '--json', '--temperature', '1']);
  writeFileSync(file('text'), words);
  const score = async (model, extra) => (await json('native', ['perplexity', model, file('text'), '--window', '40', ...extra])).nll;
  const want = await score(expert, []);
  assert.ok(Math.abs(await score(base, steered(1, expert, 'base')) - want) < 1e-4 * want);
});

test('adapters have scales, add up, and may have any name', async () => {
  const hash = async (...extra) => (await logitsOf(base, extra)).hash;
  const none = await hash(), one = await hash('--lora', lora);
  assert.is.not(one, none);
  assert.is(await hash('--lora', `${lora}=1`), one);
  assert.is(await hash('--lora', `${lora}=0`), none);
  assert.is.not(await hash('--lora', `${lora}=0.5`), one);
  assert.is(await hash('--lora', other), await hash('--lora', `${other}=1`)); // its name has a = of its own
  const both = await hash('--lora', lora, '--lora', `${other}=0.25`);
  assert.not([none, one].includes(both));
  for (const target of ['scalar', 'simd128'])
    assert.is((await logitsOf(base, ['--lora', lora, '--lora', `${other}=0.25`], target)).hash, both, target);
  assert.is(await hash('--lora', lora, ...steered(1, 'base', 'base')), one); // base is without adapters
  assert.is.not(await hash('--lora', lora, ...steered(1, 'base', antiexpert)), await hash('--lora', lora, ...steered(1, lora, antiexpert)));
  await json('native', ['bench', base, '--lora', lora, '--prompt', '4', '--generate', '2', '--repeat', '1', '--json']);
});

// Each is one token changed; the message names it.
const vocabularies = [
  ['another spelling', (tokens, types) => [tokens.with(270, 'zz'), types], /token 270 .*zz/],
  ['another control token', (tokens, types) => [tokens, types.with(265, 3)], /token 265 .*control/],
  ['one more token', (tokens, types) => [[...tokens, 'more'], [...types, 1]], new RegExp(`${VOCABULARY_SIZE + 1}.*${VOCABULARY_SIZE}`)],
];

for (const [what, change, mention] of vocabularies) {
  test(`refused: ${what}`, async () => {
    const { kv, tensors } = randomModel(describe('strange', SMALL));
    const [tokens, types] = change(kv['tokenizer.ggml.tokens'].value, kv['tokenizer.ggml.token_type'].value);
    kv['tokenizer.ggml.tokens'] = array('string', tokens);
    kv['tokenizer.ggml.token_type'] = array('i32', types);
    kv['tokenizer.ggml.scores'] = array('f32', tokens.map((_, i) => -i));
    delete kv['llama.vocab_size'];
    const embedding = tensors.find(({ name }) => name === 'token_embd.weight');
    const row = embedding.data.length / VOCABULARY_SIZE;
    embedding.shape = [embedding.shape[0], tokens.length];
    embedding.data = Buffer.concat([embedding.data, embedding.data]).subarray(0, row * tokens.length);
    writeGGUF(file('strange'), { kv, tensors });
    await logitsOf(file('strange'));
    for (const pair of [[file('strange'), 'base'], ['base', file('strange')]]) {
      const { code, message } = await failure('native', ['logits', base, '--ids', ids, ...steered(1, ...pair)]);
      assert.is(code, 'RP_ERR_ARGUMENT');
      assert.match(message, /strange\.gguf/);
      assert.match(message, mention);
    }
  });
}

test('what cannot be put together is named', async () => {
  const wrong = async (args, code, mention) => {
    const result = await failure('native', ['logits', base, '--ids', ids, ...args]);
    assert.is(result.code, code, result.message);
    assert.match(result.message, mention);
  };
  await wrong(['--expert', expert], 'RP_ERR_ARGUMENT', /--antiexpert/);
  await wrong(['--antiexpert', expert], 'RP_ERR_ARGUMENT', /--expert/);
  await wrong(steered(1, 'nowhere.gguf'), 'RP_ERR_IO', /nowhere\.gguf/);
  await wrong(steered(1, 'README.md'), 'RP_ERR_FORMAT', /README\.md/);
  await wrong(['--lora', 'nowhere.gguf'], 'RP_ERR_IO', /nowhere\.gguf/);
  await wrong(['--lora', expert], 'RP_ERR_FORMAT', /expert\.gguf.*adapter/);
  writeRandomAdapter(file('foreign'), BASE, { seed: 'foreign', architecture: 'qwen2' });
  await wrong(['--lora', file('foreign')], 'RP_ERR_FORMAT', /foreign\.gguf.*qwen2/);
  await wrong(steered(1, file('foreign'), 'base'), 'RP_ERR_FORMAT', /foreign\.gguf.*qwen2/);
  const nine = Array.from({ length: 9 }, () => ['--lora', lora]).flat();
  assert.is((await run('native', ['logits', base, '--ids', ids, ...nine])).code, 2);
});

test('options that would do nothing are refused', async () => {
  const model = 'models/stories.gguf';
  assert.match((await failure('native', ['generate', model, '-p', 'a', '-n', '1', '--alpha', '2'])).message, /--alpha 2 without --expert/);
  assert.match((await failure('native', ['generate', model, '-p', 'a', '-n', '1', '--draft-tokens', '2'])).message, /--draft-tokens without --draft/);
  for (const option of [['--split', 'x'], ['--window', '9']]) {
    const { code, stderr } = await run('native', ['inspect', model, ...option]);
    assert.is(code, 2);
    assert.match(stderr, /without --compare/);
  }
});

test.run();
