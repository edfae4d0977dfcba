// The terminal program as a user meets it: every command on the shipped model, native and WebAssembly alike, wrong
// usage, and what it says when a file is not there.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json, output, ROOT, run, TARGETS } from './lib/cli.js';
import { SMOLLM2 } from './lib/golden.js';
import { RELAXED_NODE } from './lib/relaxed-node.js';
import { skip } from './lib/skip.js';

const MODEL = 'models/stories.gguf';
const FOLDER = `${ROOT}build/tests/cli`;
const COMMANDS = ['generate', 'tokenize', 'detokenize', 'logits', 'perplexity', 'inspect', 'bench'];
mkdirSync(FOLDER, { recursive: true });

/** The same output from every target; returns it. */
async function everywhere(args) {
  const [first, ...rest] = await Promise.all(TARGETS.map((target) => run(target, args)));
  for (const [i, other] of rest.entries()) {
    assert.is(other.code, first.code, `${TARGETS[i + 1]}: exit code`);
    assert.is(other.text, first.text, `${TARGETS[i + 1]}: output of ${args.join(' ')}`);
    if (first.code) assert.is(other.stderr, first.stderr, `${TARGETS[i + 1]}: errors of ${args.join(' ')}`);
  }
  return first;
}

async function fails(args, code, words) {
  const { stderr, text, ...result } = await everywhere(args);
  assert.is(result.code, code, `${args.join(' ')}: ${stderr}`);
  assert.is(text, '');
  assert.match(stderr, /^reprise: [^\n]+\n$/);
  for (const word of words) assert.ok(stderr.includes(word), `${stderr} says ${word}`);
}

test('help is on standard output, for all and for each', async () => {
  const all = await everywhere(['--help']);
  assert.is(all.code, 0);
  for (const command of COMMANDS) {
    assert.ok(all.text.includes(command));
    const { code, text } = await run('native', [command, '--help']);
    assert.is(code, 0);
    assert.ok(text.startsWith(`usage: reprise ${command} `));
  }
});

test('wrong usage is one line and exit code 2', async () => {
  await fails([], 2, ['generate', 'bench']);
  await fails(['sing'], 2, ['sing', 'generate']);
  await fails(['generate'], 2, ['MODEL']);
  await fails(['generate', MODEL, '--loud'], 2, ['--loud']);
  await fails(['generate', MODEL, '-n', 'many'], 2, ['--tokens', 'many']);
  await fails(['generate', MODEL, '--top-p', '1.5'], 2, ['--top-p', '1.5']);
  await fails(['generate', MODEL, '--seed', '-1'], 2, ['--seed']);
  await fails(['generate', MODEL, '--kv', 'q2'], 2, ['--kv', 'q8_0', 'q8_q4']);
  await fails(['generate', MODEL, '--prompt'], 2, ['--prompt']);
  await fails(['inspect', MODEL, 'more'], 2, ['MODEL']);
});

test('what goes wrong at run time has a name and exit code 1', async () => {
  await fails(['generate', 'nowhere.gguf', '-p', 'x'], 1, ['RP_ERR_IO', 'nowhere.gguf']);
  await fails(['inspect', 'src'], 1, ['RP_ERR_IO', 'src']);
  await fails(['inspect', 'README.md'], 1, ['RP_ERR_FORMAT', 'GGUF']);
  await fails(['tokenize', MODEL], 1, ['RP_ERR_ARGUMENT', '--file']);
  await fails(['detokenize', MODEL, '999999'], 1, ['RP_ERR_ARGUMENT', '999999']);
  await fails(['logits', MODEL, '--ids', '1,x'], 1, ['RP_ERR_ARGUMENT', '--ids']);
  await fails(['generate', MODEL, '-p', 'a long prompt', '--context', '3'], 1, ['RP_CONTEXT_FULL', '3']);
});

