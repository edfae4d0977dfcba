// The cache in real browsers: what a second visit finds, and what becomes of damage, a changed file, a full disk and two
// tabs. tests/js/source-cache.test.js has the details. A driven WebKit has no private file system: it shows what is
// done without.
import * as assert from 'uvu/assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from './lib/browsers.js';
import { each, run } from './lib/each.js';
import { again, begin, CHUNK, digest, expected, gets, place, SIZE, STORY, story, tell, teller, until } from './lib/story.js';

const STORING = { only: ['chromium', 'firefox'] };
const sent = (server, path) => gets(server, path).reduce((bytes, entry) => bytes + entry.sent, 0);
const list = (page, url) => page.evaluate(async (url) => (
  (await window.reprise.caches.list()).find((file) => file.url === url) ?? null), url);

/** In the page: changes a stored file. `at` a byte is inverted. */
const flip = async (url, name, at) => {
  const key = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(url));
  const hex = [...new Uint8Array(key)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('reprise-1');
  const file = await (await root.getDirectoryHandle(hex)).getFileHandle(name);
  const byte = new Uint8Array(await (await file.getFile()).slice(at, at + 1).arrayBuffer());
  const stream = await file.createWritable({ keepExistingData: true });
  await stream.write({ type: 'write', position: at, data: byte.map((value) => value ^ 255) });
  await stream.close();
};

/** Another file of the same size: another model, which nobody gets to tell a story with. */
const OTHER = Buffer.from(STORY).fill(99, 60_000);

each('a second visit needs no server, also after a reload', async ({ browser, server }) => {
  const page = await teller(browser, server);
  const { path, url } = place(server);
  const first = await page.evaluate(tell, url);
  assert.equal([first.text, first.fromCache, first.warnings], [await expected(), 0, ['unverified']]);
  server.on(path, { status: 503 });
  for (const reload of [false, true]) {
    if (reload) await again(page, server);
    const { text, fromCache, error } = await page.evaluate(tell, url);
    assert.equal([error, text, fromCache], [undefined, await expected(), SIZE]);
  }
  assert.is(gets(server, path).length, 1);
  const plan = await page.evaluate((url) => window.reprise.Model.plan(url), url);
  assert.equal([plan.cached, plan.download], [SIZE, 0]);
  assert.ok(plan.storage > 0);
  assert.is(gets(server, path).length, 1);
}, STORING);

each('a model that is its own expert is read twice, and kept once', async ({ browser, server }) => {
  const page = await teller(browser, server), { url } = place(server);
  const told = await page.evaluate(async (url) => {
    const model = await window.reprise.Model.load(url, { expert: url, antiexpert: 'base', context: 128 });
    const { text } = await model.session().prompt('Once upon a time', { seed: 7, maxTokens: 20 });
    await model.ready;
    model.destroy();
    return text;
  }, url);
  assert.ok((await expected()).startsWith(told) && told.length > 20, told);
}, STORING);

each('without a private file system it runs from memory and says so once', async ({ browser, server }) => {
  const page = await teller(browser, server);
  const { path, url } = place(server);
  for (const integrity of [undefined, `sha256-${digest(STORY)}`]) {
    const { text, warnings, phases } = await page.evaluate(tell, url, { integrity });
    assert.is(text, await expected());
    assert.equal(warnings, integrity ? ['no-cache'] : ['no-cache', 'unverified']);
    assert.is(phases.at(-1), 'stored');
  }
  assert.is(gets(server, path).length, 2);
  const told = await page.evaluate(async (url) => {
    const { caches } = window.reprise;
    return [await caches.list(), await caches.delete(url), typeof await caches.persist()];
  }, url);
  assert.equal(told, [[], false, 'boolean']);
}, { only: ['webkit'] });

