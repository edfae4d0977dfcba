// stories260K of llama2.c, turned into GGUF: greedy text equals the published one, in every build.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { json } from './lib/cli.js';
import { made } from './lib/golden.js';
import { skip } from './lib/skip.js';
import { storiesAvailable, storiesGreedy, writeStories260k } from './lib/stories260k.js';

const TOKENS = '256'; // llama2.c's default number of steps, BOS being the first input

if (!storiesAvailable()) test('stories260K', () => skip('shared/data/stories260k is absent'));
else {
  const path = made('stories260k.gguf');
  writeStories260k(path);
  for (const target of ['native', 'scalar', 'simd128']) {
    test(`greedy text of stories260K, ${target}`, async () => {
      const args = ['generate', path, '-p', '', '-n', TOKENS, '--temperature', '0', '--context', '512', '--json'];
      const { text, finish_reason } = await json(target, args);
      assert.is(text.trimStart(), storiesGreedy());
      assert.is(finish_reason, 'length');
    });
  }
}

test.run();
