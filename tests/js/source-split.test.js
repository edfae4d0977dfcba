// Files in parts, files of a hub, and files that are not fetched.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError, IOError } from '../../js/errors.js';
import { parseHeader } from '../../js/source/gguf-head.js';
import { ROOT } from './lib/cli.js';
import { digest, drain, FILE, fresh, open, server, thrown } from './lib/source-tools.js';
import { array, bool, f64, i32, string, u64, writeGGUF } from './lib/gguf-writer.js';
import { partName, splitGguf } from './lib/split-gguf.js';

const STORIES = readFileSync(join(ROOT, 'models/stories.gguf'));
const COUNT = 3;
const first = () => `${server.url}/made/${partName(0, COUNT)}`;
const put = (parts) => parts.forEach((part, i) => server.put(`/made/${partName(i, COUNT)}`, part, new Date(1e12)));
const openSplit = (options) => open({ url: first() }, options);
const all = (source, options) => drain(source, { size: 0, ...options });
const paths = () => server.log.map(({ path }) => path.slice('/made/'.length));

/** The same model, in another header. */
function sameModel(bytes, file = STORIES) {
  const was = parseHeader(file, 'whole'), is = parseHeader(bytes, 'joined');
  assert.is(is.tensors.length, was.tensors.length);
  is.tensors.forEach((tensor, i) => {
    const old = was.tensors[i];
    assert.ok(bytes.subarray(tensor.start, tensor.end).equals(file.subarray(old.start, old.end)));
    const at = is.data + tensor.offset, before = was.data + old.offset;
    assert.ok(bytes.subarray(at, at + tensor.bytes).equals(file.subarray(before, before + old.bytes)));
  });
  const keys = (header, file) => Buffer.concat(header.keys.map(({ start, end }) => file.subarray(start, end)));
  assert.ok(keys(is, bytes).equals(keys(was, file)));
}

let browser;
test.before.each(() => {
  browser = fresh();
});
test.after(() => server.close());

test('parts are one file', async () => {
  for (const how of [{}, { emptyFirst: true }]) {
    browser = fresh();
    put(splitGguf(STORIES, COUNT, how));
    const { source } = await openSplit();
    const bytes = await all(source);
    sameModel(bytes);
    assert.is(source.total, bytes.length);
    await source.finish();
    server.log = [];
    const { source: again } = await openSplit();
    assert.ok((await all(again)).equals(bytes));
    assert.is(server.log.length, 0);
    assert.is(again.downloaded, 0);
    assert.is(browser.locks.held, 0);
  }
});

test('parts whose last tensor is odd, and every type of value', async () => {
  const values = { bytes: array('u8', [1, 2]), texts: array('string', ['a', '']), yes: bool(true), big: u64(5), low: i32(-1), far: f64(0.5), name: string('it') };
  const tensors = [3, 5, 7].map((size) => ({ name: `t${size}`, type: 'F32', shape: [size], data: FILE.subarray(size, 5 * size) }));
  const file = writeGGUF(null, { kv: values, tensors });
  put(splitGguf(file, COUNT));
  const { source } = await openSplit();
  sameModel(await all(source), file);
});

test('a part that is missing is told before any weight is fetched', async () => {
  const parts = splitGguf(STORIES, COUNT);
  put(parts);
  server.on(`/made/${partName(1, COUNT)}`, { status: 404 });
  const { source } = await openSplit();
  const error = await thrown(all(source));
  assert.instance(error, IOError);
  assert.is(error.status, 404);
  assert.ok(error.url.endsWith(partName(1, COUNT)));
  assert.equal(paths(), [partName(0, COUNT), partName(1, COUNT)]);
  assert.ok(server.log[0].sent <= 2 ** 18);
});

test('a head fetches the parts\' headers and no more', async () => {
  put(splitGguf(STORIES, COUNT));
  const { source } = await openSplit();
  const pieces = [];
  for await (const piece of source.head()) pieces.push(Buffer.from(piece));
  assert.ok(parseHeader(Buffer.concat(pieces), 'joined'));
  assert.equal(server.log.map(({ range }) => range), Array(COUNT).fill('bytes=0-262143'));
});

test('parts that do not belong together are refused', async () => {
  for (const [wrong, message] of [[{ no: 0 }, /split.no is 0, expected 2/], [{ count: 4 }, /split.count is 4, expected 3/],
    [{ tensors: 7 }, /split.tensors.count is 7, expected \d+/]]) {
    put(splitGguf(STORIES, COUNT, { wrong }));
    const { source } = await openSplit();
    const error = await thrown(all(source));
    assert.instance(error, FormatError);
    assert.match(error.message, message);
    assert.match(error.message, new RegExp(partName(2, COUNT)));
  }
});

