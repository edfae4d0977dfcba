// What inspect says of a file: its sharing in numbers that can be worked out by hand, the program as it is run, two
// models side by side.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mobileLLM, writeShape } from '../bench/shape.js';
import { json, run } from './lib/cli.js';
import { made } from './lib/golden.js';
import { failure } from './lib/logits.js';
import { unrolled, writeRandomModel } from './lib/random-model.js';
import { skip } from './lib/skip.js';
import { inTerminal, NO_TERMINAL } from './lib/terminal.js';

const folder = made('inspect'), file = (name) => `${folder}/${name}`;
mkdirSync(folder, { recursive: true });

test('MobileLLM-LS-125M: the numbers of the paper and of the shared arithmetic', async () => {
  const shape = mobileLLM('Q4_0', 2), path = file('mobilellm-ls.gguf');
  writeShape(path, shape);
  const model = await json('native', ['inspect', path, '--json']);
  assert.is(model.parameters_stored, 124_635_456);
  assert.is(model.parameters_effective, 124_635_456 + 30 * (106_168_320 / 30 + 2 * 576) + 32_000 * 576);
  assert.is(model.blocks, 30);
  assert.is(model.visits, 60);
  assert.is(model.kv_bytes_per_token, 46_080);
  const { sharing } = model;
  assert.is(sharing.block_matrix_bytes, 59_719_680);
  assert.is(sharing.block_bytes, 59_719_680 + 30 * 2 * 576 * 4);
  assert.is(sharing.visited_bytes, 2 * sharing.block_bytes);
  assert.is(sharing.file_bytes_unrolled, model.file_bytes + sharing.block_bytes);
  assert.is(sharing.tied_bytes, 32_000 * 576 / 32 * 34);
  assert.is(sharing.kv_bytes_all_heads, 3 * 46_080);
  assert.is(sharing.kv_bytes_all_slots, 46_080);
  assert.is(sharing.kv_bytes_plain, 3 * 46_080);
  const reusing = await json('simd128', ['inspect', path, '--json', '--kv-reuse', 'last-loop', '--kv', 'f32']);
  assert.is(reusing.kv_slots, 30);
  assert.is(reusing.kv_bytes_per_token, 46_080);
  assert.is(reusing.sharing.kv_bytes_all_slots, 2 * 46_080);
  assert.is(reusing.plan.kv, 46_080 * 2048);
});

test('MobileLLM-LS-350M: the same of the larger one', async () => {
  const path = file('mobilellm-ls-350m.gguf');
  writeShape(path, { ...mobileLLM('Q4_0', 1), dim: 960, ffn: 2560, heads: 15, kvHeads: 5, blocks: 32, layerMap: Array.from({ length: 64 }, (_, visit) => visit >> 1) });
  const { parameters_stored, visits, kv_bytes_per_token } = await json('native', ['inspect', path, '--json']);
  assert.equal({ parameters_stored, visits, kv_bytes_per_token }, { parameters_stored: 345_355_200, visits: 64, kv_bytes_per_token: 81_920 });
  rmSync(path);
});

const RICH = {
  name: 'rich', architecture: 'reprise-llama', seed: 'inspect', blocks: 4, tied: true,
  program: { layerMap: [0, 1, 2, 1, 2, 3], first: 1, last: 2, min: 1, max: 4, injection: 'add', norm: 'between' },
};

test('the program is shown as it is run', async () => {
  const path = file('rich.gguf');
  writeRandomModel(path, RICH);
  const whole = await json('native', ['inspect', path, '--json']);
  assert.equal(whole.layer_map, [0, 1, 2, 1, 2, 3]);
  assert.equal([whole.loops, whole.loop_min, whole.loop_max], [2, 1, 4]);
  assert.equal(whole.program[3], { attn: 1, ffn: 1, slot: 3, writes: true, varies: false, injects: true, norm_after: false, may_exit: false });
  const deeper = await json('native', ['inspect', path, '--json', '--loops', '3']);
  assert.equal(deeper.layer_map, [0, 1, 2, 1, 2, 1, 2, 3]);
  assert.is(deeper.visits, 8);
  assert.ok(deeper.parameters_effective > whole.parameters_effective);
  assert.is(deeper.parameters_stored, whole.parameters_stored);
  assert.is(deeper.kv_bytes_per_token * 6, whole.kv_bytes_per_token * 8);
  assert.is(deeper.plan.kv * 6, whole.plan.kv * 8);
  const merged = await json('native', ['inspect', path, '--json', '--layers', '0-1x2,5']);
  assert.equal(merged.layer_map, [0, 1, 0, 1, 3]);
  const { text } = await run('native', ['inspect', path]);
  const rows = text.slice(text.indexOf(' visit  block')).trimEnd().split('\n');
  assert.equal(rows.slice(1, 7).map((row) => row.trimEnd()), [
    '     0  A       KV 0', '     1  B       KV 1', '     2  C       KV 2    norm', '     3  B       KV 3    injects', '     4  C       KV 4',
    '     5  D       KV 5']);
  assert.is(rows.length, 9); // two lines of legend
  const few = await json('native', ['inspect', path, '--json', '--depth', '1']);
  assert.equal(few.layer_map, [0, 1, 2, 3]);
  const { code, message } = await failure('native', ['inspect', path, '--depth', '5']);
  assert.is(code, 'RP_ERR_ARGUMENT');
  assert.match(message, /depth 5.*1 to 4/);
});

