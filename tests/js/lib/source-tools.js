// What the tests of sources share: a file, a server that does wrong on demand, a browser's storage and its rules across
// origins, and a reader that takes a source to its end.
import { createHash } from 'node:crypto';
import { serve } from '../../browser/lib/server.js';
import { openSource } from '../../../js/source.js';
import { FakeLocks, FakeOpfs } from './fake-opfs.js';

export const CHUNK = 2 ** 20;
export const PATH = '/made/model.gguf';

/** Bytes without a pattern, the same for one seed. @param {number} size @param {number} [seed] */
export function madeBytes(size, seed = 1) {
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let i = 0; i < words.length; i++) {
    seed = Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0;
    words[i] = seed ^ i;
  }
  return Buffer.from(words.buffer, 0, size);
}

export const FILE = madeBytes(4 * CHUNK + 12_345);
export const OTHER = madeBytes(FILE.length, 2);
export const digest = (bytes) => `sha256-${createHash('sha256').update(bytes).digest('base64')}`;

export const server = await serve();
export const url = () => server.url + PATH;

/** Puts a browser's storage into place. */
export function withBrowser() {
  const storage = new FakeOpfs(), locks = new FakeLocks();
  Object.defineProperty(globalThis, 'navigator', { value: { storage, locks }, configurable: true, writable: true });
  return { storage, locks };
}

export function withoutBrowser() {
  Object.defineProperty(globalThis, 'navigator', { value: undefined, configurable: true, writable: true });
}

const READABLE = ['cache-control', 'content-language', 'content-length', 'content-type', 'expires', 'last-modified', 'pragma'];
const plainFetch = globalThis.fetch;

/** From now on this is a page of that origin: elsewhere, a request that wants a preflight fails, and most headers of an answer
 * cannot be read. @param {string} [origin] */
export function onPageOf(origin) {
  globalThis.fetch = plainFetch;
  globalThis.origin = origin;
  if (origin === undefined) return delete globalThis.origin;
  globalThis.fetch = async (address, options) => {
    if (new URL(address).origin === origin) return plainFetch(address, options);
    for (const [name, value] of new Headers(options.headers))
      if (name !== 'range' || !/^bytes=\d+-\d*$/.test(value)) throw new TypeError(`preflight for ${name} was refused`);
    const response = await plainFetch(address, options);
    const headers = [...response.headers].filter(([name]) => READABLE.includes(name));
    return new Response(response.body, { status: response.status, headers });
  };
}

/** A source of FILE at `url()`, and what it said. */
export async function open(spec = {}, options = {}) {
  const warnings = [], waiting = [];
  const source = await openSource({ kind: 'url', url: url(), ...spec }, {
    pause: 5, onWarning: (warning) => warnings.push(warning), onWaiting: (is) => waiting.push(is), ...options,
  });
  return { source, warnings, waiting, kinds: () => warnings.map(({ kind }) => kind) };
}

/** Reads all of it, with its size told after so many bytes.
 * @param {{ size?: number, after?: number, signal?: AbortSignal, each?: (at: number) => unknown }} [options] */
export async function drain(source, { size = FILE.length, after = 300_000, signal, each } = {}) {
  const pieces = [];
  let at = 0;
  try {
    for await (const piece of source.read(signal)) {
      pieces.push(Buffer.from(piece));
      at += piece.length;
      if (at >= after && size) source.expect(size);
      await each?.(at);
    }
  } finally {
    await source.kept;
  }
  return Buffer.concat(pieces);
}

/** Opens, reads, finishes. */
export async function load(options = {}, how = {}) {
  const opened = await open({}, options);
  const bytes = await drain(opened.source, how);
  await opened.source.finish();
  return { ...opened, bytes };
}

/** What a promise rejects with. */
export async function thrown(promise) {
  return promise.then(() => { throw new Error('nothing was thrown') }, (error) => error);
}

/** Nothing open at the server. */
export async function quiet() {
  for (let i = 0; i < 100 && server.log.some(({ done }) => !done); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  return server.log.every(({ done }) => done);
}

/** Everything as it is for a first visit. */
export function fresh() {
  server.reset();
  server.put(PATH, FILE, new Date(1e12));
  onPageOf();
  return withBrowser();
}
