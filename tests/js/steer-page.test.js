// Programs, adapters and proxy-tuning through the package: each gives the terminal program's logits bit for bit, however a session
// got there; what cannot be put together is a named error, and the session goes on as before.
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, FormatError, IOError, Model } from '../../js/index.js';
import { json } from './lib/cli.js';
import { made } from './lib/golden.js';
import { bytes as stories, rejects } from './lib/model.js';
import { writeRandomAdapter } from './lib/random-adapter.js';
import { randomIds, writeRandomModel } from './lib/random-model.js';

const file = (name) => made(`steer-page/${name}.gguf`);
const LOOPS = { first: 1, last: 2, min: 1, max: 4 };
const BASE = { name: 'base', architecture: 'reprise-llama', seed: 'page', blocks: 4, tied: true, program: { layerMap: [0, 1, 2, 1, 2, 3], ...LOOPS } };
const SMALL = { architecture: 'llama', tied: true, dim: 32, ffn: 64, heads: 2, kvHeads: 1, blocks: 2 };
writeRandomModel(file('base'), BASE);
for (const name of ['expert', 'antiexpert']) writeRandomModel(file(name), { name, seed: name, ...SMALL });
writeRandomAdapter(file('lora'), BASE, { seed: 'lora' });
writeRandomAdapter(file('other'), BASE, { seed: 'other', targets: ['attn_k', 'ffn_up'], rank: 3 });

const read = (name) => readFileSync(file(name));
const ids = [...randomIds('steer page', 21)];
const OPTIONS = { context: 64, cache: false };
const terminal = async (...extra) => (await json('native', ['logits', file('base'), '--ids', ids.join(), '--top', '1', ...extra])).hash;

/** FNV-1a over the floats' bits, as `reprise logits` prints it. */
function hashOf(logits) {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, '0');
}

/** @param {(model: Model) => Promise<void>} use @param {any} [options] */
async function withBase(use, options) {
  const model = await Model.load(read('base'), { ...OPTIONS, ...options });
  try {
    await use(model);
  } finally {
    model.destroy();
  }
}
const hash = async (session, options) => hashOf(await session.logits(ids, options));

test('a call has a depth, layers, one KV slot a block: as in the terminal', () => withBase(async (model) => {
  const session = model.session({ chat: false }), plain = await terminal();
  assert.is(await hash(session), plain);
  for (const depth of [3, 1, 4]) {
    assert.is(await hash(session, { depth }), await terminal('--depth', `${depth}`));
    await session.append({ ids: [5] }, { depth });
    assert.is(await hash(session, { depth }), await terminal('--depth', `${depth}`), 'computed before');
  }
  assert.is(await hash(session, { layers: '0,2x2,5,1' }), await terminal('--layers', '0,2x2,5,1'));
  assert.is(await hash(session, { kvReuse: 'last-loop' }), await terminal('--kv-reuse', 'last-loop'));
  assert.is(await hash(session), plain);
}));

test('its text is the terminal\'s at every depth, and a session has a depth of its own', () => withBase(async (model) => {
  for (const depth of [1, 3]) {
    const args = ['generate', file('base'), '--ids', ids.join(), '-n', '12', '--seed', '9', '--json', '--depth', `${depth}`];
    const { text } = await json('native', args);
    const session = model.session({ chat: false, depth });
    assert.is((await session.prompt({ ids }, { maxTokens: 12, seed: 9 })).text, text);
    const visits = new Set();
    await session.prompt({ ids }, { maxTokens: 1, depth: 2, onVisit: (visit) => void visits.add(visit) });
    assert.ok(Math.max(...visits) < 6);
    session.destroy();
  }
}));

test('the program is told as inspect tells it', async () => {
  const rich = { ...BASE, name: 'rich', variants: [{ block: 1, time: 1, bias: true }],
    program: { ...BASE.program, min: 2, max: 2, kvMap: [0, 1, 2, 1, -1, 3], injection: 'add', norm: 'between', exit: 'gate', exitThreshold: 1 } };
  writeRandomModel(file('rich'), rich);
  const seen = new Set();
  for (const [name, options, args] of [['base', {}, []], ['base', { depth: 4 }, ['--depth', '4']], ['base', { layers: '0-2x2' }, ['--layers', '0-2x2']], ['rich', {}, []]]) {
    const model = await Model.load(read(name), OPTIONS);
    const told = await model.program(options), { program, sharing, kv_bytes_per_token } = await json('native', ['inspect', file(name), '--json', ...args]);
    const inCli = ({ attn, ffn, slot, writes, varies, injects, normAfter, mayExit }) => ({ attn, ffn, slot, writes, varies, injects, norm_after: normAfter, may_exit: mayExit });
    assert.equal(told.program.map(inCli), program);
    assert.is(told.sharing.kvBytes, kv_bytes_per_token);
    assert.is(told.sharing.blockBytes, sharing.block_bytes);
    assert.is(told.visits, told.program.length);
    assert.equal((await model.program()).program, model.info.program);
    assert.is(model.info.visits, 6);
    for (const visit of program) for (const flag of ['writes', 'varies', 'injects', 'norm_after', 'may_exit']) seen.add(`${flag} ${visit[flag]}`);
    model.destroy();
  }
  assert.is(seen.size, 10, 'each is said and not said of some visit');
});

