// The random models in use: one for every architecture and feature, one for every tensor type. RoPE bases are lower
// than in life, so that a short prompt turns every pair and a wrong rotation shows.
// `judge` is how llama.cpp is given the same weights where it knows no such architecture or key.
import { f32, string, TENSOR_TYPES, u32 } from './gguf-writer.js';

const GEMMA = { architecture: 'gemma3', dim: 64, heads: 4, kvHeads: 1, headDim: 32, ffn: 128, tied: true, epsilon: 1e-6 };
// Seven blocks: the sixth is the first with global attention. The prompt is longer than a window of 8.
const GEMMA_WINDOW = { blocks: 7, ropeBase: 100, keys: { 'attention.sliding_window': u32(8) } };

const EVERY_ARCHITECTURE = [
  { name: 'llama-mha', architecture: 'llama', kvHeads: 4 },
  { name: 'llama-gqa-tied', architecture: 'llama', tied: true },
  { name: 'llama-mqa', architecture: 'llama', kvHeads: 1 },
  { name: 'llama-gqa-3', architecture: 'llama', dim: 96, heads: 6, kvHeads: 2, ffn: 256, tied: true },
  { name: 'llama-wide-head', architecture: 'llama', headDim: 32 },
  { name: 'llama3-rope', architecture: 'llama', headDim: 64, dim: 128, heads: 2, kvHeads: 1, ropeFactors: 32 },
  {
    name: 'llama-linear-rope', architecture: 'llama',
    keys: { 'rope.scaling.type': string('linear'), 'rope.scaling.factor': f32(4) },
  },
  { name: 'mobilellm', architecture: 'mobilellm', tied: true, judge: { architecture: 'llama' } },
  { name: 'qwen2', architecture: 'qwen2', ropeBase: 1000, epsilon: 1e-6 },
  { name: 'qwen2-tied', architecture: 'qwen2', tied: true, dim: 96, heads: 6, kvHeads: 1 },
  { name: 'qwen3', architecture: 'qwen3', headDim: 32, ropeBase: 1000, epsilon: 1e-6 },
  { name: 'qwen3-tied', architecture: 'qwen3', headDim: 32, tied: true },
  { name: 'gemma3', ...GEMMA, ...GEMMA_WINDOW },
  {
    name: 'gemma3-linear-rope', ...GEMMA, ...GEMMA_WINDOW,
    keys: { ...GEMMA_WINDOW.keys, 'rope.scaling.type': string('linear'), 'rope.scaling.factor': f32(8) },
  },
  { name: 'smollm3', architecture: 'smollm3', blocks: 8, tied: true, ropeBase: 30 },
  // llama.cpp repeats a stack under the name nanbeige only.
  {
    name: 'loops', architecture: 'reprise-llama', program: { loops: 2, skipLoopNorm: false },
    judge: { architecture: 'nanbeige' },
  },
  {
    name: 'loops-skip-norm', architecture: 'reprise-llama', program: { loops: 3, skipLoopNorm: true },
    judge: { architecture: 'nanbeige' },
  },
];

// K types come in blocks of 256 columns, so every matrix is that wide or twice as wide.
const EVERY_TYPE = Object.keys(TENSOR_TYPES).map((type) => ({
  name: `type-${type.toLowerCase()}`, architecture: 'llama', type, dim: 256, ffn: 512, heads: 4, kvHeads: 2, blocks: 2, tied: true,
}));

const named = (models) => models.map((model) => ({ ...model, seed: model.name }));

// F32, so that no rounding of activations hides a small mistake.
export const architectureModels = named(EVERY_ARCHITECTURE).map((model) => ({ ...model, type: 'F32' }));
export const typeModels = named(EVERY_TYPE);

/** The description llama.cpp is given: the same weights, named as it knows them. */
export const judged = ({ judge = {}, ...model }) => ({ ...model, ...judge });
