// The package in Node: loading, generating, stopping, and what is refused. Browsers run the same worker; what only they have is
// tested in tests/browser.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, FormatError, IOError, MemoryError, Model } from '../../js/index.js';
import { json } from './lib/cli.js';
import { bytes, GREEDY, pause, PROMPT, rejects, STORIES, withModel } from './lib/model.js';

/** A stream of the model that can be held: `gate()` resolves to whether to go on. */
function slowly(gate, size = 1 << 16) {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      await gate(at);
      if (at >= bytes.length) return controller.close();
      controller.enqueue(new Uint8Array(bytes.subarray(at, at += size)));
    },
  }, { highWaterMark: 0 });
}

test('the text is the terminal program\'s, for one seed', async () => {
  await withModel(async (model) => {
    const penalties = { repeatPenalty: 1.3, presencePenalty: 0.2, frequencyPenalty: 0.1, penaltyLast: 20 };
    for (const [seed, options, args] of [[7, {}, []], [3, { topK: 0, topP: 0.5, minP: 0.1 }, ['--top-k', '0', '--top-p', '0.5', '--min-p', '0.1']],
      [4, { typicalP: 0.5, temperature: 1.2 }, ['--typical', '0.5', '--temperature', '1.2']],
      [5, penalties, ['--repeat-penalty', '1.3', '--presence-penalty', '0.2', '--frequency-penalty', '0.1', '--penalty-last', '20']],
      [6, { dryMultiplier: 2, dryBase: 1.5, dryAllowed: 1, dryLast: 50 }, ['--dry-multiplier', '2', '--dry-base', '1.5', '--dry-allowed', '1', '--dry-last', '50']],
      [8, { mirostatTau: 3, mirostatEta: 0.2 }, ['--mirostat-tau', '3', '--mirostat-eta', '0.2']]]) {
      const { text, finishReason, usage } = await model.session().prompt(PROMPT, { seed, maxTokens: 120, ...options });
      const expected = await json('native', ['generate', STORIES, '-p', PROMPT, '--seed', String(seed), '-n', '120', '--json', ...args]);
      assert.is(text, expected.text, args.join(' '));
      assert.is(finishReason, expected.finish_reason);
      assert.is(usage.completionTokens, expected.ids.length);
    }
  }, { sessions: 6 });
});

test('every source gives the same model', async () => {
  const texts = new Set();
  const sources = [STORIES, new URL(`file://${STORIES}`), bytes, bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
    new Blob([bytes]), new Response(bytes), slowly(async () => {})];
  for (const source of sources) {
    const model = await Model.load(source);
    texts.add((await model.session().prompt(PROMPT, { ...GREEDY, maxTokens: 20 })).text);
    model.destroy();
  }
  assert.is(texts.size, 1);
});

test('an answer ends for a reason', async () => {
  await withModel(async (model) => {
    const session = model.session();
    assert.is((await session.prompt(PROMPT, { ...GREEDY, maxTokens: 5 })).finishReason, 'length');
    const whole = (await session.prompt(undefined, { ...GREEDY, maxTokens: 60 })).text;
    await session.rewind({ tokens: 0 });
    const stop = whole.slice(20, 26);
    const stopped = await session.prompt(PROMPT, { ...GREEDY, stop });
    assert.is(stopped.finishReason, 'stop');
    assert.not(stopped.text.includes(stop));
    await session.rewind({ tokens: 0 });
    const full = await session.prompt(PROMPT, { ...GREEDY, logitBias: { [model.info.eos]: -Infinity } });
    assert.is(full.finishReason, 'context');
    assert.ok(session.contextUsed >= session.contextMax);
  }, { context: 128 });
});

test('leaving the loop stops the model, and the session goes on', async () => {
  await withModel(async (model) => {
    const session = model.session();
    const stream = session.stream(PROMPT, { ...GREEDY, logitBias: { [model.info.eos]: -Infinity } });
    let seen = '';
    for await (const piece of stream) if ((seen += piece).length > 40) break;
    const { finishReason, text, usage } = await stream.result;
    assert.is(finishReason, 'abort');
    assert.ok(text.startsWith(seen));
    assert.ok(usage.completionTokens < 60, `${usage.completionTokens} tokens`);
    const more = await session.prompt(undefined, { ...GREEDY, maxTokens: 10 });
    assert.ok(more.usage.reusedTokens > 10);
    await session.rewind({ tokens: 0 });
    const again = await session.prompt(PROMPT, { ...GREEDY, maxTokens: usage.completionTokens + 10 });
    assert.is(again.text, text + more.text);
  });
});

