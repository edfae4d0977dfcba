// What is left when calls fail, are aborted, or lose their session: nothing pending, nothing changed, nothing held.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createServer } from 'node:http';
import { ArgumentError, FormatError, Model } from '../../js/index.js';
import { bytes, GREEDY, pause, PROMPT, rejects, withModel } from './lib/model.js';

test('saved bytes that somebody made up are refused, and change nothing', async () => {
  await withModel(async (model) => {
    const session = model.session();
    await session.prompt(PROMPT, { ...GREEDY, maxTokens: 20 });
    const saved = await session.save();
    /** Saved bytes with another header, and the right checksum. */
    const forged = (change) => {
      const view = new DataView(saved.buffer);
      const size = view.getUint32(8, true);
      const header = JSON.parse(new TextDecoder().decode(saved.subarray(12, 12 + size)));
      const text = Buffer.from(JSON.stringify(change(header) ?? header));
      const rows = saved.subarray(12 + ((size + 3) & ~3));
      const made = new Uint8Array([...saved.subarray(0, 12), ...text, ...new Uint8Array(-text.length & 3), ...rows]);
      new DataView(made.buffer).setUint32(8, text.length, true);
      let hash = 0x811c9dc5;
      for (const word of new Uint32Array(made.buffer, 8)) hash = Math.imul(hash ^ word, 0x01000193);
      new DataView(made.buffer).setUint32(4, hash >>> 0, true);
      return made;
    };
    const changes = [() => 0, (h) => void (h.state = null), (h) => void (h.state.ids = 'abc'), (h) => void (h.state.ids[0] = 1e9),
      (h) => void (h.state.messages = {}), (h) => void (h.state.messages = [null]), (h) => void (h.state.isOpen = true),
      (h) => void delete h.state.inner, (h) => void (h.state.inner.marks = [null]), (h) => void (h.state.inner.answer = { toString: 1 }),
      (h) => void (h.length = -1), (h) => void (h.length = 'x'), (h) => void (h.length = 500), (h) => void (h.length = 1e12)];
    for (const change of changes) await rejects(session.restore(forged(change)), FormatError, /saved session/);
    const { text, usage } = await session.prompt(undefined, { ...GREEDY, maxTokens: 20 });
    await session.restore(forged((h) => h));
    assert.is((await session.prompt(undefined, { ...GREEDY, maxTokens: 20 })).text, text);
    assert.ok(usage.reusedTokens > 20);
  });
});

test('a call that is aborted or fails leaves the session as it was', async () => {
  await withModel(async (model) => {
    const session = model.session();
    const stream = session.stream(PROMPT, { ...GREEDY, logitBias: { [model.info.eos]: -Infinity } });
    await stream.next();
    const abort = new AbortController();
    const { signal } = abort;
    const queued = [session.append('zzz', { signal }), session.logits([5, 6], { signal }), session.embed('zzz', { signal })];
    const reasons = queued.map((call) => call.catch((error) => error));
    await pause(20);
    abort.abort();
    for (const reason of reasons) assert.is(await reason, signal.reason);
    for (let i = 0; i < 15; i++) await stream.next();
    await stream.return();
    const { text } = await stream.result;
    const held = await session.ids();
    assert.is(await model.detokenize(held), ` ${PROMPT}${text}`);
    for (const call of [session.append('One day, '.repeat(40)), session.append({ ids: [5, 1e9] }), session.logits(new Array(99).fill(5)),
      session.prompt('zzz', { temperature: -1 }), session.prompt('zzz', { logitBias: { x: 1 } })])
      await rejects(call, ArgumentError);
    assert.equal(await session.ids(), held);
    await session.rewind({ tokens: 0 });
    await rejects(session.prompt({ ids: [] }), ArgumentError, /nothing/);
  }, { context: 80 });
});

test('nothing stays pending: streams that never start, readers that do not wait, workers that say nothing', async () => {
  await withModel(async (model) => {
    const session = model.session();
    const stream = session.stream(PROMPT, { ...GREEDY, maxTokens: 3 });
    const steps = await Promise.all(Array.from({ length: 6 }, () => stream.next()));
    assert.is(steps.map(({ value = '' }) => value).join(''), (await stream.result).text);
    const abort = new AbortController();
    const unread = session.stream(PROMPT, { signal: abort.signal });
    abort.abort();
    for (const { result } of [unread, session.stream(PROMPT, { signal: abort.signal })]) assert.is((await result).finishReason, 'abort');
  });
  const workerUrl = 'data:text/javascript,setInterval(() => {}, 1000)';
  for (const make of [Model.load, Model.plan])
    await rejects(make(bytes, { workerUrl, signal: AbortSignal.timeout(50) }), Error, /timeout/);
});

test('a source is let go of when nobody wants the model any more', async () => {
  for (const end of ['destroy', 'abort']) {
    let isCancelled = false;
    const endless = new ReadableStream({
      pull(controller) {
        if (this.begun) return new Promise(() => {});
        controller.enqueue(new Uint8Array(bytes.subarray(0, 1 << 20)));
        this.begun = true;
      },
      cancel: () => void (isCancelled = true),
    }, { highWaterMark: 0 });
    const abort = new AbortController();
    const model = await Model.load(new Response(endless), { signal: abort.signal });
    if (end === 'abort') abort.abort();
    else model.destroy();
    await pause(20);
    assert.ok(isCancelled, end);
  }
});

test('a session that is destroyed makes room for the next, whatever it does, and answers nothing', async () => {
  await withModel(async (model) => {
    const session = model.session();
    const calls = [session.logits(new Array(500).fill(5)), session.append('x'), session.save()];
    await pause(5);
    session.destroy();
    const next = model.session().prompt(PROMPT, { maxTokens: 2 });
    await Promise.all(calls.map((call) => rejects(call, ArgumentError, /destroyed/)));
    assert.is((await next).finishReason, 'length');
  });
});

test('a warning is told once, also to who listens when the model is there', async () => {
  const told = [];
  const heard = [];
  const server = createServer((_, answer) => answer.end(bytes)).listen(0);
  const model = await Model.load(`http://localhost:${server.address().port}/`, { cache: true, onWarning: ({ kind }) => told.push(kind) });
  model.addEventListener('warning', (event) => heard.push(event.detail.kind));
  await model.ready;
  await pause(20);
  for (const kinds of [told, heard]) assert.equal(kinds.sort(), ['no-cache', 'unverified']);
  model.destroy();
  server.closeAllConnections();
  server.close();
});

test.run();
