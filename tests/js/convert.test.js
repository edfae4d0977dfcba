// The converter on every weight-sharing family: a Hugging Face folder becomes a file whose logits are PyTorch's (tests/golden/families.json,
// made by families.py); its unrolled twin gives the same bits, and so does what --dedup makes of that.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { writeFamilies } from '../golden/families.js';
import { json, run } from './lib/cli.js';
import { tensorsOf } from './lib/gguf-reader.js';
import { golden, made, sha256 } from './lib/golden.js';
import { writeGGUF } from './lib/gguf-writer.js';
import { randomModel, writeRandomModel } from './lib/random-model.js';

const TARGETS = ['native', 'scalar', 'simd128'];
const KV_TYPES = ['f32', 'f16', 'q8_0', 'q8_q4'];
const MEAN = 5e-5, LARGEST = 1e-4; // of logits that spread over some 10, everything in F32; raven, three times deep, is the worst with 8.3e-5

const references = golden('families');
const folder = (name) => made(`families/${name}`);
const file = (name) => made(`families/${name}.gguf`);
mkdirSync(made('families'), { recursive: true });
writeFamilies(made('families'));

const convert = (target, from, to, ...options) => json(target, ['convert', from, '-o', to, '--json', ...options], {});

async function logits(target, model, ids, options = []) {
  const { text, stderr, code } = await run(target, ['logits', model, '--ids', ids.join(','), '--top', '288', '--each', ...options]);
  assert.is(code, 0, stderr);
  return text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

const hashes = async (...args) => (await logits(...args)).map(({ hash }) => hash).join();

function compare(name, lines, wanted) {
  for (const [position, values] of Object.entries(wanted)) {
    const ours = [];
    for (const { id, logit } of lines[position].top) ours[id] = logit;
    const apart = values.map((value, id) => Math.abs(value - ours[id]));
    const mean = apart.reduce((sum, x) => sum + x) / apart.length, largest = Math.max(...apart);
    assert.ok(mean <= MEAN && largest <= LARGEST, `${name} at ${position}: mean ${mean}, largest ${largest}`);
  }
}

const RUN_OPTIONS = { default: () => [], loops: (n) => ['--depth', n], exit: (x) => ['--exit-threshold', x] };

for (const [name, reference] of Object.entries(references)) {
  test(`${name}: the folder is the one the goldens were made from`, () => {
    const files = Object.fromEntries(readdirSync(folder(name)).sort().map((f) => [f, sha256(readFileSync(`${folder(name)}/${f}`))]));
    assert.equal(files, Object.fromEntries(Object.entries(reference.files).sort()));
  });

  test(`${name}: logits are PyTorch's`, async () => {
    await convert('native', folder(name), file(name));
    for (const [run, { logits: wanted }] of Object.entries(reference.runs)) {
      const [kind, value] = run.split('-');
      compare(`${name} ${run}`, await logits('native', file(name), reference.ids, ['--kv', 'f32', ...RUN_OPTIONS[kind](value)]), wanted);
    }
  });

  test(`${name}: WebAssembly writes the same bytes`, async () => {
    await convert('simd128', folder(name), file(`${name}-wasm`));
    assert.is(sha256(readFileSync(file(`${name}-wasm`))), sha256(readFileSync(file(name))));
  });

  test(`${name}: its unrolled twin gives the same bits with every KV type`, async () => {
    const { visits } = await convert('native', file(name), file(`${name}-unrolled`), '--unroll');
    const info = await json('native', ['inspect', file(`${name}-unrolled`), '--json']);
    assert.is(info.blocks, visits);
    for (const kv of KV_TYPES)
      for (const target of kv === 'f32' ? TARGETS : ['native'])
        assert.is(await hashes(target, file(name), reference.ids, ['--kv', kv]),
          await hashes(target, file(`${name}-unrolled`), reference.ids, ['--kv', kv]), `${kv} ${target}`);
  });

  test(`${name}: a self-merge as a file gives the bits of one at run time`, async () => {
    const { visits } = await json('native', ['inspect', file(name), '--json']);
    const merges = [`0-${visits - 1},${visits - 1}`, `0-${visits - 2}`, visits > 2 ? `0,1x2,2-${visits - 1}` : `0x3`, '0', '0-1', '1,0', `0,${visits - 1}`];
    for (const from of [name, `${name}-unrolled`])
      for (const layers of merges) {
        const atRun = await run('native', ['logits', file(from), '--ids', reference.ids.join(','), '--each', '--layers', layers]);
        const { code, stderr } = await run('native', ['convert', file(from), '-o', file(`${name}-merged`), '--layers', layers]);
        if (atRun.code === 0 && !/a file can have one/.test(stderr)) {
          assert.is(code, 0, `${from} ${layers}: ${stderr}`);
          assert.is(await hashes('native', file(`${name}-merged`), reference.ids), await hashes('native', file(from), reference.ids, ['--layers', layers]), `${from} ${layers}`);
        } else {
          assert.is(code, 1, `${from} ${layers}: ${stderr}`);
        }
      }
  });

  test(`${name}: --dedup of the unrolled twin gives back program and tensor bytes`, async () => {
    await convert('native', file(`${name}-unrolled`), file(`${name}-again`), '--dedup');
    const was = await json('native', ['inspect', file(name), '--json']), is = await json('native', ['inspect', file(`${name}-again`), '--json']);
    assert.is(is.blocks, was.blocks);
    assert.equal(is.program, was.program);
    assert.equal(is.bytes_by_type, was.bytes_by_type);
    const before = tensorsOf(file(name)), after = tensorsOf(file(`${name}-again`));
    assert.equal(Object.keys(after).sort(), Object.keys(before).sort());
    for (const [tensor, { bytes, ...facts }] of Object.entries(after)) {
      assert.equal(facts, { type: before[tensor].type, shape: before[tensor].shape }, tensor);
      assert.ok(bytes.equals(before[tensor].bytes), tensor);
    }
    assert.is(await hashes('native', file(`${name}-again`), reference.ids), await hashes('native', file(name), reference.ids));
  });
}

test('blocks that differ by a bias of V alone stay two', async () => {
  const name = file('bias'), ids = [1, 5, 9, 17];
  const { kv, tensors } = randomModel({ name: 'bias', architecture: 'reprise-qwen2', seed: 'bias', blocks: 2, tied: true, type: 'F32' });
  const first = (part) => tensors.find((tensor) => tensor.name === `blk.0.${part}`);
  const same = tensors.map((tensor) => (tensor.name.startsWith('blk.1.') ? { ...tensor, data: first(tensor.name.slice(6)).data } : tensor));
  for (const lacks of ['blk.0.attn_v.bias', 'blk.1.attn_v.bias', 'none']) {
    writeGGUF(name, { kv, tensors: same.filter((tensor) => tensor.name !== lacks) });
    const { blocks } = await convert('native', name, file('bias-shared'), '--dedup');
    assert.is(blocks, lacks === 'none' ? 1 : 2, lacks);
    assert.is(await hashes('native', file('bias-shared'), ids), await hashes('native', name, ids), lacks);
  }
});

test('a visit without attention keeps its step bias', async () => {
  const name = file('step'), ids = [1, 5, 9, 17];
  const model = { name: 'step', architecture: 'reprise-llama', seed: 'step', blocks: 2, tied: true, type: 'F32', program: { layerMap: [0, 1, 1, 0], kvMap: [0, 1, -1, -1] },
    variants: [{ block: 1, time: 1, bias: true }, { block: 0, time: 1, bias: true }] };
  writeRandomModel(name, model);
  await convert('native', name, file('step-unrolled'), '--unroll');
  assert.is(await hashes('native', file('step-unrolled'), ids), await hashes('native', name, ids));
  await convert('native', name, file('step-merged'), '--layers', '0-3,2');
  assert.is(await hashes('native', file('step-merged'), ids), await hashes('native', name, ids, ['--layers', '0-3,2']));
});

test('unrolled and shared again in one go, the file needs a map', async () => {
  const name = file('both');
  writeRandomModel(name, { name: 'both', architecture: 'reprise-llama', seed: 'both', blocks: 2, tied: true, type: 'F32', program: { layerMap: [0, 0, 1, 1] } });
  const both = await convert('native', name, file('both-shared'), '--unroll', '--dedup');
  assert.is(both.keeps, 'layer_map');
  assert.is(both.visits, 4);
});

for (const time of [0, 1])
  test(`norms of visit ${time} alone stay that visit's: unrolled, merged and shared again`, async () => {
    const name = file(`norms-of-${time}`), ids = [1, 5, 9, 17], changed = file(`norms-of-${time}-changed`);
    writeRandomModel(name, { name: 'norms', architecture: 'reprise-llama', seed: 'norms', blocks: 2, tied: true, type: 'F32', program: { layerMap: [0, 0, 1, 1] },
      variants: [{ block: 0, time, norms: ['attn_norm.weight', 'ffn_norm.weight'] }] });
    const want = await hashes('native', name, ids);
    await convert('native', name, changed, '--unroll');
    assert.is(await hashes('native', changed, ids), want);
    await convert('native', changed, file('norms-again'), '--dedup');
    assert.is(await hashes('native', file('norms-again'), ids), want);
    await convert('native', name, changed, '--layers', '1,0x2,2-3');
    assert.is(await hashes('native', changed, ids), await hashes('native', name, ids, ['--layers', '1,0x2,2-3']));
  });

test.run();
