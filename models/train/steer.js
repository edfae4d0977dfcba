// What steering does, in numbers: `node models/train/steer.js BASE.gguf ADAPTER.gguf HELD.txt` prints a table for models/README.md. The adapter is
// the expert, the base itself the antiexpert: logits = base + alpha (expert - base). HELD.txt is text of the adapter's kind that nobody
// learned; the words counted are what tales have and the base's stories have not.
import { execFileSync } from 'node:child_process'
import process from 'node:process'

const REPRISE = 'build/native/reprise', SEEDS = 40, TOKENS = 200, PROMPT = 'Once upon a time there was'
const WORDS = /\b(king|queen|prince|princess|castle|daughter|son|brother|wife|husband|forest|witch|giant|kingdom|palace|thee|thou|upon|replied|answered)\b/gi
const ALPHAS = [0, 0.5, 1, 1.5, 2]

/** @param {string[]} args */
const reprise = (...args) => JSON.parse(execFileSync(REPRISE, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))

/** Loss on the held-out text, and words of tales in a hundred. @param {string} base @param {string} held @param {string[]} options */
function measure(base, held, ...options) {
  const { nats_per_byte: loss } = reprise('perplexity', base, held, '--split', '<|endoftext|>', ...options)
  let words = 0, tales = 0
  for (let seed = 0; seed < SEEDS; seed++) {
    const { text } = reprise('generate', base, '-p', PROMPT, '-n', `${TOKENS}`, '--seed', `${seed}`, '--temperature', '0.8', '--json', ...options)
    words += text.split(/\s+/).length
    tales += (text.match(WORDS) ?? []).length
  }
  return `${loss.toFixed(4)} | ${((100 * tales) / words).toFixed(2)}`
}

const [base, adapter, held] = process.argv.slice(2)
if (!held) throw new Error('usage: node models/train/steer.js BASE.gguf ADAPTER.gguf HELD.txt')
console.log('| | nats a byte of held-out tales | words of tales, % |\n|---|---|---|')
console.log(`| base | ${measure(base, held)} |`)
console.log(`| base with the adapter | ${measure(base, held, '--lora', adapter)} |`)
for (const alpha of ALPHAS) console.log(`| base + ${alpha} (adapter - base) | ${measure(base, held, '--expert', adapter, '--antiexpert', 'base', '--alpha', `${alpha}`)} |`)
