// Checkpoints of llama2.c, of zeros: the header, then a hole that takes no room on disk.
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';

/** @param {string} path @param {{ dim?: number, hidden?: number, layers?: number, heads?: number, vocab: number, context?: number, cut?: number }} shape
 *   cut: bytes that are missing at its end */
export function writeLlama2c(path, { dim = 64, hidden = 128, layers = 2, heads = 4, vocab, context = 32, cut = 0 }) {
  const floats = vocab * dim + layers * (2 * dim + 4 * dim * dim + 3 * dim * hidden) + dim + context * dim / heads;
  const file = openSync(path, 'w');
  writeSync(file, new Uint8Array(Int32Array.of(dim, hidden, layers, heads, heads, vocab, context).buffer));
  ftruncateSync(file, 28 + 4 * floats - cut);
  closeSync(file);
  return path;
}
