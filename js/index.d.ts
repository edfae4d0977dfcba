/** Reprise: small, weight-shared language models inside any web page.
 *
 *     import { Model } from 'reprise'
 *     const model = await Model.load('stories.gguf')
 *     for await (const piece of model.session().stream('Once upon a time')) document.body.append(piece)
 *
 * The engine runs in one module worker a model; nothing here blocks the page. Loading, planning, generating, `append`, `logits` and
 * `embed` take an `AbortSignal`, and reject with the signal's reason when it fires. Bytes are bytes, times are milliseconds, and
 * everything that fails does so with one of the five errors below. */

export const version: string

// ---- Errors -----------------------------------------------------------------------------------------------------------

/** The same words as in C (`src/reprise.h`); `README.md` says when each is thrown. */
export type ErrorCode = 'RP_ERR_ARGUMENT' | 'RP_ERR_FORMAT' | 'RP_ERR_UNSUPPORTED' | 'RP_ERR_MEMORY' | 'RP_ERR_IO'

/** What the five have in common. */
export class RepriseError extends Error {
  readonly code: ErrorCode
}
/** A value that was passed is out of range, or the model or session was destroyed. */
export class ArgumentError extends RepriseError {}
/** A file breaks its format, its model's rules, or its integrity. */
export class FormatError extends RepriseError {}
/** A file, browser or mix of versions asks for what this version does not do. */
export class UnsupportedError extends RepriseError {}
/** Memory could not be had, or was not planned for. */
export class MemoryError extends RepriseError {
  /** Bytes that were asked for; 0 when it is not known. */
  readonly bytesNeeded: number
}
/** Something outside the engine failed: network, storage, worker. */
export class IOError extends RepriseError {
  /** What failed, when it has an address. */
  readonly url?: string
  /** HTTP status, when there was an answer. */
  readonly status?: number
}

// ---- Sources, plans, cache ----------------------------------------------------------------------------------------------

/** Where a GGUF file comes from. A string is a URL, relative to the page, or `hf:owner/repo/file.gguf`. A name that ends in
 * `-00001-of-0000N.gguf` stands for all its parts. A `ReadableStream` or `Response` can be read once and is not cached. */
export type Source = string | URL | Request | Response | Blob | ReadableStream<Uint8Array> | ArrayBuffer | ArrayBufferView

/** What a model computes with. A call's options go before its session's, and those before the model's. A session that changes them
 * computes its tokens anew, and then is what a fresh one would be, bit for bit; only `alpha` costs nothing. */
export interface ProgramOptions {
  /** How often the looped blocks run, from `info.loopMin` to `info.loopMax`. Given to a model it is also the most that memory is planned
   * for; else that is `info.loopMax`. */
  depth?: number
  /** A self-merge: visits of the file's program, like `0-9,10-13x2,14-29`. */
  layers?: string
  /** One KV slot a block, which each loop overwrites: less memory, but the bits then depend on how a prompt is split. */
  kvReuse?: 'last-loop'
  /** Of the exit rule, where the file has one: above 0, at most 1; with 1 it is always the last loop that counts. */
  exitThreshold?: number
}
export interface ComputeOptions extends ProgramOptions {
  /** Adapters that are on, by their names, with their scales. Default: none. */
  adapters?: Record<string, number>
  /** Of proxy-tuning; default 1 where an expert was loaded. 0: the model as it is, and nothing else is computed. */
  alpha?: number
}

/** What a model's memory is planned for. Asking for more later is a `MemoryError`. */
export interface PlanOptions extends ProgramOptions {
  /** Positions a session holds; default: the smaller of 2048 and what the model was trained for. */
  context?: number
  /** Type of the KV cache; default f16. q8_q4: keys in q8_0, values in 4 bits, the smallest. */
  kvType?: 'f16' | 'f32' | 'q8_0' | 'q8_q4'
  /** Sessions that are open at once; default 1. A clone is a session. */
  sessions?: number
  /** KV caches that are counted for each session in the plan; default 1, which is what a session holds today. */
  sequences?: number
  /** LoRA adapters (llama.cpp's GGUF files) by names of your choice; calls say which of them are on. At most 8 in one call. */
  adapters?: Record<string, Source>
  /** Proxy-tuning (Liu 2024): logits = model + alpha (expert - antiexpert). `base` is the model itself; a file is an adapter of it, or
   * a model with its vocabulary. Both or neither. */
  expert?: 'base' | Source
  antiexpert?: 'base' | Source
  /** Bytes beyond all that. */
  spare?: number
  /** Never take more than this, whatever the machine has. */
  memoryLimit?: number
  /** Threads to compute with, 1 to 16; the text is the same with any. Default `auto`: up to as many as the machine has and 8; how many
   * of them help is measured while they work. A page that is not cross-origin isolated has one: asking for more is a warning. */
  threads?: number | 'auto'
  /** The instruction set; default: the best one that computes right here. One that does not is an `UnsupportedError`. */
  isa?: 'relaxed' | 'simd128' | 'scalar'
  signal?: AbortSignal
  /** Base address of a hub that answers like the default one, for `hf:`. */
  hub?: string
  /** Where the worker's file is, relative to the page, when it does not lie beside this one; `thread.js` is looked for beside it. */
  workerUrl?: string | URL
  /** The bytes of a WebAssembly build, when it does not lie beside the worker: for pages that are one file. */
  wasm?: ArrayBuffer
}

