// Perplexity of SmolLM2 on 50 KB of public-domain prose against llama.cpp's, on the same file and windows (golden.js
// says how they are cut).
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json } from './lib/cli.js';
import { golden, made, perplexityText, sha256, SMOLLM2 } from './lib/golden.js';
import { skip } from './lib/skip.js';

const ALLOWED = 0.005;

function tests(text, judged) {
  test('the text is the one of the golden', () => {
    assert.is(sha256(text), judged.text);
  });

  test('perplexity is within half a percent of llama.cpp', async () => {
    const path = made('perplexity.txt');
    writeFileSync(path, text);
    const ours = await json('native', ['perplexity', SMOLLM2, path, '--window', String(judged.window)], { timeout: 900_000 });
    assert.is(ours.tokens, judged.tokens);
    assert.is(ours.bytes, judged.bytes);
    const off = ours.perplexity / judged.perplexity - 1;
    process.stdout.write(`  perplexity ${ours.perplexity.toFixed(4)}, llama.cpp ${judged.perplexity}: ${(100 * off).toFixed(3)} %\n`);
    assert.ok(Math.abs(off) <= ALLOWED, `${(100 * off).toFixed(3)} % away`);
    assert.ok(Math.abs(ours.perplexity / Math.exp(ours.nll / ours.tokens) - 1) < 1e-6);
    assert.ok(Math.abs(ours.nats_per_byte - ours.nll / ours.bytes) < 1e-6);
  });
}

const text = perplexityText();
if (text === null) test('perplexity', () => skip('shared/data/corpora is absent'));
else if (!existsSync(SMOLLM2)) test('perplexity', () => skip('build/models/smollm2.gguf is absent: make models'));
else tests(text, golden('perplexity'));

test.run();
