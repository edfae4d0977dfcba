// The comparison in numbers and a picture, from the exported runs: `node models/train/report.js VALID [RUN...]` measures each
// build/stories/RUN.gguf (loss on VALID, bytes, visits, KV bytes, decode speed by turns) and prints models/README.md's table; the plot
// goes to models/comparison.svg. The model of several depths has a table of its own. Runs that are not finished are left out and named.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'

const REPRISE = 'build/native/reprise', ROUNDS = 5
const DEPTH = 'depth' // the run that can be as deep as is asked for
const WHAT = {
  distinct: '8 blocks, each once', row: '4 blocks, each twice in a row', stack: '4 blocks, the stack twice',
  middle: '4 blocks, the middle two three times', one: '1 block, four times', wide: '3 wide blocks, each once',
}

/** @param {string} command @param {string[]} args */
const reprise = (command, ...args) => JSON.parse(execFileSync(REPRISE, [command, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
/** @param {number[]} values */
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1]
/** @param {number} value */
const grouped = (value) => value.toLocaleString('en-US')

/** @param {string} name @param {string} valid */
function measure(name, valid) {
  const file = `build/stories/${name}.gguf`, info = reprise('inspect', file, '--json')
  const log = JSON.parse(readFileSync(`build/stories/${name}/log.json`, 'utf8'))
  const score = reprise('perplexity', file, valid, '--split', '<|endoftext|>')
  return {
    name, file, tokens: log.tokens, stored: info.parameters_stored, effective: info.parameters_effective, bytes: info.file_bytes,
    visits: info.visits, kv: info.kv_bytes_per_token, loss: score.nats_per_byte, speeds: /** @type {number[]} */ ([]),
  }
}

/** Tokens a second, decoding. @param {string} file @param {string[]} options @returns {number} */
const speed = (file, ...options) =>
  reprise('bench', file, '--prompt', '16', '--generate', '128', '--repeat', '1', '--json', ...options).decode_tokens_per_s.median

/** @typedef {ReturnType<typeof measure>} Row */

/** What no other model beats in both bytes and loss. @param {Row[]} rows */
const front = (rows) => rows.filter((a) => !rows.some((b) => b !== a && b.bytes <= a.bytes && b.loss <= a.loss))

/** @param {Row[]} rows */
function table(rows) {
  const best = front(rows)
  return [
    '| run | program | stored | effective | file | nats a byte | tokens/s | KV bytes a token |', '|---|---|---|---|---|---|---|---|',
    ...rows.map((row) => `| ${row.name} | ${WHAT[/** @type {keyof typeof WHAT} */ (row.name.split('-')[1])]} | ${grouped(row.stored)} | ${grouped(row.effective)} | ${
      grouped(row.bytes)} | ${best.includes(row) ? `**${row.loss.toFixed(4)}**` : row.loss.toFixed(4)} | ${grouped(Math.round(median(row.speeds)))} | ${grouped(row.kv)} |`),
  ].join('\n')
}

/** A model that runs at several depths. @param {string} name @param {string} valid */
function depthTable(name, valid) {
  const file = `build/stories/${name}.gguf`, { loop_min: least, loop_max: most } = reprise('inspect', file, '--json')
  const depths = Array.from({ length: most - least + 1 }, (_, i) => `${least + i}`)
  const speeds = depths.map(() => /** @type {number[]} */ ([]))
  for (let round = 0; round < ROUNDS; round++)
    depths.forEach((depth, i) => speeds[i].push(speed(file, '--depth', depth)))
  return ['| depth | visits | nats a byte | tokens/s | KV bytes a token |', '|---|---|---|---|---|', ...depths.map((depth, i) => {
    const info = reprise('inspect', file, '--json', '--depth', depth)
    const { nats_per_byte: loss } = reprise('perplexity', file, valid, '--split', '<|endoftext|>', '--depth', depth)
    return `| ${depth} | ${info.visits} | ${loss.toFixed(4)} | ${grouped(Math.round(median(speeds[i])))} | ${grouped(info.kv_bytes_per_token)} |`
  })].join('\n')
}

const WIDTH = 760, HEIGHT = 380, LEFT = 64, BOTTOM = 48, TOP = 24, RIGHT = 24
const COLOURS = { distinct: '#4c78a8', row: '#f58518', stack: '#54a24b', middle: '#b279a2', one: '#e45756', wide: '#9d755d' }
const STYLE = `text{font:12px system-ui,sans-serif;fill:#444}.axis{stroke:#999}.front{stroke:#999;stroke-dasharray:4 4;fill:none}
@media (prefers-color-scheme:dark){text{fill:#ccc}}`

/** @param {Row[]} rows */
function plot(rows) {
  const losses = rows.map(({ loss }) => loss), most = Math.max(...rows.map(({ bytes }) => bytes)) * 1.12
  const low = Math.floor(Math.min(...losses) * 100 - 1) / 100, high = Math.ceil(Math.max(...losses) * 100 + 1) / 100
  /** @param {number} bytes */
  const x = (bytes) => LEFT + (bytes / most) * (WIDTH - LEFT - RIGHT)
  /** @param {number} loss */
  const y = (loss) => TOP + ((high - loss) / (high - low)) * (HEIGHT - TOP - BOTTOM)
  const ticks = Array.from({ length: Math.round((high - low) * 50) + 1 }, (_, i) => low + i / 50)
  const line = front(rows).sort((a, b) => a.bytes - b.bytes).map(({ bytes, loss }, i) => `${i ? 'L' : 'M'}${x(bytes).toFixed(1)} ${y(loss).toFixed(1)}`)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Validation loss over bytes of the file">
<style>${STYLE}</style>
<path class="axis" d="M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}" fill="none"/>
${ticks.map((t) => `<text x="${LEFT - 8}" y="${(y(t) + 4).toFixed(1)}" text-anchor="end">${t.toFixed(2)}</text>`).join('\n')}
${[1, 2, 3, 4].filter((m) => m * 1e6 < most).map((m) => `<text x="${x(m * 1e6).toFixed(1)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${m} MB</text>`).join('\n')}
<text x="${LEFT}" y="14">nats a byte on stories that are not in the training text</text><text x="${WIDTH - RIGHT}" y="${HEIGHT - 8}" text-anchor="end">file, Q8_0</text>
<path class="front" d="${line.join('')}"/>
${rows.map(({ name, bytes, loss }) => {
    const kind = name.split('-')[1]
    return `<circle cx="${x(bytes).toFixed(1)}" cy="${y(loss).toFixed(1)}" r="5" fill="${COLOURS[/** @type {keyof typeof COLOURS} */ (kind)]}"/><text x="${(x(bytes) - 9).toFixed(1)}" y="${(y(loss) + 4).toFixed(1)}" text-anchor="end">${kind}</text>`
  }).join('\n')}
</svg>
`
}

function main() {
  const [valid, ...named] = process.argv.slice(2)
  const names = named.length ? named : ['small', 'large'].flatMap((size) => Object.keys(WHAT).map((kind) => `${size}-${kind}`))
  const [done, missing] = [true, false].map((there) => names.filter((name) => existsSync(`build/stories/${name}.gguf`) === there))
  if (!valid || !done.length) throw new Error('usage: node models/train/report.js VALID [RUN...], after make compare')
  if (missing.length) console.error(`not finished: ${missing.join(', ')}`)
  const rows = done.map((name) => measure(name, valid))
  for (let round = 0; round < ROUNDS; round++)
    for (const row of rows) row.speeds.push(speed(row.file))
  console.log(table(rows))
  if (existsSync(`build/stories/${DEPTH}.gguf`)) console.log(`\n${depthTable(DEPTH, valid)}`)
  writeFileSync('models/comparison.svg', plot(rows))
}

main()
