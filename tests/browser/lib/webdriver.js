// The little of the WebDriver protocol that WebKit's driver is asked for: commands over HTTP, one at a time, each in
// the window it is meant for.
import { within } from './processes.js';

const COMMAND_MS = 60_000;
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'; // the protocol's own name for a reference

/** @type {Record<string, string>} */
export const KEYS = {
  Backspace: '\uE003', Tab: '\uE004', Enter: '\uE007', Shift: '\uE008', Control: '\uE009', Alt: '\uE00A', Escape: '\uE00C',
  PageUp: '\uE00E', PageDown: '\uE00F', End: '\uE010', Home: '\uE011', ArrowLeft: '\uE012', ArrowUp: '\uE013',
  ArrowRight: '\uE014', ArrowDown: '\uE015', Delete: '\uE017', Meta: '\uE03D', Space: ' ',
};

/** @param {string} method @param {string} url @param {unknown} [body] @param {number} [ms] */
async function command(method, url, body, ms = COMMAND_MS) {
  const what = `WebDriver ${method} ${new URL(url).pathname}`;
  const sent = fetch(url, { method, signal: AbortSignal.timeout(ms + 1000),
    body: method === 'POST' ? JSON.stringify(body ?? {}) : undefined });
  const { value } = await within(ms, what, sent.then((answer) => answer.json()));
  if (value?.error) throw new Error(`${what}: ${value.error}: ${value.message}`);
  return value;
}

export class Session {
  #queue = Promise.resolve();
  #window = '';
  /** @param {string} url of the session */
  constructor(url) {
    this.url = url;
  }

  /** @param {string} driver its address @param {unknown} capabilities @param {number} ms */
  static async open(driver, capabilities, ms) {
    const { sessionId } = await command('POST', `${driver}/session`, { capabilities: { alwaysMatch: capabilities } }, ms);
    return new Session(`${driver}/session/${sessionId}`);
  }

  /**
   * Commands of a page run in its window, so nothing may come between the switch and them.
   * @param {string} window '' for commands of no window
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @param {number} [ms]
   * @returns {Promise<any>}
   */
  send(window, method, path, body, ms) {
    const run = async () => {
      if (window && window !== this.#window) await command('POST', `${this.url}/window`, { handle: window });
      if (window) this.#window = window;
      return command(method, this.url + path, body, ms);
    };
    const answer = this.#queue.then(run);
    this.#queue = answer.then(() => {}, () => {});
    return answer;
  }

  /** @param {string} window @param {string} selector */
  async element(window, selector) {
    const found = await this.send(window, 'POST', '/element', { using: 'css selector', value: selector });
    return String(found[ELEMENT]);
  }

  /** @param {string} window @param {{ type: 'keyDown' | 'keyUp', key: string }[]} steps */
  async keys(window, steps) {
    const actions = steps.map(({ type, key }) => ({ type, value: KEYS[key] ?? key }));
    await this.send(window, 'POST', '/actions', { actions: [{ type: 'key', id: 'keyboard', actions }] });
  }
}