test('a signal rejects with its reason, wherever the call is', async () => {
  await withModel(async (model) => {
    const session = model.session();
    const reason = new Error('enough');
    for (const ms of [0, 1, 5, 20, 40]) {
      const abort = new AbortController();
      const call = session.prompt(PROMPT, { signal: abort.signal, logitBias: { [model.info.eos]: -Infinity } });
      const queued = session.prompt('x', { signal: abort.signal });
      setTimeout(() => abort.abort(reason), ms);
      assert.is(await call.catch((error) => error), reason);
      assert.is(await queued.catch((error) => error), reason);
    }
    const gone = AbortSignal.abort(reason);
    assert.is(await session.prompt('x', { signal: gone }).catch((error) => error), reason);
    assert.is(await session.append('x', { signal: gone }).catch((error) => error), reason);
    await session.rewind({ tokens: 0 });
    assert.is((await session.prompt(PROMPT, { maxTokens: 3 })).finishReason, 'length');
  });
});

test('an unread stream stops the model by itself', async () => {
  await withModel(async (model) => {
    const session = model.session();
    const stream = session.stream(PROMPT, { logitBias: { [model.info.eos]: -Infinity } });
    await stream.next();
    await pause(300);
    const held = (await session.ids()).length;
    assert.ok(held < 30, `${held} tokens with one piece read`);
    await pause(100);
    assert.is((await session.ids()).length, held);
    await stream.return();
    assert.is((await stream.result).finishReason, 'abort');
  });
});

test('calls of a busy session wait their turn; sessions do not wait for each other', async () => {
  await withModel(async (model) => {
    const [one, two] = [model.session(), model.session()];
    const held = two.stream(PROMPT, GREEDY);
    await held.next(); // from here on nobody reads it: a common queue would stand still
    const first = one.prompt(PROMPT, { ...GREEDY, maxTokens: 50 });
    const second = one.prompt(undefined, { ...GREEDY, maxTokens: 10 });
    const texts = (await first).text + (await second).text;
    await held.return();
    await rejects(one.clone(), MemoryError, /sessions/);
    await two.rewind({ tokens: 0 });
    assert.is((await two.prompt(PROMPT, { ...GREEDY, maxTokens: 60 })).text, texts);
    assert.ok((await second).timings.queuedMs > 0);
  }, { sessions: 2 });
});

test('an alternative can be picked, and the text goes on from there', async () => {
  await withModel(async (model) => {
    const session = model.session();
    const pieces = [];
    for await (const piece of session.pieces(PROMPT, { ...GREEDY, maxTokens: 12, top: 3 })) pieces.push(piece);
    const tokens = pieces.flatMap((piece) => piece.tokens);
    assert.is(tokens.length, 12);
    for (const token of tokens) {
      assert.is(token.top.length, 3);
      assert.is(token.top[0].id, token.id);
      assert.ok(Math.abs(token.top[0].logprob - token.logprob) < 1e-4 && token.logprob <= 0);
    }
    const [token] = tokens.slice(6);
    await session.rewind({ tokens: token.position });
    await session.append({ ids: [token.top[1].id] });
    await session.prompt(undefined, { ...GREEDY, maxTokens: 5 });
    const ids = await session.ids();
    assert.is(ids[token.position], token.top[1].id);
    assert.is(ids.length, token.position + 6);
  });
});

test('clone, save and restore go on as the session would have', async () => {
  await withModel(async (model) => {
    const session = model.session();
    await session.prompt(PROMPT, { seed: 1, maxTokens: 40 });
    const copy = await session.clone();
    const saved = await session.save();
    const small = await session.save({ kv: false });
    assert.ok(small.length < 2000 && saved.length > 40 * model.plan.kvPerToken);
    const options = { seed: 5, maxTokens: 30 };
    const { text } = await session.prompt(undefined, options);
    const cloned = await copy.prompt(undefined, options);
    assert.is(cloned.text, text);
    assert.ok(cloned.usage.reusedTokens >= 40);
    for (const [state, least] of [[saved, 40], [small, 0]]) {
      await copy.restore(state);
      const restored = await copy.prompt(undefined, options);
      assert.is(restored.text, text);
      assert.ok(restored.usage.reusedTokens >= least);
    }
    for (const at of [0, 5, 9, 20, saved.length - 1]) {
      const damaged = saved.slice();
      damaged[at] ^= 4;
      await rejects(copy.restore(damaged), FormatError, /saved session/);
    }
    for (const size of [0, 8, 100, saved.length - 4]) await rejects(copy.restore(saved.slice(0, size)), FormatError, /saved session/);
    await copy.restore(saved);
    assert.is((await copy.prompt(undefined, options)).text, text);
  }, { sessions: 2 });
});

