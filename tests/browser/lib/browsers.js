// One way to drive the three engines. Each browser is a fresh one, with a profile of its own that is gone afterwards
// unless `profileDir` says where to keep it, and leaves no process behind, even when the test is killed.
//
//     const browser = await open('webkit');
//     const page = await browser.page(`${server.url}/web/`);
//     await page.evaluate(async (name) => (await fetch(name)).status, 'index.html')   // 200
//     await browser.close();
import { find } from './find.js';
import { openPuppet } from './puppet.js';
import { openWebKit } from './webkit.js';

export { find, NAMES } from './find.js';

/**
 * @typedef {object} Options
 * @property {string} [profileDir] kept, so that a second browser finds what the first one stored; not WebKit, whose
 *   driven windows are private ones
 * @property {string[]} [args] for the program
 * @property {boolean} [dark] pages are told that the person prefers dark colours
 */
/** @typedef {Awaited<ReturnType<typeof open>>} Browser */

/** @param {import('./find.js').Name} name @param {Options} [options] */
export async function open(name, options = {}) {
  const { programs, missing } = find(name);
  if (!programs) throw new Error(missing);
  return name === 'webkit' ? openWebKit(programs, options) : openPuppet(name, programs.browser, options);
}
