// The converter as the package has it ('reprise/convert', js/convert.js), in Node: every family's folder becomes the native program's
// bytes, by path and by files; what fails, fails as one of the five errors and leaves nothing.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdirSync, openAsBlob, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { convert } from '../../js/convert.js';
import { ArgumentError, FormatError, IOError, Model, UnsupportedError } from '../../js/index.js';
import { version } from '../../js/version.js';
import { families, writeFamilies } from '../golden/families.js';
import { json, ROOT } from './lib/cli.js';
import { made, sha256 } from './lib/golden.js';
import { writeLlama2c } from './lib/llama2c.js';
import { rejects, STORIES } from './lib/model.js';

const FOLDER = made('convert-page');
rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
writeFamilies(FOLDER);

const at = (...names) => join(FOLDER, ...names);
const bytesOf = async (blob) => Buffer.from(await blob.arrayBuffer());
const same = (ours, theirs, what) => assert.is(sha256(ours), sha256(theirs), what);
const leftovers = () => readdirSync(FOLDER).filter((name) => name.endsWith('.part'));

/** The native program's file and what it says of it. */
async function native(from, ...options) {
  const to = at(`native-${basename(from)}.gguf`);
  const facts = await json('native', ['convert', from, '-o', to, '--json', ...options]);
  return { facts, bytes: readFileSync(to) };
}

/** As `<input webkitdirectory>` gives a folder. */
const filesOf = (folder, prefix = `${basename(folder)}/`) => readdirSync(folder).map((name) => {
  const file = new File([readFileSync(join(folder, name))], name);
  return Object.defineProperty(file, 'webkitRelativePath', { value: prefix + name });
});

/** Facts of a result in the words of the terminal program. */
const inCli = ({ architecture, blocks, visits, parameters, bytes, equalHalves, fixedDepth, keeps }) => (
  { architecture, blocks, visits, parameters, bytes, equal_halves: equalHalves, fixed_depth: fixedDepth, keeps });

for (const { name } of families())
  test(`${name}: the native program's bytes, from a path and from files`, async () => {
    const { facts: { output, ...facts }, bytes } = await native(at(name));
    assert.ok(output);
    const one = await convert(at(name), { output: at(`${name}.gguf`) });
    assert.equal(inCli(one), facts);
    assert.is(one.output, at(`${name}.gguf`));
    assert.is(one.blob, undefined);
    same(readFileSync(one.output), bytes, 'path');
    const other = await convert(filesOf(at(name), 'a/b/'));
    assert.equal(inCli(other), facts);
    same(await bytesOf(other.blob), bytes, 'files');
    const model = await Model.load(other.blob);
    const { usage } = await model.session({ chat: false }).prompt('ab', { maxTokens: 3, seed: 1 });
    model.destroy();
    assert.ok(usage.completionTokens > 0); // random weights may end a text
  });

test('options are the native program\'s', async () => {
  const tries = [[at('llama'), { type: 'q8_0' }, '--type', 'q8_0'], [at('llama'), { type: 'q4_0', headType: 'f16' }, '--type', 'q4_0', '--head-type', 'f16'],
    [at('ouro.gguf'), { unroll: true }, '--unroll'], [at('llama'), { layers: '0,0' }, '--layers', '0,0']];
  for (const [from, options, ...args] of tries) {
    const { facts: { output: _, ...facts }, bytes } = await native(from, ...args);
    const ours = await convert(from, options);
    assert.equal(inCli(ours), facts, args.join(' '));
    same(await bytesOf(ours.blob), bytes, args.join(' '));
  }
  const { blob } = await convert(at('ouro.gguf'), { unroll: true });
  writeFileSync(at('unrolled.gguf'), await bytesOf(blob));
  const again = await convert(at('unrolled.gguf'), { dedup: true });
  assert.ok(again.equalHalves > 0);
  assert.is(again.blocks, (await convert(at('ouro.gguf'))).blocks);
});

test('a file as a path, an address, a Blob, bytes and a list of one; the result is a model', async () => {
  const { bytes } = await native(STORIES, '--type', 'q8_0');
  const stories = readFileSync(STORIES);
  const sources = [STORIES, pathToFileURL(STORIES), new Blob([stories]), stories, [new File([stories], 'stories.gguf')],
    [{ path: 'a/b.gguf', file: new Blob([stories]) }], await openAsBlob(STORIES)];
  for (const source of sources) same(await bytesOf((await convert(source, { type: 'q8_0' })).blob), bytes);
  const model = await Model.load((await convert(STORIES, { type: 'q4_0' })).blob);
  assert.is((await model.session().prompt('Once upon a time', { maxTokens: 5 })).usage.completionTokens, 5);
  model.destroy();
});

