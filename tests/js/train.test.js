// The trainer of the story models: its gradients are PyTorch's, training lowers the loss, a run goes on where it stopped, bad options say what is wrong.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './lib/cli.js';
import { golden, made } from './lib/golden.js';

const PROGRESS_BYTES = 48, SECONDS_AT = 32;
const NEAR = 0.03; // of a tensor's gradient: products are of 8-bit significands

/** Runs train or adapt in a folder of its own. */
function start(program, folder, options, build = 'train') {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name.replace('_', '-')}`, String(value)]);
  return spawnSync(join(ROOT, 'build', build, program), ['--out', folder, ...args], { encoding: 'utf8', timeout: 120_000 });
}

function emptied(name) {
  const folder = made(`train/${name}/x`).replace(/\/x$/, '');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** -0.5 to 0.5, as in tests/golden/trainer.py. */
function* numbers(seed) {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32 - 0.5;
  }
}

const next = (source) => /** @type {number} */ (source.next().value);

/** The weights of a golden's case as a checkpoint of a run that has not begun, and its story as data. */
function prepare(folder, { story, tensors }) {
  const source = numbers(7);
  const weights = tensors.flatMap(([rows, columns]) => Array.from({ length: rows * columns }, () => (
    rows === 1 ? 1 + 0.4 * next(source) : next(source) * (3.4 / Math.sqrt(columns)))));
  writeFileSync(join(folder, 'checkpoint'), Buffer.concat([Buffer.alloc(PROGRESS_BYTES), Buffer.from(new Float32Array(weights).buffer), Buffer.alloc(8 * weights.length)]));
  writeFileSync(join(folder, 'ids'), Buffer.from(new Uint16Array(story).buffer));
  return join(folder, 'ids');
}

const CASES = golden('trainer').flatMap((want) => ['train', 'train-plain'].map((build) => ({ want, build })));
CASES.forEach(({ want, build }, at) => {
  test(`gradients are PyTorch's: ${want.options.layer_map}${want.options.loop_max ? ', looped' : ''}, ${build}`, () => {
    const folder = emptied(`gradients-${at}`), file = join(folder, 'gradients');
    const { status, stderr } = start('train', folder, { ...want.options, data: prepare(folder, want), gradients: file, dropout: 0, batch: 4 }, build);
    assert.is(status, 0, stderr);
    const bytes = readFileSync(file), gradients = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 8, bytes.byteOffset + bytes.length));
    assert.ok(Math.abs(bytes.readDoubleLE(0) - want.loss) < 0.01, `${bytes.readDoubleLE(0)} ${want.loss}`);
    const signs = numbers(11);
    let from = 0;
    want.tensors.forEach(([rows, columns, norm, along], tensor) => {
      const values = gradients.subarray(from, from += rows * columns);
      const sum = values.reduce((all, value) => all + (next(signs) > 0 ? value : -value), 0);
      assert.ok(Math.abs(Math.hypot(...values) - norm) < NEAR * norm, `tensor ${tensor}: norm ${Math.hypot(...values)} ${norm}`);
      assert.ok(Math.abs(sum - along) < 4 * NEAR * norm, `tensor ${tensor}: along ${sum} ${along}`);
    });
    assert.is(from, gradients.length);
  });
});

const SMALL = { vocab: 64, dim: 32, heads: 1, kv_heads: 1, ffn: 32, layer_map: '0,0', length: 32, batch: 4, dropout: 0 };

/** Stories that count from a number on. */
function counting(folder) {
  const stories = Array.from({ length: 50 }, (_, first) => [1, ...Array.from({ length: 40 }, (_, i) => 3 + ((first + i) % 60)), 2]);
  writeFileSync(join(folder, 'ids'), Buffer.from(new Uint16Array(stories.flat()).buffer));
  return join(folder, 'ids');
}

const lossOf = ({ stdout }) => Number(stdout.trim().split('\n').at(-1).match(/loss ([\d.]+)/)[1]);