test('headers with impossible sizes, and files that are none', async () => {
  const [part] = splitGguf(STORIES, COUNT);
  const broken = (change) => {
    const bytes = Buffer.from(part);
    change(bytes);
    return bytes;
  };
  const { tensors } = parseHeader(part, '');
  for (const bytes of [Buffer.from('<!doctype html>'), part.subarray(0, 500), broken((b) => b.fill(0xff, 8, 16)), broken((b) => b.fill(0xff, 16, 24)),
    broken((b) => b.fill(0xff, 24, 32)), broken((b) => b.fill(0xff, tensors[0].end, tensors[0].end + 8)),
    broken((b) => b.writeBigUInt64LE(1n << 62n, tensors[0].end - 12)), broken((b) => b.writeUInt8(9, 4))]) {
    put([bytes, part, part]);
    const error = await thrown(all((await openSplit()).source));
    assert.ok(['RP_ERR_FORMAT', 'RP_ERR_UNSUPPORTED'].includes(error.code), error.stack);
  }
});

test('each part has its integrity', async () => {
  const parts = splitGguf(STORIES, COUNT);
  put(parts);
  const { source, warnings } = await openSplit({ integrity: parts.map(digest) });
  await all(source);
  await source.finish();
  assert.ok(source.verified);
  assert.equal(warnings, []);
  const { source: bad } = await openSplit({ integrity: [digest(parts[0]), digest(parts[0]), digest(parts[2])] });
  await all(bad);
  const error = await thrown(bad.finish());
  assert.instance(error, FormatError);
  assert.match(error.message, new RegExp(partName(1, COUNT)));
  assert.is((await thrown(openSplit({ integrity: [digest(parts[0])] }))).code, 'RP_ERR_ARGUMENT');
});

test('a part that changes after its header was read is an error', async () => {
  const parts = splitGguf(STORIES, COUNT);
  put(parts);
  server.on(`/made/${partName(2, COUNT)}`, { noETag: true });
  const { source } = await openSplit({ cache: false });
  const changed = Buffer.from(parts[2]);
  changed[parseHeader(changed, '').tensors[0].start + 8] ^= 1; // a tensor's name
  const error = await thrown(all(source, { each: () => server.put(`/made/${partName(2, COUNT)}`, changed) }));
  assert.instance(error, IOError);
  assert.match(error.message, /changed/);
});

test('one warning for all parts, one abort for all parts', async () => {
  put(splitGguf(STORIES, COUNT));
  const { source, kinds } = await openSplit();
  await all(source);
  await source.finish();
  assert.equal(kinds(), ['unverified']);
  const controller = new AbortController();
  const { source: second } = await openSplit();
  const reason = new Error('enough');
  assert.is(await thrown(all(second, { signal: controller.signal, each: () => controller.abort(reason) })), reason);
});

// ---- Hubs -------------------------------------------------------------------------------------------------------------

const sha = (bytes) => Buffer.from(digest(bytes).slice(7), 'base64').toString('hex');
const hub = (path, options) => open({ kind: 'hf', path, hub: `${server.url}/`, url: undefined }, options);

test('hf: a file by its revision, checked against the hub\'s digest', async () => {
  server.put('/api/models/me/it/tree/refs/pr/1/some dir', JSON.stringify([{ type: 'file', path: 'some dir/a.gguf', lfs: { oid: sha(FILE) } }]));
  server.put('/me/it/resolve/refs/pr/1/some dir/a.gguf', FILE);
  const { source, warnings } = await hub('me/it/some dir/a.gguf@refs/pr/1');
  assert.ok((await drain(source)).equals(FILE));
  await source.finish();
  assert.ok(source.verified);
  assert.equal(warnings, []);
  assert.is(source.url, `${server.url}/me/it/resolve/refs%2Fpr%2F1/some%20dir/a.gguf`);
});

test('hf: a hub that does not say a digest, or another one', async () => {
  for (const answer of ['nonsense', '[]', '{}', JSON.stringify([{ path: 'a.gguf' }])]) {
    server.put('/api/models/me/it/tree/main', answer);
    server.put('/me/it/resolve/main/a.gguf', FILE);
    const { source, kinds } = await hub('me/it/a.gguf', { cache: false });
    assert.ok((await drain(source)).equals(FILE));
    await source.finish();
    assert.equal(kinds(), ['unverified']);
  }
  server.put('/api/models/me/it/tree/main', JSON.stringify([{ path: 'a.gguf', lfs: { oid: sha(STORIES) } }]));
  const { source } = await hub('me/it/a.gguf');
  await drain(source);
  assert.instance(await thrown(source.finish()), FormatError);
});

