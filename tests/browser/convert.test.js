// The converter in real pages: as a program calls it, and as a person meets it in the demo's dialog. tests/js/convert-page.test.js has
// the details of what it takes and gives.
import * as assert from 'uvu/assert';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { writeFamilies } from '../golden/families.js';
import { json } from '../js/lib/cli.js';
import { made, sha256 } from '../js/lib/golden.js';
import { app } from './lib/app.js';
import { accessible, demo, quiet } from './lib/demo.js';
import { each, run } from './lib/each.js';

const FAMILIES = made('convert-browser');
mkdirSync(FAMILIES, { recursive: true });
writeFamilies(FAMILIES);
const STORIES = '/models/stories.gguf';

const natives = new Map();
/** The native program's digest and facts for a family with options. */
async function native(name, ...options) {
  const key = [name, ...options].join(' '), to = join(FAMILIES, 'native.gguf');
  if (!natives.has(key)) {
    const facts = await json('native', ['convert', join(FAMILIES, name), '-o', to, '--json', ...options]);
    natives.set(key, { digest: sha256(readFileSync(to)), facts });
  }
  return natives.get(key);
}

/** A family's folder on the server. @returns {string[]} addresses */
const put = (server, name) => readdirSync(join(FAMILIES, name)).map((file) => {
  server.put(`/made/${name}/${file}`, readFileSync(join(FAMILIES, name, file)));
  return `${server.url}/made/${name}/${file}`;
});

/** In the page: the converter, and what tests need to call it. */
async function install(url) {
  const { convert } = await import(url);
  const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('');
  window.digest = async (blob) => hex(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
  window.filesAt = (urls) => Promise.all(urls.map(async (url) => new File([await (await fetch(url)).blob()], url.split('/').pop())));
  window.stored = async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('reprise-converted').catch(() => undefined);
    const names = [];
    for await (const name of folder?.keys() ?? []) names.push(name);
    return names;
  };
  /** A checkpoint of zeros that would be 1.1 GB; its memory is one block's. */
  window.large = (vocab) => {
    const [dim, hidden, layers, heads, context] = [1024, 4096, 16, 16, 32];
    let rest = 4 * (vocab * dim + layers * (2 * dim + 4 * dim * dim + 3 * dim * hidden) + dim + context * dim / heads);
    const block = new Blob([new Uint8Array(2 ** 24)]), parts = [Int32Array.of(dim, hidden, layers, heads, heads, vocab, context)];
    for (; rest > block.size; rest -= block.size) parts.push(block);
    return new Blob([...parts, block.slice(0, rest)]);
  };
  window.convert = convert;
}

async function ready(browser, server, options) {
  const page = await app(browser, server, options);
  await page.evaluate(install, `${server.url}/js/convert.js`);
  return page;
}