test('any number of threads gives the same text and logits; in WebAssembly there is one', async () => {
  const args = ['generate', MODEL, '-p', 'Once upon a time', '-n', '40', '--seed', '3', '--json'];
  const alone = await json('native', args);
  assert.is(alone.timings.threads, 1);
  for (const threads of [2, 5]) {
    const together = await json('native', [...args, '--threads', `${threads}`]);
    assert.is(together.text, alone.text);
    assert.is(together.timings.threads, threads);
  }
  const hash = ['logits', MODEL, '-p', 'The cat sat on', '--top', '3'];
  assert.is(await output('asan', [...hash, '--threads', '3']), await output('native', hash));
  const { code, stderr } = await run('simd128', [...args, '--threads', '2']);
  assert.is(code, 1);
  assert.match(stderr, /RP_ERR_UNSUPPORTED.*--threads 2/);
  await fails([...args, '--threads', '17'], 2, ['--threads']);
});

test('every instruction set can be asked for, and one that is not to be had is an error', async () => {
  const args = ['logits', MODEL, '-p', 'The cat sat on', '--top', '3'];
  const text = await output('native', args);
  for (const [target, isas] of [['native', ['scalar', 'simd128', 'relaxed']], ['asan', ['relaxed']], ['relaxed', ['relaxed', 'simd128']]])
    for (const isa of isas) assert.is(await output(target, [...args, '--isa', isa]), text, `${target} ${isa}`);
  await fails([...args, '--isa', 'avx'], 2, ['--isa', 'avx']);
});

test('relaxed SIMD in a Node without it is an error', async () => {
  if (RELAXED_NODE === process.execPath) return skip('this Node has relaxed SIMD');
  const { code, stderr } = await run('simd128', ['logits', MODEL, '-p', 'The cat sat on', '--isa', 'relaxed']);
  assert.is(code, 1);
  assert.match(stderr, /RP_ERR_UNSUPPORTED.*relaxed/);
});

test('an empty prompt is BOS where the model puts one first, else an error', async () => {
  const { code, text } = await everywhere(['generate', MODEL, '-p', '', '-n', '5']);
  assert.is(code, 0);
  assert.ok(text.length > 5);
  if (!existsSync(SMOLLM2)) return skip('build/models/smollm2.gguf is absent: make models');
  await fails(['generate', SMOLLM2, '-p', ''], 1, ['RP_ERR_ARGUMENT', 'empty']);
});

test('memory that cannot be had is an error that says so', async () => {
  const { code, stderr } = await run('simd128', ['generate', MODEL, '-p', 'x', '--context', '16777216']);
  assert.is(code, 1);
  assert.match(stderr, /^reprise: RP_ERR_MEMORY: /);
});

test('one seed gives one text everywhere, and another seed another', async () => {
  const args = ['generate', MODEL, '-p', 'Once upon a time', '-n', '60', '--seed', '7'];
  const story = await everywhere(args);
  assert.is(story.code, 0);
  assert.ok(story.text.length > 100);
  const other = await run('native', [...args.slice(0, -1), '8']);
  assert.is.not(other.text, story.text);
  const greedy = ['generate', MODEL, '-p', 'Once upon a time', '-n', '40', '--temperature', '0'];
  assert.is((await everywhere(greedy)).text, await output('native', [...greedy, '--seed', '5']));
});

test('every kind of sampling runs and is the same everywhere', async () => {
  const base = ['generate', MODEL, '-p', 'The dog', '-n', '40', '--seed', '3'];
  const plain = await output('native', base);
  for (const extra of [
    ['--top-k', '0', '--top-p', '1', '--min-p', '0'],
    ['--typical', '0.5'],
    ['--repeat-penalty', '1.5', '--presence-penalty', '0.5', '--frequency-penalty', '0.5'],
    ['--dry-multiplier', '2', '--temperature', '0'],
    ['--mirostat-tau', '3'],
  ]) {
    const { code, text, stderr } = await everywhere([...base, ...extra]);
    assert.is(code, 0, stderr);
    assert.ok(text && text !== plain, extra.join(' '));
  }
});

