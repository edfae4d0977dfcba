// The optional service worker web/coi-sw.js: a page on a host that sets no headers becomes cross-origin isolated by it, and the
// package works there.
import * as assert from 'uvu/assert';
import { readFileSync } from 'node:fs';
import { use } from './lib/app.js';
import { each, run } from './lib/each.js';
import { putPackage } from './lib/packed.js';

const PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Isolated</title>';

each('coi-sw.js isolates a page, and the model runs in it', async ({ browser, server, name }) => {
  putPackage(server, '/isolated/reprise/');
  server.put('/isolated/index.html', PAGE);
  server.put('/isolated/coi-sw.js', readFileSync(new URL('../../web/coi-sw.js', import.meta.url)));
  const page = await browser.page(`${server.url}/isolated/index.html`);
  assert.is(await page.evaluate('crossOriginIsolated'), false);
  await page.evaluate(async () => {
    await navigator.serviceWorker.register('coi-sw.js');
    await navigator.serviceWorker.ready;
  });
  await page.until('!!navigator.serviceWorker.controller');
  await page.reload();
  const can = await page.evaluate("crossOriginIsolated && typeof SharedArrayBuffer === 'function'");
  assert.is(can, name !== 'webkit', 'WebKitGTK has no isolation'); // it has neither the one nor the other
  await use(page, server, '/isolated/reprise/index.js');
  const text = await page.evaluate(async (url) => {
    const model = await window.reprise.Model.load(url, { cache: false });
    const { text } = await model.session().prompt('Once upon a time', { temperature: 0, maxTokens: 10 });
    model.destroy();
    await (await navigator.serviceWorker.ready).unregister();
    return text;
  }, `${server.url}/models/stories.gguf`);
  assert.ok(text.length > 10);
});

run();