test('a depth given to the model is everybody\'s, and the most', async () => {
  const shallow = await Model.plan(read('base'), { ...OPTIONS, depth: 1 }), deep = await Model.plan(read('base'), OPTIONS);
  assert.is(shallow.kv * 10, deep.kv * 4, '4 of 10 visits');
  assert.is(shallow.info.visits, 4);
  await withBase(async (model) => {
    assert.is(model.info.loops, 3);
    assert.is(await hash(model.session({ chat: false })), await terminal('--depth', '3'));
  }, { depth: 3 });
});

test('layers and a depth are each other\'s alternative: the nearer one is meant', () => withBase(async (model) => {
  const session = model.session({ chat: false }), merged = await terminal('--layers', '0-2x2');
  assert.is(await hash(session, { layers: '0-2x2' }), merged);
  assert.is(await hash(session), await terminal('--depth', '3'));
  session.destroy();
  const other = model.session({ chat: false, layers: '0-2x2' });
  assert.is(await hash(other), merged);
  assert.is(await hash(other, { depth: 2 }), await terminal('--depth', '2'));
  assert.equal((await model.program({ layers: '0,1' })).visits, 2);
}, { depth: 3, spare: 1 << 20 }));

test('adapters are on by name and scale, for a call, without a second copy of the weights', () => withBase(async (model) => {
  const session = model.session({ chat: false }), plain = await terminal();
  assert.is(await hash(session), plain);
  assert.is(await hash(session, { adapters: { one: 1 } }), await terminal('--lora', file('lora')));
  assert.is(await hash(session, { adapters: { one: 0.5, two: -1 } }), await terminal('--lora', `${file('lora')}=0.5`, '--lora', `${file('other')}=-1`));
  assert.is(await hash(session, { adapters: { two: 1 }, depth: 3 }), await terminal('--lora', file('other'), '--depth', '3'));
  assert.is(await hash(session), plain);
  assert.ok(model.memory <= model.plan.memory);
  await rejects(session.logits(ids, { adapters: { three: 1 } }), ArgumentError, /no adapter three, loaded are one, two/);
  await rejects(session.logits(ids, { adapters: { one: NaN } }), ArgumentError, /scale of adapter one/);
  assert.is(await hash(session), plain);
}, { adapters: { one: read('lora'), two: new Blob([read('other')]) } }));

const proxy = (e, a, alpha) => terminal('--expert', e === 'base' ? e : file(e), '--antiexpert', a === 'base' ? a : file(a), '--alpha', `${alpha}`);

for (const [expert, antiexpert] of [['expert', 'antiexpert'], ['expert', 'base'], ['lora', 'other'], ['lora', 'antiexpert'], ['base', 'lora']])
  test(`steered by ${expert} against ${antiexpert}: as in the terminal`, async () => {
    const source = (name) => name === 'base' ? name : read(name);
    await withBase(async (model) => {
      const session = model.session({ chat: false }), plain = await terminal();
      assert.is(await hash(session), await proxy(expert, antiexpert, 1));
      assert.is(await hash(session, { alpha: 0 }), plain);
      assert.is(await hash(session, { alpha: -0.5 }), await proxy(expert, antiexpert, -0.5));
      const args = ['generate', file('base'), '--ids', ids.join(), '-n', '16', '--seed', '3', '--json', '--alpha', '1.5',
        '--expert', expert === 'base' ? expert : file(expert), '--antiexpert', antiexpert === 'base' ? antiexpert : file(antiexpert)];
      const other = model.session({ chat: false, alpha: 1.5 });
      const { text } = await json('native', args);
      const both = await Promise.all([other.prompt({ ids }, { maxTokens: 16, seed: 3 }), session.prompt(undefined, { maxTokens: 4 })]);
      assert.is(both[0].text, text);
      assert.is(await hash(await other.clone().then((copy) => (other.destroy(), copy)), { alpha: 0 }), plain);
      assert.ok(model.memory <= model.plan.memory, `${model.memory} of ${model.plan.memory}`);
    }, { expert: source(expert), antiexpert: source(antiexpert), sessions: 3 });
  });

test('a saved session is restored where the program is the same', () => withBase(async (model) => {
  const deep = model.session({ chat: false, depth: 3 }), shallow = model.session({ chat: false, depth: 1 });
  const want = await hash(deep), saved = await deep.save();
  await rejects(shallow.restore(saved), FormatError, /another model, program/);
  deep.destroy();
  const fresh = model.session({ chat: false, depth: 3 });
  await fresh.restore(saved);
  assert.is(await hash(fresh), want);
}, { sessions: 2 }));

