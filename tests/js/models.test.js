// The shipped models: what the page's catalogue says of them, and what they reach on stories that they were not trained on.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json, ROOT } from './lib/cli.js';
import { skip } from './lib/skip.js';

const VALIDATION = join(ROOT, '../shared/data/corpora/tinystories-val.txt');
const { models } = JSON.parse(readFileSync(join(ROOT, 'models/catalogue.json'), 'utf8'));
const shipped = models.filter(({ url }) => existsSync(join(ROOT, 'models', url)));
const loss = async (model, ...options) => {
  const found = await json('native', ['perplexity', `models/${model}`, VALIDATION, '--split', '<|endoftext|>', ...options], { timeout: 600_000 });
  console.log(`  ${model} ${options.join(' ')}: ${found.nats_per_byte.toFixed(4)} nats a byte`);
  return found.nats_per_byte;
};

test('the catalogue tells each file\'s size and digest', () => {
  assert.equal(shipped.map(({ url }) => url), ['stories.gguf', 'depth.gguf']);
  for (const { url, bytes, integrity } of shipped) {
    const file = readFileSync(join(ROOT, 'models', url));
    assert.equal([bytes, integrity], [file.length, `sha256-${createHash('sha256').update(file).digest('hex')}`], url);
  }
});

if (!existsSync(VALIDATION)) test('what the models reach', () => skip('shared/data/corpora is absent'));
else {
  test('stories.gguf: below 4 MB, at most 0.47 nats a byte', async () => {
    assert.ok(statSync(join(ROOT, 'models/stories.gguf')).size < 4_000_000);
    assert.ok(await loss('stories.gguf') <= 0.47);
  });

  test('depth.gguf: any depth from 1 to its trained one; the first loop alone is the worst', async () => {
    const { loop_min: least, loop_max: most } = await json('native', ['inspect', 'models/depth.gguf', '--json']);
    assert.equal([least, most], [1, 3]);
    const losses = [];
    for (let depth = least; depth <= most; depth++) losses.push(await loss('depth.gguf', '--depth', `${depth}`));
    assert.ok(losses[0] > losses[1] && losses[0] > losses[2] && losses[0] < 0.56, losses.join(' '));
  });
}

test.run();
