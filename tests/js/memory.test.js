// Peak memory against the plan that `inspect` makes from the header alone: within 5 % plus 4 MB, for SmolLM2.
// Natively the peak is the allocator's high-water mark, in WebAssembly the length of its memory.
import { existsSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json } from './lib/cli.js';
import { SMOLLM2 } from './lib/golden.js';
import { skip } from './lib/skip.js';

const mb = (bytes) => (bytes / 1e6).toFixed(1);

// A prompt of some chunks, so that prefill's scratch counts too.
const PROMPT = 'The rain in Spain stays mainly in the plain. '.repeat(10);

async function comparePeak(target, context) {
  const size = ['--context', String(context)];
  const { plan } = await json(target, ['inspect', SMOLLM2, '--json', ...size]);
  const { timings } = await json(target, ['generate', SMOLLM2, '-p', PROMPT, '-n', '4', '--temperature', '0', ...size, '--json'], { timeout: 300_000 });
  const peak = timings.peak_bytes;
  process.stdout.write(`  ${target}, context ${context}: plan ${mb(plan.total)} MB, peak ${mb(peak)} MB\n`);
  assert.ok(peak > 0.9 * plan.total, 'a peak far below the plan means that something is not counted');
  assert.ok(peak <= 1.05 * plan.total + 4 * 1024 * 1024, `peak ${peak}, plan ${plan.total}`);
}

for (const target of ['native', 'simd128']) {
  for (const context of [512, 4096]) {
    test(`peak memory, ${target}, context ${context}`, async () => {
      if (!existsSync(SMOLLM2)) return skip('build/models/smollm2.gguf is absent: make models');
      await comparePeak(target, context);
    });
  }
}

test.run();