for (const name of ['mobilellm-ls', 'ouro'])
  each(`${name}: the native program's bytes, and a model that generates`, async ({ browser, server }) => {
    const page = await ready(browser, server, { headers: { 'Content-Security-Policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'" } });
    const { digest, facts } = await native(name, '--type', 'q8_0');
    const said = await page.evaluate(async (urls) => {
      const phases = new Set();
      const { blob, ...result } = await window.convert(await window.filesAt(urls), { type: 'q8_0', onProgress: ({ phase }) => phases.add(phase) });
      const model = await window.reprise.Model.load(blob);
      const { usage } = await model.session({ chat: false }).prompt('ab', { maxTokens: 5, seed: 1 });
      model.destroy();
      return { ...result, digest: await window.digest(blob), tokens: usage.completionTokens, phases: [...phases] };
    }, put(server, name));
    assert.is(said.digest, digest);
    assert.equal([said.architecture, said.blocks, said.visits, said.bytes], [facts.architecture, facts.blocks, facts.visits, facts.bytes]);
    assert.ok(said.tokens > 0); // random weights may end a text
    assert.equal(said.phases, ['reading', 'writing']);
    assert.equal(page.logs.filter(({ text }) => /Content.Security/.test(text) && !/data:/.test(text)), []);
  });

each('a folder\'s handle, a Blob that needs a tokenizer, an error, files that are missing', async ({ browser, server, name }) => {
  const page = await ready(browser, server);
  const fail = (promise) => promise.then(() => 'done', ({ name, code, message }) => `${name} ${code} ${message}`);
  assert.match(await page.evaluate(`(${fail})(window.convert(new Blob(['hello'])))`), /^FormatError RP_ERR_FORMAT .*no GGUF/);
  assert.match(await page.evaluate(`(${fail})(window.convert('x.gguf'))`), /^ArgumentError/);
  assert.match(await page.evaluate(`(${fail})(window.convert(new Blob(['x']), { workerUrl: '${server.url}/none.js' }))`), /^IOError .*worker/);
  const addresses = put(server, 'ouro').filter((url) => !/-00002-of-/.test(url));
  assert.match(await page.evaluate(`window.filesAt(${JSON.stringify(addresses)}).then((files) => (${fail})(window.convert(files)))`), /^IOError .*-00002-of-/);
  if (name === 'webkit') return; // has no private file system here
  const digest = await page.evaluate(async (urls) => {
    const root = await navigator.storage.getDirectory(), folder = await (await root.getDirectoryHandle('model', { create: true })).getDirectoryHandle('inside', { create: true });
    for (const file of await window.filesAt(urls)) {
      const stream = await (await folder.getFileHandle(file.name, { create: true })).createWritable();
      await stream.write(file);
      await stream.close();
    }
    const { blob } = await window.convert(await root.getDirectoryHandle('model'));
    await root.removeEntry('model', { recursive: true });
    return window.digest(blob);
  }, put(server, 'albert'));
  assert.is(digest, (await native('albert')).digest);
});

each('an aborted conversion ends at once, in memory and on disk, and leaves nothing', async ({ browser, server, name }) => {
  const page = await ready(browser, server);
  for (const diskFrom of [Infinity, 0]) {
    const said = await page.evaluate(async (url, diskFrom) => {
      const tokenizer = await (await fetch(url)).blob(), { info } = await window.reprise.Model.plan(tokenizer);
      const abort = new AbortController(), reason = new Error('enough');
      let at = 0;
      const onProgress = ({ phase }) => phase === 'writing' && !at && (at = performance.now(), abort.abort(reason));
      const answer = await window.convert(window.large(info.vocab), { type: 'q6_k', tokenizer, diskFrom, onProgress, signal: abort.signal }).catch((error) => error);
      const ms = performance.now() - at;
      return { isReason: answer === reason, ms };
    }, server.url + STORIES, diskFrom);
    assert.ok(said.isReason);
    assert.ok(said.ms < 2000, `${said.ms} ms`);
    if (name !== 'webkit') await page.until(async () => (await window.stored()).length === 0);
    if (name === 'chromium') {
      for (let i = 0; page.page.workers().length && i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 100));
      assert.is(page.page.workers().length, 0);
    }
  }
});

each('a disk that is full is an error, and nothing stays on it', async ({ browser, server }) => {
  const page = await ready(browser, server), session = await page.page.createCDPSession();
  const overrideQuota = (quotaSize) => session.send('Storage.overrideQuotaForOrigin', { origin: server.url, quotaSize });
  const { usage } = await page.evaluate('navigator.storage.estimate()');
  const attempt = (url) => window.convert(url, { type: 'f32', diskFrom: 0 }).then(() => 'done', ({ name, code, message }) => `${name} ${code} ${message}`);
  await overrideQuota(usage + 1_000_000);
  assert.match(await page.evaluate(`window.filesAt(['${server.url}${STORIES}']).then(${attempt})`), /^IOError RP_ERR_IO .*(storage|disk|quota)/i);
  await page.until(async () => (await window.stored()).length === 0);
  await overrideQuota(undefined);
  assert.is(await page.evaluate(`window.filesAt(['${server.url}${STORIES}']).then(${attempt})`), 'done');
}, { only: ['chromium'] });

each('a large one lies on disk until it is given back or the page is gone', async ({ browser, server }) => {
  const page = await ready(browser, server);
  const make = async (urls) => {
    window.result = await window.convert(await window.filesAt(urls), { diskFrom: 0 });
    return { stored: (await window.stored()).length, digest: await window.digest(window.result.blob) };
  };
  const urls = put(server, 'nandi'), { digest } = await native('nandi');
  assert.equal(await page.evaluate(make, urls), { stored: 1, digest });
  assert.is(await page.evaluate(async () => {
    const { Model } = window.reprise;
    const model = await Model.load(window.result.blob);
    await model.ready;
    model.destroy();
    await window.result.discard();
    return (await window.stored()).length;
  }), 0);
  assert.equal(await page.evaluate(make, urls), { stored: 1, digest });
  const other = await ready(browser, server);
  assert.equal(await other.evaluate(make, urls), { stored: 2, digest }); // the first page lives
  await page.close();
  const left = await other.until(async () => {
    await window.result.discard();
    window.result = await window.convert(new Blob(['no']), { diskFrom: 0 }).catch(() => ({ discard() {} })); // what a page has left is swept away
    return (await window.stored()).length === 0;
  });
  assert.ok(left);
}, { only: ['chromium', 'firefox'] }); // WebKit's private windows have no private file system

// ---- The demo -----------------------------------------------------------------------------------------------------------

/** In the page: files into the dialog's input, as if chosen. */
const choose = async (id, urls) => {
  const data = new DataTransfer(), input = document.getElementById(id);
  for (const url of urls) data.items.add(new File([await (await fetch(url)).blob()], url.split('/').pop()));
  input.files = data.files;
  input.dispatchEvent(new Event('change', { bubbles: true }));
};

const focused = (page) => page.evaluate(() => document.activeElement.id);
const text = (page, id) => page.evaluate((id) => document.getElementById(id).textContent, id);

async function opened(browser, server) {
  const page = await demo(browser, server);
  assert.equal(server.log.filter(({ path }) => /convert/.test(path)), [], 'nothing of it is loaded before');
  await page.click('#model-button');
  await page.until(() => document.getElementById('picker').open);
  await page.evaluate(() => document.getElementById('convert-button').click()); // where it is drawn moves while the picker opens
  await page.until(() => document.getElementById('converter')?.open);
  assert.equal(server.log.filter(({ path }) => path.endsWith('convert.wasm')), []);
  return page;
}

each('the dialog makes a file of a folder, which is downloaded or opened', async ({ browser, server }) => {
  const page = await opened(browser, server);
  await page.evaluate(choose, 'convert-file', put(server, 'mobilellm-ls'));
  assert.match(await page.until(() => /\d files/.test(document.getElementById('convert-input').textContent) && document.getElementById('convert-input').textContent), /[45] files, /);
  await page.evaluate(() => {
    document.getElementById('convert-type').value = 'q8_0';
    document.getElementById('convert-type').dispatchEvent(new Event('change'));
  });
  assert.is(await focused(page), 'convert-start');
  await page.evaluate(() => { // the policy forbids to fetch what the link offers
    const offered = {}, { createObjectURL } = URL;
    URL.createObjectURL = (blob) => {
      const url = createObjectURL.call(URL, blob);
      offered[url] = blob;
      return url;
    };
    Object.assign(window, { offered });
  });
  await page.keyboard.press('Enter');
  await page.until(() => document.getElementById('convert-download'));
  assert.is(await focused(page), 'convert-download');
  assert.match(await text(page, 'convert-status'), /^Done: .*-q8_0\.gguf/);
  const digest = await page.evaluate(async () => {
    const blob = Reflect.get(window, 'offered')[document.getElementById('convert-download').href];
    return Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer())), (byte) => byte.toString(16).padStart(2, '0')).join('');
  });
  assert.is(digest, (await native('mobilellm-ls', '--type', 'q8_0')).digest);
  await page.click('#convert-use');
  assert.match(await page.until(() => document.querySelector('#plan dl')?.textContent), /blocks, \d+ visits/);
  await page.click('#picker-load');
  await page.until(() => /-q8_0\.gguf$/.test(document.getElementById('model-name').textContent));
  await page.click('#story-tell');
  await page.until(() => document.querySelectorAll('.made span').length > 2);
  assert.not(await page.evaluate(() => document.getElementById('converter').open));
});

