// The web server of the browser tests: it serves what a page needs of the repository, from two origins, and does wrong
// what a test asks for. The second origin is a foreign host's download server: it allows reading from anywhere, but
// refuses preflights, shows no header and takes its time.
//
//     const server = await serve();
//     server.on('/models/stories.gguf', { cut: 100_000, times: 2 });   // faults.js has all that can be said here
//     … `${server.url}/js/index.js`, `${server.second}/models/stories.gguf` …
//     server.log                // [{ method: 'GET', path, range: 'bytes=0-9', status: 206, sent: 10, … }]
//     server.reset(); await server.close();
import { createServer } from 'node:http';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { answer, faultIn, merge } from './faults.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SERVED = ['/js/', '/web/', '/models/', '/build/', '/tests/browser/pages/', '/tests/bench/page/', '/tests/node_modules/'];
/** @type {Record<string, string>} */
const TYPES = {
  '.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8', '.json': 'application/json', '.wasm': 'application/wasm', '.svg': 'image/svg+xml',
  '.png': 'image/png', '.ico': 'image/x-icon', '.woff2': 'font/woff2', '.txt': 'text/plain; charset=utf-8',
  '.md': 'text/markdown; charset=utf-8', '.webmanifest': 'application/manifest+json', '.map': 'application/json',
};
const PIECE = 64 * 1024;
const SLOW_START_MS = 100; // of the second origin

/**
 * @typedef {object} Entry what a request was and got
 * @property {'first' | 'second'} origin
 * @property {string} method
 * @property {string} path
 * @property {string} query
 * @property {string | undefined} range the header
 * @property {import('node:http').IncomingHttpHeaders} headers
 * @property {number} status 0: not answered yet
 * @property {number} sent bytes of the body that were written
 * @property {boolean} done false while it runs; true also when it was cut
 */

export class Server {
  /** @type {Entry[]} */ log = [];
  /** @type {import('./faults.js').Fault} what holds for every answer, for instance headers */ always = {};
  url = '';
  second = '';
  /** What pages sent with POST /report/NAME. @type {Record<string, any>} */ reports = {};
  /** @type {Map<string, import('./faults.js').Fault[]>} */ #faults = new Map();
  /** @type {Map<string, { bytes: Buffer, type: string, modified: Date }>} */ #files = new Map();
  /** @type {Map<string, { bytes: Buffer, type: string, modified: Date }>} */ #read = new Map();
  /** @type {import('node:http').Server[]} */ #servers = [];
  /** @type {number[]} */ #ports = [0, 0];

