// The cache's entries where several hands are at them: a file that is named twice in one load, one whose end was not noted, one that turned out to be
// something else. The private file system and the locks are lib/fake-opfs.js.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FormatError } from '../../js/errors.js';
import { Extras } from '../../js/extras.js';
import { drain, FILE, fresh, load, open, PATH, server, thrown } from './lib/source-tools.js';

/** @type {ReturnType<typeof fresh>} */
let browser;
const whole = async () => {
  const loaded = await load();
  assert.ok(loaded.bytes.equals(FILE));
  return loaded;
};

test.before.each(() => {
  browser = fresh();
});
test.after(() => server.close());

test('a file whose end was not noted is whole all the same', async () => {
  await whole();
  const meta = browser.storage.file('meta'), text = new TextDecoder().decode(meta.bytes);
  meta.bytes = new TextEncoder().encode(text.replace('"done":true', '"done":false'));
  assert.is(meta.bytes.length, text.length + 1);
  const { source, warnings } = await whole();
  assert.is(source.downloaded, 0);
  assert.equal(warnings.map(({ kind }) => kind), ['unverified']);
});

test('a file that is named twice in one load does not wait for itself', async () => {
  const held = new Set(), one = await open({}, { held }), two = await open({}, { held });
  let second;
  const first = await drain(one.source, { each: async () => (second ??= await drain(two.source)) });
  assert.ok(first.equals(FILE));
  assert.ok(second.equals(FILE));
  assert.equal([browser.locks.held, two.waiting], [0, []]);
  assert.is((await whole()).source.downloaded, 0);
});

test('what turns out to be no adapter is not found again', async () => {
  server.put(PATH, '<!doctype html>');
  const { source } = await open();
  const ok = (code) => { if (code) throw new FormatError('no adapter') };
  const x = { adapter_open: () => 1, adapter_feed: () => 0, adapter_finish: () => 1 };
  const engine = { x, page: 0, address: (at) => at, borrow: (bytes, use) => use(0, bytes.length), ok };
  const extras = new Extras([{ name: 'adapter one', source }], /** @type {any} */ ({}));
  assert.is((await thrown(extras.read(/** @type {any} */ (engine), /** @type {any} */ ({}), new AbortController().signal))).message, 'adapter one: no adapter');
  assert.equal(browser.storage.names, []);
  server.put(PATH, FILE);
  await whole();
});

test.run();