export interface LoadOptions extends PlanOptions {
  /** See ComputeOptions. */
  alpha?: number
  /** `sha256-` and the base64 or hex digest of the whole file (of each part, for a split one: an array). Checked before
   * the first piece of text; a mismatch is a `FormatError` and clears the cache. */
  integrity?: string | string[]
  /** Keep the file in the origin's private file system; default true for anything with an address. */
  cache?: boolean
  /** Called at each change of phase and some 20 times a second at most in between. */
  onProgress?: (progress: LoadProgress) => void
  /** Things worth saying that stop nothing; also a `warning` event of the model. */
  onWarning?: (warning: Warning) => void
}

/** `waiting`: another tab downloads the same file. `ready`: the model is whole; `stored`: what can be kept is on disk. `loaded` counts bytes given to the engine, `total` is 0 until known;
 * `fromCache` those that came from disk. */
export interface LoadProgress {
  phase: 'header' | 'waiting' | 'weights' | 'ready' | 'stored'
  loaded: number
  total: number
  fromCache: number
}

/** `unverified`: no integrity was given; `no-cache`: runs from memory, why is in the message; `damaged`: a cached chunk was
 * fetched again; `changed`: the file on the server is another one now, the cached one was dropped; `one-thread`: more were asked for
 * than can share memory here. */
export interface Warning {
  kind: 'unverified' | 'no-cache' | 'damaged' | 'changed' | 'one-thread'
  message: string
}

/** What a model takes in WebAssembly memory, in bytes. */
export interface MemoryPlan {
  /** In all: the most that it can ever take. */
  memory: number
  weights: number
  /** KV caches of all sessions; of one token. */
  kv: number
  kvPerToken: number
  /** KV slots of a session: room for every depth of the file, or for the program that `load` was given. */
  kvSlots: number
  kvType: 'f16' | 'f32' | 'q8_0' | 'q8_q4'
  /** Positions of a session. */
  context: number
  /** Sessions that were planned, and what one more would take. */
  sessions: number
  sessionBytes: number
}

export interface Plan extends MemoryPlan {
  /** Bytes of the file, and how many of them are cached. */
  file: number
  cached: number
  /** Bytes still to be fetched. */
  download: number
  /** What the browser says is left for this origin; undefined when it does not say. */
  storage?: number
  verdict: {
    /** `no`: it will not run. `likely`: this machine has room. `unknown`: nothing speaks against it. */
    answer: 'no' | 'likely' | 'unknown'
    reason: string
    /** What was looked at. */
    checked: string[]
  }
  info: ModelInfo
}

/** What runs for a token: the file's own program, or what ProgramOptions make of it. */
export interface Program {
  /** Visits in order. */
  program: Visit[]
  visits: number
  kvSlots: number
  parametersEffective: number
  sharing: Sharing
}

/** What a program stores once and uses more than once, in bytes of the file and of the KV cache for one token. */
export interface Sharing {
  /** Of the head that the embedding also is; 0: it is not. */
  tiedBytes: number
  /** Of the blocks' tensors, and what they would be if each visit had its own. */
  blockBytes: number
  visitedBytes: number
  kvBytes: number
  /** If each query head had a KV head of its own; if each visit with attention had a slot of its own; both. */
  kvBytesAllHeads: number
  kvBytesAllSlots: number
  kvBytesPlain: number
}

/** Its program is what runs with the options of the load. */
export interface ModelInfo extends Program {
  architecture: string
  name?: string
  license?: string
  /** Blocks stored. */
  blocks: number
  /** How often the looped blocks run, and the range that the file allows. */
  loops: number
  loopMin: number
  loopMax: number
  dim: number
  ffnDim: number
  heads: number
  kvHeads: number
  headDim: number
  vocab: number
  contextTrained: number
  parametersStored: number
  fileBytes: number
  /** What the file would be if each visit had a block of its own. */
  unrolledBytes: number
  types: { type: string; bytes: number; tensors: number }[]
  /** Whether the file has a chat template. */
  chat: boolean
  /** Whether the embedding is the output projection, too. */
  tied: boolean
  isa: 'scalar' | 'simd128' | 'relaxed'
  /** In a plan the most that there may be; in a model those that a token is computed with now, measured while it works. */
  threads: number
  bos: number
  eos: number
}