  /** Also after stop(), at the same addresses. */
  async start() {
    for (const [at, origin] of /** @type {const} */ (['first', 'second']).entries()) {
      const server = createServer((request, response) => void this.#serve(origin, request, response).catch((error) => {
        response.destroy(error);
      }));
      server.listen(this.#ports[at], '127.0.0.1');
      await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
      this.#ports[at] = /** @type {import('node:net').AddressInfo} */ (server.address()).port;
      this.#servers.push(server);
    }
    [this.url, this.second] = this.#ports.map((port) => `http://localhost:${port}`);
    return this;
  }

  /** The network is down: connections break, new ones are refused. */
  async stop() {
    await Promise.all(this.#servers.splice(0).map((server) => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    })));
  }

  close() {
    return this.stop();
  }

  /**
   * From now on requests of this path meet these faults, each `times` often.
   * @param {string} path
   * @param {import('./faults.js').Fault[]} faults
   */
  on(path, ...faults) {
    this.#faults.set(path, [...this.#faults.get(path) ?? [], ...faults.map((fault) => ({ ...fault }))]);
  }

  /** A file that exists only here. @param {string} path @param {string | Uint8Array} bytes @param {Date} [modified] */
  put(path, bytes, modified = new Date()) {
    this.#files.set(path, { bytes: Buffer.from(bytes), type: typeOf(path), modified });
  }

  /** Everything as it was at the start. */
  reset() {
    this.log = [];
    this.reports = {};
    this.always = {};
    this.#faults.clear();
    this.#files.clear();
  }

  /** The same, and running whatever a test did. */
  async restart() {
    this.reset();
    if (this.#servers.length === 0) await this.start();
  }

  /** Pages are cross-origin isolated from now on. */
  isolate() {
    this.always = merge([this.always, { headers: {
      'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' } }]);
  }

  /** Bytes that went out for paths with this ending. @param {string} ending */
  sent(ending) {
    return this.log.filter(({ path }) => path.endsWith(ending)).reduce((sum, entry) => sum + entry.sent, 0);
  }

  /** @param {string} path @returns {{ bytes: Buffer, type: string, modified: Date } | null} */
  #file(path) {
    const kept = this.#files.get(path);
    if (kept) return kept;
    const name = join(ROOT, path);
    if (normalize(path) !== path || !SERVED.some((folder) => path.startsWith(folder)) || !existsSync(name)) return null;
    const at = statSync(name);
    if (!at.isFile()) return this.#file(`${path.replace(/\/$/, '')}/index.html`);
    // Models are large and are asked for piece by piece.
    const known = this.#read.get(name);
    if (known?.modified.getTime() === at.mtime.getTime() && known.bytes.length === at.size) return known;
    const file = { bytes: readFileSync(name), type: typeOf(path), modified: at.mtime };
    this.#read.set(name, file);
    return file;
  }

  /** @param {string} path @param {URLSearchParams} query */
  #faultFor(path, query) {
    const inAddress = faultIn(query);
    if (inAddress.times !== undefined) {
      const key = `${path}?${query}`;
      if (!this.#faults.has(key)) this.#faults.set(key, [inAddress]);
    }
    const held = [...this.#faults.get(path) ?? [], ...this.#faults.get(`${path}?${query}`) ?? []]
      .filter((fault) => fault.times === undefined || fault.times-- > 0);
    return merge([this.always, ...inAddress.times === undefined ? [inAddress] : [], ...held]);
  }

  /**
   * @param {'first' | 'second'} origin
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   */
  async #serve(origin, request, response) {
    const { pathname, searchParams, search } = new URL(String(request.url), 'http://localhost');
    const path = decodeURIComponent(pathname), method = String(request.method);
    /** @type {Entry} */
    const entry = { origin, method, path, query: search, range: request.headers.range, headers: request.headers,
      status: 0, sent: 0, done: false };
    this.log.push(entry);
    response.on('close', () => (entry.done = true));
    if (method === 'POST' && path.startsWith('/report/')) return this.#report(path.slice('/report/'.length), request, response);

    const fault = this.#faultFor(path, searchParams);
    await sleep((fault.delay ?? 0) + (origin === 'second' ? SLOW_START_MS : 0));
    await fault.hold;
    const made = fault.body === undefined ? null : { bytes: Buffer.of(), type: typeOf(path), modified: new Date(0) };
    const file = this.#file(path) ?? made;
    const refused = method === 'OPTIONS' ? 403 : !['GET', 'HEAD'].includes(method) ? 405 : 0;
    const failed = fault.status ?? (refused || (file ? 0 : 404));
    const { status, headers, body } = failed || !file
      ? { status: failed, headers: { 'Content-Type': 'text/plain' }, body: Buffer.from(`${failed}\n`) }
      : answer(file, request.headers, fault);
    if (origin === 'second' && method !== 'OPTIONS') headers['Access-Control-Allow-Origin'] = '*';
    if (!fault.chunked && status !== 304) headers['Content-Length'] = String(body.length + (fault.longer ?? 0));
    for (const [name, value] of Object.entries({ ...headers, ...fault.headers })) {
      if (value !== null) response.setHeader(name, value);
    }
    response.writeHead(entry.status = status);
    if (method === 'HEAD' || status === 304) return void response.end();
    await send(response, body, fault, entry);
  }

  /**
   * @param {string} name
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   */
  async #report(name, request, response) {
    let text = '';
    for await (const piece of request.setEncoding('utf8')) text += piece;
    this.reports[name] = JSON.parse(text);
    response.writeHead(204, { 'Access-Control-Allow-Origin': '*' }).end();
  }
}

/** @param {string} path */
function typeOf(path) {
  return TYPES[extname(path)] ?? 'application/octet-stream';
}

/** @param {import('node:http').ServerResponse} response */
function roomAgain(response) {
  return new Promise((resolve) => {
    const done = () => resolve(response.off('drain', done).off('close', done));
    response.on('drain', done).on('close', done);
  });
}

/**
 * The body, as slowly and as far as the fault says.
 * @param {import('node:http').ServerResponse} response
 * @param {Buffer} body
 * @param {import('./faults.js').Fault} fault
 * @param {Entry} entry
 */
async function send(response, body, fault, entry) {
  const end = Math.min(body.length, fault.cut ?? Infinity);
  const piece = fault.rate ? Math.max(1, Math.min(PIECE, Math.round(fault.rate / 20))) : PIECE;
  const start = performance.now();
  for (let at = 0; at < end && !response.destroyed; at += piece) {
    const bytes = body.subarray(at, Math.min(end, at + piece));
    const room = response.write(bytes);
    entry.sent += bytes.length;
    if (!room) await roomAgain(response);
    if (fault.rate) await sleep(Math.max(0, start + entry.sent / fault.rate * 1000 - performance.now()));
  }
  if (fault.cut === undefined && !fault.longer) return void response.end();
  if (fault.cut !== undefined && fault.cut > body.length) return void response.end();
  response.socket?.end(); // what was written still arrives, then the connection is gone
}

export function serve() {
  return new Server().start();
}
