// The cache: what a second visit finds, what is done about damage, a full disk, another tab, and a file that is another one now.
// The private file system and the locks are lib/fake-opfs.js.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { caches } from '../../js/caches.js';
import { FormatError } from '../../js/errors.js';
import {
  CHUNK, digest, drain, FILE, fresh, load, onPageOf, open, OTHER, PATH, quiet, server, thrown, url, withBrowser, withoutBrowser,
} from './lib/source-tools.js';

/** @type {ReturnType<typeof withBrowser>} */
let browser;
const GOOD = { integrity: [digest(FILE)] };
const whole = async (options) => {
  const loaded = await load(options);
  assert.ok(loaded.bytes.equals(FILE));
  return loaded;
};
const firstVisit = async (options) => {
  await whole(options);
  server.log = [];
};
/** A first visit that ends after so many bytes. */
const begin = async (bytes) => {
  const { source } = await open();
  await drain(source, { each: (at) => at > bytes && source.close() }).catch(() => {});
  assert.ok(await quiet());
  server.log = [];
};
const flip = (name, at) => (browser.storage.file(name).bytes[at] ^= 1);

test.before.each(() => {
  browser = fresh();
});
test.after(() => server.close());

test('a second visit needs no network', async () => {
  await firstVisit();
  assert.equal(browser.storage.names, ['000000', '000001', '000002', '000003', '000004', 'meta']);
  await server.stop();
  try {
    const { source, warnings } = await whole();
    assert.is(source.fromCache, FILE.length);
    assert.is(source.downloaded, 0);
    assert.is(await source.cachedBytes(), FILE.length);
    assert.equal(warnings.map(({ kind }) => kind), ['unverified']);
  } finally {
    await server.start();
  }
  assert.is(browser.locks.held, 0);
});

test('createWritable does where there is no access handle', async () => {
  browser.storage.hasSync = false;
  await firstVisit();
  assert.is((await whole()).source.downloaded, 0);
});

test('cache: false keeps nothing', async () => {
  await firstVisit({ cache: false });
  assert.equal(browser.storage.folders, []);
  const { source } = await whole({ cache: false });
  assert.is(source.fromCache, 0);
});

test('another visit goes on where one was interrupted', async () => {
  await begin(2_500_000);
  assert.equal(browser.storage.names, ['000000', '000001', 'meta']);
  const { source } = await whole();
  assert.is(server.log.length, 1);
  assert.is(server.log[0].range, `bytes=${2 * CHUNK}-`);
  assert.ok(server.log[0].headers['if-range']);
  assert.is(source.fromCache, 2 * CHUNK);
  assert.is(source.downloaded, FILE.length - 2 * CHUNK);
  assert.is((await whole()).source.downloaded, 0);
});

test('another visit, another origin: the last stored chunk is compared', async () => {
  onPageOf(server.url);
  const far = { url: server.second + PATH };
  const { source } = await open(far);
  await drain(source, { each: (at) => at > 2_500_000 && source.close() }).catch(() => {});
  server.log = [];
  const again = await open(far);
  assert.ok((await drain(again.source)).equals(FILE));
  assert.equal(server.log.map(({ range }) => range), [`bytes=${CHUNK}-`]);
  assert.is(server.log[0].headers['if-range'], undefined);
  assert.is(again.source.fromCache, 2 * CHUNK);
});

test('a file that changed between visits is fetched anew', async () => {
  for (const fault of [{}, { noETag: true }, { noRange: true }, { noRange: true, noETag: true }]) {
    fresh();
    browser = withBrowser();
    server.on(PATH, fault);
    await begin(2_500_000);
    server.put(PATH, OTHER, new Date(2e12));
    const { bytes, warnings } = await load();
    assert.ok(bytes.equals(OTHER), JSON.stringify(fault));
    assert.equal(warnings.map(({ kind }) => kind), ['changed', 'unverified']);
    server.put(PATH, FILE);
    assert.ok((await load()).bytes.equals(OTHER)); // a whole file is not asked about again
  }
});

