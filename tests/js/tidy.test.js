// The house rules that a machine can hold: what may be called, how long things may be, what may lie where. It reads
// the sources and the built objects and changes nothing. A rule that fires names file and line.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './lib/cli.js';
import { functionsOf, withoutComments } from './lib/source.js';

const TOP_LEVEL = new Set(['Makefile', 'src', 'web', 'js', 'tests', 'models', 'README.md', 'LICENSE', '.ci']);
const LONGEST_FILE = { c: 600, h: 600, js: 400 }; // 500 and 300 are the aim
const LONGEST_FUNCTION = 70;

const git = (...args) => execFileSync('git', ['ls-files', '-z', ...args], { cwd: ROOT }).toString().split('\0').filter(Boolean);
const read = (file) => readFileSync(join(ROOT, file), 'utf8');
const ending = (file) => file.match(/\.(\w+)$/)?.[1] ?? '';

// Files that are not ignored, committed yet or not.
const files = git('--cached', '--others', '--exclude-standard').filter((file) => existsSync(join(ROOT, file)));
const texts = files.filter((file) => !/^tests\/(fuzz\/corpus|golden)\/|\.(gguf|wasm|bin|png|woff2|ico)$|package-lock\.json$/.test(file));
const sources = files.filter((file) => ['c', 'h', 'js'].includes(ending(file)));
const engine = sources.filter((file) => /^src\/.*\.[ch]$/.test(file));

function linesWith(pattern, where, change = (text) => text) {
  return where.flatMap((file) => change(read(file)).split('\n').flatMap((line, at) => (
    pattern.test(line) ? [`${file}:${at + 1}: ${line.trim()}`] : [])));
}

const none = (complaints) => assert.equal(complaints, []);

// One line of an LLVM tool's output for every line about an object of the engine, with the source's name in front.
function objectLines(tool, ...flags) {
  const folder = join(ROOT, 'build/obj/native/src');
  assert.ok(existsSync(folder), 'make native first');
  const objects = readdirSync(folder, { recursive: true }).map(String).filter((name) => (
    name.endsWith('.o') && existsSync(join(ROOT, 'src', name.replace(/o$/, 'c')))));
  assert.ok(objects.length > 0);
  return objects.flatMap((name) => execFileSync(tool, [...flags, join(folder, name)]).toString().split('\n')
    .map((line) => `src/${name}: ${line}`));
}

// libm differs in the last bit from system to system: src/math.c has ours. sqrt and the roundings are exact everywhere.
test('the engine calls no libm function that is not exact', () => {
  const inexact = /: (a?(sin|cos|tan)h?|atan2|sincos|exp|exp2|exp10|expm1|log|log2|log10|log1p|pow|fma|erfc?|[lt]gamma|cbrt|hypot)[fl]?$/;
  none(objectLines('llvm-nm-19', '--undefined-only', '--just-symbol-name').filter((line) => inexact.test(line)));
});

test('nothing is mutable outside sessions and models', () => {
  none(objectLines('llvm-objdump-19', '--syms').filter((line) => (
    /\sO\s+(\.t?bss|\.t?data(?!\.rel\.ro)|\*COM\*)/.test(line))));
});

test('the WebAssembly modules import only what the loader provides', () => {
  for (const name of ['reprise-scalar', 'reprise-simd128', 'convert']) {
    const module = new WebAssembly.Module(readFileSync(join(ROOT, `js/wasm/${name}.wasm`)));
    none(WebAssembly.Module.imports(module).map(({ module: from, name }) => `${from}.${name}`)
      .filter((name) => !name.startsWith('host.') && name !== 'env.emscripten_notify_memory_growth'));
  }
});

test('a library neither exits nor aborts', () => {
  none(linesWith(/\b(exit|_Exit|abort|assert)\s*\(/, engine.filter((file) => !file.startsWith('src/cli/')), withoutComments));
});

test('nothing fuses or reorders arithmetic', () => {
  none(linesWith(/relaxed_n?madd|_fmadd_|_fnmadd_|\bfmaf?\s*\(|builtin_fma|FP_CONTRACT\s+ON|fp contract\s*\(\s*(fast|on)/,
    engine, withoutComments));
  none(linesWith(/ffast-math|Ofast|funsafe-math|ffp-contract=(fast|on)|fassociative-math|mrecip/, ['Makefile', ...engine]));
});

test('files and functions are short', () => {
  const own = sources.filter((file) => !/^tests\/golden\//.test(file));
  none(own.flatMap((file) => {
    const lines = read(file).split('\n').length - 1;
    return lines > LONGEST_FILE[ending(file)] ? [`${file}: ${lines} lines`] : [];
  }));
  none(own.flatMap((file) => functionsOf(read(file), ending(file))
    .filter(({ lines }) => lines >= LONGEST_FUNCTION).map(({ line, lines }) => `${file}:${line}: a function of ${lines} lines`)));
});

test('every source starts by saying what it owns', () => {
  const commented = texts.filter((file) => ['c', 'h', 'js', 'py', 'sh', 'css'].includes(ending(file)));
  none(commented.filter((file) => !/^(#!.*\n)?\s*(\/\*|\/\/|#|""")/.test(read(file))));
});

// Spelled in pieces, so that this file passes its own rules.
test('no file names a registry, a mirror or a folder of one machine', () => {
  const hosts = new RegExp(['registry\\.npm' + 'js', 'npm' + 'mirror', 'py' + 'pi\\.org', 'python' + 'hosted', 'deb\\.' + 'debian',
    'debian\\.' + 'org', 'storage\\.google' + 'apis'].join('|'));
  const folders = new RegExp(['(^|[\\s"\'`=:(])/(wo' + 'rk', 'ro' + 'ot', 'ho' + 'me', 'Us' + 'ers)/'].join('|'));
  none([...linesWith(hosts, [...texts, 'tests/package-lock.json']), ...linesWith(folders, texts)]);
});

test('nothing is left for later in a comment', () => {
  none(linesWith(new RegExp('\\b(TO' + 'DO|FIX' + 'ME|X' + 'XX)\\b'), texts));
});

test('lines end cleanly', () => {
  none(linesWith(/[ \t\r]$/, texts.filter((file) => ending(file) !== 'md')));
});

test('the top level holds what the README says', () => {
  none([...new Set(files.map((file) => file.split('/')[0]))].filter((name) => !TOP_LEVEL.has(name) && !name.startsWith('.')));
});

test.run();