test('generate --json says what came and why it ended', async () => {
  const args = ['generate', MODEL, '-p', 'One day', '--json', '--seed', '1'];
  const whole = await json('native', [...args, '-n', '400']);
  assert.is(whole.finish_reason, 'stop');
  assert.not.match(whole.text, /<\/?s>/);
  const bytes = (await run('native', ['detokenize', MODEL, ...whole.ids.map(String)])).text;
  assert.is(bytes, whole.text);
  const cut = await json('simd128', [...args, '-n', '5']);
  assert.is(cut.finish_reason, 'length');
  assert.equal(cut.ids, whole.ids.slice(0, 5));
  const full = await json('native', [...args, '-n', '400', '--context', '12']);
  assert.is(full.finish_reason, 'context');
  assert.equal(full.ids, whole.ids.slice(0, full.ids.length));
  for (const name of ['load_ms', 'prompt_tokens', 'prefill_ms', 'generated_tokens', 'decode_ms', 'peak_bytes'])
    assert.type(whole.timings[name], 'number');
  assert.equal((await json('native', [...args, '-n', '0'])).ids, []);
});

test('a stop text ends the text before it and is never shown', async () => {
  const args = ['generate', MODEL, '-p', 'Once upon a time', '--json', '--seed', '1', '-n', '100'];
  const { text } = await json('native', args);
  const stop = text.slice(40, 46);
  const stopped = await json('simd128', [...args, '--stop', 'never said', '--stop', stop]);
  assert.is(stopped.finish_reason, 'stop');
  assert.is(stopped.text, text.slice(0, text.indexOf(stop)));
});

test('the last line of figures names tokens, size, speed, instruction set, threads and memory', async () => {
  for (const [target, isa] of [['native', 'relaxed'], ['relaxed', 'relaxed'], ['simd128', 'simd128'], ['scalar', 'scalar']]) {
    const { text } = await run(target, ['generate', MODEL, '-p', 'Once', '-n', '8', '--figures']);
    const last = text.trimEnd().split('\n').at(-1);
    assert.match(last, new RegExp(
      `^\\d+ tokens, model [\\d.]+ MB, prefill \\d+ tokens/s, decode \\d+ tokens/s, ${isa}, 1 thread, peak memory [\\d.]+ MB$`));
  }
});

test('tokens and bytes go to and fro, from a file too', async () => {
  const text = 'Lily said: "Grüße, 世界! 🙂"\nThe end.';
  writeFileSync(`${FOLDER}/text.txt`, text);
  const { text: ids } = await everywhere(['tokenize', MODEL, text]);
  assert.is((await everywhere(['tokenize', MODEL, '--file', 'build/tests/cli/text.txt'])).text, ids);
  assert.is((await run('simd128', ['tokenize', MODEL, '--file', '-'], { input: text })).text, ids);
  assert.is((await everywhere(['detokenize', MODEL, ...JSON.parse(ids).map(String)])).text, ` ${text}`);
  assert.equal(JSON.parse((await everywhere(['tokenize', MODEL, ''])).text), []);
  assert.equal(JSON.parse((await everywhere(['tokenize', MODEL, '<s>', '--special'])).text), [1]);
  assert.ok(JSON.parse((await everywhere(['tokenize', MODEL, '<s>'])).text).length > 1);
});

test('bytes that are no UTF-8 are text like any other', async () => {
  writeFileSync(`${FOLDER}/bytes.bin`, Buffer.from([0x61, 0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80, 0x00, 0xf0, 0x9f]));
  assert.is((await everywhere(['tokenize', MODEL, '--file', 'build/tests/cli/bytes.bin'])).code, 0);
  const { code } = await everywhere(['generate', MODEL, '--file', 'build/tests/cli/bytes.bin', '-n', '5']);
  assert.is(code, 0);
});

