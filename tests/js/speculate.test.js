// Speculation: whoever guesses, the ids are those without, for any seed and temperature; on shared blocks, on a depth
// that may change, with adapters, with stops, at a full context.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json, run } from './lib/cli.js';
import { made } from './lib/golden.js';
import { failure } from './lib/logits.js';
import { writeRandomAdapter } from './lib/random-adapter.js';
import { randomIds, writeRandomModel } from './lib/random-model.js';

const STORIES = 'models/stories.gguf';
const DEEP = {
  name: 'deep', architecture: 'reprise-llama', seed: 'speculate', blocks: 3, tied: true,
  program: { layerMap: [0, 1, 2, 1, 2], first: 1, last: 2, min: 1, max: 4 },
};
const deep = made('speculate/deep.gguf'), lora = made('speculate/lora.gguf');
writeRandomModel(deep, DEEP);
writeRandomAdapter(lora, DEEP, { seed: 'speculate' });

/** Plain ids, and the same with every draft; returns what speculation said of itself. */
async function same(target, args, drafts) {
  const plain = await json(target, [...args, '--json']);
  assert.is(plain.speculation, undefined);
  const said = [];
  for (const draft of drafts) {
    const result = await json(target, [...args, '--json', ...draft]);
    assert.equal(result.ids, plain.ids, `${args.join(' ')} ${draft.join(' ')}`);
    assert.is(result.text, plain.text);
    assert.is(result.finish_reason, plain.finish_reason);
    const { drafted, accepted, acceptance, passes } = result.speculation;
    assert.ok(accepted <= drafted && passes <= result.ids.length);
    assert.ok(Math.abs(acceptance - (drafted ? accepted / drafted : 0)) < 1e-4);
    said.push(result.speculation);
  }
  return said;
}

const by = (draft, count) => ['--draft', draft, ...(count ? ['--draft-tokens', `${count}`] : [])];

for (const temperature of ['0', '0.7', '1.2']) {
  test(`stories at temperature ${temperature}`, async () => {
    const drafts = [by('lookup'), by('lookup', 7), by('layers=0,2,4,6'), by('layers=0-6', 5), by('layers=0-7', 2)];
    for (const seed of ['1', '2', '3', '4']) {
      const args = ['generate', STORIES, '-p', 'Once upon a time', '-n', '90', '--temperature', temperature, '--seed', seed];
      const [, , half, , whole] = await same('native', args, drafts);
      assert.ok(half.accepted > 0);
      if (temperature === '0') assert.is(whole.accepted, whole.drafted); // it is the model itself
    }
  });
}

test('a depth that may change, on random weights', async () => {
  const ids = randomIds('speculate', 12).join();
  for (const seed of ['5', '6', '7'])
    for (const [temperature, kv] of [['0', 'f16'], ['0.5', 'q8_0'], ['1', 'f32']]) {
      const args = ['generate', deep, '--ids', ids, '-n', '60', '--temperature', temperature, '--seed', seed, '--kv', kv];
      await same('native', args, [by('depth=1'), by('depth=4', 6), by('layers=0,3,4'), by('lookup', 32)]);
      await same('native', [...args, '--depth', '3', '--lora', `${lora}=0.5`], [by('depth=2', 4), by('lookup')]);
    }
});

test('every kind of sampling keeps its state', async () => {
  const args = ['generate', STORIES, '-p', 'The dog', '-n', '60', '--seed', '3'];
  for (const extra of [
    ['--typical', '0.5'],
    ['--repeat-penalty', '1.5', '--presence-penalty', '0.5', '--frequency-penalty', '0.5'],
    ['--dry-multiplier', '2', '--temperature', '0'],
    ['--mirostat-tau', '3'],
  ]) await same('native', [...args, ...extra], [by('lookup'), by('layers=0,2,4,6')]);
});

test('in WebAssembly and with threads, too', async () => {
  const args = ['generate', STORIES, '-p', 'Lily and Tom', '-n', '60', '--seed', '8'];
  for (const target of ['simd128', 'scalar', 'asan']) await same(target, args, [by('lookup'), by('layers=0,2,4,6', 4)]);
  await same('native', [...args, '--threads', '2'], [by('layers=0,2,4,6', 4)]);
});

test('text ends where it ends without: a stop, a length, an end token, a full context', async () => {
  const args = ['generate', STORIES, '-p', 'Once upon a time', '--seed', '1'];
  const drafts = [by('lookup', 8), by('layers=0-7', 8), by('layers=0,2,4,6', 8)];
  for (const count of ['0', '1', '2', '3', '400']) await same('native', [...args, '-n', count], drafts);
  await same('native', [...args, '-n', '100', '--stop', 'there', '--stop', 'day'], drafts);
  for (const context of ['6', '7', '12', '40']) await same('native', [...args, '-n', '400', '--context', context], drafts);
});

test('figures say how many guesses were right', async () => {
  const { text } = await run('native', ['generate', STORIES, '-p', 'Once', '-n', '20', '--figures', '--draft', 'layers=0-6']);
  assert.match(text.trimEnd().split('\n').at(-1), /tokens\/s.*, \d+ of \d+ drafted accepted \(\d+ %\) in \d+ passes$/);
});

test('what cannot guess is named', async () => {
  for (const [extra, mention] of [
    [['--draft', 'luck'], /luck.*lookup/],
    [['--draft', 'depth=two'], /depth=two/],
    [['--draft', 'layers='], /layers=/],
    [['--draft', 'depth=9'], /depth 9/],
    [['--draft', 'layers=0-99'], /layers/],
    [['--draft', 'lookup', '--kv-reuse', 'last-loop'], /reuse/],
    [['--draft', 'lookup', '--expert', deep, '--antiexpert', 'base'], /--expert/],
  ]) {
    const { code, message } = await failure('native', ['generate', deep, '--ids', '1,5', ...extra]);
    assert.is(code, 'RP_ERR_ARGUMENT');
    assert.match(message, mention);
  }
  assert.is((await run('native', ['generate', deep, '--ids', '1', '--draft', 'lookup', '--draft-tokens', '33'])).code, 2);
});

test.run();
