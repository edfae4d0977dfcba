// The comparison in numbers and a picture: `node models/train/report.js VALID` measures every run that is exported in build/stories (loss on VALID as
// shipped, quantized; bytes, visits, KV bytes) into results.json beside this file, where runs of other days stand, prints models/README.md's tables from all of
// them, and draws models/comparison.svg. Speeds are measured by turns on files of the same shapes with random weights.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { writeShape } from '../../tests/bench/shape.js'
import { plot } from './plot.js'

const REPRISE = 'build/native/reprise', RUNS = 'build/stories', RESULTS = 'models/train/results.json', SHAPES = `${RUNS}/shapes`, ROUNDS = 5
const DEPTH = 'models/depth.gguf' // the shipped model that can be as deep as is asked for
export const WHAT = {
  distinct: '8 blocks, each once', row: '4 blocks, each twice in a row', stack: '4 blocks, the stack twice',
  middle: '4 blocks, the middle two three times', one: '1 block, four times', wide: '3 wide blocks, each once',
}

/** @typedef {{ name: string, seed: number, tokens: number, seconds: number, stored: number, effective: number, bytes: number, visits: number, kv: number, loss: number,
 * shape: Record<string, any> }} Result */

/** @param {string} command @param {string[]} args */
const reprise = (command, ...args) => JSON.parse(execFileSync(REPRISE, [command, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
/** @param {number[]} values */
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1]
/** @param {number} value */
const grouped = (value) => Math.round(value).toLocaleString('en-US')

/** @param {string} run a line of runs.txt, or that and a seed: `small-row@2` @param {string} valid @returns {Result} */
function measure(run, valid) {
  const file = `${RUNS}/${run}.gguf`, info = reprise('inspect', file, '--json')
  const { tokens, seconds, seed, shape } = JSON.parse(readFileSync(`${RUNS}/${run}/log.json`, 'utf8'))
  const { nats_per_byte: loss } = reprise('perplexity', file, valid, '--split', '<|endoftext|>')
  return {
    name: run.split('@')[0], seed, tokens, seconds, stored: info.parameters_stored, effective: info.parameters_effective, bytes: info.file_bytes,
    visits: info.visits, kv: info.kv_bytes_per_token, loss, shape,
  }
}

/** What was measured on other days, and what lies here now. @param {string} valid */
function results(valid) {
  /** @type {Result[]} */
  const known = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : []
  const runs = (existsSync(RUNS) ? readdirSync(RUNS) : []).filter((file) => /^(small|large)-[a-z]+(@\d+)?\.gguf$/.test(file)).map((file) => file.slice(0, -5))
  const fresh = runs.map((run) => measure(run, valid))
  const others = known.filter(({ name, seed }) => !fresh.some((row) => row.name === name && row.seed === seed))
  const all = [...others, ...fresh].sort((a, b) => order(a) - order(b) || a.seed - b.seed)
  writeFileSync(RESULTS, `[\n${all.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`)
  return all
}

/** @param {Result} row */
function order({ name }) {
  const [size, kind] = name.split('-')
  return (size === 'large' ? 100 : 0) + Object.keys(WHAT).indexOf(kind)
}

/** Decodes 128 tokens; tokens a second. @param {string} file @param {string[]} options @returns {number} */
const speed = (file, ...options) =>
  reprise('bench', file, '--prompt', '16', '--generate', '128', '--repeat', '1', '--json', ...options).decode_tokens_per_s.median

/** Medians of rounds by turns. @param {string[][]} candidates file and options of each */
function speeds(candidates) {
  const all = candidates.map(() => /** @type {number[]} */ ([]))
  for (let round = 0; round < ROUNDS; round++)
    candidates.forEach(([file, ...options], at) => all[at].push(speed(file, ...options)))
  return all.map(median)
}

/** A file of a run's shape. @param {Result} row */
function shaped({ name, shape }) {
  const file = `${SHAPES}/${name}.gguf`, blocks = Math.max(...shape.layer_map) + 1
  mkdirSync(SHAPES, { recursive: true })
  writeShape(file, { type: 'Q8_0', vocabulary: shape.vocab, blocks, dim: shape.dim, ffn: shape.ffn, heads: shape.heads, kvHeads: shape.kv_heads,
    ...shape.layer_map.length > blocks ? { layerMap: shape.layer_map } : {} })
  return file
}

/** What no other run beats in both bytes and loss. @param {Result[]} rows */
export const front = (rows) => rows.filter((a) => !rows.some((b) => b !== a && b.bytes <= a.bytes && b.loss <= a.loss))

/** @param {Result[]} all */
function table(all) {
  const rows = all.filter(({ seed }) => seed === 1), best = front(rows), measured = speeds(rows.map((row) => [shaped(row)]))
  return [
    '| run | program | visits | stored | effective | file | nats a byte | tokens/s | KV bytes a token |', '|---|---|---|---|---|---|---|---|---|',
    ...rows.map((row, at) => {
      const again = all.filter(({ name, seed }) => name === row.name && seed !== 1).map(({ loss }) => loss.toFixed(4))
      const loss = best.includes(row) ? `**${row.loss.toFixed(4)}**` : row.loss.toFixed(4)
      return `| ${row.name} | ${WHAT[/** @type {keyof typeof WHAT} */ (row.name.split('-')[1])]} | ${row.visits} | ${grouped(row.stored)} | ${grouped(row.effective)} | ${
        grouped(row.bytes)} | ${loss}${again.length ? ` (${again.join(', ')})` : ''} | ${grouped(measured[at])} | ${grouped(row.kv)} |`
    }),
  ].join('\n')
}

/** The shipped model of several depths. @param {string} valid */
function depthTable(valid) {
  const { loop_min: least, loop_max: most } = reprise('inspect', DEPTH, '--json')
  const depths = Array.from({ length: most - least + 1 }, (_, i) => `${least + i}`), measured = speeds(depths.map((depth) => [DEPTH, '--depth', depth]))
  return ['| depth | visits | nats a byte | tokens/s | KV bytes a token |', '|---|---|---|---|---|', ...depths.map((depth, i) => {
    const info = reprise('inspect', DEPTH, '--json', '--depth', depth)
    const { nats_per_byte: loss } = reprise('perplexity', DEPTH, valid, '--split', '<|endoftext|>', '--depth', depth)
    return `| ${depth} | ${info.visits} | ${loss.toFixed(4)} | ${grouped(measured[i])} | ${grouped(info.kv_bytes_per_token)} |`
  })].join('\n')
}

function main() {
  const [valid] = process.argv.slice(2)
  if (!valid) throw new Error('usage: node models/train/report.js VALID, after make compare')
  const all = results(valid)
  const missing = ['small', 'large'].flatMap((size) => Object.keys(WHAT).map((kind) => `${size}-${kind}`)).filter((name) => !all.some((row) => row.name === name))
  if (missing.length) console.error(`not finished: ${missing.join(', ')}`)
  if (all.length) {
    console.log(table(all))
    writeFileSync('models/comparison.svg', plot(all, front(all.filter(({ seed }) => seed === 1))))
  }
  if (existsSync(DEPTH)) console.log(`\n${depthTable(valid)}`)
}

main()