test('what cannot be is a named error, and nothing is lost', async () => {
  await rejects(Model.load(read('base'), { ...OPTIONS, alpha: 1 }), ArgumentError, /alpha needs/);
  await withBase(async (model) => {
    const session = model.session({ chat: false }), plain = await hash(session);
    for (const [options, message] of [[{ depth: 9 }, /1 to 4/], [{ depth: 1.5 }, /depth is 1.5/], [{ layers: '0-9' }, /layers/], [{ layers: 7 }, /layers/],
      [{ kvReuse: true }, /kvReuse/], [{ exitThreshold: '1' }, /exitThreshold/], [{ alpha: 1 }, /needs the expert/], [{ adapters: { one: 1 } }, /no adapter was loaded/]]) {
      await rejects(session.logits(ids, options), ArgumentError, message);
      await rejects(session.prompt('a', options), ArgumentError, message);
      const broken = model.session({ chat: false, ...options });
      await rejects(broken.prompt('a'), ArgumentError, message);
      assert.equal([...await session.ids()], ids);
    }
    assert.is(await hash(session), plain);
  }, { sessions: 2 });
  const load = (options) => Model.load(read('base'), { ...OPTIONS, ...options });
  await rejects(load({ depth: 9 }), ArgumentError, /1 to 4/);
  await rejects(load({ expert: read('expert') }), ArgumentError, /go together/);
  await rejects(load({ adapters: { one: stories } }), FormatError, /adapter one: .*general.type/);
  await rejects(load({ adapters: { one: read('lora').subarray(0, 900) } }), FormatError, /adapter one: .*ends/);
  await rejects(load({ expert: stories, antiexpert: 'base' }), ArgumentError, /expert: a vocabulary of 2048 tokens/);
  await rejects(load({ expert: read('expert').subarray(0, 30_000), antiexpert: 'base' }), FormatError, /expert: .*ends/);
  await rejects(load({ expert: new Uint8Array(100), antiexpert: 'base' }), FormatError, /expert: /);
});

test('an exit threshold is the terminal\'s', async () => {
  const leaves = file('leaves');
  writeRandomModel(leaves, { ...BASE, name: 'leaves', program: { ...BASE.program, exit: 'gate', exitThreshold: 1 } });
  const model = await Model.load(readFileSync(leaves), OPTIONS), session = model.session({ chat: false });
  try {
    const seen = new Set();
    for (const exitThreshold of [1, 0.4, 0.05]) {
      const { hash: want } = await json('native', ['logits', leaves, '--ids', ids.join(), '--top', '1', '--exit-threshold', `${exitThreshold}`]);
      assert.is(await hash(session, { exitThreshold }), want, `${exitThreshold}`);
      seen.add(want);
    }
    assert.ok(seen.size > 1);
  } finally {
    model.destroy();
  }
});

test('no adapters are none', () => withBase(async (model) => {
  const session = model.session({ chat: false, adapters: null }), plain = await terminal();
  assert.is(await hash(session, { adapters: null }), plain);
}, { adapters: null }));

test('a source that breaks is one of our errors, and so is a request that asks for more than bytes', async () => {
  const broken = () => new ReadableStream({ start: (controller) => controller.enqueue(read('base').slice(0, 9)), pull: () => { throw new TypeError('gone') } });
  await rejects(Model.load(broken(), OPTIONS), IOError, /cannot be read: gone/);
  const url = 'http://localhost:9/none.gguf';
  await rejects(Model.load(new Request(url, { method: 'POST', body: 'a' }), OPTIONS), ArgumentError, /must be a GET/);
  await rejects(Model.load(new Request(url, { integrity: 'sha384-abc' }), OPTIONS), ArgumentError, /integrity/);
  for (const integrity of ['', null]) await rejects(Model.load(read('base'), { ...OPTIONS, integrity }), ArgumentError, /integrity is 'sha256-'/);
});

test('a load that is aborted while an adapter or expert arrives rejects with the reason, and leaves its stream', async () => {
  for (const options of [(silent) => ({ adapters: { one: silent } }), (silent) => ({ expert: silent, antiexpert: 'base' })]) {
    const abort = new AbortController();
    let leave = () => {};
    const left = new Promise((resolve) => void (leave = () => resolve(undefined)));
    const silent = new ReadableStream({ start: (controller) => controller.enqueue(read('expert').slice(0, 1000)), cancel: leave });
    setTimeout(() => abort.abort(new Error('enough')), 300);
    await rejects(Model.load(read('base'), { ...OPTIONS, ...options(silent), signal: abort.signal }), Error, /^enough$/);
    await left;
  }
});

test.run();
