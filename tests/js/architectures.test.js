// Every architecture and its features on tiny random models: log-probabilities against llama.cpp, and the same
// bits from every build.
import { test } from 'uvu';
import { compareBuilds, compareWithGolden, makeModel } from './lib/random-checks.js';
import { architectureModels } from './lib/random-models.js';

// The weights are F32, so both engines compute in floats and differ by the order of sums (3e-6), and in gemma3 by
// llama.cpp's GELU, a table of halves (5e-4). The least of the features that can be wrong, one global layer's RoPE
// scaling, moves the mean by 0.1.
const ALLOWED = { meanError: 0.001, largestError: 0.005 };

for (const description of architectureModels) {
  test(`${description.name} agrees with llama.cpp and with itself`, async () => {
    const path = makeModel(description);
    await compareWithGolden(description, path, ALLOWED);
    await compareBuilds(description, path, ['f16']);
  });
}

test.run();