test('a run learns, and one that goes on has the bits of one that never stopped', () => {
  const [whole, parts] = ['whole', 'parts'].map(emptied), data = counting(whole);
  const options = { ...SMALL, data, tokens: 30_000, dropout: 0.05, loop_min: 1, loop_max: 2 };
  const ran = start('train', whole, options);
  assert.is(ran.status, 0, ran.stderr);
  assert.ok(lossOf(ran) < 1.5, `${lossOf(ran)} nats a token`);
  assert.equal(JSON.parse(readFileSync(join(whole, 'log.json'), 'utf8')).shape.layer_map, [0, 0]);
  for (const stop of [100, 0]) assert.is(start('train', parts, { ...options, stop }).status, 0);
  const [one, other] = [whole, parts].map((folder) => {
    const bytes = readFileSync(join(folder, 'checkpoint'));
    bytes.fill(0, SECONDS_AT, SECONDS_AT + 8); // what differs
    return bytes;
  });
  assert.ok(one.equals(other), 'the same weights, momenta and progress');
});

test('an adapter learns what the model has not', () => {
  const base = emptied('base'), adapted = emptied('adapted');
  start('train', base, { ...SMALL, data: counting(base), tokens: 30_000 });
  const stories = Array.from({ length: 50 }, (_, first) => [1, ...Array.from({ length: 40 }, (_, i) => 3 + ((first + 60 - i) % 60)), 2]);
  writeFileSync(join(adapted, 'ids'), Buffer.from(new Uint16Array(stories.flat()).buffer));
  const ran = start('adapt', adapted, { ...SMALL, data: join(adapted, 'ids'), base, tokens: 20_000, rate: 0.02 });
  assert.is(ran.status, 0, ran.stderr);
  const losses = [...ran.stdout.matchAll(/loss ([\d.]+)/g)].map((match) => Number(match[1]));
  assert.ok(losses.at(-1) < losses[0] / 2, `${losses}`);
});

test('what is wrong is named', () => {
  const folder = emptied('bad'), data = counting(folder);
  const said = (options, program = 'train') => {
    const { status, stderr } = start(program, folder, options);
    assert.is(status, 1);
    return stderr;
  };
  assert.match(said({ ...SMALL, data: join(folder, 'none') }), /none: No such file/);
  assert.match(said({ ...SMALL, data, vocab: 32 }), /ids: token \d+ of a vocabulary of 32/);
  assert.match(said({ ...SMALL, data, ffn: 48 }), /--ffn 48: a multiple of 32/);
  assert.match(said({ ...SMALL, data, dim: 64 }), /--heads 1 .* make up dim, 64/);
  assert.match(said({ ...SMALL, data, layer_map: '0,x' }), /--layer-map 0,x: blocks/);
  assert.match(said({ ...SMALL, data, layer_map: '0,2' }), /block 1 is never visited/);
  assert.match(said({ ...SMALL, data, layer_map: '0,1,0', loop_max: 2 }), /--layer-map is not blocks 0 to 0 looped 1 to 2 times/);
  assert.match(said({ ...SMALL, data, loop_min: 2 }), /--loop-min/);
  assert.match(said({ ...SMALL, data, tokens: 'many' }), /--tokens many: a number/);
  assert.match(said({ ...SMALL, data, rank: 3 }), /--rank: no option of this program/);
  assert.match(said({ ...SMALL, data }, 'adapt'), /--base DIR, a run of train, is needed/);
  assert.match(said({ ...SMALL, data, base: folder }, 'adapt'), /no run of train/);
  assert.is(start('train', folder, { ...SMALL, data, tokens: 10_000, stop: 2 }).status, 0);
  assert.match(said({ ...SMALL, data, tokens: 10_000, seed: 2 }), /a run of other options or data:[^]*"seed": 1[^]*"seed": 2/);
  writeFileSync(join(folder, 'checkpoint'), Buffer.alloc(100));
  assert.match(said({ ...SMALL, data, tokens: 10_000 }), /checkpoint: not a checkpoint of this shape/);
});

test.run();
