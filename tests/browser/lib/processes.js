// Browsers are many processes, and none may outlive its test. Each carries a mark in its environment, which children
// inherit; what carries the mark, and what descends from it, can be listed and ended. When the test itself dies, even
// by SIGKILL, a leash (leash.js) notices and does that. Linux tells environments; elsewhere the drivers' own ways must do.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const VARIABLE = 'REPRISE_TEST_BROWSER';
const own = `${process.pid}-${randomBytes(6).toString('hex')}`;
let count = 0;
/** @type {string | undefined} */
let scratch;

/** A folder for profiles that is gone when this process is, and the leash that sees to it. */
function leashed() {
  if (scratch) return scratch;
  scratch = mkdtempSync(join(tmpdir(), 'reprise-browser-'));
  const leash = spawn(process.execPath, [fileURLToPath(new URL('leash.js', import.meta.url)), own, scratch],
    { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  leash.unref();
  /** @type {any} */ (leash.stdin).unref();
  return scratch;
}

/** What a new browser gets: its mark, an environment that carries it, and a place for its profile. */
export function newMark() {
  const folder = leashed();
  const mark = `${own}.${count++}.`;
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, [VARIABLE]: mark };
  return { mark, env, folder: mkdtempSync(join(folder, 'profile-')) };
}

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // the process has ended, or is another user's
  }
}

/**
 * Processes that carry the mark, or descend from one that does: some browsers write over their environment.
 * @param {string} mark or the beginning of one
 * @returns {{ pid: number, command: string }[]}
 */
export function marked(mark) {
  let all;
  try {
    all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => pid !== process.pid);
  } catch {
    return [];
  }
  const parents = new Map(all.map((pid) => [pid, Number(read(`/proc/${pid}/stat`).match(/.*\) \w (\d+)/)?.[1])]));
  const found = new Set(all.filter((pid) => read(`/proc/${pid}/environ`).includes(`${VARIABLE}=${mark}`)));
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid);
  }
  return [...found].filter((pid) => !/.*\) Z /.test(read(`/proc/${pid}/stat`)))
    .map((pid) => ({ pid, command: read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim() }));
}

/** Ends them all, and says whether that was needed. @param {string} mark */
export async function end(mark) {
  const first = marked(mark);
  for (let round = 0, left = first; left.length > 0 && round < 50; round++, left = marked(mark)) {
    for (const { pid } of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it was faster
      }
    }
    await sleep(20);
  }
  return first;
}

/**
 * Waits until nothing carries the mark any more; false when that takes too long.
 * @param {string} mark
 * @param {number} ms
 */
export async function gone(mark, ms) {
  for (const late = performance.now() + ms; performance.now() < late; await sleep(25)) {
    if (marked(mark).length === 0) return true;
  }
  return false;
}

/**
 * A promise that may take so long and no longer.
 * @template T
 * @param {number} ms
 * @param {string} what for the message
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
export function within(ms, what, promise) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer within ${ms / 1000} s`)), ms);
  });
  return Promise.race([promise, /** @type {Promise<never>} */ (late)]).finally(() => clearTimeout(timer));
}
