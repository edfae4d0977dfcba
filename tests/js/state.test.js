// Sessions in files: what is restored goes on as if it had never stopped, on any build; what is of something else,
// damaged or cannot be written is a named error, and leaves the files as they were.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json, run } from './lib/cli.js';
import { made } from './lib/golden.js';
import { failure } from './lib/logits.js';
import { writeRandomAdapter } from './lib/random-adapter.js';
import { writeGGUF } from './lib/gguf-writer.js';
import { randomIds, randomModel, writeRandomModel } from './lib/random-model.js';

const STORIES = 'models/stories.gguf';
const folder = made('state'), file = (name) => `${folder}/${name}`;
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const GREEDY = ['--temperature', '0', '--json'];
const begin = ['generate', STORIES, '-p', 'Once upon a time', ...GREEDY];
const goOn = (from, extra = []) => ['generate', STORIES, '--restore-session', file(from), ...GREEDY, ...extra];
const noneLeft = () => assert.equal(readdirSync(folder).filter((name) => name.endsWith('.part')), []);

test('what is restored goes on, on any build, with any KV type', async () => {
  for (const [kv, from, to] of [['f16', 'native', 'simd128'], ['f32', 'scalar', 'native'], ['q8_0', 'simd128', 'asan'], ['q8_q4', 'native', 'scalar']]) {
    const whole = await json(from, [...begin, '-n', '50', '--kv', kv]);
    const first = await json(from, [...begin, '-n', '20', '--kv', kv, '--save-session', file(kv)]);
    assert.equal(first.ids, whole.ids.slice(0, 20));
    assert.is(first.restored_tokens, 0);
    const second = await json(to, goOn(kv, ['-n', '30', '--kv', kv, '--save-session', file(kv)]));
    assert.equal(second.ids, whole.ids.slice(20), `${kv} from ${from} to ${to}`);
    assert.is(second.restored_tokens, first.timings.prompt_tokens + 20);
    const more = await json(to, goOn(kv, ['-n', '3', '--kv', kv]));
    assert.is(more.restored_tokens, first.timings.prompt_tokens + 50);
  }
  noneLeft();
});

test('one model gives one file, whichever build wrote it', async () => {
  const files = [];
  for (const target of ['native', 'simd128', 'scalar']) {
    await json(target, [...begin, '-n', '9', '--save-session', file(target)]);
    files.push(readFileSync(file(target)));
  }
  assert.ok(files.every((bytes) => bytes.equals(files[0])));
});

test('a prompt stands behind what was restored', async () => {
  await json('native', [...begin, '-n', '12', '--save-session', file('story')]);
  const prompt = 'Then a big dog came.';
  const tokens = async (text) => json('native', ['tokenize', STORIES, text]);
  const { ids: generated } = await json('native', [...begin, '-n', '12']);
  const all = [1, ...await tokens('Once upon a time'), ...generated];
  const result = await json('native', goOn('story', ['-p', `\n${prompt}`, '-n', '20']));
  assert.is(result.restored_tokens, all.length);
  const added = result.timings.prompt_tokens - all.length;
  const ids = await json('native', goOn('story', ['--ids', '300,301', '-n', '20']));
  const same = await json('native', ['generate', STORIES, '--ids', [...all, 300, 301].join(), '-n', '20', ...GREEDY]);
  assert.equal(ids.ids, same.ids);
  assert.ok(added > 4 && added <= (await tokens(`\n${prompt}`)).length);
});

test('speculation and a full context are saved as they are without', async () => {
  const plain = await run('native', [...begin, '-n', '30', '--save-session', file('plain')]);
  assert.is(plain.code, 0);
  await json('native', [...begin, '-n', '30', '--save-session', file('guessed'), '--draft', 'layers=0,2,4,6', '--draft-tokens', '7']);
  assert.ok(readFileSync(file('plain')).equals(readFileSync(file('guessed'))));
  const stop = ['-n', '60', '--stop', ' little', '--save-session'];
  await json('native', [...begin, ...stop, file('plain')]);
  await json('native', [...begin, ...stop, file('guessed'), '--draft', 'layers=0-7']);
  assert.ok(readFileSync(file('plain')).equals(readFileSync(file('guessed'))));
  const full = await json('native', [...begin, '-n', '60', '--context', '20', '--save-session', file('full')]);
  assert.is(full.finish_reason, 'context');
  const { code } = await failure('native', goOn('full', ['--context', '12']));
  assert.is(code, 'RP_CONTEXT_FULL');
  const after = await json('native', goOn('full', ['--context', '40', '-n', '5']));
  const whole = await json('native', [...begin, '-n', '60']);
  assert.equal(after.ids, whole.ids.slice(20 - full.timings.prompt_tokens, 25 - full.timings.prompt_tokens));
});

