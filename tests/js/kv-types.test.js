// What a KV cache in codes costs: perplexity with it over that with a cache in f32. Bits are the same on every machine,
// so the figures are, too; the margins are for later changes of the arithmetic.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json, ROOT } from './lib/cli.js';
import { made, perplexityText, SMOLLM2 } from './lib/golden.js';
import { skip } from './lib/skip.js';

const STORIES = join(ROOT, 'models/stories.gguf');
const VALIDATION = join(ROOT, '../shared/data/corpora/tinystories-val.txt');

/** Percent more perplexity than with a cache in f32. */
async function costs(model, path, options, types) {
  const perplexity = async (kv) => (await json('native', ['perplexity', model, path, '--kv', kv, ...options], { timeout: 900_000 })).perplexity;
  const base = await perplexity('f32');
  const result = {};
  for (const kv of types) result[kv] = 100 * (await perplexity(kv) / base - 1);
  process.stdout.write(`  perplexity ${base.toFixed(4)}, ${types.map((kv) => `${kv} ${result[kv].toFixed(3)} %`).join(', ')}\n`);
  return result;
}

if (!existsSync(VALIDATION)) test('KV types, stories', () => skip('shared/data/corpora is absent'));
else
  test('KV types, stories.gguf on TinyStories: what each costs', async () => {
    const cost = await costs(STORIES, VALIDATION, ['--split', '<|endoftext|>'], ['f16', 'q8_0', 'q8_q4']);
    assert.ok(Math.abs(cost.f16) < 0.06); // -0.027
    assert.ok(Math.abs(cost.q8_0) < 0.05); // 0.001
    assert.ok(cost.q8_q4 < 0.35); // 0.237
    assert.ok(cost.q8_q4 > cost.q8_0);
  });

const text = perplexityText();
if (text === null) test('KV types, SmolLM2', () => skip('shared/data/corpora is absent'));
else if (!existsSync(SMOLLM2)) test('KV types, SmolLM2', () => skip('build/models/smollm2.gguf is absent: make models'));
else
  test('KV types, SmolLM2 on prose: what each costs', async () => {
    const path = made('kv-types.txt');
    writeFileSync(path, text.slice(0, 12_000));
    const cost = await costs(SMOLLM2, path, [], ['q8_0', 'q8_q4']);
    assert.ok(Math.abs(cost.q8_0) < 0.4); // 0.230
    assert.ok(cost.q8_q4 < 2); // 1.425
    assert.ok(cost.q8_q4 > cost.q8_0);
  });

test.run();
