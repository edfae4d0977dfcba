"""Gradients that the trainer in models/train must find: `python3 tests/golden/trainer.py OUT.json`. Needs PyTorch (1.13 or later), which
computes them in float64 from the same made-up weights as tests/js/train.test.js.

OUT: [{options, story, loss, tensors: [[rows, columns, norm, along]]}] in the order of the trainer's parameters; `along` is the
gradient's sum with made-up signs. Both have six significant digits."""
import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent / "lib"))
from reference import Llama  # noqa: E402

HEAD, LENGTH = 32, 64
SHAPE = dict(vocab=96, dim=96, heads=3, kv_heads=1, ffn=128)
CONFIG = dict(hidden_size=SHAPE["dim"], num_attention_heads=SHAPE["heads"], rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=True)
CASES = [dict(layer_map=[0, 1, 0]), dict(layer_map=[0, 1, 1, 2], loop_first=1, loop_last=1, loop_min=2, loop_max=2)]


def numbers(seed):
    """-0.5 to 0.5, the same as in the test."""
    while True:
        seed = (seed * 1664525 + 1013904223) % 2**32
        yield seed / 2**32 - 0.5


def made(source, rows, columns):
    if rows == 1:
        return torch.tensor([1 + 0.4 * next(source) for _ in range(columns)], dtype=torch.float32).double()
    scale = 3.4 / math.sqrt(columns)
    return torch.tensor([next(source) * scale for _ in range(rows * columns)], dtype=torch.float32).double().view(rows, columns)


def sizes(blocks):
    """Name, rows and columns of each parameter, in the trainer's order."""
    dim, ffn, kv = SHAPE["dim"], SHAPE["ffn"], SHAPE["kv_heads"] * HEAD
    block = [("input_layernorm", 1, dim), ("post_attention_layernorm", 1, dim), ("self_attn.q_proj", dim, dim),
             ("self_attn.k_proj", kv, dim), ("self_attn.v_proj", kv, dim), ("self_attn.o_proj", dim, dim),
             ("mlp.gate_proj", ffn, dim), ("mlp.up_proj", ffn, dim), ("mlp.down_proj", dim, ffn)]
    of_blocks = [(f"layers.{i}.{name}", *size) for i in range(blocks) for name, *size in block]
    return [("embed_tokens", SHAPE["vocab"], dim), ("norm", 1, dim)] + of_blocks


def significant(value):
    return float(f"{value:.6g}")


def result(case):
    source, shapes = numbers(7), sizes(max(case["layer_map"]) + 1)
    weights = {f"model.{name}.weight": made(source, *size).squeeze(0).requires_grad_() for name, *size in shapes}
    story = [1] + [3 + int((next(source) + 0.5) * (SHAPE["vocab"] - 3)) for _ in range(LENGTH)]
    model = Llama(CONFIG, weights, story[:-1])
    x = model.embed()
    for block in case["layer_map"]:
        x = model.block(x, block)
    loss = F.cross_entropy(model.head(model.norm(x)), torch.tensor(story[1:]))
    loss.backward()
    signs = numbers(11)
    tensors = []
    for w, (_, *size) in zip(weights.values(), shapes):
        along = sum(g if next(signs) > 0 else -g for g in w.grad.flatten().tolist())
        tensors.append([*size, significant(w.grad.norm().item()), significant(along)])
    return dict(options={**SHAPE, **case, "length": LENGTH}, story=story, loss=significant(loss.item()), tensors=tensors)


def main():
    text = ",\n".join(json.dumps(result(case)) for case in CASES)
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write(f"[{text}]\n")


if __name__ == "__main__":
    main()
