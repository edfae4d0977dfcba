// What the converter makes of a model's numbers: which type each tensor gets, that quantized files unroll and merge as plain ones do and
// say how large they are, and that a file larger than the memory it may take is converted all the same.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { writeFamilies } from '../golden/families.js';
import { json, ROOT, run } from './lib/cli.js';
import { tensorsOf, TYPES } from './lib/gguf-reader.js';
import { golden, made } from './lib/golden.js';
import { writeLlama2c } from './lib/llama2c.js';
import { eachLogits } from './lib/logits.js';
import { STORIES } from './lib/model.js';
import { writeRandomModel } from './lib/random-model.js';
import { skip } from './lib/skip.js';
import { inTerminal, NO_TERMINAL } from './lib/terminal.js';

const KV_TYPES = ['f32', 'f16', 'q8_0', 'q8_q4'];
const folder = made('convert-types'), file = (name) => `${folder}/${name}`;
mkdirSync(folder, { recursive: true });
writeFamilies(folder);

const convert = (from, to, ...options) => json('native', ['convert', from, '-o', to, '--json', ...options]);
const inspect = (path) => json('native', ['inspect', path, '--json']);

/** The types of a file's matrices, by the part of a block that they are. */
function typesOf(path) {
  const named = Object.entries(tensorsOf(path)).map(([name, { type }]) => [name.replace(/^blk\.\d+\./, ''), TYPES[type].name]);
  return Object.fromEntries(named.map(([name, type]) => [name.replace('.weight', ''), type]));
}

