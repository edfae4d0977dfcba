"""Gradients that the trainer in models/train must find: `python3 tests/golden/trainer.py OUT.json`. Needs PyTorch (1.13 or later), which
computes them in float64 from the same made-up weights as tests/js/train.test.js.

OUT: [{options, story, loss, tensors: [[rows, columns, norm, along]]}] in the order of the trainer's parameters; `along` is the
gradient's sum with made-up signs. Both have six significant digits."""
import json
import math
import sys

import torch
import torch.nn.functional as F

HEAD, EPS, THETA, LENGTH = 32, 1e-5, 10000.0, 64
SHAPE = dict(vocab=96, dim=96, heads=3, kv_heads=1, ffn=128)
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
    c = SHAPE
    kv = c["kv_heads"] * HEAD
    block = [(1, c["dim"]), (1, c["dim"]), (c["dim"], c["dim"]), (kv, c["dim"]), (kv, c["dim"]), (c["dim"], c["dim"]),
             (c["ffn"], c["dim"]), (c["ffn"], c["dim"]), (c["dim"], c["ffn"])]
    return [(c["vocab"], c["dim"]), (1, c["dim"])] + block * blocks


def normed(x, w):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * w


def turned(x):
    half = HEAD // 2
    angle = torch.arange(x.shape[1]).double()[:, None] * THETA ** (-torch.arange(half).double() / half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()), -1)


def visit(x, w):
    attn_norm, ffn_norm, q, k, v, o, gate, up, down = w
    h = normed(x, attn_norm)
    split = lambda m: (h @ m.T).view(len(h), -1, HEAD).transpose(0, 1)
    queries, keys, values = turned(split(q)), turned(split(k)), split(v)
    group = len(queries) // len(keys)
    keys, values = keys.repeat_interleave(group, 0), values.repeat_interleave(group, 0)
    scores = queries @ keys.transpose(1, 2) / math.sqrt(HEAD)
    scores = scores.masked_fill(torch.ones(len(h), len(h)).triu(1).bool(), -math.inf)
    x = x + (scores.softmax(-1) @ values).transpose(0, 1).reshape(len(h), -1) @ o.T
    h = normed(x, ffn_norm)
    return x + (F.silu(h @ gate.T) * (h @ up.T)) @ down.T


def significant(value):
    return float(f"{value:.6g}")


def result(case):
    source, blocks = numbers(7), max(case["layer_map"]) + 1
    weights = [made(source, *size).squeeze(0).requires_grad_() for size in sizes(blocks)]
    story = [1] + [3 + int((next(source) + 0.5) * (SHAPE["vocab"] - 3)) for _ in range(LENGTH)]
    x = weights[0][story[:-1]]
    for block in case["layer_map"]:
        x = visit(x, weights[2 + 9 * block : 11 + 9 * block])
    loss = F.cross_entropy(normed(x, weights[1]) @ weights[0].T, torch.tensor(story[1:]))
    loss.backward()
    signs = numbers(11)
    tensors = []
    for w, size in zip(weights, sizes(blocks)):
        along = sum(g if next(signs) > 0 else -g for g in w.grad.flatten().tolist())
        tensors.append([*size, significant(w.grad.norm().item()), significant(along)])
    return dict(options={**SHAPE, **case, "length": LENGTH}, story=story, loss=significant(loss.item()), tensors=tensors)


def main():
    text = ",\n".join(json.dumps(result(case)) for case in CASES)
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write(f"[{text}]\n")


if __name__ == "__main__":
    main()