test('hf: what was checked once is still checked when the hub cannot be asked', async () => {
  server.put('/api/models/me/it/tree/main', JSON.stringify([{ path: 'a.gguf', lfs: { oid: sha(FILE) } }]));
  server.put('/me/it/resolve/main/a.gguf', FILE);
  const { source } = await hub('me/it/a.gguf');
  await drain(source);
  await server.stop();
  try {
    const { source: offline, warnings } = await hub('me/it/a.gguf');
    assert.ok((await drain(offline)).equals(FILE));
    await offline.finish();
    assert.ok(offline.verified);
    assert.equal(warnings, []);
  } finally {
    await server.start();
  }
});

test('hf: split files have a digest a part', async () => {
  const parts = splitGguf(STORIES, COUNT);
  parts.forEach((part, i) => server.put(`/me/it/resolve/main/${partName(i, COUNT)}`, part));
  server.put('/api/models/me/it/tree/main', JSON.stringify(parts.map((part, i) => ({ path: partName(i, COUNT), lfs: { oid: sha(part) } }))));
  const { source } = await hub(`me/it/${partName(0, COUNT)}`);
  sameModel(await all(source));
  await source.finish();
  assert.ok(source.verified);
});

test('hf: what is no such address', async () => {
  for (const path of ['', 'me/it', 'me', '/a/b/c', 'me/it/', 'me/it/a.gguf@'])
    assert.is((await thrown(hub(path))).code, 'RP_ERR_ARGUMENT', path);
});

// ---- Not fetched --------------------------------------------------------------------------------------------------------

const local = (spec, options) => open({ url: undefined, ...spec }, options);

test('a Blob', async () => {
  const { source, kinds } = await local({ kind: 'blob', blob: new Blob([FILE]) });
  assert.is(source.total, FILE.length);
  assert.ok((await drain(source)).equals(FILE));
  await source.finish();
  assert.equal(kinds(), ['unverified']);
  assert.ok((await drain(source, { size: 1_500_000 })).equals(FILE.subarray(0, 1_500_000))); // and once more
  assert.is(await source.cachedBytes(), 0);
  const { source: checked } = await local({ kind: 'blob', blob: new Blob([FILE]) }, { integrity: [digest(FILE)] });
  await drain(checked);
  await checked.finish();
  assert.ok(checked.verified);
  assert.match((await thrown(drain(checked, { size: FILE.length + 9 }))).message, /ends after/);
  const fail = () => Promise.reject(new DOMException('the file is gone', 'NotReadableError'));
  const gone = Object.assign(new Blob(['it was here']), { stream: () => new ReadableStream({ type: 'bytes', pull: fail }) });
  const error = await thrown(drain((await local({ kind: 'blob', blob: gone })).source));
  assert.instance(error, IOError);
  assert.match(error.message, /the file is gone/);
});

/** Pieces that are asked for, and whether it was cancelled. */
function pull(size = 100_000) {
  const state = { kind: 'pull', at: 0, cancelled: 0, cancel: () => void state.cancelled++ };
  state.next = async () => {
    const piece = FILE.subarray(state.at, state.at += size);
    return piece.length ? piece : null;
  };
  return state;
}

test('a stream', async () => {
  const state = pull();
  const { source } = await local(state, { integrity: [digest(FILE)] });
  assert.ok((await drain(source)).equals(FILE));
  await source.finish();
  assert.ok(source.verified);
  assert.ok(state.cancelled <= 1);
});

test('a stream that is left, aborted, fails, or never answers', async () => {
  const left = pull();
  for await (const piece of (await local(left)).source.read()) if (piece) break;
  assert.is(left.cancelled, 1);
  const stuck = { ...pull(), next: () => new Promise(() => {}) };
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('enough')), 20);
  assert.is((await thrown(drain((await local(stuck)).source, { signal: controller.signal }))).message, 'enough');
  const failing = { ...pull(), next: () => Promise.reject(new TypeError('no more')) };
  const error = await thrown(drain((await local(failing)).source));
  assert.instance(error, IOError);
  assert.match(error.message, /no more/);
});

test.run();
