// What a page downloads before any weights: one WebAssembly build and every script that is imported without being asked for, as
// they lie in the package. What is loaded only when used is printed beside it.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { gzipSync } from 'node:zlib';
import { ROOT } from './lib/cli.js';

const PACKAGE = join(ROOT, 'build/package');
assert.ok(existsSync(PACKAGE), 'make package first');
const MOST = 100_000;

const read = (file) => readFileSync(join(PACKAGE, file), 'utf8');
const gzipped = (file) => gzipSync(readFileSync(join(PACKAGE, file)), { level: 9 }).length;

/** Files that a script names in one way or the other: `import … from './x.js'`, or `import('./x.js')`. */
function imports(file, isLazy) {
  const pattern = isLazy ? /\bimport\(\s*['"](\.[^'"]+)['"]/g : /(?:^|[;}])\s*(?:import|export)(?![\w$(.])[^'"();]*['"](\.[^'"]+)['"]/gm;
  return [...read(file).matchAll(pattern)].map(([, to]) => normalize(join(dirname(file), to)));
}

function reach(starts) {
  const seen = new Set();
  for (const queue = [...starts]; queue.length;) {
    const file = queue.pop();
    if (seen.has(file)) continue;
    seen.add(file);
    queue.push(...imports(file, false));
  }
  return [...seen].sort();
}

const needed = reach(['index.js', 'worker.js']);
const lazy = reach(needed.flatMap((file) => imports(file, true))).filter((file) => !needed.includes(file));
const total = (files) => files.reduce((sum, file) => sum + gzipped(file), 0);

test('one build and the scripts that are always loaded fit into 100 KB, with threads, too', () => {
  const forThreads = reach(['thread.js', ...lazy.filter((file) => /^(start-)?threads-/.test(file))]).filter((file) => !needed.includes(file));
  const builds = readdirSync(join(PACKAGE, 'wasm')).filter((name) => name.startsWith('page-')).map((name) => `wasm/${name}`);
  console.log(`\n${needed.length} scripts ${total(needed)} bytes, for threads ${total(forThreads)} more, ${builds.map((file) => `${file} ${gzipped(file)}`).join(', ')} (gzip -9)`);
  console.log(`loaded when used: ${lazy.map((file) => `${file} ${gzipped(file)}`).join(', ')}`);
  assert.is(forThreads.length, 3);
  assert.ok(lazy.length > 5);
  for (const file of builds) {
    const all = total([...needed, file, ...(file.includes('-threads') ? forThreads : [])]);
    assert.ok(all <= MOST, `${file}: ${all} bytes`);
  }
});

test('the converter is fetched when it is used', () => {
  const parts = [...reach(['convert.js', ...lazy.filter((file) => file.startsWith('convert-run'))]).filter((file) => !needed.includes(file)), 'wasm/convert.wasm'];
  console.log(`\nfor converting: ${parts.map((file) => `${file} ${gzipped(file)}`).join(', ')} (gzip -9)`);
  assert.equal(parts.map((file) => file.replace(/-\w{8}/, '')), ['convert-run.js', 'convert.js', 'wasm/convert.wasm']);
  assert.equal(needed.filter((file) => /convert/.test(file)), []);
  assert.equal(needed.filter((file) => read(file).includes('convert.wasm')), []);
  const demo = (file) => [...readFileSync(join(ROOT, 'web/demo', file), 'utf8').matchAll(/^import .*from '(.*)'$/gm)].map(([, to]) => to);
  const seen = new Set(['./app.js']);
  for (const file of seen) if (file.startsWith('./')) demo(file).forEach((to) => seen.add(to));
  assert.ok(seen.size > 20 && ![...seen].some((file) => /convert/.test(file)), [...seen].join());
  assert.not(/convert\.js/.test(readFileSync(join(ROOT, 'web/index.html'), 'utf8')));
  assert.ok(total(parts) < MOST);
});

test('the package holds what its scripts import, and nothing loads from another host', () => {
  const all = reach([...needed, ...needed.flatMap((file) => imports(file, true)), 'convert.js', 'bin/reprise.js']);
  assert.equal(all.filter((file) => !existsSync(join(PACKAGE, file))), []);
  const bare = all.filter((file) => !file.startsWith('lazy/')).flatMap((file) => [...read(file).matchAll(/(?:from|import\()\s*['"]([^.'"][^'"]*)['"]/g)].map(([, name]) => name));
  assert.equal([...new Set(bare)].filter((name) => !name.startsWith('node:')), []);
});

test.run();