test('a KV slot that is read, and a visit without attention', async () => {
  const path = file('slots.gguf');
  writeRandomModel(path, { name: 'slots', architecture: 'reprise-llama', seed: 'inspect', blocks: 2, tied: true,
    program: { layerMap: [0, 1, 0, 1], kvMap: [0, 1, 0, -1] } });
  const model = await json('native', ['inspect', path, '--json']);
  assert.is(model.sharing.attention_visits, 3);
  assert.is(model.sharing.kv_bytes_all_slots * 2, model.kv_bytes_per_token * 3);
  const { text } = await run('native', ['inspect', path]);
  assert.match(text, /2 {2}A {7}KV 0 {4}reads\n/);
  assert.match(text, /3 {2}B {7}no attention\n/);
});

test('a terminal gets colours, unless its user wants none', () => {
  if (NO_TERMINAL) return skip(NO_TERMINAL);
  const inspect = (env) => inTerminal('build/native/reprise inspect models/stories.gguf', env);
  const coloured = inspect({ NO_COLOR: '' });
  assert.is(coloured.status, 0);
  assert.match(coloured.shown, /\x1b\[38;5;\d+m▇▇▇/);
  assert.not.match(inspect({ NO_COLOR: '1' }).shown, /\x1b/);
});

test('two models side by side, on one text', async () => {
  const model = { name: 'shared', architecture: 'reprise-llama', seed: 'inspect', blocks: 2, tied: true, program: { layerMap: [0, 0, 1, 1] } };
  const a = file('shared.gguf'), b = file('twin.gguf'), text = file('text.txt');
  writeRandomModel(a, model);
  writeRandomModel(b, { ...unrolled(model), architecture: 'llama', program: undefined, trained: 128 }); // it must be measured at the other's context
  writeFileSync(text, 'the rest of the end\n--\nand the other end of the rest\n--\n');
  const args = ['inspect', '--compare', a, b, text, '--split', '--', '--repeat', '2', '--prompt', '20', '--generate', '4'];
  const [one, other] = await json('native', [...args, '--json']);
  const alone = await json('native', ['perplexity', a, text, '--split', '--']);
  assert.is(one.nll, alone.nll);
  assert.is(one.path, a);
  for (const name of ['tokens', 'bytes', 'nll', 'nats_per_byte', 'perplexity', 'visits', 'kv_bytes_per_token', 'parameters_effective'])
    assert.is(one[name], other[name], name);
  for (const side of [one, other]) assert.ok(side.peak_bytes <= side.planned_bytes * 1.05 && side.peak_bytes > side.planned_bytes / 2, `${side.peak_bytes} of ${side.planned_bytes}`);
  assert.is(one.context, other.context);
  for (const name of ['file_bytes', 'planned_bytes', 'peak_bytes', 'parameters_stored']) assert.ok(one[name] < other[name], name);
  for (const side of [one, other]) assert.ok(side.prefill_tokens_per_s > 0 && side.decode_tokens_per_s > 0);
  const { text: table } = await run('simd128', args);
  assert.match(table, /shared\.gguf +.*twin\.gguf\n/);
  assert.match(table, /visits +4 +4\n/);
  assert.match(table, /nats per byte +[\d.]+ +[\d.]+\n/);
  assert.is((await failure('native', ['inspect', '--compare', a, 'nowhere.gguf', text])).code, 'RP_ERR_IO');
  for (const wrong of [['inspect', '--compare', a, b], ['inspect', a, b, text]]) {
    const { code, stderr } = await run('native', wrong);
    assert.is(code, 2);
    assert.match(stderr, /MODEL/);
  }
});

test.run();
