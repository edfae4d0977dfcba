// Every tensor type on a tiny random model, embedding and head included: log-probabilities against llama.cpp, and
// the same bits from every build with every type of KV cache.
import { test } from 'uvu';
import { compareBuilds, compareWithGolden, makeModel } from './lib/random-checks.js';
import { typeModels } from './lib/random-models.js';

// llama.cpp keeps F32 activations for F32 weights, F16 for F16, and 8 bits in blocks of 32 or 256 for the others;
// we keep 8 bits for all of them.
const ALLOWED = { meanError: 0.02, largestError: 0.12 };

for (const description of typeModels) {
  test(`${description.type} agrees with llama.cpp and with itself`, async () => {
    const path = makeModel(description);
    await compareWithGolden(description, path, ALLOWED);
    await compareBuilds(description, path);
  });
}

test.run();