test('memory stays within the plan, and more than was planned is refused by its size', async () => {
  await withModel(async (model) => {
    const session = model.session();
    await session.prompt(PROMPT, { maxTokens: 30 });
    await model.ready;
    assert.ok(model.memory <= model.plan.memory, `${model.memory} of ${model.plan.memory}`);
    const error = await rejects(model.session().prompt('x'), MemoryError, /sessions: 2/);
    assert.ok(error.bytesNeeded > model.plan.memory);
    session.destroy();
    assert.is((await model.session().prompt(PROMPT, { maxTokens: 3 })).finishReason, 'length');
  });
  let pulled = 0;
  const source = slowly(async (at) => {
    pulled = at;
  });
  const error = await rejects(Model.load(source, { memoryLimit: 1e6 }), MemoryError, /limit is 1000000/);
  assert.ok(error.bytesNeeded > 2.9e6);
  assert.ok(pulled < 500_000, `${pulled} bytes were taken before the verdict`);
  const plan = await Model.plan(STORIES, { memoryLimit: 1e6 });
  assert.is(plan.verdict.answer, 'no');
  assert.is((await Model.plan(STORIES)).file, bytes.length);
});

test('the prompt is computed while weights arrive', async () => {
  // The last piece comes when all visits but the last two have been computed: in vain, if they wait for it.
  let tell, inVain = false;
  const computed = new Promise((resolve) => (tell = resolve));
  setTimeout(() => tell(inVain = true), 20_000).unref();
  const model = await Model.load(slowly((at) => (at + (1 << 16) >= bytes.length ? computed : undefined)));
  const onVisit = async (place) => void (place === model.info.visits - 3 && tell());
  const { timings, text } = await model.session().prompt(PROMPT, { ...GREEDY, maxTokens: 10, onVisit });
  assert.not(inVain);
  assert.ok(timings.waitedMs > 0, `${timings.waitedMs} ms`);
  assert.ok(timings.lastByteToFirstTokenMs < timings.firstTokenMs);
  const expected = await json('native', ['generate', STORIES, '-p', PROMPT, '--temperature', '0', '-n', '10', '--json']);
  assert.is(text, expected.text);
  model.destroy();
});

test('a load that fails rejects what waits for it', async () => {
  const broken = slowly(async (at) => {
    if (at > 1_500_000) throw new Error('the line is dead');
  });
  const model = await Model.load(broken);
  const prompt = model.session().prompt(PROMPT);
  await rejects(prompt, Error, /line is dead/);
  await rejects(model.ready, Error, /line is dead/);
  await rejects((await Model.load(bytes.subarray(0, 100_000))).ready, IOError, /ends after 100000 of/);
  await rejects(Model.load(new TextEncoder().encode('<!doctype html>'.repeat(99))), FormatError);
  await rejects(Model.load(new Uint8Array(0)), FormatError);
});

test('a load can be aborted at any time', async () => {
  for (const stop of [0, 70_000, 1_000_000, 2_900_000]) {
    const abort = new AbortController();
    const reason = new Error('no more');
    const source = slowly(async (at) => {
      if (at >= stop) abort.abort(reason);
      await pause(1);
    });
    const load = Model.load(source, { signal: abort.signal });
    const ready = load.then((model) => model.session().prompt(PROMPT));
    assert.is(await ready.catch((error) => error), reason, `at ${stop}`);
  }
});

test('destroy ends everything that is pending', async () => {
  const model = await Model.load(slowly((at) => (at > 1_500_000 ? new Promise(() => {}) : undefined)));
  const session = model.session();
  const pending = [session.prompt(PROMPT), session.save(), session.append('x'), model.ready, session.stream('x').next()];
  await pause(50);
  model.destroy();
  for (const promise of pending) await rejects(promise, ArgumentError, /destroyed/);
  await rejects(session.prompt('x'), ArgumentError, /destroyed/);
  await rejects(model.tokenize('x'), ArgumentError, /destroyed/);
  await withModel(async (other) => {
    const gone = other.session();
    const prompt = gone.prompt(PROMPT, { logitBias: { [other.info.eos]: -Infinity } });
    await pause(30);
    gone.destroy();
    await rejects(prompt, ArgumentError, /destroyed/);
    await rejects(gone.prompt('x'), ArgumentError, /destroyed/);
  });
});

