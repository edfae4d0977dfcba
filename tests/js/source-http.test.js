// A file over HTTP from servers that cut, lie and change their mind. The server's log tells what was asked for.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { IOError } from '../../js/errors.js';
import { CHUNK, drain, FILE, fresh, load, onPageOf, open, OTHER, PATH, quiet, server, thrown, withoutBrowser } from './lib/source-tools.js';

const ranges = () => server.log.map(({ range }) => range);

test.before.each(() => {
  fresh();
  withoutBrowser();
});
test.after(() => server.close());

test('a whole file, in one request', async () => {
  const { bytes, source, warnings } = await load();
  assert.ok(bytes.equals(FILE));
  assert.equal(ranges(), [undefined]);
  assert.is(source.total, FILE.length);
  assert.is(source.downloaded, FILE.length);
  assert.is(source.fromCache, 0);
  assert.not(source.verified);
  assert.equal(warnings.map(({ kind }) => kind), ['unverified']);
});

test('a cut at three places is resumed, where the cut was', async () => {
  for (const cut of [1000, 2 * CHUNK, FILE.length - 1]) {
    server.reset();
    server.put(PATH, FILE);
    server.on(PATH, { cut, times: 1 });
    const { bytes } = await load();
    assert.ok(bytes.equals(FILE), `cut at ${cut}`);
    const [first, second] = server.log;
    assert.is(first.range, undefined);
    assert.is(second.status, 206);
    assert.is(second.range, `bytes=${first.sent > cut ? cut : first.sent}-`);
    assert.is(second.headers['if-range'], /** @type {any} */ (await fetch(server.url + PATH)).headers.get('etag'));
  }
});

test('cuts again and again, each after some more', async () => {
  server.on(PATH, { cut: 700_000 });
  assert.ok((await load()).bytes.equals(FILE));
  assert.is(server.log.length, Math.ceil(FILE.length / 700_000));
});

test('three attempts that bring nothing are one error, with its address', async () => {
  server.on(PATH, { cut: 1_000_000, times: 1 }, { status: 503 });
  const { source } = await open();
  server.on(PATH);
  const error = await thrown(drain(source));
  assert.instance(error, IOError);
  assert.is(error.code, 'RP_ERR_IO');
  assert.is(error.status, 503);
  assert.is(error.url, server.url + PATH);
  assert.is(server.log.length, 3);
});

test('an answer that passes is asked for again, one that stays is not', async () => {
  server.on(PATH, { status: 503, times: 1 });
  assert.ok((await load()).bytes.equals(FILE));
  assert.is(server.log.length, 2);
  for (const status of [404, 403, 400]) {
    server.reset();
    server.on(PATH, { status });
    const error = await thrown(load());
    assert.is(error.status, status);
    assert.is(server.log.length, 1);
  }
});

test('a server that cannot be reached is an error that says so', async () => {
  const { source } = await open({ url: 'http://localhost:9/none.gguf' });
  const error = await thrown(drain(source));
  assert.instance(error, IOError);
  assert.match(error.message, /cannot fetch http:\/\/localhost:9\/none.gguf: /);
});

test('an answer without a byte is a file without a byte, asked for once', async () => {
  server.put(PATH, '');
  const { source } = await open();
  assert.is((await drain(source)).length, 0);
  assert.is(server.log.length, 1);
});

test('without ranges the beginning is skipped, and compared', async () => {
  server.on(PATH, { noRange: true }, { cut: 2_500_000, times: 1 });
  assert.ok((await load()).bytes.equals(FILE));
  assert.equal(server.log.map(({ status }) => status), [200, 200]);
});

test('without ETag the last MiB is compared before going on', async () => {
  server.on(PATH, { noETag: true }, { cut: 2_500_000, times: 1 });
  assert.ok((await load()).bytes.equals(FILE));
  const [, again] = server.log;
  assert.is(again.headers['if-range'], undefined);
  assert.match(again.range, /^bytes=\d+-$/);
  const at = Number(again.range.slice(6, -1));
  assert.ok(at > 0 && at <= 2_500_000 - CHUNK);
});

test('another origin: no header that asks for a preflight, none read that is not shown', async () => {
  onPageOf(server.url);
  server.on(PATH, { cut: 2_500_000, times: 1 });
  const { source } = await open({ url: server.second + PATH });
  assert.ok((await drain(source)).equals(FILE));
  assert.is(server.log.length, 2);
  assert.is(server.log[1].status, 206);
  assert.is(server.log[1].headers['if-range'], undefined);
});

