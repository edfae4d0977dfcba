// The converter and bad input: a named error that says what is wrong, and nothing left behind, neither a half file nor a harmed input.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { spawnSync } from 'node:child_process';
import { cpSync, linkSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { convert } from '../../js/convert.js';
import { ArgumentError } from '../../js/index.js';
import { writeFamilies } from '../golden/families.js';
import { commandLine, json, ROOT, run } from './lib/cli.js';
import { made, sha256 } from './lib/golden.js';
import { failure, lastLogits } from './lib/logits.js';
import { rejects, STORIES } from './lib/model.js';

const TARGETS = ['native', 'asan', 'simd128'];
const base = made('convert-errors'), sources = `${base}/families`, out = `${base}/out`;
rmSync(base, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
writeFamilies(sources);

/** A family's folder with something changed. */
function broken(family, change) {
  const folder = `${base}/broken`;
  rmSync(folder, { recursive: true, force: true });
  cpSync(`${sources}/${family}`, folder, { recursive: true });
  change(folder);
  return folder;
}

const config = (folder, change) => {
  const value = JSON.parse(readFileSync(`${folder}/config.json`, 'utf8'));
  change(value);
  writeFileSync(`${folder}/config.json`, JSON.stringify(value));
};
const set = (values) => (folder) => config(folder, (c) => Object.assign(c, values));

// A family, what is done to its folder, the error's code, what it mentions.
const BAD_FOLDERS = [
  ['a shard that is missing', 'ouro', (f) => rmSync(`${f}/model-00002-of-00002.safetensors`), 'RP_ERR_IO|RP_ERR_FORMAT', /model-00002-of-00002/],
  ['pickled weights', 'llama', (f) => { rmSync(`${f}/model.safetensors`); writeFileSync(`${f}/pytorch_model.bin`, 'PK'); }, 'RP_ERR_UNSUPPORTED', /pickle/],
  ['no weights', 'llama', (f) => rmSync(`${f}/model.safetensors`), 'RP_ERR_IO|RP_ERR_FORMAT', /safetensors/],
  ['no config', 'llama', (f) => rmSync(`${f}/config.json`), 'RP_ERR_IO|RP_ERR_FORMAT', /config\.json/],
  ['a config that is no JSON', 'llama', (f) => writeFileSync(`${f}/config.json`, '{"a": 1,}'), 'RP_ERR_FORMAT', /config\.json: line 1/],
  ['no vocabulary', 'llama', (f) => rmSync(`${f}/tokenizer.json`), 'RP_ERR_IO|RP_ERR_FORMAT', /tokenizer/],
  ['truncated weights', 'llama', (f) => writeFileSync(`${f}/model.safetensors`, readFileSync(`${f}/model.safetensors`).subarray(0, -100)), 'RP_ERR_FORMAT', /model\.safetensors|norm|weight/],
  ['another width', 'llama', set({ hidden_size: 80, head_dim: 16 }), 'RP_ERR_FORMAT', /embed_tokens.*288, 64.*288, 80/],
  ['more layers', 'llama', set({ num_hidden_layers: 4 }), 'RP_ERR_FORMAT', /layers\.3.*missing/],
  ['fewer layers', 'llama', set({ num_hidden_layers: 2 }), 'RP_ERR_UNSUPPORTED', /layers\.2/],
  ['another family', 'llama', set({ model_type: 'bert' }), 'RP_ERR_UNSUPPORTED', /model_type is bert/],
  ['another activation', 'llama', set({ hidden_act: 'relu' }), 'RP_ERR_UNSUPPORTED', /hidden_act/],
  ['heads that do not divide', 'llama', set({ num_key_value_heads: 3 }), 'RP_ERR_FORMAT', /heads/],
  ['a head that is missing', 'llama', (f) => config(f, (c) => { c.tie_word_embeddings = false; c.num_hidden_layers = 3; c.vocab_size = 287; }), 'RP_ERR_FORMAT', /embed_tokens/],
  ['a scaling of RoPE that is not done', 'llama', set({ rope_scaling: { rope_type: 'yarn', factor: 2 } }), 'RP_ERR_UNSUPPORTED', /yarn/],
  ['loops beyond all bounds', 'ouro', set({ total_ut_steps: 4000000000 }), 'RP_ERR_FORMAT', /num_loops/],
  ['biases that are promised', 'llama', set({ attention_bias: true }), 'RP_ERR_FORMAT', /attention_bias is true.*q_proj\.bias/],
  ['a family of biases without', 'llama', set({ model_type: 'qwen2', architectures: ['Qwen2ForCausalLM'] }), 'RP_ERR_FORMAT', /qwen2 has biases/],
  ['RoPE for a part of a head', 'llama', set({ partial_rotary_factor: 0.5 }), 'RP_ERR_UNSUPPORTED', /partial_rotary_factor is 0\.5/],
  ['a scaled embedding', 'llama', set({ embedding_multiplier: 12 }), 'RP_ERR_UNSUPPORTED', /embedding_multiplier/],
  ['windows', 'ouro', set({ layer_types: ['full_attention', 'sliding_attention'] }), 'RP_ERR_UNSUPPORTED', /layer_types\[1\]/],
  ['parts that are not the whole', 'raven', set({ n_layers: 9 }), 'RP_ERR_FORMAT', /n_layers is 9, but 1, 2 and 1/],
  ['a head that is tied where nothing is said', 'llama', (f) => config(f, (c) => { c.model_type = 'smollm3'; delete c.tie_word_embeddings; }), 'RP_ERR_FORMAT', /lm_head.*tied/],
  ['RoPE in other layers', 'llama', set({ model_type: 'smollm3', no_rope_layer_interval: 3 }), 'RP_ERR_UNSUPPORTED', /no_rope_layer_interval is 3/],
  ['a scaling of RoPE in some layers', 'gemma3', set({ rope_parameters: { full_attention: { rope_type: 'yarn' } } }), 'RP_ERR_UNSUPPORTED', /yarn/],
  ['the same in sliding ones', 'gemma3', set({ rope_parameters: { sliding_attention: { rope_type: 'linear' } } }), 'RP_ERR_UNSUPPORTED', /sliding_attention.*linear/],
  ['a tied head that differs', 'llama', set({ tie_word_embeddings: true }), 'RP_ERR_FORMAT', /lm_head.*tied/],
];

for (const [what, family, change, codes, mention] of BAD_FOLDERS)
  test(`refused: ${what}`, async () => {
    const folder = broken(family, change);
    for (const target of TARGETS) {
      const { code, message } = await failure(target, ['convert', folder, '-o', `${out}/bad.gguf`]);
      assert.match(code, new RegExp(`^(${codes})$`), message);
      assert.match(message, mention);
      assert.equal(readdirSync(out), [], 'nothing is left behind');
    }
  });

// Versions of transformers write these differently.
for (const [what, family, change] of [
  ['RoPE for each type of layer', 'gemma3', (c) => {
    const { rope_theta, rope_local_base_freq } = c;
    delete c.rope_theta;
    delete c.rope_local_base_freq;
    c.rope_parameters = { full_attention: { rope_type: 'default', rope_theta }, sliding_attention: { rope_type: 'default', rope_theta: rope_local_base_freq } };
  }],
  ['RoPE without parameters', 'llama3-rope', (c) => { c.rope_parameters = null; }],
])
  test(`the same file: ${what}`, async () => {
    const folder = broken(family, (f) => config(f, change));
    await json('native', ['convert', `${sources}/${family}`, '-o', `${out}/before.gguf`, '--json']);
    await json('native', ['convert', folder, '-o', `${out}/after.gguf`, '--json']);
    assert.is(sha256(readFileSync(`${out}/after.gguf`)), sha256(readFileSync(`${out}/before.gguf`)));
    for (const name of readdirSync(out)) rmSync(`${out}/${name}`);
  });

test('the input is never the output', async () => {
  const copy = `${base}/copy.gguf`, before = sha256(readFileSync(STORIES)), link = `${base}/link.gguf`, hard = `${base}/hard.gguf`;
  for (const path of [copy, link, hard]) rmSync(path, { force: true });
  cpSync(STORIES, copy);
  symlinkSync('copy.gguf', link);
  linkSync(copy, hard);
  for (const target of ['native', 'simd128'])
    for (const name of [copy, `${base}/../convert-errors/copy.gguf`, link, hard]) {
      const { message } = await failure(target, ['convert', copy, '-o', name, '--type', 'f16']);
      assert.match(message, /is one of the inputs/);
      assert.is(sha256(readFileSync(copy)), before);
    }
});

test('a file of the folder, or the tokenizer, is never the output', async () => {
  const folder = broken('llama', (f) => writeFileSync(`${f}/pytorch_model.bin`, 'never read')), tokenizer = `${base}/vocabulary.gguf`;
  cpSync(STORIES, tokenizer);
  const files = () => readdirSync(folder).map((name) => `${name} ${sha256(readFileSync(`${folder}/${name}`))}`);
  const before = files();
  for (const target of ['native', 'simd128']) {
    for (const name of readdirSync(folder))
      assert.match((await failure(target, ['convert', folder, '-o', `${folder}/${name}`])).message, /is one of the inputs/, name);
    assert.match((await failure(target, ['convert', STORIES, '-o', tokenizer, '--tokenizer', tokenizer])).message, /is one of the inputs/);
    assert.equal(files(), before);
  }
  await rejects(convert(folder, { output: `${folder}/config.json` }), ArgumentError, /is one of the inputs/);
  await rejects(convert(STORIES, { tokenizer, output: tokenizer }), ArgumentError, /is one of the inputs/);
  assert.equal(files(), before);
  await convert(folder, { output: `${folder}/model.gguf` });
  await convert(folder, { output: `${folder}/model.gguf` }); // what it made before is no input
});

test('an output that cannot be made is named, with the reason', async () => {
  for (const target of ['native', 'simd128']) {
    const { code, message } = await failure(target, ['convert', STORIES, '-o', `${out}/no/such/x.gguf`]);
    assert.is(code, 'RP_ERR_IO');
    assert.match(message, /no\/such\/x\.gguf cannot be made there/);
  }
});

test('types are known in capitals, too', async () => {
  const path = `${base}/typed.gguf`;
  for (const type of ['q4_K', 'Q4_K', 'q4_k']) await json('native', ['convert', STORIES, '-o', path, '--type', type, '--json']);
});

test('what a run that was killed has left is removed by the next one', async () => {
  const path = `${out}/killed.gguf`, { pid } = spawnSync('true'), others = ['killed.gguf.x.part', `killed.gguf.${process.pid}.part`, `other.gguf.${pid}.part`];
  for (const again of [() => json('simd128', ['convert', STORIES, '-o', path, '--json']), () => convert(STORIES, { output: path })]) {
    for (const name of [...others, `killed.gguf.${pid}.part`]) writeFileSync(`${out}/${name}`, '');
    await again();
    assert.equal(readdirSync(out).sort(), ['killed.gguf', ...others].sort());
  }
  for (const name of ['killed.gguf', ...others]) rmSync(`${out}/${name}`);
});

test('an output that was there stays when something fails', async () => {
  const before = `${base}/before.gguf`;
  writeFileSync(before, 'precious');
  await failure('native', ['convert', broken('llama', set({ hidden_size: 80 })), '-o', before]);
  assert.is(readFileSync(before, 'utf8'), 'precious');
  await json('native', ['convert', STORIES, '-o', before, '--json']);
  assert.equal((await lastLogits('native', before, [1, 2, 3])).hash, (await lastLogits('native', STORIES, [1, 2, 3])).hash);
});

test('a full disk', async () => {
  assert.match((await run('native', ['convert', STORIES, '-o', '/dev/full'])).stderr, /^reprise: RP_ERR_IO: .*dev.full cannot be made/);
  for (const target of ['native', 'simd128']) { // a limit on files' sizes is met in the middle, as a full disk is
    const { status, stderr } = spawnSync('bash', ['-c', `trap '' XFSZ; ulimit -f 100; exec ${commandLine(target).join(' ')} convert ${STORIES} -o ${out}/full.gguf`], { cwd: ROOT, encoding: 'utf8' });
    assert.is(status, 1, stderr);
    assert.match(stderr, /RP_ERR_IO: .*full\.gguf cannot be written; is the disk full\?/);
    assert.equal(readdirSync(out), [], 'nothing is left behind');
  }
});

test('a weight that is not a number is named', async () => {
  const folder = broken('llama', (f) => {
    const bytes = readFileSync(`${f}/model.safetensors`);
    const first = 8 + Number(bytes.readBigUInt64LE());
    bytes.fill(0xff, first, first + 4);
    writeFileSync(`${f}/model.safetensors`, bytes);
  });
  const { code, message } = await failure('native', ['convert', folder, '-o', `${out}/bad.gguf`, '--type', 'q8_0']);
  assert.is(code, 'RP_ERR_FORMAT');
  assert.match(message, /not a number/);
  assert.equal(readdirSync(out), []);
});

test('wrong usage', async () => {
  assert.match((await failure('native', ['convert', STORIES])).message, /-o OUT/);
  assert.match((await failure('native', ['convert', STORIES, '-o', `${out}/x.gguf`, '--layers', '0-99'])).message, /layers/);
  assert.is((await run('native', ['convert', STORIES, '-o', `${out}/x.gguf`, '--type', 'q3'])).code, 2);
  assert.equal(readdirSync(out), []);
});

test.run();