test('a context that is full stops or shifts', async () => {
  await withModel(async (model) => {
    const session = model.session({ onContextFull: 'shift' });
    const events = [];
    session.addEventListener('contextfull', (event) => events.push(event.detail));
    const { finishReason, usage } = await session.prompt(PROMPT, { seed: 1, maxTokens: 200, logitBias: { [model.info.eos]: -Infinity } });
    assert.is(finishReason, 'length');
    assert.is(usage.completionTokens, 200);
    assert.ok(events.length >= 3 && events.every((event) => event.policy === 'shift' && event.dropped > 20));
    assert.ok(session.contextUsed <= 64);
    await session.rewind({ tokens: 0 });
    const long = await session.prompt('One day, a cat sat on a mat. '.repeat(20), { maxTokens: 3 });
    assert.is(long.usage.completionTokens, 3);
    events.length = 0;
    await session.append('One day, a cat sat on a mat. '.repeat(20));
    assert.ok(events.length === 1 && session.contextUsed <= 64);
  }, { context: 64 });
  await withModel(async (model) => {
    const long = await model.session().prompt('One day, a cat sat on a mat. '.repeat(20));
    assert.is(long.finishReason, 'context');
    assert.is(long.text, '');
    const session = model.session();
    await session.prompt('One day, a cat sat on a mat. '.repeat(20));
    await session.restore(await session.save());
  }, { context: 64, sessions: 2 });
});

test('text that is appended in parts is one text', async () => {
  await withModel(async (model) => {
    const session = model.session();
    for (const part of ['Once upo', 'n a', ' time', ',']) await session.append(part);
    assert.is((await model.detokenize(await session.ids())).trim(), 'Once upon a time,');
  });
});

test('tokens, logits and embeddings', async () => {
  await withModel(async (model) => {
    const ids = await model.tokenize(PROMPT, { bos: true });
    assert.is(ids[0], model.info.bos);
    assert.is((await model.detokenize(ids)).trim(), PROMPT);
    const session = model.session();
    const logits = await session.logits(ids);
    const expected = await json('native', ['logits', STORIES, '-p', PROMPT, '--top', '1', '--kv', 'f16']);
    let hash = 0xcbf29ce484222325n;
    for (const byte of new Uint8Array(logits.buffer)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
    assert.is(logits.length, model.info.vocab);
    assert.is(hash.toString(16).padStart(16, '0'), expected.hash);
    const [cat, dog, sky] = await Promise.all(['The cat was happy.', 'The dog was happy.', 'x = 12 + 9'].map((text) => session.embed(text)));
    const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0) / Math.hypot(...a) / Math.hypot(...b);
    assert.ok(dot(cat, dog) > dot(cat, sky), `${dot(cat, dog)} ${dot(cat, sky)}`);
  });
});

test('wrong values are named', async () => {
  await withModel(async (model) => {
    const session = model.session();
    for (const [options, message] of [[{ temperature: 'hot' }, /temperature/], [{ seed: -1 }, /seed/], [{ maxTokens: -1 }, /maxTokens/],
      [{ top: 65 }, /top/], [{ stop: [1] }, /stop/], [{ temperature: -1 }, /temperature/], [{ temprature: 1 }, /temprature/]])
      await rejects(session.prompt('x', options), ArgumentError, message);
    await rejects(session.append({ ids: [1e9] }), ArgumentError, /token id/);
    await rejects(session.rewind({ tokens: 1e9 }), ArgumentError, /rewind/);
    await rejects(session.rewind({}), ArgumentError, /rewind/);
    await rejects(session.prompt([{ role: 'user', content: 'x' }]), ArgumentError, /chat/);
    await rejects(session.restore('x'), ArgumentError, /bytes/);
    assert.is((await session.prompt(PROMPT, { maxTokens: 3 })).finishReason, 'length');
  });
  await withModel(async (model) => rejects(model.session({ chat: true }).prompt('x'), ArgumentError, /template/));
  for (const [options, message] of [[{ context: -1 }, /context/], [{ kvType: 'q4' }, /kvType/], [{ context: 'x' }, /context/],
    [{ context: 2 ** 32 + 5 }, /context/], [{ sessions: 1.5 }, /sessions/]])
    await rejects(Model.load(bytes, options), ArgumentError, message);
  await rejects(Model.load('/nothing.gguf'), IOError, /nothing.gguf cannot be opened/);
  for (const source of [undefined, 3, {}, 'http://[']) await rejects(Model.load(source), ArgumentError);
});

test.run();