test('another origin where Range is refused, too: the whole file again', async () => {
  onPageOf(server.url);
  const { fetch } = globalThis;
  globalThis.fetch = (address, options) => {
    if (new Headers(options.headers).has('range')) throw new TypeError('preflight was refused');
    return fetch(address, options);
  };
  server.on(PATH, { cut: 2_500_000, times: 1 });
  const { source } = await open({ url: server.second + PATH });
  assert.ok((await drain(source)).equals(FILE));
  assert.equal(ranges(), [undefined, undefined]);
});

test('a file that changes while it is read is an error, never a mixture', async () => {
  for (const fault of [{}, { noETag: true }, { noRange: true }, { noRange: true, noETag: true }]) {
    server.reset();
    server.put(PATH, FILE, new Date(1e12));
    server.on(PATH, fault, { cut: 2_500_000, times: 1 });
    const { source, kinds } = await open();
    const error = await thrown(drain(source, { each: () => server.put(PATH, OTHER, new Date(2e12)) }));
    assert.instance(error, IOError);
    assert.match(error.message, /changed on the server/);
    assert.equal(kinds(), ['changed']);
  }
});

test('a Content-Length that is too long or missing does not matter', async () => {
  for (const fault of [{ longer: 5000 }, { chunked: true }, { gzip: true }]) {
    server.reset();
    server.put(PATH, FILE);
    server.on(PATH, fault);
    const { bytes } = await load();
    assert.ok(bytes.equals(FILE), JSON.stringify(fault));
    assert.is(server.log.length, 1);
  }
});

test('a Content-Length that is too short: the rest is fetched', async () => {
  server.on(PATH, { longer: -1_000_000, times: 1 });
  assert.ok((await load()).bytes.equals(FILE));
});

test('a file that ends too early is an error with both sizes', async () => {
  const { source } = await open();
  const error = await thrown(drain(source, { size: FILE.length + 100 }));
  assert.instance(error, IOError);
  assert.match(error.message, new RegExp(`ends after ${FILE.length} of ${FILE.length + 100} bytes`));
});

test('bytes behind the end are ignored, and not waited for', async () => {
  const size = FILE.length - 1_500_000;
  const { bytes } = await load({}, { size });
  assert.ok(bytes.equals(FILE.subarray(0, size)));
  assert.ok(await quiet());
});

test('an abort ends everything, with its reason', async () => {
  const reason = new Error('enough');
  for (const moment of ['before', 'answer', 'between', 'pause']) {
    server.reset();
    server.put(PATH, FILE);
    const controller = new AbortController();
    const abort = () => controller.abort(reason);
    if (moment === 'before') abort();
    if (moment === 'answer') server.on(PATH, { hold: new Promise((resolve) => setTimeout(resolve, 300)) });
    if (moment === 'pause') server.on(PATH, { status: 503 });
    if (['answer', 'pause'].includes(moment)) setTimeout(abort, 100);
    const { source } = await open({}, { pause: 10_000 });
    const start = performance.now();
    const each = (at) => moment === 'between' && at > 1e6 && abort();
    assert.is(await thrown(drain(source, { signal: controller.signal, each })), reason, moment);
    assert.ok(performance.now() - start < 1000, moment);
    assert.ok(await quiet(), moment);
  }
});

test('leaving the loop and close() stop the fetch', async () => {
  for (const how of ['leave', 'close']) {
    server.reset();
    server.put(PATH, FILE);
    server.on(PATH, { rate: 4e6 });
    const { source } = await open();
    if (how === 'leave') for await (const piece of source.read()) if (piece) break;
    if (how === 'close') assert.match((await thrown(drain(source, { each: () => source.close() }))).message, /was closed/);
    assert.ok(await quiet());
    assert.ok(server.log[0].sent < FILE.length / 2, how);
  }
});

test('a head takes little more than is read', async () => {
  const { source } = await open();
  let at = 0;
  for await (const piece of source.head()) {
    assert.ok(FILE.subarray(at, at + piece.length).equals(piece));
    if ((at += piece.length) > 600_000) break;
  }
  assert.equal(ranges(), ['bytes=0-262143', 'bytes=262144-786431']);
  assert.is(source.total, FILE.length);
});

test('a head from a server without ranges is one request that is given up', async () => {
  server.on(PATH, { noRange: true, rate: 4e6 });
  const { source } = await open();
  let at = 0;
  for await (const piece of source.head()) if ((at += piece.length) > 600_000) break;
  assert.is(server.log.length, 1);
  assert.ok(await quiet());
  assert.ok(server.log[0].sent < 2_000_000);
});

test('what a request says is sent, but for a Range of its own', async () => {
  const request = { method: 'GET', headers: [['X-Test', 'yes'], ['Range', 'bytes=5-']] };
  const { source } = await open({ request });
  assert.ok((await drain(source)).equals(FILE));
  assert.is(server.log[0].headers['x-test'], 'yes');
  assert.equal(ranges(), [undefined]);
});

test.run();
