// The demo with a model whose file leaves the depth open: the control, the score that follows it, and the text at each depth.
import * as assert from 'uvu/assert';
import { json } from '../js/lib/cli.js';
import { made } from '../js/lib/golden.js';
import { writeRandomModel } from '../js/lib/random-model.js';
import { accessible, demo, quiet, tell, told } from './lib/demo.js';
import { each, run } from './lib/each.js';

const MODEL = made('ui-depth/loops.gguf');
writeRandomModel(MODEL, { name: 'loops', architecture: 'reprise-llama', seed: 'ui', blocks: 4, tied: true,
  program: { layerMap: [0, 1, 2, 1, 2, 3], first: 1, last: 2, min: 1, max: 4 } });

// One FFN for all layers, as MobiLlama has it.
const HALVES = made('ui-depth/halves.gguf');
writeRandomModel(HALVES, { name: 'halves', architecture: 'reprise-llama', seed: 'ui', blocks: 3, tied: true, program: { layerMap: [0, 1, 2], ffn: [0, 0, 0] },
  omit: [1, 2].flatMap((block) => ['ffn_norm', 'ffn_gate', 'ffn_up', 'ffn_down'].map((part) => `blk.${block}.${part}.weight`)) });

const setDepth = (page, depth) => page.evaluate((value) => {
  const control = /** @type {HTMLInputElement} */ (document.getElementById('depth'));
  control.value = String(value);
  control.dispatchEvent(new Event('input', { bubbles: true }));
}, depth);

each('depth: the score follows the control, and the text is the terminal\'s', async ({ browser, server }) => {
  const page = await demo(browser, server);
  assert.ok(await page.evaluate(() => document.getElementById('depth-row').hidden), 'a model without a choice shows none');
  await page.click('#model-button');
  await page.upload('#file', MODEL);
  assert.match(await page.until(() => document.querySelector('#plan dl')?.textContent), /4 blocks, 6 visits, depth 1 to 4/);
  await page.click('#picker-load');
  await page.until(() => document.getElementById('model-name').textContent === 'loops.gguf' && !document.getElementById('depth-row').hidden);
  await told(page);
  for (const depth of [4, 1, 2]) {
    await setDepth(page, depth);
    const visits = 2 + 2 * depth;
    await page.until((count) => document.querySelectorAll('.score .slot').length === count, visits);
    assert.match(await page.evaluate(() => document.getElementById('score-caption').textContent), new RegExp(visits > 4 ? `4 blocks are stored, ${visits} ` : '4 blocks, each played once'));
    assert.is(await page.evaluate(() => document.getElementById('depth-value').textContent), `${depth}`);
    const want = await json('native', ['generate', MODEL, '-p', 'Once upon a time', '--temperature', '0.7', '--seed', '7', '--depth', `${depth}`, '--json']);
    assert.ok((await tell(page, 7)).startsWith(`Once upon a time${want.text.slice(0, 40)}`), `depth ${depth}`);
  }
  await accessible(page, 'depth');
  quiet(page);
}, { only: ['chromium', 'firefox'] });

each('a block that is stored in half is drawn so', async ({ browser, server }) => {
  const page = await demo(browser, server);
  await page.click('#model-button');
  await page.upload('#file', HALVES);
  await page.until(() => document.querySelector('#plan dl'));
  await page.click('#picker-load');
  await page.until(() => document.getElementById('model-name').textContent === 'halves.gguf');
  await told(page);
  assert.is(await page.evaluate(() => document.getElementById('score-caption').textContent),
    'The attention of 3 blocks and the FFN of 1 are stored, 3 of each are played for every token.');
  assert.equal(await page.evaluate(() => Array.from(document.querySelectorAll('.score .number'), (number) => number.textContent)), ['0', '1/0', '2/0']);
  assert.match(await page.evaluate(() => document.getElementById('savings').textContent), /unrolled/);
  quiet(page);
}, { only: ['chromium'] });

run();
