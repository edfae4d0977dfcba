// The tokenizer files of a Hugging Face folder, small enough to read: byte-level BPE as tokenizer.json (Radford 2019's
// letters for bytes; the pre-tokenizers of SmolLM2, Llama 3 and Qwen 2), and SentencePiece BPE as tokenizer.model, a
// protobuf whose field numbers are those of sentencepiece_model.proto.

/**
 * @typedef {{ files: Record<string, string | Buffer>, bos: number | null, eos: number }} TokenizerFiles
 *   file name to content, and the ids that config.json repeats
 */

const MERGES = ('Ġ t|h e|Ġ a|i n|Ġt he|e r|o n|r e|a t|e n|n d|Ġ s|Ġ w|o u|i s|i t|o r|Ġ b|e s|Ġa nd|in g|o f|Ġ of|' +
  'Ġ h|e d|Ġt o|a n|a l|Ġ c').split('|')

const LETTERS = (() => {
  /** @param {number} byte */
  const printable = (byte) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++))
})()

const LLAMA3_SPLIT = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|" +
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
const QWEN2_SPLIT = LLAMA3_SPLIT.replace('{1,3}', '')

/** @param {boolean} regex */
const byteLevel = (regex) => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: regex })

/** @param {string} pattern */
const split = (pattern) => ({
  type: 'Sequence',
  pretokenizers: [{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false }, byteLevel(false)],
})

// The names of the control tokens lead the vocabulary, as in SmolLM2; Llama 3 and Qwen 2 have theirs at the end.
const FLAVOURS = {
  smollm: {
    specials: ['<|endoftext|>', '<|im_start|>', '<|im_end|>'], lead: true, bos: null, eos: 2, pairs: false,
    pre: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(true)] },
  },
  llama3: {
    specials: ['<|begin_of_text|>', '<|end_of_text|>', '<|eot_id|>'], lead: false, bos: 0, eos: 1, pairs: false,
    pre: split(LLAMA3_SPLIT),
  },
  qwen2: {
    specials: ['<|endoftext|>', '<|im_start|>', '<|im_end|>'], lead: false, bos: null, eos: 2, pairs: true,
    pre: split(QWEN2_SPLIT),
  },
}

/** @param {number} bos @param {string} name */
const prependBos = (bos, name) => ({
  type: 'TemplateProcessing',
  single: [{ SpecialToken: { id: name, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
  special_tokens: { [name]: { id: name, ids: [bos], tokens: [name] } },
})

/** @param {string} content */
const added = (content) => ({ content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })

/** @param {unknown} value */
const pretty = (value) => `${JSON.stringify(value, null, 2)}\n`

/**
 * Byte-level BPE with 256 byte tokens, the merges (`merges` of them) and three control tokens.
 * @param {keyof typeof FLAVOURS} flavour
 * @param {number} [merges]
 * @returns {TokenizerFiles}
 */
export function byteLevelBpe(flavour, merges = MERGES.length) {
  const { specials, lead, bos, eos, pairs, pre } = FLAVOURS[flavour]
  const used = MERGES.slice(0, merges)
  const plain = [...LETTERS, ...used.map((merge) => merge.replace(' ', ''))]
  const first = lead ? 0 : plain.length
  const json = {
    version: '1.0', truncation: null, padding: null,
    added_tokens: specials.map((content, index) => ({ id: first + index, ...added(content) })),
    normalizer: flavour === 'qwen2' ? { type: 'NFC' } : null,
    pre_tokenizer: pre,
    post_processor: bos === null ? byteLevel(true) : prependBos(first + bos, specials[bos]),
    decoder: byteLevel(true),
    model: {
      type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false,
      byte_fallback: false, ignore_merges: flavour === 'llama3',
      vocab: Object.fromEntries((lead ? [...specials, ...plain] : plain).map((token, id) => [token, id])),
      merges: pairs ? used.map((merge) => merge.split(' ')) : used,
    },
  }
  const config = {
    added_tokens_decoder: Object.fromEntries(specials.map((content, index) => [first + index, added(content)])),
    bos_token: bos === null ? null : specials[bos], eos_token: specials[eos], model_max_length: 2048,
    clean_up_tokenization_spaces: false, tokenizer_class: flavour === 'qwen2' ? 'Qwen2Tokenizer' : 'PreTrainedTokenizerFast',
  }
  return {
    files: { 'tokenizer.json': pretty(json), 'tokenizer_config.json': pretty(config) },
    bos: bos === null ? null : first + bos, eos: first + eos,
  }
}

const NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, BYTE = 6
const PIECES = '▁t he in ▁a ▁the er on re nd ▁s ou ▁w ing ▁to at is ▁of ed'.split(' ')
const CHARACTERS = [...'▁etaoinshrd']

/** @param {number} value */
function varint(value) {
  const bytes = []
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128)
  return Buffer.from([...bytes, value])
}

/** @param {number} number @param {number} value */
const intField = (number, value) => Buffer.concat([varint(number << 3), varint(value)])

/** @param {number} number @param {Buffer} bytes */
const bytesField = (number, bytes) => Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes])

