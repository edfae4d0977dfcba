// Where goldens and the models they belong to lie, and how our figures are compared with them.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../../../', import.meta.url);
const local = (path) => fileURLToPath(new URL(path, root));

export const SMOLLM2 = local('build/models/smollm2.gguf');
/** Where tests put the files they make. */
export const made = (name) => local(`build/tests/${name}`);
export const goldenPath = (name) => local(`tests/golden/${name}.json`);
export const golden = (name) => JSON.parse(readFileSync(goldenPath(name), 'utf8'));
export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

const book = local('../shared/data/corpora/classics_children.md.txt');
const BOOK_BYTES = 50000;

/** The first 50,000 bytes of the children's classics, cut to whole UTF-8; null where the corpus is absent. */
export function perplexityText() {
  if (!existsSync(book)) return null;
  let end = BOOK_BYTES;
  const bytes = readFileSync(book);
  while ((bytes[end] & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

/**
 * The windows perplexity is measured over, the same for the judge and for `perplexity FILE --window N`: the
 * file's tokens (no special text, no BOS) are cut into consecutive runs of N - 1, the last one shorter; each run is
 * fed alone after the model's BOS id, and every token of it is scored.
 */
export function perplexityWindows(ids, bos, window) {
  const windows = [];
  for (let at = 0; at < ids.length; at += window - 1) windows.push([bos, ...ids.slice(at, at + window - 1)]);
  return windows;
}

/** JSON with the innermost lists on one line each, so that a golden's diff can be read. */
export function compactJSON(value, indent = '') {
  const flat = JSON.stringify(value);
  if (flat.length <= 160 || typeof value !== 'object') return flat;
  const inner = `${indent} `;
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== 'object')) return flat;
    return `[\n${value.map((item) => inner + compactJSON(item, inner)).join(',\n')}\n${indent}]`;
  }
  const lines = Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${compactJSON(item, inner)}`);
  return `{\n${lines.join(',\n')}\n${indent}}`;
}

/** Differences between our `logits --each` line and a golden's [id, logprob] pairs, which must all be among ours. */
export function differences(line, pairs) {
  const ours = new Map(line.top.map(({ id, logprob }) => [id, logprob]));
  return pairs.map(([id, logprob]) => {
    if (!ours.has(id)) throw new Error(`id ${id} is not among our ${ours.size}`);
    return Math.abs(ours.get(id) - logprob);
  });
}

export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