test('another key is refused, by name', async () => {
  const DEEP = { name: 'deep', architecture: 'reprise-llama', seed: 'state', blocks: 2, tied: true,
    program: { layerMap: [0, 1, 0, 1], first: 0, last: 1, min: 1, max: 3 } };
  const model = file('deep.gguf'), other = file('other.gguf'), lora = file('lora.gguf');
  writeRandomModel(model, DEEP);
  writeRandomModel(other, { ...DEEP, seed: 'other' });
  writeRandomAdapter(lora, DEEP, { seed: 'state' });
  const args = (path, extra) => ['generate', path, '--ids', randomIds('state', 9).join(), '-n', '4', '--json', ...extra];
  for (const extra of [[], ['--depth', '3'], ['--lora', `${lora}=0.5`]]) {
    await json('native', args(model, [...extra, '--save-session', file('key')]));
    await json('native', args(model, [...extra, '--restore-session', file('key')]));
    for (const wrong of [['--kv', 'f32'], ['--depth', '1'], ['--lora', lora], ['--layers', '0,1'], ['--kv-reuse', 'last-loop']]) {
      const { code, message } = await failure('native', args(model, [...wrong, '--restore-session', file('key')]));
      assert.is(code, 'RP_ERR_ARGUMENT', `${extra} restored with ${wrong}`);
      assert.match(message, /key/);
    }
    assert.is((await failure('native', args(other, [...extra.filter((word) => !word.includes('lora')), '--restore-session', file('key')]))).code, 'RP_ERR_ARGUMENT');
  }
});

test('equal bytes of another type are another key', async () => {
  const { kv, tensors } = randomModel({ name: 'types', architecture: 'llama', seed: 'types', blocks: 1, tied: true, type: 'Q4_0' });
  writeGGUF(file('q4_0.gguf'), { kv, tensors });
  writeGGUF(file('iq4_nl.gguf'), { kv, tensors: tensors.map((tensor) => (tensor.type === 'Q4_0' ? { ...tensor, type: 'IQ4_NL' } : tensor)) });
  const args = (name, extra) => ['generate', file(name), '--ids', '1,5,9', '-n', '2', '--json', ...extra];
  await json('native', args('q4_0.gguf', ['--save-session', file('type')]));
  assert.is((await failure('native', args('iq4_nl.gguf', ['--restore-session', file('type')]))).code, 'RP_ERR_ARGUMENT');
});

test('damaged, cut and absent files are refused', async () => {
  await json('native', [...begin, '-n', '5', '--save-session', file('good')]);
  const good = readFileSync(file('good'));
  for (const [name, bytes] of [
    ['cut', good.subarray(0, -1)], ['stub', good.subarray(0, 20)], ['empty', good.subarray(0, 0)], ['longer', Buffer.concat([good, good])],
    ['flipped', Buffer.from(good.map((byte, at) => (at === 5000 ? byte ^ 1 : byte)))], ['text', Buffer.from('no session at all')],
  ]) {
    writeFileSync(file(name), bytes);
    for (const target of ['native', 'simd128']) {
      const { code, message } = await failure(target, goOn(name));
      assert.is(code, 'RP_ERR_FORMAT', name);
      assert.match(message, new RegExp(name));
    }
  }
  assert.is((await failure('native', goOn('nowhere'))).code, 'RP_ERR_IO');
  assert.is((await failure('simd128', ['generate', STORIES, '--restore-session', folder])).code, 'RP_ERR_IO');
});

test('what is read is never what is saved', async () => {
  const model = file('own.gguf'), bytes = readFileSync(STORIES);
  writeFileSync(model, bytes);
  for (const target of ['native', 'simd128']) {
    const { code, message } = await failure(target, ['generate', model, '-p', 'Once', '-n', '2', '--save-session', model]);
    assert.is(code, 'RP_ERR_ARGUMENT');
    assert.match(message, /is the model/);
    assert.match((await failure(target, ['generate', STORIES, '-p', 'Once', '-n', '2', '--save-session', model, '--lora', `${model}=0.5`])).message, /is an adapter/);
    assert.match((await failure(target, ['generate', STORIES, '-p', 'Once', '-n', '2', '--save-session', model, '--expert', model, '--antiexpert', 'base'])).message, /is a helper/);
  }
  assert.ok(readFileSync(model).equals(bytes));
});

test('what cannot be written is an error, and what was there stays', async () => {
  mkdirSync(file('taken'), { recursive: true });
  const args = (path) => [...begin.filter((word) => word !== '--json'), '-n', '5', '--save-session', path];
  for (const target of ['native', 'simd128'])
    for (const path of [file('taken'), file('no/such/folder'), '/dev/null']) {
      const { code, stderr } = await run(target, args(path));
      assert.is(code, 1);
      assert.match(stderr, /^reprise: RP_ERR_IO: .*cannot be written\n$/);
    }
  assert.equal(readdirSync(file('taken')), []);
  noneLeft();
});

test.run();