each('what fails and what is cancelled is said, by keyboard', async ({ browser, server }) => {
  const page = await opened(browser, server);
  server.put('/made/notes.txt', 'hello');
  await page.evaluate(choose, 'convert-file', [`${server.url}/made/notes.txt`]);
  await page.until(() => document.activeElement.id === 'convert-start');
  await page.keyboard.press('Enter');
  assert.match(await page.until(() => document.querySelector('#convert-fault .fault')?.textContent), /RP_ERR_FORMAT/);
  await page.evaluate(install, `${server.url}/js/convert.js`);
  await page.evaluate(async (url) => {
    const story = await (await fetch(url)).blob(), { Model } = await import(String(new URL('/js/index.js', location.href)));
    const { info } = await Model.plan(story);
    const put = (id, file) => {
      const data = new DataTransfer(), input = document.getElementById(id);
      data.items.add(file);
      input.files = data.files;
      input.dispatchEvent(new Event('change', { bubbles: true }));
    };
    put('convert-tokenizer', new File([story], 'stories.gguf'));
    document.getElementById('convert-type').value = 'q6_k';
    put('convert-file', new File([window.large(info.vocab)], 'large.bin'));
  }, server.url + STORIES);
  await page.keyboard.press('Enter');
  await page.until(() => document.getElementById('convert-progress').value > 0);
  assert.is(await focused(page), 'convert-cancel');
  assert.match(await text(page, 'convert-figures'), /of .* MB/);
  await page.keyboard.press('Escape');
  await page.until(() => /Stopped/.test(document.getElementById('convert-status').textContent));
  assert.ok(await page.evaluate(() => document.getElementById('converter').open && document.getElementById('convert-run').hidden));
  assert.is(await focused(page), 'convert-start');
  await page.keyboard.press('Escape');
  await page.until(() => !document.getElementById('converter').open);
  quiet(page);
});