test('a file that changed where nobody compares: its ETag or its date tells', async () => {
  const changed = Buffer.from(FILE);
  changed[5] ^= 1;
  for (const fault of [{}, { noRange: true }, { headers: { ETag: null } }]) {
    fresh();
    browser = withBrowser();
    server.on(PATH, fault);
    await begin(2_500_000);
    server.put(PATH, changed, new Date(2e12));
    const { bytes, warnings } = await load();
    assert.ok(bytes.equals(changed), JSON.stringify(fault));
    assert.equal(warnings.map(({ kind }) => kind), ['changed', 'unverified']);
  }
});

test('a damaged chunk is fetched again, alone', async () => {
  for (const [name, at, range] of [['000001', 77, `bytes=${CHUNK}-${2 * CHUNK - 1}`], ['000002', CHUNK + 3, `bytes=${2 * CHUNK}-${3 * CHUNK - 1}`],
    ['000000', 0, `bytes=0-${CHUNK - 1}`], ['000004', 12_344, `bytes=${4 * CHUNK}-`]]) {
    fresh();
    browser = withBrowser();
    await firstVisit();
    flip(name, at);
    const { source, warnings } = await whole();
    assert.equal(warnings.map(({ kind }) => kind), ['damaged', 'unverified'], name);
    assert.equal(server.log.map((entry) => entry.range), [range]);
    assert.is(source.downloaded, Math.min(CHUNK, FILE.length - Number(name) * CHUNK));
    const { source: third } = await whole();
    assert.is(third.downloaded, 0);
  }
});

test('damage in several places, a torn chunk, a lost one', async () => {
  await firstVisit();
  flip('000000', 5);
  browser.storage.file('000001').bytes = browser.storage.file('000001').bytes.slice(0, 1000);
  browser.storage.folders[0].entries.delete('000003');
  const { warnings } = await whole();
  assert.equal(warnings.map(({ kind }) => kind).filter((kind) => kind !== 'unverified'), ['damaged', 'damaged']);
  assert.is((await whole()).source.downloaded, 0);
});

test('a gap is fetched from a server without ranges, and no more than to its end', async () => {
  await firstVisit();
  flip('000001', 0);
  server.on(PATH, { noRange: true, rate: 20e6 });
  const { source } = await open();
  let isQuiet;
  const bytes = await drain(source, { each: async (at) => {
    if (at > 2 * CHUNK) isQuiet ??= await quiet();
  } });
  assert.ok(bytes.equals(FILE) && isQuiet);
  assert.ok(server.log[0].sent < FILE.length);
});

test('what lies about without a description is of another file', async () => {
  await begin(2_500_000);
  browser.storage.file('meta').bytes = new Uint8Array(5);
  server.put(PATH, OTHER, new Date(2e12));
  await begin(1_500_000);
  assert.equal(browser.storage.names, ['000000', 'meta']);
  assert.ok((await load()).bytes.equals(OTHER));
});

test('a torn description is as if nothing were there', async () => {
  await firstVisit();
  browser.storage.file('meta').bytes = browser.storage.file('meta').bytes.slice(0, 20);
  const { source } = await whole();
  assert.is(source.fromCache, 0);
  assert.is((await whole()).source.downloaded, 0);
});

test('a full disk: what is whole stays, the load goes on', async () => {
  browser.storage.quota = 2.5 * CHUNK;
  const { warnings } = await whole();
  assert.equal(warnings.map(({ kind }) => kind), ['no-cache', 'unverified']);
  assert.match(warnings[0].message, /no more storage/);
  assert.equal(browser.storage.names, ['000000', '000001', 'meta']);
  browser.storage.quota = Infinity;
  const { source } = await whole();
  assert.is(source.fromCache, 2 * CHUNK);
});

test('no room even for a description', async () => {
  browser.storage.quota = 10;
  const { warnings } = await whole();
  assert.equal(warnings.map(({ kind }) => kind), ['no-cache', 'unverified']);
});

test('a browser that refuses its file system', async () => {
  browser.storage.refuses = new DOMException('not here', 'SecurityError');
  const { warnings } = await whole();
  assert.equal(warnings.map(({ kind }) => kind), ['no-cache', 'unverified']);
  assert.match(warnings[0].message, /not here/);
});

