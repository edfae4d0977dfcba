// The same test in every engine. A file has one server and, for each engine, one browser with a fresh profile; after
// each test its pages are closed and the server is as it was. BROWSERS=chromium,firefox picks engines. One that is not
// on this machine is skipped with its reason, on CI (CI=true) it is a failure.
//
//     each('adds', async ({ browser, server, name }) => {
//       const page = await browser.page(`${server.url}/tests/browser/pages/blank.html`);
//       assert.is(await page.evaluate((a, b) => a + b, 1, 2), 3);
//     });
//     run();
import { suite } from 'uvu';
import { skip } from '../../js/lib/skip.js';
import { find, NAMES, open } from './browsers.js';
import { within } from './processes.js';
import { serve } from './server.js';

const TEST_MS = 120_000;
const CI = process.env.CI === 'true';

/** @typedef {import('./find.js').Name} Name */
/** @typedef {{ name: Name, browser: import('./browsers.js').Browser, server: import('./server.js').Server }} Given */
/**
 * @typedef {{ only?: readonly Name[], ms?: number }} Limits only: engines it is about; ms: longest time for one engine
 */

/** @type {{ title: string, body: (given: Given) => Promise<unknown>, only: readonly Name[], ms: number }[]} */
const tests = [];

/** @param {string} title @param {(given: Given) => Promise<unknown>} body @param {Limits} [limits] */
export function each(title, body, { only = NAMES, ms = TEST_MS } = {}) {
  tests.push({ title, body, only, ms });
}

function chosen() {
  const words = process.env.BROWSERS?.split(',');
  const unknown = words?.find((word) => !NAMES.some((name) => name === word));
  if (unknown !== undefined) throw new Error(`BROWSERS: no ${unknown}, but ${NAMES}`);
  return NAMES.filter((name) => !words || words.includes(name));
}

/** Runs what was said with `each`. @param {import('./browsers.js').Options} [options] for the browsers */
export function run(options = {}) {
  /** @type {import('./server.js').Server | undefined} */
  let server;
  for (const name of chosen()) {
    const here = suite(name), { missing } = find(name);
    /** @type {import('./browsers.js').Browser | undefined} */
    let browser;
    for (const { title, body, ms } of tests.filter(({ only }) => only.includes(name))) here(title, async () => {
      if (missing && !CI) return skip(`${title}: ${missing}`);
      server ??= await serve();
      browser ??= await open(name, options);
      try {
        await within(ms, `${name}: ${title}`, body({ name, browser, server }));
        await Promise.all(browser.pages.map((page) => page.close()));
      } catch (error) {
        explain(error, browser);
        await browser.close(); // it may hang: the next test gets another one
        browser = undefined;
        throw error;
      } finally {
        await server.restart();
      }
    });
    here.after(async () => {
      await browser?.close();
      if (name === chosen().at(-1)) await server?.close();
    });
    here.run();
  }
}

/** @param {any} error @param {import('./browsers.js').Browser} browser */
function explain(error, browser) {
  const said = browser.pages.map((page) => page.said()).filter(Boolean).join('\n');
  if (said) console.log(`\nThe pages said:\n${said}`);
  if (!(error instanceof Error)) throw new Error(`${error}`);
}
