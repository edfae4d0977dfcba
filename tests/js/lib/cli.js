// Runs the terminal program, in any of its builds, as a process of its own. Knows where each build lies and
// nothing about what the program prints. A run that takes too long is killed and fails the test.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { RELAXED_NODE } from './relaxed-node.js';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const TARGETS = ['native', 'asan', 'scalar', 'simd128', 'relaxed'];

/** @type {Record<string, string[]>} */
const COMMANDS = {
  native: ['build/native/reprise'],
  asan: ['build/asan/reprise'],
  scalar: [process.execPath, 'js/bin/reprise.js', '--isa', 'scalar'],
  simd128: [process.execPath, 'js/bin/reprise.js', '--isa', 'simd128'],
  relaxed: [RELAXED_NODE, 'js/bin/reprise.js', '--isa', 'relaxed'],
};

/** What starts a build's program, from ROOT. @param {string} target one of TARGETS */
export const commandLine = (target) => COMMANDS[target];

/**
 * @param {string} target one of TARGETS
 * @param {string[]} args
 * @param {{ timeout?: number, input?: string | Uint8Array, env?: Record<string, string> }} [options]
 *   timeout in milliseconds; input for stdin
 * @returns {Promise<{ code: number, stdout: Buffer, text: string, stderr: string }>}
 *   paths in args are relative to the repository's root
 */
export function run(target, args, { timeout = 120_000, input = '', env = {} } = {}) {
  const [command, ...first] = COMMANDS[target];
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...first, ...args], { cwd: ROOT, env: { ...process.env, ...env } });
    /** @type {Buffer[]} */
    const out = [];
    /** @type {Buffer[]} */
    const err = [];
    const shown = `${target} ${args.join(' ')}`.slice(0, 300);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, timeout);
    child.stdout.on('data', (bytes) => out.push(bytes));
    child.stderr.on('data', (bytes) => err.push(bytes));
    child.stdin.on('error', () => {}); // a program may end without reading its input
    child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const stdout = Buffer.concat(out), stderr = Buffer.concat(err).toString();
      if (late) reject(new Error(`${shown}: still running after ${timeout} ms\n${stderr}`));
      else if (code === null) reject(new Error(`${shown}: died of ${signal}\n${stderr}`));
      else resolve({ code, stdout, text: stdout.toString(), stderr });
    });
  });
}

/**
 * The one JSON value that a run that must succeed prints.
 * @param {string} target
 * @param {string[]} args
 * @param {Parameters<typeof run>[2]} [options]
 * @returns {Promise<any>}
 */
export const json = async (target, args, options) => JSON.parse(await output(target, args, options));

/** What a command that must succeed writes, which must be something. @param {string} target @param {string[]} args @param {any} [options] */
export async function output(target, args, options) {
  const { code, text, stderr } = await run(target, args, options);
  if (code !== 0 || !text) throw new Error(`${target} ${args.join(' ')}: exit code ${code}, ${text.length} characters\n${stderr}`);
  return text;
}
