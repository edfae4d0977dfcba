// The files that are measured: made in build/bench/ when they are missing. `shared` stands for one whose blocks are played more
// than once, which only we run: its rivals get `twin`, the same model written out.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { json, ROOT } from '../js/lib/cli.js';
import { writeOnnx } from './onnx.js';
import { mobileLLM, smolLM2, writeShape } from './shape.js';

const TWICE = mobileLLM('Q4_0', 2);

/**
 * @typedef {object} BenchModel
 * @property {string} name
 * @property {string} file from the repository's root
 * @property {string} [twin]
 * @property {string} [onnx] of the same shape, for engines that take no GGUF
 * @property {number} context that it has room for
 * @property {boolean} bos whether a text begins with the token for its beginning
 * @property {Record<string, (path: string) => void>} makes of files that can be made
 */

/** @param {string} from @param {string} to */
const unroll = (from, to) => execFileSync('build/native/reprise', ['convert', from, '-o', to, '--unroll'], { cwd: ROOT });

/** @type {BenchModel[]} */
const MODELS = [
  ...[4, 8].map((bits) => {
    const type = `Q${bits}_0`, file = `build/bench/smollm2-shape-${type}.gguf`;
    const onnx = `build/bench/onnx/smollm2-shape/onnx/model_${bits === 4 ? 'q4' : 'quantized'}.onnx`; // names that transformers.js knows
    return { name: `SmolLM2-shape-${type}`, file, onnx, context: 8192, bos: true,
      makes: { [file]: (path) => writeShape(path, smolLM2(type)), [onnx]: (path) => writeOnnx(path, smolLM2(type), bits) } };
  }),
  { name: 'SmolLM2-Q4_1', file: 'build/models/smollm2.gguf', context: 8192, bos: false, makes: {} },
  { name: 'MobileLLM-LS-shape-Q4_0', file: 'build/bench/mobilellm-ls.gguf', twin: 'build/bench/mobilellm-ls-unrolled.gguf', context: 8192, bos: true,
    makes: { 'build/bench/mobilellm-ls.gguf': (path) => writeShape(path, TWICE),
      'build/bench/mobilellm-ls-unrolled.gguf': (path) => unroll('build/bench/mobilellm-ls.gguf', path) } },
  { name: 'stories', file: 'models/stories.gguf', twin: 'build/bench/stories-unrolled.gguf', context: 512, bos: true,
    makes: { 'build/bench/stories-unrolled.gguf': (path) => unroll('models/stories.gguf', path) } },
];

/** Block stacks played once, twice and four times, for growth(). @returns {(BenchModel & { visits: number })[]} */
const growing = () => [1, 2, 4].map((times) => {
  const file = `build/bench/mobilellm-${times}.gguf`;
  return { name: `${30 * times} visits`, visits: 30 * times, file, context: 16384, bos: true,
    makes: { [file]: (path) => writeShape(path, mobileLLM('Q4_0', times)) } };
});

/** @param {BenchModel} model */
function prepare(model) {
  for (const file of [model.file, model.twin, model.onnx].filter((name) => name && !existsSync(join(ROOT, name)))) {
    if (!model.makes[file]) throw new Error(`${file} is absent`);
    console.error(`making ${file}`);
    mkdirSync(dirname(join(ROOT, file)), { recursive: true });
    model.makes[file](join(ROOT, file));
  }
  return model;
}

/** @param {(name: string) => boolean} wanted */
export const models = (wanted) => MODELS.filter(({ name }) => wanted(name)).map(prepare);

export const growingModels = () => growing().map(prepare);

/** MobileLLM-LS-125M's shape, with each block played twice, and unrolled. */
export function sharedAndTwin() {
  const [{ file, twin }] = models((name) => name === 'MobileLLM-LS-shape-Q4_0');
  return { shared: file, twin: /** @type {string} */ (twin) };
}

/** Texts of exactly so many tokens, each of another letter, for an engine that takes no token ids.
 * @param {BenchModel} model @param {number[]} lengths @returns {Promise<Record<number, string>>} */
export async function textsFor({ file, bos }, lengths) {
  const count = async (text) => (await json('simd128', ['tokenize', file, text])).length + (bos ? 1 : 0);
  const find = async (length, letter) => {
    if (length <= (bos ? 1 : 0)) return '';
    for (const unit of [` ${letter}`, letter]) {
      const few = await count(unit.repeat(8)), step = (await count(unit.repeat(16)) - few) / 8;
      const text = unit.repeat(Math.max(0, 8 + (length - few) / step)).trim();
      if (await count(text) === length) return text;
    }
    // So short that what stands before a first letter is already too long: one token more or less is no matter there.
    if (length < 8) return letter;
    throw new Error(`${file}: no text of ${length} tokens was found`);
  };
  const texts = await Promise.all(lengths.map((length, at) => find(length, String.fromCharCode(97 + at))));
  return Object.fromEntries(lengths.map((length, at) => [length, texts[at]]));
}
