// Downloads in real browsers, from servers that cut, lie and refuse: the text is right, or the error is the right one.
// tests/js/source-http.test.js has the details.
import * as assert from 'uvu/assert';
import { fileURLToPath } from 'node:url';
import { each, run } from './lib/each.js';
import { partName, splitGguf } from '../js/lib/split-gguf.js';
import { begin, digest, expected, gets, place, SIZE, STORY, story, tell, teller, until } from './lib/story.js';

const BEGINNING = 'bytes=0-262143'; // as much as is asked for at first when only the header is wanted
const startOf = ({ range }) => Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
const IO = 'RP_ERR_IO';

each('goes on where the connection was cut: in the header, in the middle, near the end', async ({ browser, server }) => {
  const page = await teller(browser, server);
  for (const cut of [20_000, 1_500_000, SIZE - 30_000]) {
    // A browser may drop what nobody has read yet of an answer that breaks off: so it comes bit by bit.
    const { path, url } = place(server, { cut, rate: Math.min(cut, 2e6), times: 1 });
    const { text, error } = await page.evaluate(tell, url);
    assert.is(error, undefined);
    assert.is(text, await expected());
    const [first, second, ...more] = gets(server, path);
    const start = startOf(second);
    assert.is(first.range, undefined);
    assert.equal(more, []);
    assert.ok(start <= cut, `${start}`);
    assert.ok(start > 0, 'began anew');
    assert.is(second.status, 206);
    assert.is(second.sent, SIZE - start);
    assert.ok(second.headers['if-range']);
  }
});

each('a server without Range, one without lengths, one that compresses, cut once or not', async ({ browser, server }) => {
  const page = await teller(browser, server);
  for (const fault of [{ noRange: true }, { chunked: true }, { gzip: true }, { chunked: true, noRange: true, noETag: true }]) {
    for (const faults of [[fault], [fault, { cut: 1_500_000, rate: 3e6, times: 1 }]]) {
      const { path, url } = place(server, ...faults);
      const { text, error } = await page.evaluate(tell, url);
      assert.is(error, undefined, JSON.stringify(faults));
      assert.is(text, await expected());
      assert.ok(gets(server, path).length >= faults.length);
    }
  }
}, { ms: 240_000 });

each('a second origin that refuses preflights and shows no headers, cut once or not', async ({ browser, server }) => {
  const page = await teller(browser, server);
  const fault = { cut: 1_500_000, rate: 3e6, times: 1 };
  const whole = place(server), cut = place(server, fault);
  const tagged = place(server, { headers: { 'Access-Control-Expose-Headers': 'ETag' } }, fault); // still not to be sent
  for (const { second, path } of [whole, cut, tagged]) {
    const { text, error } = await page.evaluate(tell, second);
    assert.is(error, undefined);
    assert.is(text, await expected());
    assert.ok(gets(server, path).every(({ origin, headers }) => origin === 'second' && !headers['if-range']));
  }
  assert.is(gets(server, whole.path).length, 1);
  for (const { path } of [cut, tagged]) assert.ok(startOf(gets(server, path)[1]) > 0, 'began anew');
  assert.equal(server.log.filter(({ method }) => method === 'OPTIONS'), []);
});

each('a Content-Length that says too little, or too much', async ({ browser, server, name }) => {
  const page = await teller(browser, server);
  for (const longer of [-100_000, 100_000]) {
    const { text, error } = await page.evaluate(tell, place(server, { longer, times: 1 }).url);
    assert.is(error, undefined, `${longer}`);
    assert.is(text, await expected());
  }
  const { url } = place(server, { longer: -100_000 });
  const short = (await page.evaluate(tell, url)).error;
  assert.is(short.code, IO);
  assert.ok(short.message.includes(`${url} ends after ${SIZE - 100_000} of ${SIZE} bytes`), short.message);
  // Chromium and WebKit throw away what they have when an answer turns out to be too short.
  const long = await page.evaluate(tell, place(server, { longer: 100_000 }).url);
  if (long.error && name !== 'firefox') assert.is(long.error.code, IO);
  else assert.is(long.text, await expected());
}, { ms: 300_000 });