const storiesVocab = async () => (await Model.plan(STORIES)).info.vocab;

test('a llama2.c checkpoint takes its vocabulary from a path, a Blob or bytes', async () => {
  const checkpoint = writeLlama2c(at('tiny.bin'), { vocab: await storiesVocab() });
  await rejects(convert(checkpoint), ArgumentError, /no vocabulary/);
  const { bytes } = await native(checkpoint, '--tokenizer', STORIES);
  for (const tokenizer of [STORIES, pathToFileURL(STORIES), new Blob([readFileSync(STORIES)]), readFileSync(STORIES)])
    same(await bytesOf((await convert(checkpoint, { tokenizer })).blob), bytes);
  await rejects(convert(checkpoint, { tokenizer: at('none') }), IOError, /tokenizer cannot be read/);
  await rejects(convert(checkpoint, { tokenizer: 7 }), ArgumentError, /tokenizer/);
  await rejects(convert(checkpoint, { tokenizer: new File(['x'], 'x.json') }), FormatError, /x\.json/);
});

test('progress is told, from the beginning to the end', async () => {
  const told = [];
  const { bytes } = await convert(STORIES, { type: 'f32', onProgress: (progress) => told.push(progress) });
  assert.equal(told[0], { phase: 'reading', done: 0, total: 0 });
  assert.equal(told.at(-1), { phase: 'writing', done: bytes, total: bytes });
  assert.ok(told.length > 2);
  told.reduce((before, { done }) => (assert.ok(done >= before), done), 0);
});

test('a broken input is named', async () => {
  const broken = (name, change) => {
    rmSync(at('broken'), { recursive: true, force: true });
    cpSync(at(name), at('broken'), { recursive: true });
    change(at('broken'));
    return at('broken');
  };
  const shard = readdirSync(at('ouro')).filter((name) => /-00002-of-.*safetensors$/.test(name))[0];
  assert.ok(shard);
  for (const input of [(folder) => folder, filesOf]) {
    await rejects(convert(input(broken('ouro', (folder) => rmSync(join(folder, shard))))), IOError, new RegExp(shard));
    await rejects(convert(input(broken('llama', (folder) => {
      rmSync(join(folder, 'model.safetensors'));
      writeFileSync(join(folder, 'pytorch_model.bin'), 'PK\x03\x04');
    }))), UnsupportedError, /pickle|pytorch_model/);
    await rejects(convert(input(broken('llama', (folder) => rmSync(join(folder, 'config.json'))))), IOError, /config\.json/);
    await rejects(convert(input(broken('llama', (folder) => appendFileSync(join(folder, 'config.json'), '}')))), FormatError, /config\.json/);
  }
  await rejects(convert(new Blob(['PK\x03\x04 and so on'])), UnsupportedError, /pickle/);
  await rejects(convert(new Blob(['hello'])), FormatError, /GGUF/);
  await rejects(convert(readFileSync(STORIES).subarray(0, 1e6)), FormatError, /ends at byte 1000000/);
  await rejects(convert(at('nowhere')), IOError, /nowhere/);
});

test('wrong values are named', async () => {
  const wrong = [[{ type: 'q3_x' }, /type is q3_x, want one of .*"q4_0"/], [{ type: 'q4_0', headType: 'x' }, /headType is x/], [{ headType: 'q4_0' }, /without type/],
    [{ type: 4 }, /type is 4/], [{ layers: '7,8' }, /layers|visit/], [{ layers: '' }, /layers/], [{ dedup: 'yes' }, /dedup is yes/],
    [{ output: FOLDER }, /no ordinary file/], [{ output: STORIES }, /is one of the inputs/]];
  for (const [options, message] of wrong) await rejects(convert(STORIES, options), ArgumentError, message);
  for (const input of [undefined, null, 7, [], [7], [{ path: 'x' }], {}, { kind: 'directory', values: async function* () {} }])
    await rejects(convert(input), ArgumentError);
  await rejects(convert(STORIES, { output: at('none', 'x.gguf') }), IOError, /cannot be written/);
  assert.ok(statSync(STORIES).size > 1e6);
});

test('an aborted conversion ends at once and leaves nothing', async () => {
  const checkpoint = writeLlama2c(at('large.bin'), { dim: 1024, hidden: 4096, layers: 16, heads: 16, vocab: await storiesVocab() });
  assert.ok(statSync(checkpoint).size > 1e9);
  const reason = new Error('enough');
  assert.is(await convert(checkpoint, { signal: AbortSignal.abort(reason) }).catch((error) => error), reason);
  for (const [phase, output] of [['reading', at('large.gguf')], ['writing', at('large.gguf')], ['writing', undefined]]) {
    const abort = new AbortController();
    let abortedAt = 0;
    const onProgress = (progress) => {
      if (abortedAt || progress.phase !== phase) return;
      if (output) assert.is(leftovers().length, 1);
      abortedAt = performance.now();
      abort.abort(reason);
    };
    const options = { type: 'q6_k', tokenizer: STORIES, output, onProgress, signal: abort.signal };
    assert.is(await convert(checkpoint, options).catch((error) => error), reason);
    assert.ok(abortedAt && performance.now() - abortedAt < 1000, `${performance.now() - abortedAt} ms`);
    assert.equal(leftovers(), []);
    assert.not(existsSync(at('large.gguf')));
  }
});

