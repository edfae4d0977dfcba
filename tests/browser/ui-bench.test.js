// The page that measures: it runs what this browser has, tells figures, and its result can be passed on.
import * as assert from 'uvu/assert';
import { accessible, beStrict, quiet } from './lib/demo.js';
import { each, run } from './lib/each.js';

/** Measures with few tokens, until it is done. @param {import('./lib/page.js').Page} page */
async function measure(page) {
  await page.until(() => !document.getElementById('bench-start').disabled);
  await page.evaluate(() => {
    for (const [name, value] of Object.entries({ prompt: 32, tokens: 3, rounds: 2 })) document.getElementById(`bench-${name}`).value = value;
    document.getElementById('bench-form').requestSubmit();
  });
  await page.until(() => document.getElementById('bench-status').textContent === 'Done.' || document.querySelector('#bench-fault *'));
}

each('measures each variant, shows figures, and copies them', async ({ browser, server, name }) => {
  beStrict(server);
  server.isolate();
  const page = await browser.page(`${server.url}/web/bench.html`);
  await measure(page);
  const rows = await page.evaluate(() => [...document.querySelectorAll('#bench-table tbody tr')].map((row) => [...row.children].map((cell) => cell.textContent)));
  const measured = rows.filter(([, ...cells]) => cells.length === 5);
  assert.ok(measured.some(([variant]) => variant === 'simd128, one thread'), JSON.stringify(rows));
  for (const [variant, ...cells] of measured) assert.ok(cells.every((cell) => Number(cell) > 0), `${variant}: ${cells}`);
  for (const [variant, ...cells] of rows.filter((row) => !measured.includes(row))) assert.equal(cells, ['not in this browser'], variant);
  await accessible(page, 'figures');
  // What a clipboard takes is the browser's matter: here it is looked at on its way there.
  await page.evaluate(() => {
    Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => void (window.copied = text) } });
  });
  await page.click('#bench-copy');
  const copied = await page.until(() => window.copied);
  assert.match(copied, /^Reprise, Stories, prompt of 32 tokens, 3 written, median of 2\n/);
  for (const [variant, ...cells] of measured) assert.ok(copied.includes(`| ${[variant, ...cells].join(' | ')} |`), copied);
  assert.match(await page.evaluate(() => document.getElementById('bench-status').textContent), /copied/);
  quiet(page);
  assert.is(await page.evaluate(() => document.getElementById('bench-threads').hidden), name !== 'webkit', 'WebKitGTK has no memory to share');
});

each('says when there is only one thread, and stops when it is asked to', async ({ browser, server }) => {
  beStrict(server);
  const page = await browser.page(`${server.url}/web/bench.html?alone`); // not the one with other headers from the browser's cache
  await page.until(() => !document.getElementById('bench-start').disabled);
  assert.is(await page.evaluate(() => document.getElementById('bench-threads').hidden), false);
  await page.evaluate(() => {
    document.getElementById('bench-rounds').value = '20';
    document.getElementById('bench-form').requestSubmit();
  });
  await page.until(() => document.querySelector('#bench-table td'));
  await page.click('#bench-start');
  await page.until(() => document.getElementById('bench-status').textContent === 'Stopped.');
  assert.is(await page.evaluate(() => document.getElementById('bench-start').textContent), 'Measure');
  quiet(page);
});

run();
