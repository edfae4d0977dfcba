// Every tensor type on a tiny random model, embedding and head included: log-probabilities against llama.cpp, and
// the same bits from every build with every type of KV cache.
import { test } from 'uvu';
import { TENSOR_TYPES } from './lib/gguf-writer.js';
import { compareBuilds, compareWithGolden, makeModel } from './lib/random-checks.js';
import { typeModels } from './lib/random-models.js';

// Float weights: llama.cpp multiplies F32 by F32, but rounds activations to F16 for F16 and to BF16 for BF16. The others:
// both engines round activations to 8 bits, we in blocks of 32, llama.cpp in blocks of 32 or, for the 256-wide types,
// of 256, so that what is measured there is mostly the judge's own rounding.
const ALLOWED = {
  F32: { meanError: 0.0005, largestError: 0.005 },
  F16: { meanError: 0.002, largestError: 0.02 },
  BF16: { meanError: 0.01, largestError: 0.06 },
};
const BLOCKS_OF_32 = { meanError: 0.03, largestError: 0.15 };
const BLOCKS_OF_256 = { meanError: 0.05, largestError: 0.3 };

const allowed = (type) => ALLOWED[type] ?? (TENSOR_TYPES[type].values === 256 ? BLOCKS_OF_256 : BLOCKS_OF_32);

for (const description of typeModels) {
  test(`${description.type} agrees with llama.cpp and with itself`, async () => {
    const path = makeModel(description);
    await compareWithGolden(description, path, allowed(description.type));
    await compareBuilds(description, path);
  });
}

test.run();
