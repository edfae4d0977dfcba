// Bad files and bad calls through the terminal program: a named error in one line and exit code 1, or a run that
// ends. The exhaustive bit flips and truncations are tests/c/gguf_test.c; here are the cases a person meets.
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { badModels, goodModel } from './lib/bad-models.js';
import { json, run } from './lib/cli.js';
import { made } from './lib/golden.js';
import { failure, lastLogits, refused } from './lib/logits.js';

const TARGETS = ['asan', 'simd128'];
const folder = made('bad');
mkdirSync(folder, { recursive: true });

function write(name, bytes) {
  const path = `${folder}/${name.replaceAll(/[^a-z0-9]+/gi, '-')}.gguf`;
  writeFileSync(path, bytes);
  return path;
}

const good = write('good', goodModel());

test('the model the others are made from is good', async () => {
  for (const target of TARGETS) assert.is((await lastLogits(target, good, [1, 2, 3])).top.length, 10);
});

for (const [name, bytes, codes, mention] of badModels) {
  test(`refused: ${name}`, async () => {
    for (const target of TARGETS) await refused(target, write(name, bytes), codes, mention);
  });
}

test('refused: files cut off in the header and in the weights', async () => {
  const bytes = goodModel();
  for (const size of [1, 4, 20, 24, 30, 100, 1000, 5000, bytes.length >> 1, bytes.length - 64])
    await refused('asan', write('cut', bytes.subarray(0, size)), 'RP_ERR_FORMAT', /./);
});

test('inspect reads a file that is cut off after its header', async () => {
  const bytes = goodModel();
  const name = 'blk.1.ffn_down.weight';
  const afterHeader = Math.ceil((bytes.indexOf(name) + name.length + 4 + 16 + 4 + 8) / 32) * 32;
  const cut = await json('asan', ['inspect', write('header', bytes.subarray(0, afterHeader)), '--json']);
  const whole = await json('asan', ['inspect', good, '--json']);
  assert.is(cut.plan.total, whole.plan.total);
  assert.is(cut.parameters_stored, whole.parameters_stored);
});

test('a file that is not there, a folder', async () => {
  for (const target of TARGETS) {
    assert.is((await failure(target, ['inspect', `${folder}/none.gguf`])).code, 'RP_ERR_IO');
    assert.is((await failure(target, ['inspect', folder])).code, 'RP_ERR_IO');
  }
});

test('ids that are none of the model', async () => {
  for (const id of ['291', '-1', '2147483647', '99999999999'])
    assert.match((await run('asan', ['logits', good, '--ids', `1,${id}`])).stderr, /^reprise: RP_ERR_ARGUMENT: [^\n]+\n$/);
});

test('an empty prompt and one longer than the context end by themselves', async () => {
  for (const target of TARGETS) {
    const options = ['-n', '4', '--temperature', '0', '--context', '16'];
    const empty = await run(target, ['generate', good, '-p', '', ...options]);
    assert.is(empty.code, 0, empty.stderr); // BOS is a prompt
    const { code, stderr } = await run(target, ['generate', good, '-p', 'a b c '.repeat(50), ...options]);
    assert.is(code, 1);
    assert.match(stderr, /^reprise: RP_[A-Z_]+: [^\n]*context[^\n]*\n$/i);
  }
});

test('a context that is full ends the run', async () => {
  const { ids, finish_reason } = await json('asan', ['generate', good, '-p', 'a', '-n', '100', '--temperature', '0', '--context', '16', '--json']);
  assert.ok(ids.length <= 16, `${ids.length} ids`);
  assert.ok(['context', 'stop'].includes(finish_reason), finish_reason);
});

test('text that is no UTF-8 is read', async () => {
  writeFileSync(`${folder}/bytes.txt`, Buffer.from([0x61, 0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80, 0xf4, 0x90, 0x80, 0x80, 0x80, 0xe2, 0x82]));
  const ids = await json('asan', ['tokenize', good, '--file', `${folder}/bytes.txt`]);
  assert.ok(ids.every((id) => Number.isInteger(id) && id >= 0 && id < 291));
});

test('wrong usage is exit code 2', async () => {
  for (const args of [[], ['dance'], ['generate'], ['logits', good, '--kv', 'q3'], ['generate', good, '-n', 'many']])
    assert.is((await run('asan', args)).code, 2, args.join(' '));
});

test.run();
