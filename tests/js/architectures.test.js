// Every architecture and its features on tiny random models: log-probabilities against llama.cpp, and the same
// bits from every build.
import { test } from 'uvu';
import { compareBuilds, compareWithGolden, makeModel } from './lib/random-checks.js';
import { architectureModels } from './lib/random-models.js';

// Both engines round activations to 8 bits here, in ways of their own; the models are Q8_0. A missing or wrong
// feature (rotation, bias, norm, window) moves the mean by 0.1 and more.
const ALLOWED = { meanError: 0.02, largestError: 0.12 };

for (const description of architectureModels) {
  test(`${description.name} agrees with llama.cpp and with itself`, async () => {
    const path = makeModel(description);
    await compareWithGolden(description, path, ALLOWED);
    await compareBuilds(description, path, ['f16']);
  });
}

test.run();
