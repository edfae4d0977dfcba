// Writes a tiny random checkpoint of every weight-sharing family as Hugging Face lays it out, for the converter's tests and
// for families.py beside this file: `node tests/golden/families.js OUTDIR` makes OUTDIR/FAMILY/. The same bytes each time.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { llamaFamilies } from './lib/families-llama.js'
import { ownFamilies } from './lib/families-own.js'
import { writeSafetensors } from './lib/safetensors.js'

/** @typedef {import('./lib/families-llama.js').Family} Family */

/** @param {unknown} value */
const json = (value) => `${JSON.stringify(value, null, 2)}\n`

/** @param {Record<string, unknown>} record */
const sorted = (record) => Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))

/** Every family's description, made anew. @returns {Family[]} */
export const families = () => [...llamaFamilies(), ...ownFamilies()]

/** @param {string} parent @param {Family} family */
function writeFamily(parent, { name, type, shards = 1, tokenizer, config, tensors }) {
  const folder = join(parent, name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'config.json'), json(sorted(config)))
  const { bos, eos } = tokenizer
  const generation = {
    _from_model_config: true, ...(bos !== null && { bos_token_id: bos }), eos_token_id: eos, transformers_version: '4.46.1',
  }
  writeFileSync(join(folder, 'generation_config.json'), json(generation))
  for (const [file, content] of Object.entries(tokenizer.files)) writeFileSync(join(folder, file), content)
  writeSafetensors(folder, { seed: name, type, shards, tensors })
}

/** Writes every family's folder under `parent`. @param {string} parent */
export function writeFamilies(parent) {
  for (const family of families()) writeFamily(parent, family)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , parent] = process.argv
  if (!parent) {
    process.stderr.write('usage: node tests/golden/families.js OUTDIR\n')
    process.exit(2)
  }
  writeFamilies(parent)
}
