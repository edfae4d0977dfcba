"""Train a LoRA adapter (Hu 2021) for a story model: python3 adapt.py --from DIR --corpus FILE --out FILE.gguf [--tokens N]

DIR is a run of train.py. The corpus has one story a block, as there; its last stories are held out and written beside the
adapter, as FILE.held.txt. Every matrix of every block gets two low-rank terms, at each visit the same ones. The file is
llama.cpp's (convert_lora_to_gguf.py).
"""
import argparse
import math
import os
import time
from pathlib import Path

import gguf
import sentencepiece
import torch
import torch.nn as nn
import torch.nn.functional as F

from export import adjacent_pairs, architecture
from model import Shape, StoryModel
from train import Batches, nats_per_byte, read_stories

MATRICES = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output", "gate": "ffn_gate", "up": "ffn_up",
            "down": "ffn_down"}
SAVE_SECONDS, STEPS_OF_WARMUP = 120, 20


class Adapted(nn.Module):
    """A matrix W as W + alpha / rank B A; only A and B learn."""

    def __init__(self, linear, rank, alpha):
        super().__init__()
        rows, columns = linear.weight.shape
        self.linear, self.scale = linear, alpha / rank
        self.a = nn.Parameter(torch.randn(rank, columns) / math.sqrt(columns))
        self.b = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, x):
        return self.linear(x) + self.scale * F.linear(F.linear(x, self.a), self.b)


def adapt(model, rank, alpha):
    for p in model.parameters():
        p.requires_grad_(False)
    for block in model.blocks:
        for name in MATRICES:
            setattr(block, name, Adapted(getattr(block, name), rank, alpha))
    return [p for p in model.parameters() if p.requires_grad]


def write(path, model, shape, alpha):
    out = gguf.GGUFWriter(path, architecture(shape))
    out.add_type("adapter")
    out.add_string("adapter.type", "lora")
    out.add_float32("adapter.lora.alpha", alpha)
    out.add_license("MIT")
    heads = {"q": shape.heads, "k": shape.kv_heads}
    for at, block in enumerate(model.blocks):
        for ours, theirs in MATRICES.items():
            m = getattr(block, ours)
            b = adjacent_pairs(m.b.detach(), heads[ours]) if ours in heads else m.b.detach()
            for part, values in (("a", m.a.detach()), ("b", b)):
                out.add_tensor(f"blk.{at}.{theirs}.weight.lora_{part}", values.contiguous().half().numpy())
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main():
    arg = argparse.ArgumentParser(description=__doc__)
    arg.add_argument("--from", dest="folder", required=True)
    arg.add_argument("--corpus", required=True)
    arg.add_argument("--out", required=True)
    arg.add_argument("--tokens", type=float, default=2e6)
    arg.add_argument("--hold", type=int, default=28, help="stories that are not learned")
    arg.add_argument("--rank", type=int, default=8)
    arg.add_argument("--alpha", type=float, default=16.0)
    arg.add_argument("--rate", type=float, default=2e-3)
    a = arg.parse_args()
    torch.manual_seed(1)
    saved = torch.load(Path(a.folder) / "checkpoint.pt")
    shape = Shape(**saved["shape"])
    model = StoryModel(shape)
    model.load_state_dict(saved["model"])
    learned = adapt(model, a.rank, a.alpha)
    stories = read_stories(a.corpus)
    held = stories[-a.hold:]
    Path(a.out + ".held.txt").write_text("\n<|endoftext|>\n".join(held), encoding="utf-8")
    spm = sentencepiece.SentencePieceProcessor(model_file=f"{a.folder}/spm{shape.vocab}.model")
    encoded = [[1, *ids, 2] for ids in spm.encode(stories[: -a.hold])]
    held_ids, held_bytes = [[1, *ids, 2] for ids in spm.encode(held)], sum(len(s.encode("utf-8")) for s in held)
    batches, opt = Batches(encoded, 320, 1), torch.optim.AdamW(learned, lr=a.rate, weight_decay=0.0)
    steps = math.ceil(a.tokens / (12 * 320))
    print(f"held out: {nats_per_byte(model, held_ids, held_bytes):.4f} nats/byte before", flush=True)
    saved_at = time.time()
    for step in range(steps):
        for group in opt.param_groups:
            group["lr"] = a.rate * min(1.0, (step + 1) / STEPS_OF_WARMUP) * (1.0 - step / steps)
        ids, targets = batches.next(12)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(ids)
        loss = F.cross_entropy(logits.float().view(-1, shape.vocab), targets.reshape(-1))
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        opt.step()
        if step % 20 == 0:
            print(f"step {step} of {steps} loss {loss.item():.4f}", flush=True)
        if time.time() - saved_at > SAVE_SECONDS:
            write(a.out + ".part", model, shape, a.alpha)
            saved_at = time.time()
    print(f"held out: {nats_per_byte(model, held_ids, held_bytes):.4f} nats/byte after", flush=True)
    write(a.out + ".part", model, shape, a.alpha)
    os.replace(a.out + ".part", a.out)


if __name__ == "__main__":
    main()