export interface Visit {
  /** Blocks whose attention and FFN it uses. */
  attn: number
  ffn: number
  /** KV slot that it reads; -1: it has no attention. */
  slot: number
  /** It writes its KV slot; otherwise it reads what an earlier visit wrote. */
  writes: boolean
  /** Something of the block is different on this visit: norms, step bias, low-rank terms. */
  varies: boolean
  /** The loops' input comes in again before it. */
  injects: boolean
  /** The exit rule is asked after it. */
  mayExit: boolean
  /** The output norm runs after it: between loops. */
  normAfter: boolean
}

/** Files kept in the origin's private file system. */
export const caches: {
  list(): Promise<CachedFile[]>
  /** Resolves to whether there was one. Waits for nobody: a tab that downloads it starts over. */
  delete(url: string | URL): Promise<boolean>
  /** Asks the browser not to evict this origin's files under pressure; resolves to its answer. */
  persist(): Promise<boolean>
}
export interface CachedFile {
  url: string
  bytes: number
  /** 0 when not known. */
  total: number
  complete: boolean
  /** The integrity it was checked against, if any. */
  integrity?: string
}

// ---- Model --------------------------------------------------------------------------------------------------------------

export class Model extends EventTarget {
  /** Fetches the header alone, and adapters whole, and answers what the file would take. */
  static plan(source: Source, options?: PlanOptions): Promise<Plan>
  /** Resolves once header and tokenizer are there; weights go on arriving, and sessions compute with those that have. */
  static load(source: Source, options?: LoadOptions): Promise<Model>

  readonly info: ModelInfo
  readonly plan: MemoryPlan
  /** Resolves at the last byte, verified; rejects when the load fails or is aborted. Need not be awaited. */
  readonly ready: Promise<void>
  /** Bytes of WebAssembly memory now. Never above `plan.memory`. */
  readonly memory: number
  /** Whether the file's integrity was given and has been checked. */
  readonly verified: boolean

  session(options?: SessionOptions): Session
  /** What a session with these options runs. */
  program(options?: ProgramOptions): Promise<Program>
  /** `special`: spellings of control tokens are read as such. */
  tokenize(text: string, options?: { special?: boolean; bos?: boolean }): Promise<Int32Array>
  detokenize(ids: ArrayLike<number>): Promise<string>
  /** Stops everything, ends the worker, gives the memory back. Everything pending rejects. Never throws. */
  destroy(): void
  [Symbol.dispose](): void
}

// ---- Sessions -----------------------------------------------------------------------------------------------------------

export interface Message {
  role: 'system' | 'user' | 'assistant' | 'tool' | (string & {})
  content: string
  /** Whatever else the model's template reads: `tool_calls`, `name`, `reasoning_content`. */
  [key: string]: unknown
}

export interface SessionOptions extends ComputeOptions {
  /** Conversation by the model's chat template, or plain text that is continued. Default: whether there is a template. */
  chat?: boolean
  /** A stored conversation. */
  messages?: Message[]
  /** Plain text to start from (when `chat` is false). */
  text?: string
  tools?: unknown[]
  /** Variables of the template, such as `enable_thinking`. */
  templateOptions?: Record<string, unknown>
  /** A Jinja template instead of the file's. */
  chatTemplate?: string
  /** When the context is full: `stop` ends with `finishReason: 'context'`; `shift` keeps the beginning (the system message, at
   * least four tokens: attention sinks, Xiao 2023) and the newer half of the rest, and computes that half again. */
  onContextFull?: 'stop' | 'shift'
}

/** The chain of `rp_sampler_options` (`src/reprise.h`). Zero switches a filter or penalty off; of `penaltyLast`,
 * `dryBase`, `dryAllowed`, `dryLast` and `mirostatEta` it is the default of C. Defaults are the terminal program's:
 * temperature 0.8, topK 40, topP 0.95, minP 0.05, the rest off. */
export interface SamplingOptions {
  /** 0 is greedy. */
  temperature?: number
  topK?: number
  topP?: number
  minP?: number
  typicalP?: number
  repeatPenalty?: number
  presencePenalty?: number
  frequencyPenalty?: number
  penaltyLast?: number
  dryMultiplier?: number
  dryBase?: number
  dryAllowed?: number
  dryLast?: number
  mirostatTau?: number
  mirostatEta?: number
  /** Up to 2^53 - 1; default: drawn, and told in the result. */
  seed?: number
  /** Token id to what is added to its logit; `-Infinity` forbids it. */
  logitBias?: Record<number, number>
}