// A name, what the model is, options of convert, and the types of one block's matrix, the embedding and the head. As llama.cpp's quantizer
// has them: the head Q6_K, or Q8_0 where its columns do not fill blocks of 256; the embedding is that when it is the head, too.
const WIDE = { dim: 256, ffn: 512 };
for (const [what, model, options, matrix, embedding, head] of [
  ['q4_0, tied', { ...WIDE, tied: true }, ['q4_0'], 'Q4_0', 'Q6_K', undefined],
  ['q4_k, tied', { ...WIDE, tied: true }, ['q4_k'], 'Q4_K', 'Q6_K', undefined],
  ['q4_0, a head of its own', { ...WIDE, tied: false }, ['q4_0'], 'Q4_0', 'Q4_0', 'Q6_K'],
  ['q8_0, a head of its own', { ...WIDE, tied: false }, ['q8_0'], 'Q8_0', 'Q8_0', 'Q8_0'],
  ['f16, tied', { ...WIDE, tied: true }, ['f16'], 'F16', 'F16', undefined],
  ['q4_1, narrow and tied', { tied: true }, ['q4_1'], 'Q4_1', 'Q8_0', undefined],
  ['q4_k, narrow', { tied: false }, ['q4_k'], 'Q5_0', 'Q5_0', 'Q8_0'],
  ['q6_k, narrow', { tied: false }, ['q6_k'], 'Q8_0', 'Q8_0', 'Q8_0'],
  ['q4_0, a head that is asked for', { ...WIDE, tied: true }, ['q4_0', '--head-type', 'q8_0'], 'Q4_0', 'Q8_0', undefined],
])
  test(`types of tensors: ${what}`, async () => {
    const from = file('plain.gguf'), to = file('typed.gguf');
    writeRandomModel(from, { name: 'plain', architecture: 'llama', seed: 'types', blocks: 1, type: 'F32', ...model });
    await convert(from, to, '--type', ...options);
    const types = typesOf(to);
    for (const part of ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down']) assert.is(types[part], matrix, part);
    assert.is(types.token_embd, embedding);
    assert.is(types.output, head);
    for (const norm of ['attn_norm', 'ffn_norm', 'output_norm']) assert.is(types[norm], 'F32', norm);
  });

test('a rank that fills no blocks is padded with zeros, which change nothing', async () => {
  const { ids } = golden('families').nandi, plain = file('nandi.gguf'), half = file('nandi-q8_0.gguf');
  await convert(file('nandi'), plain);
  await convert(file('nandi'), half, '--type', 'q8_0');
  const was = tensorsOf(plain), is = tensorsOf(half), [rank, padded] = [was, is].map((tensors) => tensors['token_embd.weight'].shape[0]);
  assert.equal([rank, padded], [20, 32]);
  assert.equal(is['token_embd_proj.weight'].shape, [32, was['token_embd_proj.weight'].shape[1]]);
  // A block is a scale and 32 values of a byte; those beside the rank are zeros.
  const { columns, bytes } = TYPES[is['token_embd.weight'].type], table = is['token_embd.weight'].bytes;
  assert.equal([columns, bytes], [32, 34]);
  for (let at = 0; at < table.length; at += bytes) assert.ok(table.subarray(at + bytes - 12, at + bytes).every((value) => value === 0));
  // What rounding to 8 bits does: 0.067 on average at the worst position, as it does to a llama of this size.
  const [before, after] = await Promise.all([plain, half].map((path) => eachLogits('native', path, ids, { top: 288 })));
  for (const [position, { top }] of before.entries()) {
    const ours = new Map(after[position].top.map(({ id, logprob }) => [id, logprob]));
    const apart = top.map(({ id, logprob }) => Math.abs(ours.get(id) - logprob));
    assert.ok(apart.reduce((sum, x) => sum + x) / apart.length < 0.1, `position ${position}: ${Math.max(...apart)}`);
  }
});

for (const [name, { ids }] of Object.entries(golden('families')))
  test(`${name}, quantized: its unrolled twin gives the same bits with every KV type, and has the bytes that inspect foretells`, async () => {
    const shared = file(`${name}-shared.gguf`), twin = file(`${name}-twin.gguf`);
    for (const type of ['q8_0', 'q4_0']) {
      await convert(file(name), shared, '--type', type);
      await convert(shared, twin, '--unroll');
      for (const kv of KV_TYPES) {
        const [ours, theirs] = await Promise.all([shared, twin].map((path) => eachLogits('native', path, ids, { top: 1, kv })));
        assert.equal(ours.map(({ hash }) => hash), theirs.map(({ hash }) => hash), `${type} ${kv}`);
      }
      const { sharing } = await inspect(shared), { size } = statSync(twin), tensors = Object.keys(tensorsOf(twin)).length;
      // What is foretold are tensors: not their lines in the header, the gaps between them, and the program's keys.
      assert.ok(Math.abs(sharing.file_bytes_unrolled - size) < 96 * tensors, `${type}: ${sharing.file_bytes_unrolled} foretold, ${size} written`);
    }
  });

test('a self-merge as a file copies no block', async () => {
  const before = await inspect(STORIES), { visits } = before;
  const merge = await convert(STORIES, file('merged.gguf'), '--layers', `0-${visits - 2},1x3,${visits - 1}`);
  assert.is(merge.visits, visits + 3);
  assert.is(merge.blocks, before.blocks);
  assert.ok(Math.abs(merge.bytes - before.file_bytes) < 1024, `${merge.bytes}, was ${before.file_bytes}`);
  assert.equal((await inspect(file('merged.gguf'))).bytes_by_type, before.bytes_by_type);
});

test('what keeps an unrolled file from stock llama.cpp is said', async () => {
  const said = async (name) => (await run('native', ['convert', file(name), '-o', file('said.gguf'), '--unroll'])).text;
  assert.match(await said('mobilellm-ls'), /no block is visited twice: stock llama\.cpp runs this file/);
  for (const [name, feature] of [['nandi', /embedding_rank/], ['ouro', /loop\.exit_visits/], ['nanbeige', /loop\.norm_visits/]]) {
    const text = await said(name);
    assert.match(text, /stock llama\.cpp does not know/, name);
    assert.match(text, feature, name);
  }
});

test('a file larger than the memory there is', async () => {
  const { vocab } = await inspect(STORIES), from = writeLlama2c(file('large.bin'), { dim: 1024, hidden: 4096, layers: 16, heads: 16, vocab, context: 512 });
  const to = file('large.gguf'), { size, mtimeMs } = statSync(from), limit = 128 * 2 ** 20; // of address space, of which the program and its libraries take some
  assert.ok(size > 8 * limit);
  const command = `build/native/reprise convert ${from} --tokenizer ${STORIES} --type q8_0 -o ${to}`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', `ulimit -v ${limit / 1024}; ${command}`], { cwd: ROOT, encoding: 'utf8', timeout: 300_000 });
  assert.is(status, 0, stderr);
  assert.match(stdout, /16 blocks, 16 visits/);
  assert.is(statSync(from).mtimeMs, mtimeMs);
  const share = statSync(to).size / size; // 34 bytes for 32 floats
  assert.ok(share > 0.26 && share < 0.28, `${share}`);
  assert.is((await inspect(to)).blocks, 16);
  if (NO_TERMINAL) return skip(NO_TERMINAL);
  // Without its user's colours, too, a terminal has progress on one line.
  for (const NO_COLOR of ['', '1']) assert.match(inTerminal(command, { NO_COLOR }).shown, /\rwriting [\d.]+ of [\d.]+ MB \r.*16 blocks, 16 visits/s);
  for (const path of [from, to]) rmSync(path);
});

test.run();
