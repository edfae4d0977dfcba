// A blank page with the library in it, for tests that talk to it as a program would.
//
//     const page = await app(browser, server);
//     await page.evaluate(async (url) => {
//       const model = await reprise.Model.load(url);
//       …
//     }, `${server.url}/models/stories.gguf`);

const BLANK = '/tests/browser/pages/blank.html';
let pages = 0;

/**
 * @param {import('./browsers.js').Browser} browser
 * @param {import('./server.js').Server} server
 * @param {{ isolated?: boolean, headers?: Record<string, string>, library?: string }} [options] isolated: with
 *   SharedArrayBuffer where the engine has it; headers: of the page, for instance a Content-Security-Policy
 */
export async function app(browser, server, { isolated = false, headers, library = '/js/index.js' } = {}) {
  if (isolated) server.isolate();
  if (headers) server.on(BLANK, { headers });
  // Never one from the browser's cache, with other headers.
  const page = await browser.page(`${server.url}${BLANK}?page=${++pages}`);
  await use(page, server, library);
  return page;
}

/**
 * Brings the library into a page, again after a reload.
 * @param {import('./page.js').Page} page
 * @param {import('./server.js').Server} server
 * @param {string} [library]
 */
export async function use(page, server, library = '/js/index.js') {
  await page.evaluate(async (/** @type {string} */ url) => {
    const { ...all } = await import(url);
    Object.assign(window, { reprise: all });
  }, server.url + library);
}