export interface GenerateOptions extends SamplingOptions, ComputeOptions {
  signal?: AbortSignal
  /** Default: until the context is full; with `onContextFull: 'shift'` as many as fit into an empty one. */
  maxTokens?: number
  /** Texts that end the answer and are not part of it. */
  stop?: string | string[]
  /** Alternatives told with each token of `pieces()`; at most 64. */
  top?: number
  /** Prefill, some 20 times a second. `reused`: positions that were there already. */
  onPrefill?: (progress: { done: number; total: number; reused: number }) => void
  /** Called with the place in the program (`info.program`, or what the call's options make of it) of the visit that was just computed. A promise that it returns is waited for, so that
   * a page can slow the model down to look at every visit; without one it is told some 60 of them a second. */
  onVisit?: (visit: number) => unknown
}

export interface Token {
  id: number
  /** Its place in the session: `rewind({ tokens: position })` forgets it and what follows. */
  position: number
  /** As text; empty while bytes of a character are missing. */
  text: string
  /** Natural logarithm of the probability before sampling options. */
  logprob: number
  top: { id: number; text: string; logprob: number }[]
}

/** Text that can be shown now, and the tokens that were computed for it. */
export interface Piece {
  text: string
  tokens: Token[]
}

export interface Result {
  text: string
  /** `stop`: the model or a stop text ended it; `length`: `maxTokens`; `context`: no room; `abort`: left or aborted. */
  finishReason: 'stop' | 'length' | 'context' | 'abort'
  seed: number
  usage: { promptTokens: number; reusedTokens: number; completionTokens: number }
  timings: {
    /** Waiting for earlier calls of the same session. */
    queuedMs: number
    /** Until the logits of the prompt were there, and how much of that was waiting for weights. */
    prefillMs: number
    waitedMs: number
    /** From the file's last byte to the first token, when the call began before it; else undefined. */
    lastByteToFirstTokenMs?: number
    firstTokenMs: number
    decodeMs: number
  }
}

/** An async iterable whose loop can be left at any time: that stops the model. Nothing is computed before the first `next()`,
 * and an unread stream stops after a few pieces. */
export interface Stream<T> extends AsyncIterableIterator<T> {
  /** Resolves at the end, also when the loop was left or aborted (`finishReason: 'abort'`); rejects when the model fails. */
  readonly result: Promise<Result>
}

/** Text to add (a user's message, or plain text), messages, or token ids. Nothing: go on where the text stands. */
export type Input = string | Message | Message[] | { ids: ArrayLike<number> }

/** One conversation or text and its KV cache. Calls wait their turn. A `contextfull` event (detail: `{ policy, dropped }`) tells
 * when the context ran full. */
export class Session extends EventTarget {
  readonly model: Model
  /** Whether it is a conversation. */
  readonly chat: boolean
  /** The conversation so far; an answer that was stopped is part of it. Empty for plain text. */
  readonly messages: readonly Message[]
  readonly contextUsed: number
  readonly contextMax: number

  /** Generates, as text. */
  stream(input?: Input, options?: GenerateOptions): Stream<string>
  /** Generates, as text with its tokens, log-probabilities and alternatives. */
  pieces(input?: Input, options?: GenerateOptions): Stream<Piece>
  /** Generates, all at once. Rejects with the signal's reason when aborted; what was said by then stays in `messages`. */
  prompt(input?: Input, options?: GenerateOptions): Promise<Result>
  /** Adds without generating, and computes it. */
  append(input: Input, options?: ComputeOptions & { signal?: AbortSignal }): Promise<void>
  /** Token ids held. */
  ids(): Promise<Int32Array>
  /** Forgets: keeps the first `messages` messages (of a conversation), or the first `tokens` positions (in a conversation no fewer than stood before
   * its last answer). */
  rewind(to: { messages: number } | { tokens: number }): Promise<void>
  /** A second session that goes on from the same place. Counts as one of `sessions`. */
  clone(): Promise<Session>
  /** Everything as bytes: messages, ids and (unless `kv` is false) the KV cache. */
  save(options?: { kv?: boolean }): Promise<Uint8Array>
  /** Takes over what `save` gave, of the same model. Bytes of another model, or damaged ones, are a `FormatError` and change
   * nothing. */
  restore(bytes: Uint8Array | ArrayBuffer): Promise<void>
  /** Logits (vocab) after `ids`, which the session holds from then on; steered, if alpha says so. */
  logits(ids: ArrayLike<number>, options?: ComputeOptions & { signal?: AbortSignal }): Promise<Float32Array>
  /** Mean of the last hidden states of a text (dim), never steered, after which the session is empty. */
  embed(text: string, options?: ComputeOptions & { signal?: AbortSignal }): Promise<Float32Array>
  /** Stops what it does and gives its memory back. Never throws. */
  destroy(): void
  [Symbol.dispose](): void
}
