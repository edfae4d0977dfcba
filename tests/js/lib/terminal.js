// Runs a shell command in a terminal, which `script` (util-linux) makes.
import { spawnSync } from 'node:child_process';
import { ROOT } from './cli.js';

const hasScript = spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0;

/** Why a test that wants a terminal is skipped, if it must be. */
export const NO_TERMINAL = hasScript ? undefined : 'no `script` to make a terminal with';

/** @param {string} command paths in it are relative to the repository's root @param {Record<string, string>} [env]
 * @returns {{ status: number | null, shown: string }} what it writes, to both streams */
export function inTerminal(command, env = {}) {
  const { status, stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
    cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', timeout: 300_000 });
  return { status, shown: stdout };
}