each('what is kept is listed, and deleted', async ({ browser, server, name }) => {
  const page = await teller(browser, server);
  const [one, two, three] = [place(server), place(server), place(server)];
  const integrity = `sha256-${digest(STORY)}`;
  await page.evaluate(tell, `${one.url}#anchor`);
  await page.evaluate(tell, two.url, { integrity });
  await page.evaluate(tell, three.url, { cache: false });
  const whole = { bytes: SIZE, total: SIZE, complete: true };
  assert.equal(await list(page, one.url), { url: one.url, ...whole });
  assert.equal(await list(page, two.url), { url: two.url, ...whole, integrity });
  assert.is(await list(page, three.url), null);
  const remove = (url) => page.evaluate((url) => window.reprise.caches.delete(url), url);
  assert.equal([await remove(one.path), await remove(one.url)], [true, false]); // relative to the page
  assert.is(await list(page, one.url), null);
  assert.is((await list(page, two.url)).complete, true);
  assert.is((await page.evaluate(tell, one.url)).text, await expected());
  assert.is(gets(server, one.path).length, 2);
  // Firefox asks the person, and here there is none.
  if (name === 'chromium') assert.type(await page.evaluate(() => window.reprise.caches.persist()), 'boolean');
}, STORING);

each('a damaged chunk is fetched again, alone, and never used', async ({ browser, server }) => {
  const page = await teller(browser, server);
  const integrity = `sha256-${digest(STORY)}`;
  for (const options of [{}, { integrity }]) {
    const { path, url } = place(server);
    await page.evaluate(tell, url, options);
    await page.evaluate(flip, url, '000001', 70_000);
    const { text, warnings, fromCache, verified } = await page.evaluate(tell, url, options);
    assert.is(text, await expected());
    assert.equal(warnings, options.integrity ? ['damaged'] : ['damaged', 'unverified']);
    assert.is(verified, !!options.integrity);
    assert.is(fromCache, SIZE - CHUNK);
    assert.equal(gets(server, path).map(({ range }) => range), [undefined, `bytes=${CHUNK}-${2 * CHUNK - 1}`]);
    assert.is((await page.evaluate(tell, url, options)).fromCache, SIZE); // and it is whole again
    assert.is(gets(server, path).length, 2);
  }
}, STORING);

each('an aborted load goes on in another visit, here and on a second origin', async ({ browser, server }) => {
  for (const origin of ['url', 'second']) {
    const { path, [origin]: url } = place(server, { rate: 1.5e6, times: 1 });
    const first = await teller(browser, server);
    assert.is((await first.evaluate(tell, url, { leave: 2.6e6 })).error.name, 'AbortError');
    await first.close();
    const page = await teller(browser, server);
    assert.equal(await list(page, url), { url, bytes: 2 * CHUNK, total: SIZE, complete: false });
    const plan = await page.evaluate((url) => window.reprise.Model.plan(url), url);
    assert.equal([plan.cached, plan.download, gets(server, path).length], [2 * CHUNK, SIZE - 2 * CHUNK, 1]);
    const { text, fromCache, warnings } = await page.evaluate(tell, url);
    assert.is(text, await expected());
    assert.equal([fromCache, warnings], [2 * CHUNK, ['unverified']]);
    const [, second, ...more] = gets(server, path);
    // On a second origin neither may If-Range be sent nor ETag be read: the last chunk is compared.
    const told = origin === 'url' ? [`bytes=${2 * CHUNK}-`, true, []] : [`bytes=${CHUNK}-`, false, []];
    assert.equal([second.range, !!second.headers['if-range'], more], told);
    assert.is((await list(page, url)).complete, true);
  }
}, STORING);

each('a file that changed after half a load is another file', async ({ browser, server }) => {
  for (const [origin, fault] of [['url', {}], ['url', { noETag: true }], ['second', {}]]) {
    const { path, [origin]: url } = place(server, fault, { rate: 1.5e6, times: 1, body: OTHER, etag: '"another"' });
    const first = await teller(browser, server);
    assert.is((await first.evaluate(tell, url, { leave: 1.6e6 })).error.name, 'AbortError');
    await first.close();
    const page = await teller(browser, server);
    assert.is((await list(page, url)).bytes, CHUNK);
    const { text, warnings, fromCache } = await page.evaluate(tell, url);
    assert.is(text, await expected());
    assert.equal([warnings, fromCache], [['changed', 'unverified'], 0], `${origin} ${JSON.stringify(fault)}`);
    server.on(path, { status: 503 });
    assert.is((await page.evaluate(tell, url)).text, await expected());
  }
}, STORING);