/** @param {number} number @param {number} value */
function floatField(number, value) {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return Buffer.concat([varint((number << 3) | 5), bytes])
}

/** @typedef {{ text: string, type: number, score: number }} Piece */

/** @param {Piece[]} pieces @param {{ dummyPrefix: boolean, unk: number, bos: number, eos: number }} spec */
function sentencePieceModel(pieces, { dummyPrefix, unk, bos, eos }) {
  const trainer = [
    intField(3, 2), intField(4, pieces.length), intField(35, 1), intField(40, unk), intField(41, bos), intField(42, eos),
  ]
  const normalizer = [
    bytesField(1, Buffer.from('identity')), bytesField(2, Buffer.alloc(0)), intField(3, dummyPrefix ? 1 : 0),
    intField(4, 0), intField(5, 1),
  ]
  return Buffer.concat([
    ...pieces.map(({ text, type, score }) => bytesField(1, Buffer.concat([
      bytesField(1, Buffer.from(text)), floatField(2, score), ...(type === NORMAL ? [] : [intField(3, type)])]))),
    bytesField(2, Buffer.concat(trainer)), bytesField(3, Buffer.concat(normalizer)),
  ])
}

/** @param {string} text @param {number} type @returns {Piece} */
const fixed = (text, type) => ({ text, type, score: 0 })

const bytePieces = () => Array.from({ length: 256 }, (_, byte) => (
  fixed(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, BYTE)))

// SentencePiece scores a piece by the rank of its merge; characters come last.
/** @param {number} count */
const normalPieces = (count) => [...PIECES, ...CHARACTERS].slice(0, count)
  .map((text, rank) => ({ text, type: NORMAL, score: -rank }))

/** Llama 2's layout: <unk>, <s>, </s>, bytes, pieces; 288 in all. @returns {TokenizerFiles} */
export function llamaSentencePiece() {
  const pieces = [fixed('<unk>', UNKNOWN), fixed('<s>', CONTROL), fixed('</s>', CONTROL), ...bytePieces(), ...normalPieces(29)]
  const config = {
    add_bos_token: true, add_eos_token: false, bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>', legacy: true,
    model_max_length: 2048, tokenizer_class: 'LlamaTokenizer',
  }
  const model = sentencePieceModel(pieces, { dummyPrefix: true, unk: 0, bos: 1, eos: 2 })
  return { files: { 'tokenizer.model': model, 'tokenizer_config.json': pretty(config) }, bos: 1, eos: 2 }
}

/**
 * Gemma's layout: <pad>, <eos>, <bos>, <unk>, turn marks, bytes, pieces; 288 in all. No space goes before a text.
 * @returns {TokenizerFiles}
 */
export function gemmaSentencePiece() {
  const pieces = [
    fixed('<pad>', CONTROL), fixed('<eos>', CONTROL), fixed('<bos>', CONTROL), fixed('<unk>', UNKNOWN),
    fixed('<start_of_turn>', USER_DEFINED), fixed('<end_of_turn>', USER_DEFINED), ...bytePieces(), ...normalPieces(26),
  ]
  const config = {
    add_bos_token: true, add_eos_token: false, bos_token: '<bos>', eos_token: '<eos>', unk_token: '<unk>', pad_token: '<pad>',
    model_max_length: 2048, tokenizer_class: 'GemmaTokenizer',
  }
  const model = sentencePieceModel(pieces, { dummyPrefix: false, unk: 3, bos: 2, eos: 1 })
  return { files: { 'tokenizer.model': model, 'tokenizer_config.json': pretty(config) }, bos: 2, eos: 1 }
}
