"""Train the story model: python3 train.py --corpus FILE --valid FILE --out DIR [--tokens N]

The corpus is text with one story a block between <|endoftext|> lines. The run
writes a checkpoint every few minutes and goes on from it when started again.
Learning rate: 100 steps of warm-up, constant for half the tokens, then linear
to zero. Muon (Keller Jordan, 2024) for the block matrices, AdamW for the rest.
"""
import argparse
import json
import os
import random
import time
from pathlib import Path

import sentencepiece
import torch
import torch.nn.functional as F

from model import Shape, StoryModel

WARMUP_STEPS = 100
SAVE_SECONDS, SCORE_SECONDS = 120, 900


def read_stories(path):
    pieces = Path(path).read_text(encoding="utf-8").split("<|endoftext|>")
    return [p.strip() for p in pieces if p.strip()]


def tokenizer(stories, out, vocab):
    """A SentencePiece BPE with byte fallback, trained on the corpus once."""
    prefix = out / f"spm{vocab}"
    if not prefix.with_suffix(".model").exists():
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(line for s in stories for line in s.split("\n")),
            model_prefix=str(prefix), vocab_size=vocab, model_type="bpe", byte_fallback=True,
            character_coverage=0.9999, normalization_rule_name="identity", remove_extra_whitespaces=False,
            unk_id=0, bos_id=1, eos_id=2, pad_id=-1, num_threads=2, minloglevel=1)
    return sentencepiece.SentencePieceProcessor(model_file=str(prefix.with_suffix(".model")))


class Batches:
    """Rows that start at a story's BOS and run on into the next story of a shuffled epoch."""

    def __init__(self, encoded, length, seed):
        self.encoded, self.length, self.random = encoded, length, random.Random(seed)
        self.order, self.at = [], 0

    def row(self):
        row = []
        while len(row) <= self.length:
            if self.at == len(self.order):
                self.order = list(range(len(self.encoded)))
                self.random.shuffle(self.order)
                self.at = 0
            row += self.encoded[self.order[self.at]]
            self.at += 1
        return row[: self.length + 1]

    def next(self, count):
        rows = torch.tensor([self.row() for _ in range(count)])
        return rows[:, :-1], rows[:, 1:]


def orthogonal(g):
    """Five Newton-Schulz steps towards the nearest orthogonal matrix (Muon)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        s = x @ x.T
        x = a * x + (b * s + c * (s @ s)) @ x
    return (x.T if tall else x).float()


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.95):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                m = state.setdefault("momentum", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                g = p.grad.lerp(m, group["momentum"])
                p.add_(orthogonal(g), alpha=-group["lr"] * max(1, p.shape[0] / p.shape[1]) ** 0.5)


def optimizers(model):
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and n.startswith("blocks")]
    rest = [p for n, p in model.named_parameters() if p.ndim == 1 or not n.startswith("blocks")]
    return [Muon(matrices, lr=0.02), torch.optim.AdamW(rest, lr=3e-3, betas=(0.9, 0.95), weight_decay=0.0)]


def rate(step, done):
    """Share of the full learning rate at a step, when `done` (0..1) of the tokens are behind."""
    return min(1.0, (step + 1) / WARMUP_STEPS) * min(1.0, max(0.0, (1.0 - done) * 2))


@torch.no_grad()
def nats_per_byte(model, encoded, bytes_total):
    """Each story alone after BOS, end token counted; a story longer than the context goes on after BOS again, as in
    `reprise perplexity --split`."""
    model.eval()
    nll, room = 0.0, model.shape.context - 1
    for ids in encoded:
        for at in range(1, len(ids), room):
            window = torch.tensor([1, *ids[at : at + room]])[None]
            nll += F.cross_entropy(model(window[:, :-1])[0].float(), window[0, 1:], reduction="sum").item()
    model.train()
    return nll / bytes_total


def save(path, model, opts, state):
    part = path.with_suffix(".part")
    torch.save(dict(model=model.state_dict(), opts=[o.state_dict() for o in opts], state=state,
                    shape=vars(model.shape)), part)
    os.replace(part, path)


def main():
    arg = argparse.ArgumentParser(description=__doc__)
    arg.add_argument("--corpus", required=True)
    arg.add_argument("--valid", required=True)
    arg.add_argument("--out", required=True)
    arg.add_argument("--tokens", type=float, default=15.5e6)
    arg.add_argument("--length", type=int, default=320)
    arg.add_argument("--batch", type=int, default=12)
    arg.add_argument("--steps", type=int, default=0, help="stop after so many steps, for timing")
    for field in ("vocab", "dim", "blocks", "visits", "heads", "kv_heads", "ffn"):
        arg.add_argument("--" + field.replace("_", "-"), type=int, default=getattr(Shape, field))
    a = arg.parse_args()
    out = Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    train, valid = read_stories(a.corpus), read_stories(a.valid)
    spm = tokenizer(train, out, a.vocab)

    def encode(stories):
        return [[1, *ids, 2] for ids in spm.encode(stories)]

    encoded, encoded_valid = encode(train), encode(valid)
    valid_bytes = sum(len(s.encode("utf-8")) for s in valid)
    model = StoryModel(Shape(a.vocab, a.dim, a.blocks, a.visits, a.heads, a.kv_heads, a.ffn))
    opts = optimizers(model)
    state = dict(step=0, tokens=0, seconds=0.0, log=[])
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        for o, s in zip(opts, saved["opts"]):
            o.load_state_dict(s)
        state = saved["state"]
    full = [[g["lr"] for g in o.param_groups] for o in optimizers(model)]
    batches = Batches(encoded, a.length, seed=1 + state["step"])
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, "
          f"{sum(map(len, encoded)):,} tokens in {len(train):,} stories, from step {state['step']}", flush=True)
    saved_at = scored_at = began = time.time()
    mean = None
    while state["tokens"] < a.tokens and not (a.steps and state["step"] >= a.steps):
        share = rate(state["step"], state["tokens"] / a.tokens)
        for o, rates in zip(opts, full):
            for group, lr in zip(o.param_groups, rates):
                group["lr"] = lr * share
        ids, targets = batches.next(a.batch)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(ids)
        loss = F.cross_entropy(logits.float().view(-1, a.vocab), targets.reshape(-1))
        for o in opts:
            o.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in opts:
            o.step()
        now = time.time()
        state["seconds"] += now - began
        began = now
        state["step"] += 1
        state["tokens"] += ids.numel()
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        if state["step"] % 50 == 0:
            print(f"step {state['step']} tokens {state['tokens']:,} loss {mean:.4f} rate {share:.3f} "
                  f"{state['tokens'] / state['seconds']:.0f} tokens/s", flush=True)
        finished = state["tokens"] >= a.tokens
        if now - scored_at > SCORE_SECONDS or finished:
            score = nats_per_byte(model, encoded_valid, valid_bytes)
            state["log"].append((state["tokens"], mean, score))
            print(f"step {state['step']} tokens {state['tokens']:,} valid {score:.4f} nats/byte", flush=True)
            scored_at = time.time()
        if now - saved_at > SAVE_SECONDS or finished:
            save(checkpoint, model, opts, state)
            saved_at = time.time()
        began = time.time()
    (out / "log.json").write_text(json.dumps(state))


if __name__ == "__main__":
    main()
