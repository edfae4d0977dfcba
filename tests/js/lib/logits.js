// Asks the program under test for logits and reads its one-line errors.
import assert from 'node:assert';
import { json, run } from './cli.js';

const idList = (ids) => ids.join(',');

/** The line `logits` prints for the last of `ids`: {ids, top, hash}. */
export const lastLogits = (target, model, ids, { top = 10, kv = 'f32' } = {}) =>
  json(target, ['logits', model, '--ids', idList(ids), '--top', String(top), '--kv', kv]);

/** One such line for every one of `ids`. */
export async function eachLogits(target, model, ids, { top = 10, kv = 'f32' } = {}) {
  const { text, stderr } = await run(target, ['logits', model, '--ids', idList(ids), '--top', String(top), '--kv', kv, '--each']);
  const lines = text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  assert.equal(lines.length, ids.length, `one line of logits an id; ${stderr}`);
  return lines;
}

/** The program's error: {code, message}, after checking that it exits with 1 and says it in one line. */
export async function failure(target, args) {
  const { code: exit, stderr } = await run(target, args);
  const found = /^reprise: (RP_[A-Z_]+): ([^\n]+)\n$/.exec(stderr);
  assert.ok(found, `one line "reprise: RP_…: …" expected, stderr is ${JSON.stringify(stderr)} (exit code ${exit})`);
  assert.equal(exit, 1, 'exit code');
  return { code: found[1], message: found[2] };
}

/** Loads a model that must be refused: with one of `codes`, in a message that matches `mention`. */
export async function refused(target, model, codes, mention) {
  const { code, message } = await failure(target, ['logits', model, '--ids', '1', '--top', '1']);
  assert.ok([codes].flat().includes(code), `${codes} expected, got ${code}: ${message}`);
  assert.match(message, mention);
}
