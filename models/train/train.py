"""Train a story model: python3 train.py --corpus FILE --valid FILE --out DIR [--tokens N] [--dim N ...]

The corpus is text with one story a block between <|endoftext|> lines. The run writes a checkpoint every few minutes and
goes on from it when started again, with the same data in the same order. Learning rate: 100 steps of warm-up, constant
for half the tokens, then linear to zero. Muon (Keller Jordan, 2024) for the block matrices, AdamW for the rest.
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

    def __init__(self, encoded, length, seed, epoch=0, at=0):
        self.encoded, self.length, self.seed = encoded, length, seed
        self.shuffle(epoch, at)

    def shuffle(self, epoch, at):
        self.epoch, self.at = epoch, at
        self.order = list(range(len(self.encoded)))
        random.Random(self.seed * 1000 + epoch).shuffle(self.order)

    def row(self):
        row = []
        while len(row) <= self.length:
            if self.at == len(self.order):
                self.shuffle(self.epoch + 1, 0)
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
    def __init__(self, params, lr, decay, momentum=0.95):
        super().__init__(params, dict(lr=lr, decay=decay, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                m = state.setdefault("momentum", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                g = p.grad.lerp(m, group["momentum"])
                p.mul_(1 - group["lr"] * group["decay"])
                p.add_(orthogonal(g), alpha=-group["lr"] * max(1, p.shape[0] / p.shape[1]) ** 0.5)


def optimizers(model, decay):
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and n.startswith("blocks")]
    rest = [p for n, p in model.named_parameters() if p.ndim == 1 or not n.startswith("blocks")]
    return [Muon(matrices, lr=0.02, decay=decay), torch.optim.AdamW(rest, lr=3e-3, betas=(0.9, 0.95), weight_decay=0.0)]


def rate(step, done):
    """Share of the full learning rate at a step, when `done` (0..1) of the tokens are behind."""
    return min(1.0, (step + 1) / WARMUP_STEPS) * min(1.0, max(0.0, (1.0 - done) * 2))


@torch.no_grad()
def nats_per_byte(model, encoded, bytes_total, loops=0):
    """Each story alone after BOS, end token counted; a story longer than the context goes on after BOS again, as in
    `reprise perplexity --split`."""
    model.eval()
    nll, room = 0.0, model.shape.context - 1
    for ids in encoded:
        for at in range(1, len(ids), room):
            window = torch.tensor([1, *ids[at : at + room]])[None]
            nll += F.cross_entropy(model(window[:, :-1], loops)[0].float(), window[0, 1:], reduction="sum").item()
    model.train()
    return nll / bytes_total


def save(path, model, opts, state):
    part = path.with_suffix(".part")
    torch.save(dict(model=model.state_dict(), opts=[o.state_dict() for o in opts], state=state,
                    shape=vars(model.shape)), part)
    os.replace(part, path)


def arguments():
    arg = argparse.ArgumentParser(description=__doc__)
    arg.add_argument("--corpus", required=True)
    arg.add_argument("--valid", required=True)
    arg.add_argument("--out", required=True)
    arg.add_argument("--tokens", type=float, default=20e6)
    arg.add_argument("--length", type=int, default=320)
    arg.add_argument("--batch", type=int, default=12)
    arg.add_argument("--seed", type=int, default=1)
    arg.add_argument("--decay", type=float, default=0.1, help="weight decay of the block matrices")
    for field in ("vocab", "dim", "heads", "kv_heads", "ffn", "loop_first", "loop_last", "loop_min", "loop_max"):
        arg.add_argument("--" + field.replace("_", "-"), type=int, default=getattr(Shape, field))
    arg.add_argument("--dropout", type=float, default=Shape.dropout)
    arg.add_argument("--layer-map", type=lambda text: [int(b) for b in text.split(",")], default=Shape().layer_map,
                     help="block of each visit: 0,0,1,1")
    return arg.parse_args()


class Run:
    """What a checkpoint holds, and the data."""

    def __init__(self, a):
        self.a, self.out = a, Path(a.out)
        self.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(a.seed)
        train, valid = read_stories(a.corpus), read_stories(a.valid)
        spm = tokenizer(train, self.out, a.vocab)
        encoded, self.valid = ([[1, *ids, 2] for ids in spm.encode(stories)] for stories in (train, valid))
        self.valid_bytes = sum(len(s.encode("utf-8")) for s in valid)
        fields = Shape.__dataclass_fields__
        self.model = StoryModel(Shape(**{k: v for k, v in vars(a).items() if k in fields}))
        self.opts = optimizers(self.model, a.decay)
        self.full = [[g["lr"] for g in o.param_groups] for o in self.opts]
        self.state = dict(step=0, tokens=0, seconds=0.0, epoch=0, at=0, log=[])
        self.checkpoint = self.out / "checkpoint.pt"
        if self.checkpoint.exists():
            self.load()
        self.batches = Batches(encoded, a.length, a.seed, self.state["epoch"], self.state["at"])
        print(f"{sum(p.numel() for p in self.model.parameters()):,} parameters, {sum(map(len, encoded)):,} tokens in "
              f"{len(train):,} stories, from step {self.state['step']}", flush=True)

    def load(self):
        saved = torch.load(self.checkpoint)
        self.model.load_state_dict(saved["model"])
        for o, s in zip(self.opts, saved["opts"]):
            o.load_state_dict(s)
        self.state = saved["state"]

    def save(self):
        part = self.checkpoint.with_suffix(".part")
        torch.save(dict(model=self.model.state_dict(), opts=[o.state_dict() for o in self.opts], state=self.state,
                        shape=vars(self.model.shape)), part)
        os.replace(part, self.checkpoint)

    def step(self):
        """One step of the optimizers; returns the loss in nats a token."""
        a, state, shape = self.a, self.state, self.model.shape
        share = rate(state["step"], state["tokens"] / a.tokens)
        for o, rates in zip(self.opts, self.full):
            for group, lr in zip(o.param_groups, rates):
                group["lr"] = lr * share
        ids, targets = self.batches.next(a.batch)
        loops = random.Random(a.seed * 10**6 + state["step"]).randint(shape.loop_min, shape.loop_max)
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.model(ids, loops)
        loss = F.cross_entropy(logits.float().view(-1, a.vocab), targets.reshape(-1))
        for o in self.opts:
            o.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for o in self.opts:
            o.step()
        state.update(step=state["step"] + 1, tokens=state["tokens"] + ids.numel(), epoch=self.batches.epoch,
                     at=self.batches.at)
        return loss.item()

    def score(self, mean):
        shape, state = self.model.shape, self.state
        scores = {n: nats_per_byte(self.model, self.valid, self.valid_bytes, n)
                  for n in range(shape.loop_min, shape.loop_max + 1)}
        state["log"].append((state["tokens"], mean, scores))
        text = ", ".join(f"{v:.4f}" + (f" with {k} loops" if len(scores) > 1 else "") for k, v in scores.items())
        print(f"step {state['step']} tokens {state['tokens']:,} valid {text} nats/byte", flush=True)


def main():
    run = Run(arguments())
    state, finish = run.state, run.a.tokens
    saved_at = scored_at = time.time()
    mean = None
    while state["tokens"] < finish:
        began = time.time()
        loss = run.step()
        state["seconds"] += time.time() - began
        mean = loss if mean is None else 0.98 * mean + 0.02 * loss
        if state["step"] % 50 == 0:
            print(f"step {state['step']} tokens {state['tokens']:,} loss {mean:.4f} "
                  f"{state['tokens'] / state['seconds']:.0f} tokens/s", flush=True)
        finished = state["tokens"] >= finish
        if time.time() - scored_at > SCORE_SECONDS or finished:
            run.score(mean)
            scored_at = time.time()
        if time.time() - saved_at > SAVE_SECONDS or finished:
            run.save()
            saved_at = time.time()
    (run.out / "log.json").write_text(json.dumps(dict(state, shape=vars(run.model.shape))))


if __name__ == "__main__":
    main()
