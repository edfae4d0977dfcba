// runs: relaxed SIMD
// The page's WebAssembly builds by their exports: the plan is a hard maximum and not much above what is used, all of them
// give the terminal program's text.
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT, run } from './lib/cli.js';
import { SMOLLM2 } from './lib/golden.js';
import { BUILDS, WASM_PAGE, feed, openPage } from './lib/page.js';
import { RELAXED_NODE } from './lib/relaxed-node.js';
import { skip } from './lib/skip.js';

const STORIES = 'models/stories.gguf';
const mb = (bytes) => (bytes / 2 ** 20).toFixed(2);
const GREEDY = new Float64Array(17);
// Everything on, so that the sampler takes all it can.
const GREEDY_WITH_ALL = new Float64Array([0, 40, 0.95, 0, 0, 1.1, 0, 0, 0, 0.8, 0, 0, 0, 0, 0, 1, 0]);

/** A session with prompt, sampler and text that generates until `count` tokens or the end.
 * @param {ReturnType<typeof openPage>} p */
function generate(p, { context, prompt, count, options = GREEDY, sessions = 1 }) {
  const { e, page } = p;
  const all = Array.from({ length: sessions }, () => e.session_open(page, context, 0, 0, 0) || p.fail('session'));
  const values = p.put(options), sampler = e.sampler_open(page, values, 0, 0, 0) || p.fail('sampler');
  const stops = p.put(new TextEncoder().encode('never seen\0')), text = e.text_open(page, stops, 1) || p.fail('text');
  const buffer = e.page_alloc(4 * context), session = all[0];
  const ids = p.tokenize(prompt, 2).slice(0, context - count);
  new Int32Array(p.memory.buffer, buffer, ids.length).set(ids);
  let length = ids.length, out = '';
  if (e.session_begin(page, session, buffer, length) < 0) p.fail('begin');
  for (let i = 0; i < count && p.compute(session); i++) {
    const id = e.sampler_pick(sampler, session);
    if (e.page_token_flags(page, id) & 1) break;
    e.text_push(page, text, id);
    out += p.string(e.page_piece(page));
    new Int32Array(p.memory.buffer, buffer, context)[length++] = id;
    if (e.session_begin(page, session, buffer, length) < 0) p.fail('begin');
  }
  return { all, sampler, text, out, ids };
}

function load(build, path, plan = [2048, 0, 0, 1, 1, 0, 1]) {
  const file = readFileSync(resolve(ROOT, path));
  const first = openPage(build); // as a page does: the header alone, for the plan
  feed(first, file, { until: () => first.e.page_load_state(first.page) > 0 });
  const planned = first.plan(...plan);
  const p = openPage(build, Math.ceil(planned.total / WASM_PAGE));
  const threads = plan[6];
  if (threads > 1 && !p.e.page_threads_open(p.page, threads)) p.fail('threads');
  const at = feed(p, file, { until: () => p.e.page_load_state(p.page) > 0 });
  p.info();
  feed(p, file, { from: at, until: () => p.e.page_load_state(p.page) === 3 });
  if (p.e.page_finish(p.page)) p.fail('finish');
  return { p, planned, file };
}

const runs = (build) => !build.startsWith('relaxed') || process.execPath === RELAXED_NODE;

for (const build of BUILDS) {
  if (!runs(build)) {
    test(build, () => skip(`${build}: this Node has no relaxed SIMD, ${RELAXED_NODE} has`));
    continue;
  }

  test(`${build}: the module asks for memory and word of its growth, and no more`, () => {
    const module = new WebAssembly.Module(readFileSync(`${ROOT}js/wasm/page-${build}.wasm`));
    assert.equal(WebAssembly.Module.imports(module).map(({ module: from, name }) => `${from}.${name}`).sort(),
      ['env.emscripten_notify_memory_growth', 'env.memory']);
  });

  test(`${build}: the check is the layout's`, () => {
    const p = openPage(build);
    assert.is(p.e.page_check() >>> 0, p.layout.check);
  });

  test(`${build}: greedy text is the terminal program's`, async () => {
    const { p } = load(build, STORIES);
    const { out } = generate(p, { context: 2048, prompt: 'Once upon a time', count: 60 });
    const { text } = await run('native', ['generate', STORIES, '-p', 'Once upon a time', '-n', '60', '--temperature', '0']);
    assert.is(out.trim(), text.trim());
  });
}

const text = 'The rain in Spain stays mainly in the plain, said the dog to the moon. '.repeat(400); // what the plan has for pieces of the file serves texts, too

function comparePlan(name, path, context, sessions, threads = 1) {
  const { p, planned } = load(threads > 1 ? 'simd128-threads' : 'simd128', path, [context, 0, 0, sessions, 1, 0, threads]);
  generate(p, { context, prompt: text, count: 8, options: GREEDY_WITH_ALL, sessions });
  const used = p.memory.buffer.byteLength;
  process.stdout.write(`  ${name}, context ${context}, ${sessions} sessions: plan ${mb(planned.total)} MiB, used ${mb(used)} MiB, stack ${p.stackUsed()}\n`);
  assert.ok(planned.total <= used * 1.03 + 2 ** 20, `plan ${planned.total}, used ${used}`);
  assert.ok(p.stackUsed() < 16 * 1024, `stack ${p.stackUsed()}`); // of 32 KiB
}

for (const [context, sessions, threads] of [[64, 1], [512, 1], [2048, 2], [4096, 3], [512, 1, 16], [2048, 2, 4]])
  test(`memory never needs more than the plan says, context ${context}, ${sessions} sessions, ${threads ?? 1} threads`, () => {
    comparePlan('stories', STORIES, context, sessions, threads);
  });

test('threads for which there is no memory are an error, not a trap', () => {
  const p = openPage('simd128-threads', 12);
  while (p.e.page_alloc(8192));
  assert.is(p.e.page_threads_open(p.page, 16), 0);
});

test('the same with SmolLM2', () => {
  if (!existsSync(resolve(ROOT, SMOLLM2))) return skip('build/models/smollm2.gguf is absent: make models');
  comparePlan('SmolLM2', SMOLLM2, 256, 1);
});

test.run();
