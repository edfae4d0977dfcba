// WebKit as WebKitGTK has it, by its own driver, on a screen that nobody sees. Its driven windows are private ones: no
// OPFS, and nothing is kept. Each page is a window of its own, because a hidden tab would be slowed down.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expression, receive } from './evaluate.js';
import { LOAD_MS, Page } from './page.js';
import { end, marked, newMark, within } from './processes.js';
import { Session } from './webdriver.js';

const START_MS = 60_000;
const SCREEN = '1600x1200x24';

/** A screen of its own. @param {string} program @param {NodeJS.ProcessEnv} env */
async function startScreen(program, env) {
  const server = spawn(program, ['-displayfd', '3', '-screen', '0', SCREEN, '-nolisten', 'tcp'],
    { env, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const stream = /** @type {import('node:stream').Readable} */ (server.stdio[3]).setEncoding('utf8');
  const ended = once(server, 'exit').then(() => {
    throw new Error('Xvfb ended at once');
  });
  ended.catch(() => {}); // later it may
  const [text] = await within(START_MS, 'Xvfb starts', Promise.race([once(stream, 'data'), ended]));
  return `:${String(text).trim()}`;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/** WebKit's driver, ready for a session: its address. @param {string} program @param {NodeJS.ProcessEnv} env */
async function startDriver(program, env) {
  const url = `http://127.0.0.1:${await freePort()}`;
  const driver = spawn(program, [`--port=${new URL(url).port}`, '--host=127.0.0.1'], { env, stdio: 'ignore' });
  for (const late = performance.now() + START_MS; ; await sleep(30)) {
    const ready = await fetch(`${url}/status`).then((answer) => answer.ok, () => false);
    if (ready) return url;
    if (driver.exitCode !== null) throw new Error(`WebKitWebDriver ended with ${driver.exitCode}`);
    if (performance.now() > late) throw new Error('WebKitWebDriver does not answer');
  }
}

// A private window's console goes nowhere, and this driver does not ask for it: what is said before the page has loaded,
// and in workers, is not heard.
function listen() {
  const said = /** @type {import('./page.js').Log[]} */ ([]);
  Object.assign(window, { [Symbol.for('said')]: said });
  for (const type of /** @type {const} */ (['log', 'debug', 'info', 'warn', 'error'])) {
    const speak = console[type];
    console[type] = (...what) => {
      said.push({ type, text: what.map((value) => value?.stack ?? String(value)).join(' ') });
      speak.apply(console, what);
    };
  }
  addEventListener('error', ({ message, filename, lineno }) => {
    said.push({ type: 'pageerror', text: `${message} at ${filename}:${lineno}` });
  });
  addEventListener('unhandledrejection', ({ reason }) => {
    said.push({ type: 'pageerror', text: `not caught: ${reason?.stack ?? reason}` });
  });
}

class WebKitPage extends Page {
  #evaluations = 0;
  /** @param {Session} session @param {string} window */
  constructor(session, window) {
    super();
    this.session = session;
    this.window = window;
    /** @param {string} key */
    const strokes = (key) => /** @type {const} */ ([{ type: 'keyDown', key }, { type: 'keyUp', key }]);
    this.keyboard = {
      /** @param {string} key */ press: (key) => session.keys(window, [...strokes(key)]),
      /** @param {string} text */ type: (text) => session.keys(window, [...text].flatMap((key) => [...strokes(key)])),
      /** @param {string} key */ down: (key) => session.keys(window, [{ type: 'keyDown', key }]),
      /** @param {string} key */ up: (key) => session.keys(window, [{ type: 'keyUp', key }]),
    };
  }

  /** @param {string} method @param {string} path @param {unknown} [body] @param {number} [ms] */
  send(method, path, body, ms) {
    return this.session.send(this.window, method, path, body, ms);
  }

  /** @param {string} url */
  async goto(url) {
    await this.send('POST', '/url', { url }, LOAD_MS);
    await this.evaluate(listen);
  }

  async reload() {
    await this.send('POST', '/refresh', {}, LOAD_MS);
    await this.evaluate(listen);
  }

  /**
   * Started here and asked for again and again, so that no page waits for another one's evaluation.
   * @override @param {number} ms @param {string | Function} what @param {...unknown} args
   */
  async evaluateWithin(ms, what, ...args) {
    const late = performance.now() + ms, id = this.#evaluations++, shown = String(what).slice(0, 200);
    /** @param {string} script */
    const run = (script) => this.send('POST', '/execute/sync', { args: [],
      script: `const all = (window[Symbol.for('evaluations')] ??= {}); ${script}` });
    await run(`all[${id}] = null; ${expression(what, args)}.then((text) => { all[${id}] = text; });`);
    for (let pause = 2; ; pause = Math.min(100, pause * 2)) {
      const [text, said] = await run(
        `return [all[${id}] === undefined ? 'lost' : all[${id}], window[Symbol.for('said')]?.splice(0) ?? []]`);
      this.logs.push(...said);
      if (text === 'lost') throw new Error(`the page went away during ${shown}`);
      if (text !== null) return receive(text);
      if (performance.now() > late) throw new Error(`webkit evaluates ${shown}: no answer within ${ms / 1000} s`);
      await sleep(pause);
    }
  }

  /** @param {string} selector */
  async click(selector) {
    await this.send('POST', `/element/${await this.session.element(this.window, selector)}/click`);
  }

  /** @param {string} selector @param {...string} paths */
  async upload(selector, ...paths) {
    await this.send('POST', `/element/${await this.session.element(this.window, selector)}/value`, { text: paths.join('\n') });
  }

  /** @param {string} path @param {{ width?: number, height?: number, dark?: boolean, full?: boolean }} [options] */
  async screenshot(path, { width = 1280, height = 800, dark, full = false } = {}) {
    if (dark !== undefined) throw new Error("WebKit: say open('webkit', { dark: true })");
    if (full) height = Math.min(1000, await this.evaluate('document.documentElement.scrollHeight'));
    await this.#resize(width, height);
    writeFileSync(path, Buffer.from(await this.send('GET', '/screenshot'), 'base64'));
  }

  /** The driver sizes windows with their frames. @param {number} width @param {number} height */
  async #resize(width, height) {
    for (let round = 0, more = [0, 0]; round < 3; round++) {
      await this.send('POST', '/window/rect', { x: 0, y: 0, width: width + more[0], height: height + more[1] });
      await sleep(200);
      const [inner, tall] = await this.evaluate('[innerWidth, innerHeight]');
      if (inner === width && tall === height) return;
      more = [more[0] + width - inner, more[1] + height - tall];
    }
  }

  async close() {
    if (!this.closed) await this.send('DELETE', '/window');
    this.closed = true;
  }
}

class WebKit {
  name = /** @type {const} */ ('webkit');
  /** @type {WebKitPage[]} */ #pages = [];
  /**
   * @param {Session} session
   * @param {string} first the window it began with
   * @param {string} mark
   * @param {() => void} tidy
   */
  constructor(session, first, mark, tidy) {
    this.session = session;
    this.first = first;
    this.mark = mark;
    this.tidy = tidy;
  }

  /** A new window of the same profile. @param {string} [url] */
  async page(url) {
    const { handle } = await this.session.send(this.first, 'POST', '/window/new', { type: 'window' });
    const page = new WebKitPage(this.session, handle);
    this.#pages.push(page);
    if (url) await page.goto(url);
    return page;
  }

  get pages() {
    return this.#pages.filter(({ closed }) => !closed);
  }

  /** @param {boolean} offline @returns {Promise<void>} */
  async setOffline(offline) {
    throw new Error(`WebKit cannot be ${offline ? 'off' : 'on'}line by itself: stop the server`);
  }

  pids() {
    return marked(this.mark).filter(({ command }) => command.includes('WebKitWebProcess')).map(({ pid }) => pid);
  }

  async close() {
    await this.session.send('', 'DELETE', '', undefined, 5000).catch(() => {});
    await end(this.mark); // the driver and the screen never end by themselves
    this.tidy();
  }
}

/** @param {Record<string, string>} programs @param {import('./browsers.js').Options} options */
export async function openWebKit(programs, { profileDir, args = [], dark = false }) {
  if (profileDir) throw new Error('a driven WebKit keeps no profile');
  const { mark, env, folder } = newMark();
  const tidy = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  Object.assign(env, { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder, XDG_CACHE_HOME: folder,
    GDK_BACKEND: 'x11', GSETTINGS_BACKEND: 'memory', NO_AT_BRIDGE: '1', GTK_THEME: dark ? 'Adwaita:dark' : 'Adwaita' });
  try {
    env.DISPLAY = await startScreen(programs.Xvfb, env);
    const url = await startDriver(programs.driver, env);
    const browserOptions = { binary: programs.browser, args: ['--automation', ...args] };
    const session = await Session.open(url, { 'webkitgtk:browserOptions': browserOptions }, START_MS);
    return new WebKit(session, await session.send('', 'GET', '/window'), mark, tidy);
  } catch (error) {
    await end(mark);
    tidy();
    throw error;
  }
}