test('Node has no cache, and says so only to who asked for one', async () => {
  withoutBrowser();
  assert.equal((await whole()).kinds(), ['unverified']);
  assert.equal((await whole({ cache: true })).kinds(), ['no-cache', 'unverified']);
  assert.equal(await caches.list(), []);
  assert.is(await caches.delete(url()), false);
  assert.is(await caches.persist(), false);
});

test('two tabs at once: one download', async () => {
  const [one, two] = await Promise.all([whole(), whole()]);
  assert.is(server.log.length, 1);
  assert.equal([one.waiting, two.waiting].sort(), [[], [true, false]]);
  assert.is(one.source.downloaded + two.source.downloaded, FILE.length);
  assert.is(browser.locks.held, 0);
});

test('the first tab leaves, the second goes on from there', async () => {
  const first = await open(), second = await open();
  let reading;
  await drain(first.source, { each: (at) => {
    reading ??= drain(second.source);
    if (at > 2_500_000) first.source.close();
  } }).catch(() => {});
  assert.ok((await reading).equals(FILE));
  assert.equal(second.waiting, [true, false]);
  assert.is(second.source.fromCache, 2 * CHUNK);
  assert.is(server.log.length, 2);
});

test('a tab that waits can be aborted, and holds nothing', async () => {
  const first = await open(), second = await open();
  const controller = new AbortController();
  let waiting;
  const bytes = await drain(first.source, { each: async () => {
    waiting ??= thrown(drain(second.source, { signal: controller.signal }));
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (!second.waiting.length) return;
    controller.abort(new Error('enough'));
    const late = new Promise((resolve) => setTimeout(resolve, 2000, new Error('late')));
    assert.is((await Promise.race([waiting, late])).message, 'enough');
  } });
  assert.ok(bytes.equals(FILE));
  assert.is(browser.locks.held, 0);
});

test('a tab whose disk is full lets the others try', async () => {
  browser.storage.quota = 1.5 * CHUNK;
  const first = await open(), second = await open();
  let reading;
  const bytes = await drain(first.source, { each: async (at) => {
    reading ??= drain(second.source);
    if (at > 3.5 * CHUNK) await reading; // which would never end
  } });
  assert.ok(bytes.equals(FILE) && (await reading).equals(FILE));
});

test('a file that is read by one tab is deleted by another', async () => {
  const { source } = await open();
  let deleted;
  const bytes = await drain(source, { each: async (at) => {
    if (at > 2_500_000) deleted ??= await caches.delete(url());
  } });
  assert.is(deleted, true);
  assert.ok(bytes.equals(FILE));
  const { source: again } = await whole();
  assert.ok(again.fromCache > 0 && again.downloaded < FILE.length);
  assert.is((await whole()).source.downloaded, 0);
});

test('integrity: right, wrong, and right from the cache without hashing it all', async () => {
  const { source, warnings } = await whole(GOOD);
  assert.ok(source.verified);
  assert.equal(warnings, []);
  assert.ok((await whole({ integrity: [`sha256-${Buffer.from(digest(FILE).slice(7), 'base64').toString('hex')}`] })).source.verified);
  assert.is((await caches.list())[0].integrity.length, 71);
  server.put(PATH, OTHER, new Date(2e12));
  server.log = [];
  const { source: changed } = await open({}, { integrity: [digest(OTHER)] });
  assert.ok((await drain(changed)).equals(OTHER)); // another digest: what is kept is of no use
  await changed.finish();
  assert.ok(changed.verified);
});

test('integrity: a mismatch is a FormatError, and nothing stays', async () => {
  const { source } = await open({}, { integrity: [digest(OTHER)] });
  await drain(source);
  const error = await thrown(source.finish());
  assert.instance(error, FormatError);
  assert.match(error.message, /does not match its integrity/);
  assert.not(source.verified);
  assert.equal(browser.storage.folders, []);
  await firstVisit(); // unverified in the cache, and then checked from there
  const { source: again } = await open({}, { integrity: [digest(OTHER)] });
  await drain(again);
  assert.instance(await thrown(again.finish()), FormatError);
  assert.is(server.log.length, 0);
  assert.equal(browser.storage.folders, []);
});