each('axe finds nothing serious in the dialog, in both themes; it fits a phone', async ({ browser, server }) => {
  const page = await opened(browser, server);
  await page.evaluate(choose, 'convert-file', put(server, 'llama'));
  await page.until(() => document.activeElement.id === 'convert-start');
  await page.keyboard.press('Enter');
  await page.until(() => document.getElementById('convert-download'));
  for (const theme of ['light', 'dark']) {
    await page.evaluate(async (theme) => {
      document.documentElement.dataset.theme = theme;
      await new Promise((resolve) => setTimeout(resolve, 100));
      await Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {}))); // colours fade
    }, theme);
    await accessible(page, theme);
  }
  if (!page.page) return;
  await page.page.setViewport({ width: 360, height: 740 });
  assert.ok(await page.evaluate(() => document.getElementById('converter').scrollWidth) <= 344);
});

each('a folder that is dropped is converted, a GGUF file is opened', async ({ browser, server }) => {
  const page = await demo(browser, server), protocol = await page.page.createCDPSession();
  const drop = async (...files) => {
    const data = { items: [], files, dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop']) await protocol.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
  };
  await drop(join(FAMILIES, 'raven'));
  assert.match(await page.until(() => document.querySelector('#converter #convert-input')?.textContent.match(/^raven.*/)?.[0]), /raven, \d files/);
  await page.until(() => document.activeElement.id === 'convert-start');
  await page.click('#convert-start');
  await page.until(() => document.getElementById('convert-download'));
  assert.is(await page.evaluate(() => document.getElementById('convert-download').download), 'raven.gguf');
  await page.click('#converter [data-close]');
  const model = new URL('../../models/stories.gguf', import.meta.url).pathname;
  await drop(model);
  assert.match(await page.until(() => document.querySelector('#plan dl')?.textContent), /4 blocks/);
  assert.is(basename(model), 'stories.gguf');
}, { only: ['chromium'] }); // the others' drivers drop no files

run();