test('logits: the same hash for a prompt, its ids, and every KV type on every target', async () => {
  const hashes = new Set();
  for (const kv of ['f32', 'f16', 'q8_0', 'q8_q4']) {
    const { text } = await everywhere(['logits', MODEL, '-p', 'Once upon a time', '--top', '3', '--kv', kv]);
    const result = JSON.parse(text);
    assert.is(result.top.length, 3);
    const sure = result.top.map(({ logprob }) => Math.exp(logprob)).reduce((a, b) => a + b);
    assert.ok(sure > 0.1 && sure <= 1.000001);
    const again = await json('native', ['logits', MODEL, '--ids', result.ids.join(), '--kv', kv]);
    assert.is(again.hash, result.hash);
    hashes.add(result.hash);
  }
  assert.is(hashes.size, 4);
});

test('inspect needs the header alone and counts what is shared', async () => {
  const whole = await json('native', ['inspect', MODEL, '--json']);
  writeFileSync(`${FOLDER}/header.gguf`, readFileSync(ROOT + MODEL).subarray(0, 60_000));
  for (const target of TARGETS) {
    const cut = await json(target, ['inspect', 'build/tests/cli/header.gguf', '--json']);
    for (const name of ['architecture', 'blocks', 'visits', 'parameters_stored', 'parameters_effective', 'kv_bytes_per_token'])
      assert.is(cut[name], whole[name], name);
    assert.equal(cut.bytes_by_type, whole.bytes_by_type);
    const { weights, kv, scratch, vocabulary, adapters, total } = cut.plan;
    assert.is(weights + kv + scratch + vocabulary + adapters, total);
  }
  assert.ok(whole.visits >= 2 * whole.blocks);
  assert.ok(whole.parameters_effective > whole.parameters_stored);
  const { text } = await run('native', ['inspect', MODEL]);
  assert.match(text, /parameters +\d+ stored, \d+ effective/);
});

test('perplexity scores windows and pieces', async () => {
  const story = 'Once upon a time there was a little dog. He liked to play.';
  writeFileSync(`${FOLDER}/story.txt`, story);
  writeFileSync(`${FOLDER}/stories.txt`, `${story}\n<|endoftext|>\n${story}\n<|endoftext|>\n`);
  const args = ['perplexity', MODEL, 'build/tests/cli/stories.txt', '--split', '<|endoftext|>'];
  const two = JSON.parse((await everywhere(args)).text);
  assert.is(two.bytes, 2 * story.length);
  const whole = await json('native', ['perplexity', MODEL, 'build/tests/cli/story.txt']);
  assert.is(two.tokens, 2 * (whole.tokens + 1)); // the end token of each
  assert.ok(Math.abs(whole.perplexity - Math.exp(whole.nll / whole.tokens)) < 1e-4);
  assert.ok(two.nll > 2 * whole.nll);
  const narrow = await json('native', ['perplexity', MODEL, 'build/tests/cli/story.txt', '--window', '8']);
  assert.is(narrow.tokens, whole.tokens);
  assert.ok(narrow.nll > whole.nll);
});

test('bench says medians and spread', async () => {
  for (const target of ['native', 'simd128']) {
    const args = ['bench', MODEL, '--prompt', '16', '--generate', '8', '--repeat', '2', '--json'];
    const result = await json(target, args);
    for (const name of ['load_ms', 'prefill_tokens_per_s', 'decode_tokens_per_s']) {
      const { min, median, max } = result[name];
      assert.ok(min > 0 && min <= median && median <= max, name);
    }
    assert.ok(result.peak_bytes > 0);
  }
});

test('a reader that goes away ends the program', () => {
  for (const command of ['build/native/reprise', `${process.execPath} js/bin/reprise.js`]) {
    const line = `${command} generate ${MODEL} -p "Once" -n 200 | head -c 5`;
    const { status, stdout } = spawnSync('bash', ['-c', line], { cwd: ROOT, timeout: 60_000 });
    assert.is(status, 0);
    assert.is(stdout.length, 5);
  }
});

test.run();
