// Memory of MobileLLM-LS-125M's shape (30 blocks, each played twice; random weights) while it runs: what was planned, and a part of what
// its unrolled twin takes.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { existsSync } from 'node:fs';
import { mobileLLM, writeShape } from '../bench/shape.js';
import { json, run } from './lib/cli.js';
import { made } from './lib/golden.js';

const mb = (bytes) => (bytes / 1e6).toFixed(1);

/** @param {string} target @param {string} file @param {string} kv */
async function measure(target, file, kv) {
  const size = ['--context', '512', '--kv', kv, '--json'];
  const { plan } = await json(target, ['inspect', file, ...size]);
  const { timings } = await json(target, ['generate', file, '--ids', '5,6,7', '-n', '4', ...size], { timeout: 300_000 });
  const peak = timings.peak_bytes;
  assert.ok(peak > 0.9 * plan.total && peak <= 1.05 * plan.total + 4e6, `${file}, ${target}: peak ${peak}, plan ${plan.total}`);
  return { weights: plan.weights, peak };
}

for (const [type, kv, most] of /** @type {const} */ ([['Q8_0', 'q8_0', 0.6], ['Q4_0', 'f16', 0.66]]))
  test(`${type}, KV cache ${kv}: at most ${most} of the unrolled model's memory`, async () => {
    const shared = made(`sharing-memory/${type}.gguf`), twin = made(`sharing-memory/${type}-unrolled.gguf`);
    if (!existsSync(shared)) writeShape(shared, mobileLLM(type, 2));
    if (!existsSync(twin)) assert.is((await run('native', ['convert', shared, '-o', twin, '--unroll'])).code, 0);
    for (const target of ['native', 'simd128']) {
      const ours = await measure(target, shared, kv), theirs = await measure(target, twin, kv);
      console.log(`${type} ${target}: weights ${mb(ours.weights)} of ${mb(theirs.weights)} MB, ${(ours.weights / theirs.weights).toFixed(3)}; `
        + `in all ${mb(ours.peak)} of ${mb(theirs.peak)} MB, ${(ours.peak / theirs.peak).toFixed(3)}`);
      assert.ok(ours.weights <= 0.58 * theirs.weights);
      assert.ok(ours.peak <= most * theirs.peak);
    }
  });

test.run();
