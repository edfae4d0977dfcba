// The tests' own tools, in each engine: the server does wrong what it is asked to, as a browser sees it, and what the
// drivers promise holds. A download test that passes because nothing went wrong would prove nothing.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { open } from './lib/browsers.js';
import { each, run } from './lib/each.js';
import { marked } from './lib/processes.js';

const BLANK = '/tests/browser/pages/blank.html';
const FILE = '/models/stories.gguf';
const SIZE = statSync(new URL('../../models/stories.gguf', import.meta.url)).size;

/** In the page: what a fetch brought. */
async function get(url, options) {
  const start = performance.now();
  try {
    const answer = await fetch(url, options);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const [first, ms] = [bytes[0], performance.now() - start];
    return { status: answer.status, size: bytes.length, first, headers: Object.fromEntries(answer.headers), ms };
  } catch (error) {
    return { error: error.name, ms: performance.now() - start };
  }
}

each('files come whole and in ranges, with what a resumption needs', async ({ browser, server }) => {
  const page = await browser.page(server.url + BLANK);
  const whole = await page.evaluate(get, FILE);
  assert.equal([whole.status, whole.size], [200, SIZE]);
  assert.ok(whole.headers.etag && whole.headers['last-modified'] && whole.headers['accept-ranges'] === 'bytes');
  const range = (headers) => page.evaluate(get, FILE, { headers, cache: 'no-store' });
  assert.equal((await range({ Range: 'bytes=5-14' })).headers['content-range'], `bytes 5-14/${SIZE}`);
  assert.is((await range({ Range: 'bytes=5-', 'If-Range': whole.headers.etag })).status, 206);
  assert.is((await range({ Range: 'bytes=5-', 'If-Range': '"another"' })).status, 200);
  assert.is((await range({ Range: `bytes=${SIZE}-` })).status, 416);
  assert.equal(server.log.filter(({ path }) => path === FILE).map(({ status }) => status), [200, 206, 206, 200, 416]);
});

each('faults are met as often as said', async ({ browser, server }) => {
  const page = await browser.page(server.url + BLANK);
  const ask = (query = '') => page.evaluate(get, FILE + query, { cache: 'no-store' });
  server.on(FILE, { cut: 100_000, times: 1 }, { status: 500, times: 2 });
  assert.is((await ask()).status, 500);
  assert.is((await ask()).status, 500);
  assert.is((await ask()).status, 200);
  assert.is((await ask('?cut=100000')).error, 'TypeError');
  assert.is((await ask('?longer=1000')).error, 'TypeError');
  const flipped = await ask('?flip=0'), slow = await ask(`?rate=${SIZE * 2}`);
  assert.is(flipped.first, 'G'.charCodeAt(0) ^ 0xff);
  assert.ok(slow.ms > 400 && slow.ms < 5000, `${slow.ms} ms`);
  const plain = await page.evaluate(get, `${FILE}?noRange&noETag&chunked`, { headers: { Range: 'bytes=0-9' }, cache: 'no-store' });
  assert.equal([plain.status, plain.size, plain.headers.etag, plain.headers['content-length']], [200, SIZE, undefined, undefined]);
  assert.is((await ask('?gzip')).size, SIZE);
});

each('the second origin lets itself be read and nothing else', async ({ browser, server }) => {
  const page = await browser.page(server.url + BLANK);
  const far = server.second + FILE;
  const answer = await page.evaluate(get, far);
  assert.equal([answer.status, answer.size, answer.headers.etag, answer.headers['content-range']], [200, SIZE, undefined, undefined]);
  assert.is((await page.evaluate(get, far, { headers: { Range: 'bytes=0-9', 'X-Needs': 'preflight' } })).error, 'TypeError');
  assert.ok(server.log.some(({ origin, method, status }) => origin === 'second' && method === 'OPTIONS' && status === 403));
});

each('the network can be down and up again', async ({ browser, server }) => {
  const page = await browser.page(server.url + BLANK);
  await server.stop();
  assert.is((await page.evaluate(get, FILE, { cache: 'no-store' })).error, 'TypeError');
  await server.start();
  assert.is((await page.evaluate(get, FILE, { cache: 'no-store' })).status, 200);
});

each('errors and words come out of the page, keys and files go in', async ({ browser, server }) => {
  const page = await browser.page(server.url + BLANK);
  const thrown = await page.evaluate(() => {
    throw Object.assign(new RangeError('too far'), { code: 'X' });
  }).catch((error) => error);
  assert.equal([thrown.name, thrown.code, thrown.message], ['RangeError', 'X', 'too far']);
  await page.evaluate(() => {
    console.warn('careful');
    document.body.innerHTML = '<input id="words"><input id="file" type="file"><button id="button">';
    document.getElementById('button').onclick = () => (document.title = 'clicked');
  });
  assert.ok(await page.until(() => true) && page.logs.some(({ text }) => text === 'careful'), page.said());
  await page.click('#words');
  await page.keyboard.type('Zoë');
  await page.keyboard.press('Tab');
  const file = new URL('../../LICENSE', import.meta.url);
  await page.upload('#file', decodeURIComponent(file.pathname));
  await page.click('#button');
  assert.equal(await page.evaluate(async () => {
    const [words, given] = ['words', 'file'].map((id) => document.getElementById(id));
    return [words.value, await given.files[0].text(), document.title];
  }), ['Zoë', readFileSync(file, 'utf8'), 'clicked']);
});

each('two pages work at once, and neither is hidden', async ({ browser, server }) => {
  const [one, other] = [await browser.page(server.url + BLANK), await browser.page(server.url + BLANK)];
  const late = one.evaluate(() => new Promise((resolve) => setTimeout(resolve, 500, 'late')));
  assert.equal([await one.evaluate('document.visibilityState'), await other.evaluate('document.visibilityState')], ['visible', 'visible']);
  assert.is(await late, 'late');
  assert.ok(browser.pids().length > 0);
});

each('a profile outlives its browser, and no process does', async ({ name, server }) => {
  const profileDir = mkdtempSync(join(tmpdir(), 'reprise-profile-'));
  try {
    for (const expected of [null, 'kept']) {
      const browser = await open(name, { profileDir });
      const page = await browser.page(server.url + BLANK);
      assert.is(await page.evaluate(() => localStorage.getItem('probe')), expected);
      await page.evaluate(() => localStorage.setItem('probe', 'kept'));
      await browser.close();
      assert.equal(marked(browser.mark), []);
    }
  } finally {
    rmSync(profileDir, { recursive: true, force: true, maxRetries: 5 });
  }
}, { only: ['chromium', 'firefox'] });

run();
