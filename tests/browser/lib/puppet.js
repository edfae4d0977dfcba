// Chromium and Firefox, by puppeteer: DevTools protocol for the one, WebDriver BiDi for the other.
import { rmSync, writeFileSync } from 'node:fs';
import puppeteer from 'puppeteer-core';
import { expression, receive } from './evaluate.js';
import { EVALUATE_MS, LOAD_MS, Page } from './page.js';
import { end, gone, marked, newMark, within } from './processes.js';

const START_MS = 60_000;
const CHROMIUM = ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--disable-quic', '--no-first-run', '--force-color-profile=srgb', '--hide-scrollbars'];
// The driver opens doors of file:// that a person's Firefox keeps shut.
const FIREFOX = { 'security.fileuri.strict_origin_policy': true };
const DARK = { name: 'prefers-color-scheme', value: 'dark' };

class PuppetPage extends Page {
  /** @param {import('puppeteer-core').Page} page @param {import('./find.js').Name} name */
  constructor(page, name) {
    super();
    this.page = page;
    this.name = name;
    this.keyboard = page.keyboard;
    page.on('console', (message) => this.logs.push({ type: message.type(), text: message.text() }));
    page.on('pageerror', (error) => {
      this.logs.push({ type: 'pageerror', text: String(/** @type {any} */ (error)?.stack ?? error) });
    });
    page.on('error', (error) => this.logs.push({ type: 'crash', text: String(error) }));
    page.on('requestfailed', (request) => {
      this.logs.push({ type: 'request', text: `${request.url()} ${request.failure()?.errorText}` });
    });
    page.on('close', () => (this.closed = true));
  }

  /** @param {string} url */
  async goto(url) {
    await within(LOAD_MS + 1000, `${this.name} opens ${url}`, this.page.goto(url, { waitUntil: 'load', timeout: LOAD_MS }));
  }

  async reload() {
    const loaded = this.page.reload({ waitUntil: 'load', timeout: LOAD_MS });
    await within(LOAD_MS + 1000, `${this.name} reloads ${this.page.url()}`, loaded);
  }

  /** @override @param {number} ms @param {string | Function} what @param {...unknown} args */
  async evaluateWithin(ms, what, ...args) {
    const answer = /** @type {Promise<string>} */ (this.page.evaluate(expression(what, args)));
    return receive(await within(ms, `${this.name} evaluates ${String(what).slice(0, 200)}`, answer));
  }

  /** @param {string} selector */
  async click(selector) {
    await within(LOAD_MS, `${this.name} clicks ${selector}`, this.page.click(selector));
  }

  /** A file input is given files. @param {string} selector @param {...string} paths */
  async upload(selector, ...paths) {
    const input = /** @type {import('puppeteer-core').ElementHandle<HTMLInputElement>} */ (await this.page.$(selector));
    await within(LOAD_MS, `${this.name} uploads ${paths}`, input.uploadFile(...paths));
  }

  /**
   * What is seen, as a PNG file. Firefox is dark only when it was opened so.
   * @param {string} path
   * @param {{ width?: number, height?: number, dark?: boolean, full?: boolean }} [options] full: all of the page, not the window
   */
  async screenshot(path, { width = 1280, height = 800, dark, full = false } = {}) {
    await this.page.setViewport({ width, height });
    if (dark !== undefined && this.name === 'firefox') throw new Error("Firefox: say open('firefox', { dark: true })");
    if (dark !== undefined) await this.page.emulateMediaFeatures([{ ...DARK, value: dark ? 'dark' : 'light' }]);
    const picture = this.page.screenshot({ fullPage: full });
    writeFileSync(path, await within(EVALUATE_MS, `${this.name} takes a picture`, picture));
  }

  async close() {
    if (!this.closed) await within(LOAD_MS, `${this.name} closes a page`, this.page.close());
  }
}

class Puppet {
  /** @type {PuppetPage[]} */ #pages = [];
  /**
   * @param {import('./find.js').Name} name
   * @param {import('puppeteer-core').Browser} browser
   * @param {string} mark
   * @param {{ dark: boolean, tidy: () => void }} rest
   */
  constructor(name, browser, mark, { dark, tidy }) {
    this.name = name;
    this.browser = browser;
    this.mark = mark;
    this.dark = dark;
    this.tidy = tidy;
  }

  /** A new tab of the same profile. @param {string} [url] */
  async page(url) {
    const opened = this.browser.newPage({ type: 'window' }); // a hidden tab would be slowed down
    const page = new PuppetPage(await within(LOAD_MS, `${this.name} opens a page`, opened), this.name);
    this.#pages.push(page);
    if (this.dark && this.name === 'chromium') await page.page.emulateMediaFeatures([DARK]);
    if (url) await page.goto(url);
    return page;
  }

  /** Those that are open. */
  get pages() {
    return this.#pages.filter(({ closed }) => !closed);
  }

  /** For the open pages themselves: requests of workers go on, for them stop the server. @param {boolean} offline */
  async setOffline(offline) {
    await Promise.all(this.pages.map(({ page }) => page.setOfflineMode(offline)));
  }

  /** The processes that run pages. */
  pids() {
    const renders = this.name === 'chromium' ? / --type=renderer/ : / -contentproc .* tab$/;
    return marked(this.mark).filter(({ command }) => renders.test(command)).map(({ pid }) => pid);
  }

  async close() {
    await within(10_000, `${this.name} closes`, this.browser.close()).catch(() => {});
    if (!await gone(this.mark, 5000)) await end(this.mark);
    this.tidy();
  }
}

/**
 * @param {'chromium' | 'firefox'} name
 * @param {string} executablePath
 * @param {import('./browsers.js').Options} options
 */
export async function openPuppet(name, executablePath, { profileDir, args = [], dark = false }) {
  const { mark, env, folder } = newMark();
  const tidy = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  try {
    const browser = await within(START_MS, `${name} starts`, puppeteer.launch({
      browser: name === 'firefox' ? 'firefox' : 'chrome', executablePath, env, headless: true,
      userDataDir: profileDir ?? folder, args: [...name === 'chromium' ? CHROMIUM : [], ...args],
      timeout: START_MS, protocolTimeout: 0, defaultViewport: { width: 1280, height: 800 },
      extraPrefsFirefox: { ...FIREFOX, 'layout.css.prefers-color-scheme.content-override': dark ? 0 : 1 },
    }));
    return new Puppet(name, browser, mark, { dark, tidy });
  } catch (error) {
    await end(mark);
    tidy();
    throw error;
  }
}
