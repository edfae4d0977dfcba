// The single file, opened from file:// as by double-click: it tells a story, and asks no network for anything.
import * as assert from 'uvu/assert';
import { execFileSync } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { each, run } from './lib/each.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const FILE = `${root}build/tests/reprise-story.html`;
execFileSync(process.execPath, ['web/tools/single.js', FILE], { cwd: root });

each('tells a story from file://', async ({ browser, server }) => {
  const page = await browser.page(pathToFileURL(FILE).href);
  await page.until(() => /tokens/.test(document.getElementById('status').textContent));
  const first = await page.evaluate(() => document.getElementById('story').textContent);
  assert.ok(first.startsWith('Once upon a time') && first.length > 100, first);
  await page.evaluate(() => {
    const seed = /** @type {HTMLInputElement} */ (document.getElementById('seed'));
    seed.value = '7';
    seed.dispatchEvent(new Event('change'));
  });
  await page.until(() => document.getElementById('tell').textContent === 'Tell a story' && /tokens/.test(document.getElementById('status').textContent));
  assert.is.not(await page.evaluate(() => document.getElementById('story').textContent), first);
  assert.equal(page.logs.filter(({ type }) => type === 'pageerror'), []);
  assert.equal(server.log, []);
});

run();
