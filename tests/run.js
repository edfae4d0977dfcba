// Runs every test, each file in a process of its own, and believes none of them on its word: a file passes only
// with exit code 0, a count above zero and nothing failed (uvu 0.5.6 exits 0 when nothing ran at all). A hang is
// a failure, a skip is counted with its reason. The last line is "N passed, N failed, N skipped", alone.
//
//     node tests/run.js [WORD...]     only tests whose name contains a word, for instance c/gguf or js/cli or browser/
//
// FUZZ_SECONDS is how long each fuzzer runs, TEST_SEED the seed of the C tests. `make` builds what is run here.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { RELAXED_NODE } from './js/lib/relaxed-node.js';

const AT_ONCE = 2; // files in parallel: models are large, and small machines have two cores
const TIMEOUT_S = 1200;
const BROWSER_TIMEOUT_S = 600;
const ROOT = new URL('../', import.meta.url);
const fuzzSeconds = Number(process.env.FUZZ_SECONDS ?? 5);

const list = (folder, end) => {
  const url = new URL(folder, ROOT);
  return existsSync(url) ? readdirSync(url).filter((name) => name.endsWith(end)).sort() : [];
};

const countUvu = (text) => {
  const count = (word) => Number(text.match(new RegExp(`^ {2}${word}: +(\\d+)`, 'm'))?.[1] ?? 0);
  const skips = text.match(/^SKIP /gm)?.length ?? 0;
  const total = count('Total') + count('Skipped');
  // uvu's own test.skip gives no reason: it is not accepted, use skip.js
  return { total, passed: count('Passed') - skips, skipped: skips };
};

const countC = (text) => {
  const [, passed = 0, failed = 0, skipped = 0] = text.match(/^(\d+) passed, (\d+) failed, (\d+) skipped\s*$/m) ?? [];
  return { total: Number(passed) + Number(failed) + Number(skipped), passed: Number(passed), skipped: Number(skipped) };
};

// libFuzzer says how many inputs it ran; one that never got going has not passed.
const countFuzz = (text) => ({ total: 1, passed: /^Done [1-9]\d* runs/m.test(text) ? 1 : 0, skipped: 0 });

function cTests() {
  const tests = [];
  for (const file of list('tests/c/', '_test.c')) {
    const name = file.slice(0, -2);
    const [, also] = readFileSync(new URL(`tests/c/${file}`, ROOT), 'utf8').match(/^\/\* runs: native (\w+) \*\//) ?? [];
    for (const variant of also === 'tsan' ? ['asan', 'tsan', 'native'] : ['asan', 'native'])
      tests.push({ name: `c/${name} ${variant}`, command: [`build/tests/${variant}/${name}`], count: countC });
    for (const variant of also === 'wasm' ? ['scalar', 'simd128', 'relaxed'] : []) {
      const node = variant === 'relaxed' ? RELAXED_NODE : process.execPath;
      const command = [node, 'tests/js/lib/run-wasm.js', `build/tests/${variant}/${name}.wasm`];
      tests.push({ name: `c/${name} ${variant}`, command: [...command, process.env.TEST_SEED ?? '1'], count: countC });
    }
  }
  return tests;
}

// One that wants relaxed SIMD says so in its first line.
function jsTests() {
  return list('tests/js/', '.test.js').map((file) => {
    const relaxed = readFileSync(new URL(`tests/js/${file}`, ROOT), 'utf8').startsWith('// runs: relaxed SIMD\n');
    return { name: `js/${file}`, command: [relaxed ? RELAXED_NODE : process.execPath, `tests/js/${file}`], count: countUvu };
  });
}

// A browser fills a small machine: while one of these runs, the other process is a test of another kind.
function browserTests() {
  return list('tests/browser/', '.test.js').map((file) => ({ name: `browser/${file}`, alone: 'browser',
    command: [process.execPath, `tests/browser/${file}`], count: countUvu, timeout: BROWSER_TIMEOUT_S }));
}

// New inputs go to build/, so that the kept corpus changes only by hand.
function fuzzTests() {
  return list('tests/fuzz/', '_fuzzer.c').map((file) => {
    const name = file.slice(0, -2), kept = `tests/fuzz/corpus/${name.replace(/_fuzzer$/, '')}`;
    const found = `build/fuzz/found/${name}/`;
    mkdirSync(new URL(found, ROOT), { recursive: true });
    const corpora = [found, kept].filter((folder) => existsSync(new URL(folder, ROOT)));
    const options = [`-max_total_time=${fuzzSeconds}`, '-timeout=20', '-rss_limit_mb=4096', '-print_final_stats=1',
      `-artifact_prefix=build/fuzz/${name}-`];
    return { name: `fuzz/${name}`, command: [`build/fuzz/${name}`, ...options, ...corpora], count: countFuzz };
  });
}

function runProcess([command, ...args], timeout = TIMEOUT_S) {
  return new Promise((resolve) => {
    const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', NODE_OPTIONS: '' };
    const child = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks = [];
    let verdict = '';
    const timer = setTimeout(() => {
      verdict = `still running after ${timeout} s`;
      child.kill('SIGKILL');
    }, timeout * 1000);
    child.stdout.on('data', (bytes) => chunks.push(bytes));
    child.stderr.on('data', (bytes) => chunks.push(bytes));
    const end = (code, why) => {
      clearTimeout(timer);
      resolve({ code, why, text: Buffer.concat(chunks).toString() });
    };
    child.on('error', (error) => end(-1, error.message));
    child.on('close', (code, signal) => end(code ?? -1, verdict || (signal ? `died of ${signal}` : `exit code ${code}`)));
  });
}

async function runTest(test) {
  const start = performance.now();
  const { code, why, text } = await runProcess(test.command, test.timeout);
  const { total, passed, skipped } = test.count(text);
  const good = code === 0 && total > 0 && passed + skipped === total;
  const failed = good ? 0 : Math.max(1, total - passed - skipped);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const figures = `${passed} passed${failed ? `, ${failed} failed (${why})` : ''}${skipped ? `, ${skipped} skipped` : ''}`;
  console.log(`${good ? 'ok  ' : 'FAIL'} ${test.name}  ${figures}  ${seconds} s`);
  if (!good) console.log(text.replace(/^(?=.)/gm, '     '));
  const reasons = [...text.matchAll(/^SKIP (.*)$/gm)].map(([, reason]) => `${test.name}: ${reason}`);
  return { passed, failed, skipped, reasons };
}

const words = process.argv.slice(2);
const queue = [...browserTests(), ...cTests(), ...jsTests(), ...fuzzTests()]
  .filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
const results = [];
const busy = new Set(); // what `alone` says of the tests that run
const worker = async () => {
  for (let at; (at = queue.findIndex(({ alone }) => !busy.has(alone))) >= 0; ) {
    const [test] = queue.splice(at, 1);
    if (test.alone) busy.add(test.alone);
    results.push(await runTest(test));
    busy.delete(test.alone);
  }
};
await Promise.all(Array.from({ length: AT_ONCE }, worker));

const sum = (key) => results.reduce((soFar, result) => soFar + result[key], 0);
for (const reason of results.flatMap(({ reasons }) => reasons)) console.log(`skipped: ${reason}`);
if (results.length === 0) console.log('no test matches');
console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
process.exitCode = sum('failed') > 0 || sum('passed') === 0 ? 1 : 0;
