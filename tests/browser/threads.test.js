// Threads in isolated pages: the same text with any number of them and any instruction set; whoever stops, aborts or destroys
// leaves no worker behind; what has no shared memory computes with one.
import * as assert from 'uvu/assert';
import { json } from '../js/lib/cli.js';
import { app } from './lib/app.js';
import { each, run } from './lib/each.js';

const STORIES = '/models/stories.gguf';
const PROMPT = 'Once upon a time there was a fox. '.repeat(40);
const ISAS = { chromium: ['relaxed', 'simd128', 'scalar'], firefox: ['relaxed', 'simd128', 'scalar'], webkit: ['simd128', 'scalar'] };

/** In the page: a text, with what computed it. */
const tell = async (url, prompt, options) => {
  const warnings = [];
  const onWarning = ({ kind }) => warnings.push(kind);
  const model = await window.reprise.Model.load(url, { context: 1024, cache: false, onWarning, ...options });
  const most = model.info.threads;
  await model.ready;
  const { text } = await model.session().prompt(prompt, { seed: 7, maxTokens: 30 });
  const { memory, plan, info } = model;
  model.destroy();
  return { text, isa: info.isa, threads: info.threads, most, fits: memory <= plan.memory, warnings };
};

let reference;
async function expected() {
  reference ??= (await json('native', ['generate', 'models/stories.gguf', '-p', PROMPT, '--seed', '7', '-n', '30', '--json'])).text;
  return reference;
}

each('one seed gives one text, whatever computes it', async ({ browser, server, name }) => {
  const page = await app(browser, server, { isolated: true });
  for (const isa of ISAS[name])
    for (const threads of [1, 2, 4]) {
      const said = await page.evaluate(tell, server.url + STORIES, PROMPT, { isa, threads });
      assert.is(said.text, await expected(), `${isa} ${threads}`);
      assert.is(said.isa, isa);
      assert.ok(said.fits, 'more memory than the plan');
      assert.ok(said.threads >= 1 && said.threads <= (name === 'webkit' || isa === 'scalar' ? 1 : threads));
    }
});

run();
