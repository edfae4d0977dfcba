// The demo as a person meets it: a story without a click, everything by keyboard, the token view, errors in place, and axe.
import * as assert from 'uvu/assert';
import { fileURLToPath } from 'node:url';
import { accessible, beStrict, demo, quiet, story, tell, told } from './lib/demo.js';
import { each, run } from './lib/each.js';

const MODEL = fileURLToPath(new URL('../../models/stories.gguf', import.meta.url));
const FIRST_STORY_MS = 5000; // a second on an idle machine; tests share theirs

each('a story appears by itself, under a strict policy and without isolation', async ({ browser, server, name }) => {
  beStrict(server);
  const page = await browser.page(`${server.url}/web/`);
  const ms = await page.until(() => document.querySelector('.made span') && performance.now());
  console.log(`${name}: first token ${Math.round(ms)} ms after the page was asked for`);
  assert.ok(ms < FIRST_STORY_MS, `${ms} ms`);
  await told(page);
  assert.ok((await story(page)).startsWith('Once upon a time'));
  assert.is(await page.evaluate(() => crossOriginIsolated), false);
  quiet(page);
});

each('a seed gives the same text again, what was stopped goes on', async ({ browser, server }) => {
  const page = await demo(browser, server), before = await story(page);
  const seed = await page.evaluate(() => Number(/** @type {HTMLInputElement} */ (document.getElementById('story-seed')).value));
  assert.is.not(await tell(page, seed ? seed - 1 : 1), before);
  assert.is(await tell(page, seed), before);
  await page.click('#slow'); // so that it can be stopped
  await page.click('#story-tell');
  await page.until(() => document.querySelectorAll('.made span').length === 1);
  await page.click('#story-main');
  await page.until(() => /stopped/.test(String(document.getElementById('story-status')?.textContent)));
  const stopped = await story(page);
  await page.click('#slow');
  await page.click('#story-main');
  await page.until((length) => document.querySelector('#story-text .passage')?.textContent.length > length + 100, stopped.length);
  assert.ok((await story(page)).startsWith(stopped));
  quiet(page);
});

each('by keyboard alone: a prompt, the token view, an alternative', async ({ browser, server, name }) => {
  const page = await demo(browser, server);
  const focused = () => page.evaluate(() => {
    const element = /** @type {HTMLElement} */ (document.activeElement), { outlineStyle, outlineWidth } = getComputedStyle(element);
    return { id: element.id, seen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 };
  });
  const tabTo = async (id) => {
    for (let i = 0; i < 30; i++) {
      await page.keyboard.press('Tab');
      const { id: at, seen } = await focused();
      assert.ok(seen, `the focus on #${at} is seen`);
      if (at === id) return;
    }
    throw new Error(`Tab does not reach #${id}`);
  };
  await tabTo('prompt');
  await page.keyboard.press('Enter');
  await told(page);
  await tabTo('story-shade');
  await page.keyboard.press(' ');
  await page.evaluate(() => document.querySelector('.made span').focus());
  for (let i = 0; i < 5; i++) await page.keyboard.press('ArrowRight');
  await page.until(() => !document.querySelector('.alternatives').hidden);
  const before = await story(page);
  await page.keyboard.press('Enter');
  await page.keyboard.press('ArrowDown');
  const chosen = await page.evaluate(() => document.activeElement.querySelector('.word').textContent.replace('·', ' '));
  await page.keyboard.press('Enter');
  await page.until(() => document.querySelector('.made .chosen'));
  await told(page);
  const after = await story(page);
  assert.is.not(after, before);
  assert.is(await page.evaluate(() => document.querySelector('.made .chosen').textContent), chosen, name);
  assert.is(await page.evaluate(() => [...document.querySelectorAll('.made span')].findIndex((span) => span.matches('.chosen'))), 5);
  quiet(page);
});

each('what fails is said in place, and nothing is lost', async ({ browser, server }) => {
  const page = await demo(browser, server), before = await story(page);
  await page.click('#model-button');
  await page.evaluate(() => {
    document.getElementById('address').value = '/models/none.gguf';
    document.getElementById('address-form').requestSubmit();
  });
  const said = await page.until(() => document.querySelector('#picker-fault .fault')?.textContent);
  assert.match(said, /RP_ERR_IO/);
  assert.match(said, /no such file/);
  assert.is(await story(page), before);
});

each('a GGUF file that is chosen is planned and loaded', async ({ browser, server }) => {
  const page = await demo(browser, server);
  await page.click('#model-button');
  await page.upload('#file', MODEL);
  assert.match(await page.until(() => document.querySelector('#plan dl')?.textContent), /4 blocks, 8 visits/);
  await page.click('#picker-load');
  await page.until(() => document.getElementById('model-name').textContent === 'stories.gguf');
  await page.evaluate(() => { document.getElementById('story-status').textContent = ''; });
  await page.click('#story-tell');
  await told(page);
  assert.ok((await story(page)).length > 20);
  quiet(page);
}, { only: ['chromium', 'firefox'] });

each('the score follows the model, slowed down', async ({ browser, server }) => {
  const page = await demo(browser, server);
  await page.click('#slow');
  await page.click('#story-tell');
  await page.until(() => /^Visit \d of 8: block \d.*KV slot/.test(document.getElementById('score-caption').textContent));
  assert.ok(await page.evaluate(() => document.querySelectorAll('.score .lit').length) > 0);
  await page.click('#slow');
});

each('axe finds nothing serious, in both themes', async ({ browser, server }) => {
  const page = await demo(browser, server);
  for (const theme of ['light', 'dark']) {
    await page.evaluate((wanted) => {
      localStorage.clear();
      localStorage.setItem('reprise:theme', JSON.stringify(wanted));
    }, theme);
    await page.reload();
    await told(page);
    await accessible(page, `${theme}: story`);
    await page.click('#story-shade');
    await page.evaluate(() => document.querySelector('.made span').focus());
    await accessible(page, `${theme}: token view`);
    await page.click('#model-button');
    await page.click('label[for="model-stories"]');
    await page.until(() => document.querySelector('#plan dl'));
    await accessible(page, `${theme}: picker`);
    await page.click('#picker [data-close]');
    await page.click('#sampling-button');
    await accessible(page, `${theme}: sampling`);
    await page.click('#sampling [data-close]');
    await page.click('#tab-chat');
    await accessible(page, `${theme}: chat`);
    await page.click('#tab-story');
  }
});

each('it fits a phone', async ({ browser, server }) => {
  const page = await demo(browser, server);
  await page.page.setViewport({ width: 360, height: 740 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360);
}, { only: ['chromium', 'firefox'] });

run();
