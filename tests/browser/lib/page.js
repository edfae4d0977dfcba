// What a page can do in every engine, as far as it needs no engine: the rest is in puppet.js and webkit.js.
import { setTimeout as sleep } from 'node:timers/promises';

export const LOAD_MS = 30_000;
export const EVALUATE_MS = 120_000;

/** @typedef {{ type: string, text: string }} Log console level, or `pageerror`, or `request` for one that failed */

export class Page {
  /** What the page said since it was opened. @type {Log[]} */ logs = [];
  closed = false;

  /**
   * The value, as JSON, of a function of the page or of an expression; promises are waited for.
   * @param {string | Function} what
   * @param {...unknown} args JSON-able
   * @returns {Promise<any>}
   */
  evaluate(what, ...args) {
    return this.evaluateWithin(EVALUATE_MS, what, ...args);
  }

  /** @param {number} ms @param {string | Function} what @param {...unknown} args @returns {Promise<any>} */
  async evaluateWithin(ms, what, ...args) {
    throw new Error(`not here: ${ms} ${what} ${args}`);
  }

  /**
   * Waits until that is true, and answers with it.
   * @param {string | Function} what
   * @param {...unknown} args
   * @returns {Promise<any>}
   */
  async until(what, ...args) {
    const late = performance.now() + LOAD_MS;
    for (;;) {
      const value = await this.evaluate(what, ...args);
      if (value) return value;
      if (performance.now() > late) throw new Error(`still not true after ${LOAD_MS / 1000} s: ${what}`);
      await sleep(50);
    }
  }

  /** Everything it said, for the message of a test that fails. */
  said() {
    return this.logs.map(({ type, text }) => `${type}: ${text}`).join('\n');
  }
}
