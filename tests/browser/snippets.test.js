// The documents' examples, each run as it stands: JavaScript as a module of a page in which `reprise` is the package, HTML as a
// page of its own. The package is the one that npm would get.
import * as assert from 'uvu/assert';
import { existsSync, readFileSync } from 'node:fs';
import { json } from '../js/lib/cli.js';
import { made } from '../js/lib/golden.js';
import { writeRandomAdapter } from '../js/lib/random-adapter.js';
import { each, run } from './lib/each.js';
import { putPackage } from './lib/packed.js';

const ROOT = new URL('../../', import.meta.url);
const DOCUMENTS = ['README.md', 'js/README.md', 'js/element/README.md'];
const MODELS = { 'stories.gguf': 'models/stories.gguf', 'smollm2.gguf': 'build/models/smollm2.gguf' };
/** The shape of models/stories.gguf, as far as an adapter has to fit it. */
const { architecture, dim, ffn_dim: ffn, heads, kv_heads: kvHeads, blocks } = await json('native', ['inspect', 'models/stories.gguf', '--json']);
const PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Example</title>'
  + '<script type="importmap">{"imports":{"reprise":"./reprise/index.js","reprise/convert":"./reprise/convert.js","reprise/element":"./reprise/element/index.js"}}</script><body>';

const read = (name) => readFileSync(new URL(name, ROOT));
const snippets = (kind) => DOCUMENTS.filter((name) => existsSync(new URL(name, ROOT))).flatMap((name) => (
  [...String(read(name)).matchAll(new RegExp(`^\`\`\`${kind}\\n([^]*?)^\`\`\``, 'gm'))].map(([, code], i) => ({ name: `${name} ${i + 1}`, code }))));

/** @param {import('./lib/server.js').Server} server */
function furnish(server) {
  for (const [name, file] of Object.entries(MODELS)) if (existsSync(new URL(file, ROOT))) server.put(`/example/${name}`, read(file));
  const adapter = made('snippets/lora.gguf');
  writeRandomAdapter(adapter, { architecture, dim, ffn, heads, kvHeads, blocks }, { seed: 'snippets' });
  server.put('/example/lora.gguf', readFileSync(adapter));
  putPackage(server, '/example/reprise/');
}

each('the examples in JavaScript run', async ({ browser, server }) => {
  furnish(server);
  server.put('/example/index.html', PAGE);
  const examples = snippets('js');
  assert.ok(examples.length >= 4, `${examples.length} examples`);
  for (const { name, code } of examples) {
    server.put('/example/example.js', `${code}\n;export const done = true\n`);
    const page = await browser.page(`${server.url}/example/index.html?${encodeURIComponent(name)}`);
    const answer = await page.evaluate(async (query) => {
      const { done } = await import(`${document.baseURI.replace(/[^/]*$/, '')}example.js?${query}`);
      return done && document.body.textContent;
    }, encodeURIComponent(name));
    assert.type(answer, 'string', name);
    assert.is(page.logs.filter(({ type }) => type === 'pageerror').length, 0, `${name}\n${page.said()}`);
    await page.close();
  }
}, { ms: 300_000 });

each('the examples in HTML run', async ({ browser, server }) => {
  furnish(server);
  const examples = snippets('html');
  for (const [i, { name, code }] of examples.entries()) {
    server.put(`/example/html${i}.html`, `<!doctype html><html lang="en"><meta charset="utf-8"><title>Example</title>\n${code}`);
    const page = await browser.page(`${server.url}/example/html${i}.html`);
    const tags = [...code.matchAll(/<([a-z]+-[a-z-]+)/g)].map(([, tag]) => tag);
    assert.ok(tags.length > 0, name);
    await page.until((tags) => tags.every((tag) => customElements.get(tag) && document.querySelector(tag)), tags);
    assert.is(page.logs.filter(({ type }) => type === 'pageerror').length, 0, `${name}\n${page.said()}`);
    await page.close();
  }
  assert.ok(examples.length >= 1, 'no example in HTML');
});

run();