each('what is not there is said at once, what comes back is waited for', async ({ browser, server }) => {
  const page = await teller(browser, server);
  for (const origin of ['url', 'second']) {
    const { [origin]: url, path } = place(server, { status: 404 });
    const { error } = await page.evaluate(tell, url);
    assert.equal([error.name, error.code, error.status, error.url], ['IOError', IO, 404, url]);
    assert.is(gets(server, path).length, 1);
  }
  const { url, path } = place(server, { status: 500, times: 2 });
  assert.is((await page.evaluate(tell, url)).text, await expected());
  assert.equal(gets(server, path).map(({ status }) => status), [500, 500, 200]);
});

each('a model in three parts, and one whose second part is not there', async ({ browser, server }) => {
  const page = await teller(browser, server);
  const put = (folder) => splitGguf(STORY, 3).map((bytes, i) => {
    const path = `/made/${folder}/${partName(i, 3)}`;
    server.put(path, bytes);
    return { path, bytes };
  });
  const good = put('good');
  const { text, error } = await page.evaluate(tell, server.url + good[0].path);
  assert.is(error, undefined);
  assert.is(text, await expected());
  const bad = put('bad');
  server.on(bad[1].path, { status: 404 });
  const said = await page.evaluate(tell, server.url + bad[0].path);
  assert.equal([said.error.code, said.error.status, said.error.url], [IO, 404, server.url + bad[1].path]);
  assert.ok(said.error.message.includes(`${server.url}${bad[1].path} answers 404`), said.error.message);
  assert.is(server.sent(bad[2].path), 0);
  assert.equal(gets(server, bad[0].path).map(({ range }) => range), [BEGINNING]);
  assert.ok(bad[0].bytes.length > 800_000);
});

each('an integrity is checked before the first piece of text', async ({ browser, server, name }) => {
  const page = await teller(browser, server);
  const list = async (url) => (await window.reprise.caches.list()).some((file) => file.url === url);
  const listed = (url) => page.evaluate(list, url);
  const integrity = `sha256-${digest(STORY)}`;
  const right = place(server);
  const good = await page.evaluate(tell, right.url, { integrity });
  assert.equal([good.text, good.verified, good.warnings.includes('unverified')], [await expected(), true, false]);
  assert.is(await listed(right.url), name !== 'webkit');
  // A byte that the server inverts near the end, or another digest.
  for (const [fault, claimed] of [[{ flip: SIZE - 1000 }, integrity], [{}, `sha256-${digest(Buffer.of(1))}`]]) {
    const { url } = place(server, fault);
    const { text, error } = await page.evaluate(tell, url, { integrity: claimed });
    assert.equal([text, error.code], ['', 'RP_ERR_FORMAT'], JSON.stringify(error));
    assert.match(error.message, /integrity/);
    await until('nothing is kept', async () => !await listed(url));
  }
});

each('a hub, whose digest counts', async ({ browser, server }) => {
  const page = await teller(browser, server);
  const hub = (repo, oid) => {
    server.put(`/${repo}/resolve/main/small/model.gguf`, STORY);
    server.put(`/api/models/${repo}/tree/main/small`, JSON.stringify([{ path: 'small/model.gguf', lfs: { oid } }]));
    return `hf:${repo}/small/model.gguf`;
  };
  for (const origin of ['url', 'second']) {
    const said = await page.evaluate(tell, hub(`some/${origin}`, digest(STORY)), { hub: server[origin] });
    assert.equal([said.error, said.text, said.verified], [undefined, await expected(), true], origin);
  }
  const { error, text } = await page.evaluate(tell, hub('some/wrong', digest(Buffer.of(1))), { hub: server.second });
  assert.equal([text, error.code], ['', 'RP_ERR_FORMAT']);
  const { error: none } = await page.evaluate(tell, 'hf:some/nothing/model.gguf', { hub: server.url });
  assert.equal([none.code, none.status], [IO, 404]);
});

