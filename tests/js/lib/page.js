// Drives js/wasm/page-*.wasm as a page would, without the package: one model in one memory, by hand. For tests of the
// exports themselves; says nothing about how fast it is.
import { readFileSync } from 'node:fs';
import { ROOT } from './cli.js';

export const WASM_PAGE = 65536;
const FEED = 1 << 16;
export const BUILDS = ['scalar', 'simd128', 'relaxed', 'simd128-threads', 'relaxed-threads'];

/** @param {string} build @param {number} [maximum] pages of memory */
export function openPage(build, maximum = 65536) {
  const module = new WebAssembly.Module(readFileSync(`${ROOT}js/wasm/page-${build}.wasm`));
  const memory = new WebAssembly.Memory({ initial: 4, maximum, shared: build.endsWith('-threads') });
  /** @type {any} */
  const e = new WebAssembly.Instance(module, { env: { memory, emscripten_notify_memory_growth() {} } }).exports;
  e._initialize?.();
  const stackTop = e.emscripten_stack_get_current() >>> 0;
  new Uint8Array(memory.buffer).fill(0xa5, 0, stackTop - 64);
  const bytes = (at, size) => new Uint8Array(memory.buffer, at >>> 0, size);
  const text = (at) => {
    const all = new Uint8Array(memory.buffer);
    return new TextDecoder().decode(all.slice(at >>> 0, all.indexOf(0, at >>> 0)));
  };
  const put = (array) => {
    const at = e.page_alloc(Math.max(array.byteLength, 1)) >>> 0;
    if (!at) throw new Error('page_alloc failed');
    bytes(at, array.byteLength).set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return at;
  };
  const page = e.page_open();
  const fail = (what) => {
    throw new Error(`${what}: status ${e.page_status(page)}, ${text(e.page_message(page))}`);
  };
  return {
    e, page, memory, bytes, text, put, fail,
    layout: JSON.parse(text(e.page_layout())),
    info: () => JSON.parse(text(e.page_info(page) || fail('info'))),
    plan: (...args) => JSON.parse(text(e.page_plan(page, ...args) || fail('plan'))),
    string: (at) => new TextDecoder().decode(bytes(at, e.page_size(page)).slice()),
    ids: (count) => new Int32Array(memory.buffer, e.page_ids(page), count).slice(),
    /** The stack's deepest byte so far, counted from its top: what was painted is still there below it. */
    stackUsed: () => stackTop - bytes(0, stackTop).findIndex((byte) => byte !== 0xa5),
    tokenize(string, flags) {
      const at = put(new TextEncoder().encode(string)), count = e.page_tokenize(page, at, Buffer.byteLength(string), flags);
      e.page_free(at);
      return count < 0 ? fail('tokenize') : this.ids(count);
    },
    /** Everything that was begun, or null when a step has to wait. */
    compute(session) {
      const list = put(new Uint8Array(Uint32Array.of(session).buffer));
      let step;
      while ((step = e.session_step(list, 1)) === 1);
      e.page_free(list);
      return step === 2 ? null : e.session_logits(session);
    },
  };
}

/** Feeds a file in pieces, through a buffer that is taken once, as js/engine.js does; `until` is asked after each and ends the feeding when it returns true. Gives where it ended.
 * @param {ReturnType<typeof openPage>} p @param {Uint8Array} file */
export function feed(p, file, { from = 0, piece = FEED, until = () => false } = {}) {
  const buffer = (p.feeder ??= p.e.page_alloc(FEED));
  let at = from;
  while (at < file.length && !until(at)) {
    const part = file.subarray(at, at + piece);
    p.bytes(buffer, part.length).set(part);
    const used = p.e.page_feed(p.page, buffer, part.length);
    if (used < 0) p.fail('feed');
    at += used;
  }
  return at;
}
