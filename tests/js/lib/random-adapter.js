// LoRA adapters in llama.cpp's files, with random terms for a described random model. The same arguments give the same
// bytes.
import { f32, string, writeGGUF } from './gguf-writer.js';
import { randomTensor } from './random-blocks.js';
import { complete } from './random-model.js';

const shapesOf = ({ dim, ffn, heads, kvHeads, headDim }) => ({
  attn_q: [dim, heads * headDim], attn_k: [dim, kvHeads * headDim], attn_v: [dim, kvHeads * headDim],
  attn_output: [heads * headDim, dim], ffn_gate: [dim, ffn], ffn_up: [dim, ffn], ffn_down: [ffn, dim],
});

/**
 * @param {string | null} path
 * @param {Record<string, any>} description of the model, as in random-model.js
 * @param {{ seed: string, targets?: string[], rank?: number, alpha?: number, architecture?: string }} how
 */
export function writeRandomAdapter(path, description, { seed, targets = ['attn_q', 'attn_v', 'ffn_down'], rank = 4, alpha = 8, architecture }) {
  const model = complete(description), shapes = shapesOf(model);
  const term = (name, shape) => ({ name, type: 'F32', shape, data: randomTensor(`${seed} ${name}`, 'F32', shape, { std: 0.2 }) });
  const tensors = Array.from({ length: model.blocks }, (_, block) => targets.flatMap((target) => {
    const [columns, rows] = shapes[target], name = `blk.${block}.${target}.weight`;
    return [term(`${name}.lora_a`, [columns, rank]), term(`${name}.lora_b`, [rank, rows])];
  })).flat();
  const kv = {
    'general.type': string('adapter'), 'general.architecture': string(architecture ?? model.architecture),
    'adapter.type': string('lora'), 'adapter.lora.alpha': f32(alpha),
  };
  return writeGGUF(path, { kv, tensors });
}