each('two tabs share one download', async ({ browser, server }) => {
  const { path, url } = place(server, { rate: 1e6 });
  const pages = [await teller(browser, server), await teller(browser, server)];
  await pages[0].evaluate(begin, url);
  await until('it comes', () => sent(server, path) > 0);
  await pages[1].evaluate(begin, url);
  const [first, second] = await Promise.all(pages.map((page) => page.evaluate(story)));
  assert.equal([first.text, second.text], [await expected(), await expected()]);
  assert.equal([first.phases.includes('waiting'), second.phases.includes('waiting')], [false, true]);
  assert.equal([first.fromCache, second.fromCache], [0, SIZE]);
  assert.is(sent(server, path), SIZE);
}, STORING);

each('when the first tab closes, the second goes on from where it was', async ({ browser, server }) => {
  const { path, url } = place(server, { rate: 1e6 });
  const pages = [await teller(browser, server), await teller(browser, server)];
  await pages[0].evaluate(begin, url);
  await until('it comes', () => sent(server, path) > 0);
  await pages[1].evaluate(begin, url);
  await pages[1].until(() => window.said.phases.includes('waiting'));
  await until('a chunk is there', async () => (await list(pages[1], url))?.bytes >= CHUNK);
  await pages[0].close();
  const { text, fromCache, error } = await pages[1].evaluate(story);
  assert.equal([error, text], [undefined, await expected()]);
  assert.ok(fromCache >= CHUNK, `${fromCache}`);
  assert.equal(gets(server, path).map(({ range }) => range), [undefined, `bytes=${fromCache}-`]);
}, STORING);

each('tabs that read shut nobody out', async ({ browser, server }) => {
  const { path, url } = place(server);
  const pages = [await teller(browser, server), await teller(browser, server)];
  await pages[0].evaluate(tell, url);
  server.on(path, { status: 503 });
  const many = (url) => Promise.all([1, 2, 3].map(async () => {
    const said = window.start(url);
    await said.end;
    return said;
  }));
  for (const { text, fromCache, phases } of (await Promise.all(pages.map((page) => page.evaluate(many, url)))).flat()) {
    assert.equal([text, fromCache], [await expected(), SIZE]);
    assert.not(phases.includes('waiting'));
  }
}, STORING);

/** A load into storage that is too small, and what of it is kept. */
async function overflow(page, server) {
  const { path, url } = place(server);
  const { text, warnings, messages, error } = await page.evaluate(tell, url);
  assert.equal([error, text], [undefined, await expected()]);
  assert.equal(warnings.sort(), ['no-cache', 'unverified']);
  assert.ok(messages.some((message) => message.includes('the browser gives no more storage')), messages.join());
  assert.is(gets(server, path).length, 1);
  return { url, kept: await list(page, url) };
}

each('when the browser gives no more storage, it runs from memory and says so once', async ({ browser, server }) => {
  const page = await teller(browser, server);
  const session = await page.page.createCDPSession();
  const empty = () => page.evaluate(async () => {
    for (const { url } of await window.reprise.caches.list()) await window.reprise.caches.delete(url);
  });
  const overrideQuota = (quotaSize) => session.send('Storage.overrideQuotaForOrigin', { origin: server.url, quotaSize });
  await empty();
  const { usage } = await page.evaluate('navigator.storage.estimate()');
  await overrideQuota(usage + 100_000);
  await overflow(page, server);
  await empty();
  await overrideQuota(usage + 2.5 * CHUNK);
  const { url, kept } = await overflow(page, server);
  assert.ok(kept.bytes >= CHUNK && !kept.complete);
  await overrideQuota(undefined);
  const { text, warnings, fromCache } = await page.evaluate(tell, url); // what did fit is of use
  assert.equal([text, warnings, fromCache], [await expected(), ['unverified'], kept.bytes]);
  assert.is((await list(page, url)).complete, true);
}, { only: ['chromium'] });

each('the same, where the limit is a setting', async ({ server }) => {
  for (const kilobytes of [1500, 2500]) {
    const profileDir = mkdtempSync(join(tmpdir(), 'reprise-'));
    writeFileSync(join(profileDir, 'prefs.js'), `user_pref("dom.quotaManager.temporaryStorage.fixedLimit", ${kilobytes});\n`);
    const browser = await open('firefox', { profileDir });
    try {
      const { kept } = await overflow(await teller(browser, server), server);
      assert.ok(!kept?.complete);
      if (kilobytes === 2500) assert.ok(kept.bytes >= CHUNK);
    } finally {
      await browser.close();
      rmSync(profileDir, { recursive: true, force: true, maxRetries: 5 });
    }
  }
}, { only: ['firefox'] });

run();
