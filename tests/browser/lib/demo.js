// What tests of the demo do again and again: open it as a host of strict policy would, with the package's scripts, wait for a story, look with axe.
import * as assert from 'uvu/assert';
import { putPackage } from './packed.js';

export const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

/** @param {import('./server.js').Server} server */
export function beStrict(server) {
  putPackage(server, '/js/');
  server.always = { ...server.always, headers: { ...server.always.headers, 'Content-Security-Policy': POLICY } };
}

/** The demo with nothing running and the first story told.
 * @param {import('./browsers.js').Browser} browser @param {import('./server.js').Server} server */
export async function demo(browser, server) {
  const page = await browser.page(`${server.url}/tests/browser/pages/blank.html`); // leaving the demo while it loads is an error to Firefox
  beStrict(server);
  await page.evaluate(() => localStorage.clear());
  await page.goto(`${server.url}/web/`);
  await told(page);
  return page;
}

/** @param {import('./page.js').Page} page */
export const told = (page) => page.until(() => / · /.test(String(document.getElementById('story-status')?.textContent)));

/** @param {import('./page.js').Page} page */
export const story = (page) => page.evaluate(() => document.querySelector('#story-text .passage')?.textContent);

/** A story with a seed, as the sampling dialog has it by default.
 * @param {import('./page.js').Page} page @param {number} seed */
export async function tell(page, seed) {
  await page.evaluate((value) => {
    document.getElementById('story-seed').value = String(value);
    document.getElementById('story-status').textContent = '';
    document.getElementById('seed-form').requestSubmit();
  }, seed);
  await told(page);
  return story(page);
}

/** What axe finds serious or worse. Also in open shadow roots.
 * @param {import('./page.js').Page} page @param {string} state named in the message */
export async function accessible(page, state) {
  const found = await page.evaluate(async () => {
    await import(String(new URL('/tests/node_modules/axe-core/axe.js', location.href)));
    const { violations } = await /** @type {any} */ (window).axe.run(document, { resultTypes: ['violations'] });
    return violations.filter((/** @type {any} */ { impact }) => ['serious', 'critical'].includes(impact))
      .map((/** @type {any} */ { id, nodes }) => `${id}: ${nodes.map((/** @type {any} */ node) => `${node.html.slice(0, 120)} ${node.failureSummary}`).join('\n  ')}`);
  });
  assert.equal(found, [], state);
}

/** Nothing was blocked and nothing was thrown. @param {import('./page.js').Page} page */
export function quiet(page) {
  assert.equal(page.logs.filter(({ type, text }) => type === 'pageerror' || /Content.Security.Policy/i.test(text)), []);
}
