// Chat templates, in the worker: a conversation becomes the text that a model was trained on. Templates come from files
// that nobody vouches for, and texts from people: a rendering ends within LIMITS, and the text of a message is never
// read as control tokens (chat-run.js). Parsed and run by @huggingface/jinja, which is loaded by who calls this.
import { Guard } from './chat-guard.js'
import { LIMITS } from './chat-limits.js'
import { Run } from './chat-run.js'
import { ArgumentError, FormatError } from './errors.js'

export { withoutGuards } from './chat-guard.js'
export { LIMITS }

/** @typedef {{ role: string, content?: any, [key: string]: unknown }} Message */
/** What is rendered. `control`: spellings of the control tokens. `continueFinal`: the last message is an answer that
 * goes on. `now`: what the template takes for the time.
 * @typedef {{ messages: Message[], tools?: unknown[], options?: Record<string, unknown>, bos: string, eos: string,
 *   control: string[], addGenerationPrompt: boolean, continueFinal?: boolean, now?: Date }} Conversation */

/** @type {WeakMap<string[], Guard>} */
const guards = new WeakMap()
/** @param {string[]} control */
function guardOf(control) {
  const guard = guards.get(control) ?? new Guard(control)
  guards.set(control, guard)
  return guard
}
/** Guards a text as the text of a message is guarded. @param {string[]} control @returns {(text: string) => string} */
export const guardFor = (control) => (text) => guardOf(control).guard(text)

export class ChatTemplate {
  #jinja
  #program
  #limits

  /** @param {import('./chat-run.js').Jinja} jinja @param {any} program @param {typeof LIMITS} limits */
  constructor(jinja, program, limits) {
    this.#jinja = jinja
    this.#program = program
    this.#limits = limits
  }

  /** The text of a conversation, guarded: for RP_TOKENIZE_SPECIAL with RP_TOKENIZE_GUARDED. A template that refuses
   * the conversation is an ArgumentError with what it says, one that fails or goes on for ever a FormatError.
   * @param {Conversation} conversation @returns {string} */
  render({ messages, tools, options = {}, bos, eos, control, addGenerationPrompt, continueFinal = false, now }) {
    const guard = guardOf(control)
    const answer = continueFinal ? openAnswer(messages) : ''
    const run = new Run(this.#jinja, this.#limits, guard, now)
    for (const [name, value] of Object.entries(options)) if (value !== undefined) run.set(name, value)
    run.set('messages', continueFinal ? messages.slice(0, -1) : messages)
    run.set('tools', tools ?? null)
    if (options.documents === undefined) run.set('documents', null) // as transformers calls them
    run.set('add_generation_prompt', addGenerationPrompt || continueFinal)
    run.setOwn('bos_token', bos)
    run.setOwn('eos_token', eos)
    return run.run(this.#program) + guard.guard(answer)
  }
}

/** The text of an answer that goes on. It is put behind the prompt that asks for it, which is where it came from:
 * templates write answers otherwise once they have ended (they drop the thinking, trim, or add an empty one), so that
 * cutting off an end marker would not give back what the model saw.
 * @param {Message[]} messages */
function openAnswer(messages) {
  const last = messages[messages.length - 1]
  if (last?.role !== 'assistant' || typeof last.content !== 'string')
    throw new ArgumentError('chat template: only an answer of text can go on')
  for (const key of ['tool_calls', 'reasoning_content']) {
    const { length } = /** @type {any} */ (last[key]) ?? {}
    if (length) throw new ArgumentError(`chat template: an answer with ${key} cannot go on`)
  }
  return last.content
}

/** Parses a template; bad syntax is a FormatError.
 * @param {import('./chat-run.js').Jinja} jinja namespace of the module @param {string} source
 * @param {Partial<typeof LIMITS>} [limits] */
export function compileTemplate(jinja, source, limits) {
  const most = { ...LIMITS, ...limits }
  if (source.length > most.source) throw new FormatError(`chat template: it has more than ${most.source} characters`)
  if (new RegExp(`\\s{${most.space + 1}}`).test(source)) // which the library reads in quadratic time
    throw new FormatError(`chat template: it has more than ${most.space} characters of white space in a row`)
  /** @type {{ value: string }[]} */
  let tokens = []
  try {
    tokens = jinja.tokenize(source, { lstrip_blocks: true, trim_blocks: true })
    return new ChatTemplate(jinja, jinja.parse(tokens), most)
  } catch (error) {
    const what = error instanceof TypeError ? 'it ends too early' : /** @type {any} */ (error).message
    throw new FormatError(`chat template: ${what}${near(jinja, tokens)}`)
  }
}

/** Where the parser stopped: what it read last.
 * @param {import('./chat-run.js').Jinja} jinja @param {{ value: string }[]} tokens */
function near(jinja, tokens) {
  let last = -1
  const watched = new Proxy(tokens, {
    get: (target, key) => {
      if (typeof key === 'string' && /^\d+$/.test(key)) last = Math.max(last, Number(key))
      return Reflect.get(target, key)
    },
  })
  try {
    if (tokens.length < 2 ** 14) jinja.parse(watched)
  } catch {
    const words = tokens.slice(Math.max(0, last - 4), last + 1).map(({ value }) => value)
    return `, near ${JSON.stringify(words.join(' ').slice(-60))}`
  }
  return ''
}
