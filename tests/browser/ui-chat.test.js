// The demo's chat with SmolLM2, whose file is served under the address that the catalogue names: load from the picker, ask,
// stop, continue, regenerate, and all of that again without a network.
import * as assert from 'uvu/assert';
import { existsSync, readFileSync } from 'node:fs';
import { precacheList, root } from '../../web/tools/site.js';
import { skip } from '../js/lib/skip.js';
import { demo, quiet, told } from './lib/demo.js';
import { each, run } from './lib/each.js';

const FILE = `${root}build/models/smollm2.gguf`;

/** @param {import('./lib/page.js').Page} page @param {string} text */
async function ask(page, text) {
  await page.evaluate((question) => {
    document.getElementById('composer').value = question;
    document.getElementById('chat-form').requestSubmit();
  }, text);
  await page.until((question) => [...document.querySelectorAll('.message.user')].at(-1)?.textContent.includes(question), text);
}

const answered = (page) => page.until(() => document.getElementById('send').textContent === 'Send'
  && document.querySelector('.message:last-child .foot button') && document.querySelector('.message:last-child .passage').textContent);

each('chats with the model of the catalogue, online and off', async ({ browser, server, name }) => {
  if (!existsSync(FILE)) return skip('no SmolLM2 here: make models');
  server.put('/models/smollm2.gguf', readFileSync(FILE));
  server.put('/web/precache-list.js', precacheList());
  const page = await demo(browser, server);
  await page.evaluate(() => localStorage.setItem('reprise:sampling', '{"maxTokens": 60}'));
  await page.reload();
  await told(page);
  await page.click('#tab-chat');
  await page.click('#chat-offer-button');
  await page.until(() => !document.getElementById('picker-load').disabled);
  assert.match(await page.evaluate(() => document.getElementById('picker').textContent), /98 MB · Apache-2.0[^]*30 blocks/);
  assert.ok(server.sent('smollm2.gguf') < 20e6, 'the header alone is read for the plan');
  await page.click('#picker-load');
  await page.until(() => document.getElementById('model-name').textContent.startsWith('SmolLM2'));
  await ask(page, 'What is the capital of France?');
  assert.ok(await answered(page));
  await ask(page, 'Tell me a long story about it.');
  await page.until(() => document.querySelectorAll('.message:last-child .made span').length > 5);
  await page.click('#send');
  const stopped = await answered(page);
  await page.evaluate(() => [...document.querySelectorAll('.foot button')].find(({ textContent }) => textContent === 'Continue').click());
  await page.until((length) => document.querySelector('.message:last-child .passage').textContent.length > length + 20, stopped.length);
  await page.click('#send');
  assert.ok((await answered(page)).startsWith(stopped));
  quiet(page);
  if (name === 'webkit') return; // a driven window of WebKit keeps no files
  await page.until(() => document.getElementById('progress').hidden);
  await page.until(async () => (await navigator.serviceWorker.getRegistration())?.active?.state === 'activated');
  await page.close();
  await server.stop();
  const offline = await browser.page(`${server.url}/web/`);
  await offline.until(() => document.getElementById('model-name').textContent.startsWith('SmolLM2'));
  await ask(offline, 'What is the capital of Italy?');
  assert.ok(await answered(offline));
}, { ms: 240_000 });

run();