test('a full disk is said, what was there stays', async () => {
  writeFileSync(at('full.gguf'), 'before');
  const program = `import { convert } from ${JSON.stringify(pathToFileURL(join(ROOT, 'js/convert.js')))}
    convert(${JSON.stringify(STORIES)}, { output: ${JSON.stringify(at('full.gguf'))} }).then(() => console.log('done'), ({ code, message }) => console.log(code, message))`;
  writeFileSync(at('full.mjs'), program);
  // Files of more than a megabyte cannot be written there.
  const { stdout, stderr } = spawnSync('bash', ['-c', 'ulimit -f 1024; exec "$0" "$1"', process.execPath, at('full.mjs')], { encoding: 'utf8', timeout: 60_000 });
  assert.match(stdout, /^RP_ERR_IO cannot write .* is the disk full\? \(EFBIG/, stderr);
  assert.is(readFileSync(at('full.gguf'), 'utf8'), 'before');
  assert.equal(leftovers(), []);
});

test('a worker that dies, does not start, or is of another version rejects', async () => {
  const worker = (name, code) => {
    writeFileSync(at(name), `import { parentPort } from 'node:worker_threads'\n${code}`);
    return pathToFileURL(at(name));
  };
  const hello = (number) => `parentPort.postMessage({ hello: { version: '${number}' } });`;
  const output = at('dead.gguf');
  const dies = worker('dies.mjs', `${hello(version)} parentPort.on('message', () => process.exit(3))`);
  await rejects(convert(STORIES, { workerUrl: dies, output }), IOError, /worker stopped/);
  await rejects(convert(STORIES, { workerUrl: worker('throws.mjs', 'throw new Error("no")'), output }), IOError, /worker stopped: no/);
  await rejects(convert(STORIES, { workerUrl: worker('old.mjs', `${hello('0.0.0')} parentPort.on('message', () => {})`), output }), UnsupportedError, /version 0\.0\.0/);
  await rejects(convert(STORIES, { wasm: new ArrayBuffer(8), output }), IOError, /unexpected/);
  assert.equal(leftovers(), []);
  assert.not(existsSync(output));
});

test('the program ends by itself when conversions have ended', () => {
  writeFileSync(at('ends.mjs'), `import { convert } from ${JSON.stringify(pathToFileURL(join(ROOT, 'js/convert.js')))}
    const { bytes } = await convert(${JSON.stringify(STORIES)})
    console.log(bytes, await convert(${JSON.stringify(at('nowhere'))}).catch(({ code }) => code))`);
  const { stdout, status } = spawnSync(process.execPath, [at('ends.mjs')], { encoding: 'utf8', timeout: 30_000 });
  assert.is(status, 0);
  assert.match(stdout, /^\d+ RP_ERR_IO$/m);
});

test('the types say what the module takes and what comes back', async () => {
  const source = ts.createSourceFile('convert.d.ts', readFileSync(join(ROOT, 'js/convert.d.ts'), 'utf8'), ts.ScriptTarget.Latest);
  const declared = (name) => source.statements.find((statement) => statement.name?.text === name);
  const refused = await convert(STORIES, { type: 'none' }).catch(({ message }) => message);
  assert.equal([...refused.matchAll(/"(\w+)"/g)].map(([, type]) => type).sort(), declared('ConvertType').type.types.map((type) => type.literal.text).sort());
  const members = declared('Converted').members.map(({ name }) => name.text).sort();
  const here = await convert(STORIES), there = await convert(STORIES, { output: at('types.gguf') });
  assert.equal([...new Set([...Object.keys(here), ...Object.keys(there)])].sort(), members);
});

test('the package has it, with the package\'s errors', async () => {
  const from = (name) => import(pathToFileURL(join(ROOT, 'build/package', name)).href);
  const packed = await from('convert.js'), { FormatError: PackedError } = await from('index.js');
  assert.equal(Object.keys(packed), ['convert']);
  same(await bytesOf((await packed.convert(at('llama'))).blob), (await native(at('llama'))).bytes);
  await rejects(packed.convert(new Blob(['hello'])), PackedError);
});

test.run();