each('a plan takes the header alone, and a no comes before any weight', async ({ browser, server }) => {
  const page = await teller(browser, server);
  const planned = (options) => {
    const { path, url } = place(server, { rate: 1e6 }); // what is sent is what was taken
    return { path, url, plan: page.evaluate((url, options) => window.reprise.Model.plan(url, options), url, options) };
  };
  const few = planned({});
  const { file, download, cached, memory, verdict } = await few.plan;
  assert.equal([file, download, cached], [SIZE, SIZE, 0]);
  assert.ok(['likely', 'unknown'].includes(verdict.answer), verdict.reason);
  assert.ok(memory > SIZE && memory < 5 * SIZE);
  await until('the request ends', () => gets(server, few.path).every(({ done }) => done));
  assert.equal(gets(server, few.path).map(({ range }) => range), [BEGINNING]);

  const { verdict: no } = await planned({ memoryLimit: 1e6 }).plan;
  assert.is(no.answer, 'no');
  assert.match(no.reason, new RegExp(`needs ${memory} bytes of memory, the limit is 1000000`));
  const { path, url } = place(server, { rate: 1e6 });
  const { error } = await page.evaluate(tell, url, { memoryLimit: 1e6 });
  assert.equal([error.name, error.code, error.bytesNeeded], ['MemoryError', 'RP_ERR_MEMORY', memory]);
  await until('the request ends', () => gets(server, path).every(({ done }) => done));
  assert.ok(server.sent(path) < SIZE / 2, `${server.sent(path)}`);
});

each('aborting stops the download, in the header and in the weights', async ({ browser, server }) => {
  const page = await teller(browser, server);
  const stopped = async (path) => {
    await until('the request ends', () => gets(server, path).every(({ done }) => done));
    assert.is(gets(server, path).length, 1);
    assert.ok(server.sent(path) < SIZE / 2, `${server.sent(path)}`);
  };
  const early = place(server, { rate: 10_000 }); // the header takes five seconds
  await page.evaluate(begin, early.url);
  await until('it is asked for', () => server.sent(early.path) > 0);
  await page.evaluate('window.said.abort()');
  assert.is((await page.evaluate(story)).error.name, 'AbortError');
  await stopped(early.path);

  const late = place(server, { rate: 400_000 });
  const { error, loaded, phases } = await page.evaluate(tell, late.url, { leave: 500_000 });
  assert.equal([error.name, phases.includes('weights')], ['AbortError', true]);
  assert.ok(loaded < SIZE / 2);
  await stopped(late.path);

  const destroyed = place(server, { rate: 400_000 });
  const code = await page.evaluate(async (url) => {
    const model = await window.reprise.Model.load(url);
    const told = model.ready.catch(({ code }) => code);
    model.destroy();
    return told;
  }, destroyed.url);
  assert.is(code, 'RP_ERR_ARGUMENT');
  await stopped(destroyed.path);
});

each('a download that fails for good rejects a stream that was begun before', async ({ browser, server }) => {
  const page = await teller(browser, server);
  const { path, url } = place(server, { status: 404 }, { status: undefined, cut: 1_200_000, rate: 2e6, times: 1 });
  const [stream, result, ready] = await page.evaluate(async (url) => {
    const model = await window.reprise.Model.load(url);
    const why = ({ code, status }) => `${code} ${status}`;
    const stream = model.session().stream('Once upon a time');
    const told = await Promise.all([stream.next(), stream.result, model.ready].map((promise) => promise.catch(why)));
    model.destroy();
    return told;
  }, url);
  assert.equal([stream, result, ready], Array(3).fill(`${IO} 404`));
  assert.equal(gets(server, path).map(({ status }) => status), [200, 404]);
});

each('a file from the disk, a Blob, a stream, an answer, bytes', async ({ browser, server }) => {
  const page = await teller(browser, server);
  const { url } = place(server);
  await page.evaluate("void document.body.append(Object.assign(document.createElement('input'), { type: 'file', id: 'file' }))");
  await page.upload('#file', fileURLToPath(new URL('../../models/stories.gguf', import.meta.url)));
  const kinds = {
    File: () => document.querySelector('#file').files[0],
    Blob: async (url) => (await fetch(url)).blob(),
    ReadableStream: async (url) => (await fetch(url)).body,
    Response: (url) => fetch(url),
    Request: (url) => new Request(url, { headers: { 'X-Mine': 'yes' } }),
    ArrayBuffer: async (url) => (window.bytes = await (await fetch(url)).arrayBuffer()),
    Uint8Array: async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer()),
  };
  for (const [kind, make] of Object.entries(kinds)) {
    const { text, error } = await page.evaluate(`Promise.resolve((${make})(${JSON.stringify(url)})).then(${tell})`);
    assert.is(error, undefined, kind);
    assert.is(text, await expected(), kind);
  }
  assert.is(await page.evaluate('window.bytes.byteLength'), SIZE); // they are the page's own
  assert.is(server.log.filter(({ headers }) => headers['x-mine'] === 'yes').length, 1);
}, { ms: 240_000 });

run();
