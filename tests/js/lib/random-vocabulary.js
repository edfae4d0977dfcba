// A SentencePiece vocabulary small enough to read: three control tokens, the 256 bytes, some pieces.
// Every random model carries it, whatever its family, so that any engine can load the file.
import { array, bool, string, u32 } from './gguf-writer.js';

const PIECES =
  '▁ e t a o n i s r h d l u ▁t ▁a he in re ▁the nd ▁w er on ▁s ou ▁and ing ▁to at is ▁of ed'.split(' ');
const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const BYTE = 6;

const byteName = (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;

export const VOCABULARY_SIZE = 3 + 256 + PIECES.length;
export const BOS = 1;
export const EOS = 2;

/** Metadata of the vocabulary: the keys under tokenizer.ggml. */
export function vocabularyKeys() {
  const tokens = ['<unk>', '<s>', '</s>', ...Array.from({ length: 256 }, byteName), ...PIECES];
  const types = tokens.map((_, id) => (id === 0 ? UNKNOWN : id < 3 ? CONTROL : id < 259 ? BYTE : NORMAL));
  return {
    'tokenizer.ggml.model': string('llama'),
    'tokenizer.ggml.tokens': array('string', tokens),
    'tokenizer.ggml.scores': array('f32', tokens.map((_, id) => (id < 259 ? 0 : 259 - id))),
    'tokenizer.ggml.token_type': array('i32', types),
    'tokenizer.ggml.bos_token_id': u32(BOS),
    'tokenizer.ggml.eos_token_id': u32(EOS),
    'tokenizer.ggml.unknown_token_id': u32(0),
    'tokenizer.ggml.add_bos_token': bool(true),
    'tokenizer.ggml.add_eos_token': bool(false),
  };
}
