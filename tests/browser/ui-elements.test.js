// The elements on a bare page under a strict policy: one script tag, a form, moving, leaving, sharing a model.
import * as assert from 'uvu/assert';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { skip } from '../js/lib/skip.js';
import { accessible, POLICY, quiet } from './lib/demo.js';
import { each, run } from './lib/each.js';

const BARE = '/tests/browser/pages/bare-element.html';
const CHAT_MODEL = '/build/models/smollm2.gguf';
const hasChatModel = existsSync(fileURLToPath(new URL(`../..${CHAT_MODEL}`, import.meta.url)));

/** @param {any} given @param {string} body of the page */
async function bare({ browser, server }, body) {
  server.put(BARE, `<!doctype html><html lang="en"><title>A page</title><script type="module" src="../../../js/element/index.js"></script><main><h1>A page</h1>${body}</main></html>`);
  server.always = { headers: { 'Content-Security-Policy': POLICY } };
  const page = await browser.page(server.url + BARE);
  await page.until(() => !!customElements.get('reprise-complete'));
  await page.evaluate(() => {
    Object.assign(window, { told: [] });
    for (const name of ['ready', 'error', 'message', 'accept']) addEventListener(`reprise-${name}`, () => Reflect.get(window, 'told').push(name));
  });
  return page;
}

const FIELD = `<form><label for="tale">A tale</label>
  <reprise-complete id="tale" name="tale" src="../../../models/stories.gguf" context="256" temperature="0" value="Once upon a time"></reprise-complete>
  <button>Send</button></form>`;

each('a field offers how the text goes on, Tab takes it, a second Tab leaves', async ({ name, ...given }) => {
  const page = await bare(given, FIELD);
  assert.is(await page.evaluate(() => document.querySelector('reprise-complete').model), null, 'nothing is loaded unasked');
  await page.evaluate(() => document.querySelector('reprise-complete').focus());
  await page.keyboard.press('End');
  await page.keyboard.type(', there');
  const offer = await page.until(() => document.querySelector('reprise-complete').busy === false && document.querySelector('reprise-complete').suggestion);
  assert.match(offer, /^ was a/);
  await accessible(page, 'with an offer');
  await page.keyboard.press('Tab');
  assert.is(await page.evaluate(() => document.querySelector('reprise-complete').value), `Once upon a time, there${offer}`);
  assert.is(await page.evaluate(() => new FormData(document.querySelector('form')).get('tale')), `Once upon a time, there${offer}`);
  await page.keyboard.press('Tab');
  assert.is(await page.evaluate(() => document.activeElement.localName), 'button', name);
  await page.evaluate(() => document.querySelector('form').reset());
  assert.is(await page.evaluate(() => document.querySelector('reprise-complete').value), 'Once upon a time');
  assert.equal(await page.evaluate(() => Reflect.get(window, 'told')), ['ready', 'accept']);
  quiet(page);
});

each('an element that moves keeps its model, one that leaves gives it back', async (given) => {
  const page = await bare(given, FIELD);
  const kept = await page.evaluate(async () => {
    const element = document.querySelector('reprise-complete'), model = await element.load();
    document.querySelector('main').append(element);
    await new Promise((resolve) => setTimeout(resolve));
    return element.model === model;
  });
  assert.ok(kept);
  const after = await page.evaluate(async () => {
    const element = document.querySelector('reprise-complete'), { model } = element;
    element.remove();
    await new Promise((resolve) => setTimeout(resolve));
    return [element.model, await model.tokenize('a').catch((/** @type {any} */ { code }) => code)];
  });
  assert.equal(after, [null, 'RP_ERR_ARGUMENT']);
});

each('a disabled field takes no part, a required one must be filled', async (given) => {
  const page = await bare(given, FIELD);
  const found = await page.evaluate(() => {
    const element = document.querySelector('reprise-complete'), form = document.querySelector('form');
    element.setAttribute('required', '');
    element.value = '';
    const invalid = [form.checkValidity(), element.validity.valueMissing];
    element.setAttribute('disabled', '');
    return [...invalid, [...new FormData(form)].length, element.shadowRoot.querySelector('textarea').disabled];
  });
  assert.equal(found, [false, true, 0, true]);
});

each('what fails is said and told, and the text is in the field again', async (given) => {
  const page = await bare(given, '<reprise-chat src="../../../models/none.gguf"></reprise-chat>');
  const found = await page.evaluate(async () => {
    const element = document.querySelector('reprise-chat');
    const code = await element.send('Hello').catch((/** @type {any} */ error) => error.code);
    return [code, element.messages.length, element.shadowRoot.querySelector('textarea').value, element.shadowRoot.querySelector('[part=status]').textContent.slice(0, 9)];
  });
  assert.equal(found, ['RP_ERR_IO', 0, 'Hello', 'RP_ERR_IO']);
});

each('a conversation that is cleared while the model loads stays empty', async (given) => {
  const page = await bare(given, '<reprise-chat src="../../../models/none.gguf"></reprise-chat>');
  const found = await page.evaluate(async () => {
    const element = document.querySelector('reprise-chat');
    const sent = element.send('Hello').catch(() => {});
    element.messages = [{ role: 'user', content: 'Another.' }];
    await sent;
    return [element.messages.map(({ content }) => content), element.shadowRoot.querySelectorAll('li').length, element.shadowRoot.querySelector('textarea').value];
  });
  assert.equal(found, [['Another.'], 1, '']);
});

each('two chats share one model and each its own conversation', async (given) => {
  if (!hasChatModel) return skip('no SmolLM2 here: make models');
  const tag = `<reprise-chat src="../../..${CHAT_MODEL}" context="256" max-tokens="12" temperature="0"></reprise-chat>`;
  const page = await bare(given, tag + tag);
  const found = await page.evaluate(async () => {
    const [one, two] = document.querySelectorAll('reprise-chat');
    await Promise.all([one.send('Say A.'), two.send('Say B.')]);
    await one.send('Again.');
    return { same: one.model === two.model, lengths: [one.messages.length, two.messages.length], roles: one.messages.map(({ role }) => role) };
  });
  assert.equal(found, { same: true, lengths: [4, 2], roles: ['user', 'assistant', 'user', 'assistant'] });
  await accessible(page, 'two chats');
  quiet(page);
}, { only: ['chromium'] });

run();
