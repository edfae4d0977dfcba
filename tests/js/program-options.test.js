// What a run may ask of a program, from the command line: a depth, layers, one KV slot a block, an exit threshold.
// Each gives the bits of a file that says the same of itself.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json, output, run } from './lib/cli.js';
import { made } from './lib/golden.js';
import { failure } from './lib/logits.js';
import { randomIds, writeRandomModel } from './lib/random-model.js';

const file = (name) => made(`options/${name}.gguf`);
const describe = (program, rest = {}) => ({ name: 'options', architecture: 'reprise-llama', seed: 'options', blocks: 4, tied: true, program, ...rest });
const LOOPS = { first: 1, last: 2, min: 1, max: 4 };
const ids = randomIds('options', 20).join();
const hashOf = async (name, extra = [], target = 'native') => (await json(target, ['logits', file(name), '--ids', ids, '--top', '1', ...extra])).hash;

writeRandomModel(file('two'), describe({ layerMap: [0, 1, 2, 1, 2, 3], ...LOOPS }));
writeRandomModel(file('three'), describe({ layerMap: [0, 1, 2, 1, 2, 1, 2, 3], ...LOOPS }));
writeRandomModel(file('merged'), describe({ layerMap: [0, 2, 2, 3, 1] }));

test('--depth and --loops are one, and give the bits of a file of that depth', async () => {
  const three = await hashOf('three');
  for (const target of ['native', 'asan', 'scalar', 'simd128']) assert.is(await hashOf('two', ['--depth', '3'], target), three, target);
  assert.is(await hashOf('two', ['--loops', '3']), three);
  assert.is(await hashOf('three', ['--depth', '2']), await hashOf('two'));
  assert.is.not(await hashOf('two'), three);
  await failure('native', ['logits', file('two'), '--ids', ids, '--depth', '5']);
  assert.is((await run('native', ['logits', file('two'), '--ids', ids, '--depth', '0'])).code, 2);
});

test('--layers gives the bits of a file with those visits', async () => {
  assert.is(await hashOf('two', ['--layers', '0,2x2,5,1']), await hashOf('merged'));
  const { code, message } = await failure('native', ['logits', file('two'), '--ids', ids, '--layers', '0-9']);
  assert.is(code, 'RP_ERR_ARGUMENT');
  assert.match(message, /layers.*0 to 5/);
});

test('every command that computes takes them', async () => {
  const greedy = ['--ids', ids, '-n', '12', '--temperature', '0', '--json'];
  const { ids: want } = await json('native', ['generate', file('three'), ...greedy]);
  assert.equal((await json('native', ['generate', file('two'), ...greedy, '--depth', '3'])).ids, want);
  const score = (name, extra) => output('native', ['perplexity', file(name), 'README.md', '--window', '64', ...extra]);
  assert.is(await score('two', ['--depth', '3']), await score('three', []));
  const bench = ['--prompt', '4', '--generate', '2', '--repeat', '1', '--json'];
  const peak = async (extra) => (await json('native', ['bench', file('two'), ...bench, ...extra])).peak_bytes;
  assert.ok(await peak(['--depth', '4']) > await peak([]));
  assert.ok(await peak(['--kv-reuse', 'last-loop']) < await peak([]));
});

test('--kv-reuse is another computation, and an exit threshold needs an exit rule', async () => {
  assert.is(await hashOf('two', ['--kv-reuse', 'last-loop']), await hashOf('two')); // as long as all is computed at once
  const later = ['generate', file('two'), '--ids', ids, '-n', '40', '--temperature', '1', '--json'];
  assert.not.equal((await json('native', [...later, '--kv-reuse', 'last-loop'])).ids, (await json('native', later)).ids);
  const { code, message } = await failure('native', ['logits', file('two'), '--ids', ids, '--exit-threshold', '0.5']);
  assert.is(code, 'RP_ERR_ARGUMENT');
  assert.match(message, /exit/);
  const { text } = await run('native', ['generate', '--help']);
  assert.match(text, /--kv-reuse last-loop .*depend on how a prompt is split/);
});

test.run();
