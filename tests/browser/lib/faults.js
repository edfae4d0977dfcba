// What a test server can do wrong, and how what it has to say is put together from a fault and a request. Knows HTTP's
// rules about ranges; sends nothing itself.
import { gzipSync } from 'node:zlib';

/**
 * All of these can also stand in an address: `/models/stories.gguf?rate=200000&cut=5000&times=1`.
 * @typedef {object} Fault
 * @property {number} [times] holds for so many requests, then it is gone; default: for ever
 * @property {number} [status] answers with this and no file
 * @property {number} [delay] milliseconds before the first byte
 * @property {Promise<unknown>} [hold] what is waited for before the first byte
 * @property {number} [rate] bytes a second
 * @property {number} [cut] the connection is closed after so many bytes of the body
 * @property {number} [flip] offset in the file of a byte that is inverted
 * @property {boolean} [noRange] always the whole file with 200, and no Accept-Ranges
 * @property {boolean} [noETag] neither ETag nor Last-Modified
 * @property {string} [etag] instead of the file's own
 * @property {number} [longer] Content-Length says so much more than there is; negative: less
 * @property {boolean} [chunked] no Content-Length
 * @property {boolean} [gzip] the body is compressed, as hosts of static pages like to do; no ranges then
 * @property {string | Uint8Array} [body] instead of the file
 * @property {Record<string, string | null>} [headers] in place of ours; null takes one away
 */

const NUMBERS = ['times', 'status', 'delay', 'rate', 'cut', 'flip', 'longer'];
const SWITCHES = ['noRange', 'noETag', 'chunked', 'gzip'];

/** @param {URLSearchParams} query @returns {Fault} */
export function faultIn(query) {
  /** @type {Record<string, unknown>} */
  const fault = {};
  for (const name of NUMBERS) if (query.has(name)) fault[name] = Number(query.get(name));
  for (const name of SWITCHES) if (query.has(name)) fault[name] = true;
  if (query.has('etag')) fault.etag = query.get('etag');
  if (query.has('headers')) fault.headers = JSON.parse(String(query.get('headers')));
  return fault;
}

/**
 * Several that hold at once: headers add up, of everything else the later one wins.
 * @param {Fault[]} faults
 * @returns {Fault}
 */
export function merge(faults) {
  return Object.assign({}, ...faults, { headers: Object.assign({}, ...faults.map(({ headers }) => headers)) });
}

/**
 * What the header `Range` asks of so many bytes: a first and an end, nothing, or what cannot be.
 * @param {string | undefined} header
 * @param {number} size
 */
function rangeOf(header, size) {
  const [, first, last] = header?.match(/^bytes=(\d*)-(\d*)$/) ?? [];
  if (first === undefined || (first === '' && last === '')) return null;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  return start < end ? { start, end } : 'none';
}

/**
 * The answer to a GET of a file.
 * @param {{ bytes: Buffer, type: string, modified: Date }} file
 * @param {import('node:http').IncomingHttpHeaders} request
 * @param {Fault} fault
 * @returns {{ status: number, headers: Record<string, string>, body: Buffer }}
 */
export function answer(file, request, fault) {
  let bytes = fault.body === undefined ? file.bytes : Buffer.from(fault.body);
  if (fault.flip !== undefined) (bytes = Buffer.from(bytes))[fault.flip] ^= 0xff;
  if (fault.gzip) bytes = gzipSync(bytes);
  const ranges = !fault.noRange && !fault.gzip;
  // Without Cache-Control a browser answers from its own cache, and the log misses requests.
  /** @type {Record<string, string>} */
  const headers = { 'Content-Type': file.type, 'Cache-Control': 'no-cache' };
  if (!fault.noETag) {
    headers.ETag = fault.etag ?? `"${file.modified.getTime().toString(36)}-${bytes.length.toString(36)}"`;
    headers['Last-Modified'] = file.modified.toUTCString();
  }
  if (ranges) headers['Accept-Ranges'] = 'bytes';
  if (fault.gzip) headers['Content-Encoding'] = 'gzip';

  const unchanged = request['if-none-match'] !== undefined && request['if-none-match'] === headers.ETag;
  const condition = request['if-range'];
  const same = condition === undefined || condition === headers.ETag || condition === headers['Last-Modified'];
  const range = ranges && same ? rangeOf(request.range, bytes.length) : null;
  if (range === 'none') {
    headers['Content-Range'] = `bytes */${bytes.length}`;
    return { status: 416, headers, body: Buffer.of() };
  }
  if (range) {
    headers['Content-Range'] = `bytes ${range.start}-${range.end - 1}/${bytes.length}`;
    return { status: 206, headers, body: bytes.subarray(range.start, range.end) };
  }
  return unchanged ? { status: 304, headers, body: Buffer.of() } : { status: 200, headers, body: bytes };
}
