// The demo without a network, and what happens when the host has a new version: the old one stays whole until the new one
// is whole, and no page ever sees files of both.
import * as assert from 'uvu/assert';
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { precacheList, root } from '../../web/tools/site.js';
import { beStrict, story, told } from './lib/demo.js';
import { each, run } from './lib/each.js';

const LIST = '/web/precache-list.js';
const PARTS = ['web/index.html', 'web/demo/format.js', 'web/demo/figures.js'];

/** A new version on the host: three files that say which they are, in this order, and the list that belongs to them.
 * @param {import('./lib/server.js').Server} server @param {number} number @param {string[]} [parts] those that are new already */
function publish(server, number, parts = PARTS) {
  let list = precacheList();
  for (const file of PARTS) {
    const old = readFileSync(`${root}${file}`, 'utf8');
    const text = file.endsWith('html') ? old.replace('<body>', `<body data-version="${number}">`) : `${old}\nself.${file.match(/(\w+)\.js/)[1]}Version = ${number}\n`;
    const hash = (/** @type {string} */ bytes) => createHash('sha256').update(bytes).digest('base64');
    list = list.replace(hash(old), hash(text));
    if (parts.includes(file)) server.put(`/${file}`, text);
  }
  server.put(LIST, list.replace(/"version": "\w+"/, `"version": "${number}"`));
}

/** The versions of the three files that a page has. @param {import('./lib/page.js').Page} page */
const versions = (page) => page.evaluate(() => [Number(document.body.dataset.version), Reflect.get(self, 'formatVersion'), Reflect.get(self, 'figuresVersion')]);

/** Opens the page and waits until it can do without a network. @param {import('./lib/browsers.js').Browser} browser @param {import('./lib/server.js').Server} server */
async function visit(browser, server) {
  beStrict(server);
  const page = await browser.page(`${server.url}/web/`);
  await told(page);
  await page.until(async () => (await navigator.serviceWorker.getRegistration())?.active?.state === 'activated');
  return page;
}

/** Before a test, so that nothing of another one is left. @param {import('./lib/browsers.js').Browser} browser @param {import('./lib/server.js').Server} server */
async function forget(browser, server) {
  const page = await browser.page(`${server.url}/web/icons/icon.svg`);
  await page.evaluate(async () => {
    for (const registration of await navigator.serviceWorker.getRegistrations()) await registration.unregister();
    for (const name of await caches.keys()) await caches.delete(name);
    localStorage.clear();
  });
  await page.close();
}

each('the second visit works without a network', async ({ browser, server }) => {
  server.put(LIST, precacheList());
  const first = await visit(browser, server);
  await first.close();
  await server.stop();
  const page = await browser.page(`${server.url}/web/`);
  await told(page);
  assert.ok((await story(page)).length > 100);
  assert.is(await page.evaluate(() => document.getElementById('load-fault').textContent), '');
});

each('a host that redirects index.html to its folder is as good as another', async ({ browser, server }) => {
  await forget(browser, server);
  server.put(LIST, precacheList());
  server.on('/web/index.html', { status: 308, headers: { Location: '/web/' } });
  const first = await visit(browser, server);
  await first.close();
  assert.ok(server.log.some(({ path, status }) => path === '/web/index.html' && status === 308));
  await server.stop();
  await told(await browser.page(`${server.url}/web/`));
}, { only: ['chromium', 'firefox'] });

each('a new version waits, whole, and comes when it is asked for', async ({ browser, server }) => {
  await forget(browser, server);
  publish(server, 1);
  const first = await visit(browser, server);
  assert.equal(await versions(first), [1, 1, 1]);
  await first.close();
  publish(server, 2);
  const page = await browser.page(`${server.url}/web/`);
  await told(page);
  assert.equal(await versions(page), [1, 1, 1], 'the old version stays whole');
  await page.until(() => !document.getElementById('update').hidden);
  const other = await browser.page(`${server.url}/web/`);
  await other.until(() => !document.getElementById('update').hidden);
  await other.click('#update-button');
  await other.until(() => /Close the other tab/.test(document.getElementById('update-text').textContent));
  await other.close();
  assert.equal(await versions(page), [1, 1, 1], 'another open tab holds the old version');
  await page.click('#update-button');
  for (let version = 0; version !== 2; await sleep(100)) [version] = await versions(page).catch(() => [1]); // it reloads
  await told(page);
  assert.equal(await versions(page), [2, 2, 2]);
}, { only: ['chromium', 'firefox'] });

each('a host in the middle of an update changes nothing', async ({ browser, server }) => {
  await forget(browser, server);
  publish(server, 1);
  const first = await visit(browser, server);
  await first.close();
  publish(server, 2, PARTS.slice(0, 2)); // the third file is still the old one
  const page = await browser.page(`${server.url}/web/`);
  await told(page);
  const state = await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    await registration.update().catch(() => {});
    const { installing } = registration;
    if (installing) await new Promise((resolve) => installing.addEventListener('statechange', resolve));
    return { waiting: !!registration.waiting, caches: await caches.keys() };
  });
  assert.is(state.waiting, false);
  assert.equal(state.caches, ['reprise-page 1']);
  await page.reload();
  await told(page);
  assert.equal(await versions(page), [1, 1, 1]);
}, { only: ['chromium', 'firefox'] });

run();