test('integrity: damage in a verified file is healed and all of it checked', async () => {
  await firstVisit(GOOD);
  flip('000002', 99);
  const { source } = await whole(GOOD);
  assert.ok(source.verified);
  assert.is(source.downloaded, CHUNK);
  flip('000002', 99);
  const bytes = Buffer.from(FILE);
  bytes[2 * CHUNK + 5] ^= 1;
  server.put(PATH, bytes, new Date(1e12)); // the same ETag: only the digest can tell
  const { source: bad } = await open({}, GOOD);
  await drain(bad);
  assert.instance(await thrown(bad.finish()), FormatError);
});

test('integrity counts what is behind the last tensor', async () => {
  for (const behind of [20, 300_000]) {
    const { source } = await open({}, GOOD);
    const bytes = await drain(source, { size: FILE.length - behind });
    await source.finish();
    assert.ok(bytes.equals(FILE.subarray(0, -behind)) && source.verified);
    const { source: cached } = await open({}, GOOD);
    assert.ok((await drain(cached, { size: FILE.length - behind })).equals(bytes));
    await cached.finish();
    assert.ok(cached.verified);
    await caches.delete(url());
  }
});

test('integrity: a right digest is the end, whatever the server promised', async () => {
  server.on(PATH, { longer: 5000 });
  assert.ok((await whole(GOOD)).source.verified);
  assert.is(server.log.length, 1);
});

test('integrity: what is no digest is refused', async () => {
  for (const integrity of ['sha256-', 'md5-abc', `sha256-${'g'.repeat(64)}`, digest(FILE).slice(7)])
    assert.is((await thrown(open({}, { integrity: [integrity] }))).code, 'RP_ERR_ARGUMENT');
  assert.is((await thrown(open({}, { integrity: [digest(FILE), digest(FILE)] }))).code, 'RP_ERR_ARGUMENT');
});

test('a head comes from the cache, and what it fetches is not kept', async () => {
  const { source } = await open();
  for await (const piece of source.head()) if (piece) break;
  assert.is(await source.cachedBytes(), 0);
  assert.equal(browser.storage.folders, []);
  await firstVisit();
  const { source: cached } = await open();
  for await (const piece of cached.head()) if (piece) break;
  assert.is(server.log.length, 0);
  assert.is(await cached.cachedBytes(), FILE.length);
});

test('a head that ends before the lock', async () => {
  await begin(2_500_000);
  const { source } = await open();
  assert.is(await source.cachedBytes(), 2 * CHUNK);
  let at = 0;
  for await (const piece of source.head()) if ((at += piece.length) > 2_400_000) break;
  assert.is(server.log[0].range, `bytes=${2 * CHUNK}-${2 * CHUNK + 262_143}`);
});

test('the cache is listed, deleted, made to stay', async () => {
  await firstVisit(GOOD);
  await load({}, { each: () => {} });
  server.put('/made/second.gguf', OTHER);
  const { source } = await open({ url: `${server.url}/made/second.gguf#part` });
  await drain(source, { each: (at) => at > 2_500_000 && source.close() }).catch(() => {});
  const [one, two] = (await caches.list()).sort((a, b) => Number(b.complete) - Number(a.complete));
  assert.equal(one, { url: url(), bytes: FILE.length, total: FILE.length, complete: true, integrity: one.integrity });
  assert.equal(two, { url: `${server.url}/made/second.gguf`, bytes: 2 * CHUNK, total: FILE.length, complete: false });
  assert.is(await caches.delete(url()), true);
  assert.is(await caches.delete(new URL(url())), false);
  assert.is((await caches.list()).length, 1);
  assert.is(await caches.persist(), true);
});

test('Request modes: no-store keeps nothing, reload fetches again', async () => {
  await firstVisit();
  for (const request of [{ cache: 'no-store' }, { cache: 'reload' }]) {
    const { source } = await open({ request });
    await drain(source);
    assert.is(source.downloaded, FILE.length);
  }
  assert.is((await whole()).source.downloaded, 0);
});

test('an abort leaves no lock, no request and no write', async () => {
  const controller = new AbortController();
  const { source } = await open();
  await thrown(drain(source, { signal: controller.signal, each: (at) => at > 2e6 && controller.abort(new Error('enough')) }));
  assert.is(browser.locks.held, 0);
  assert.ok(await quiet());
  const { writes } = browser.storage;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.is(browser.storage.writes, writes);
});

test.run();
