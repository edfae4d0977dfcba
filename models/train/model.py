"""The story models: Llamas whose blocks are visited in any order, more than once.

Shapes follow src/: RMSNorm before attention and FFN, grouped KV heads, rotary
pairs in the "rotate halves" layout (export.py permutes Q and K to the layout
that GGUF's llama family stores), SwiGLU, output tied to the embedding.
"""
from dataclasses import dataclass, field

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Shape:
    vocab: int = 2048
    dim: int = 256
    heads: int = 8
    kv_heads: int = 2
    ffn: int = 768
    layer_map: list = field(default_factory=lambda: [0, 0, 1, 1, 2, 2, 3, 3])  # block of each visit
    context: int = 512
    eps: float = 1e-5
    theta: float = 10000.0
    # Depth at run time: blocks loop_first to loop_last run between loop_min and loop_max times. layer_map says loop_max.
    loop_first: int = 0
    loop_last: int = 0
    loop_min: int = 1
    loop_max: int = 1
    dropout: float = 0.1     # of what attention and FFN add, in training only

    @property
    def blocks(self):
        return max(self.layer_map) + 1

    def visits(self, loops):
        """The program at a depth: before, the looped blocks so often, after."""
        core = list(range(self.loop_first, self.loop_last + 1))
        if self.loop_max == 1:
            return self.layer_map
        return list(range(self.loop_first)) + core * loops + list(range(self.loop_last + 1, self.blocks))


class RMSNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Block(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.shape = s
        self.head_dim = s.dim // s.heads
        kv = self.head_dim * s.kv_heads
        self.attn_norm = RMSNorm(s.dim, s.eps)
        self.q = nn.Linear(s.dim, s.dim, bias=False)
        self.k = nn.Linear(s.dim, kv, bias=False)
        self.v = nn.Linear(s.dim, kv, bias=False)
        self.o = nn.Linear(s.dim, s.dim, bias=False)
        self.ffn_norm = RMSNorm(s.dim, s.eps)
        self.gate = nn.Linear(s.dim, s.ffn, bias=False)
        self.up = nn.Linear(s.dim, s.ffn, bias=False)
        self.down = nn.Linear(s.ffn, s.dim, bias=False)

    def forward(self, x, cos, sin, mask):
        s, (batch, time, dim) = self.shape, x.shape
        h = self.attn_norm(x)
        q = self.q(h).view(batch, time, s.heads, self.head_dim).transpose(1, 2)
        k = self.k(h).view(batch, time, s.kv_heads, self.head_dim).transpose(1, 2)
        v = self.v(h).view(batch, time, s.kv_heads, self.head_dim).transpose(1, 2)
        q, k = rotate(q * self.head_dim ** -0.5, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        group = s.heads // s.kv_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        scores = q @ k.transpose(-1, -2) + mask
        mixed = scores.softmax(-1) @ v
        x = x + self.drop(self.o(mixed.transpose(1, 2).reshape(batch, time, dim)))
        h = self.ffn_norm(x)
        return x + self.drop(self.down(F.silu(self.gate(h)) * self.up(h)))

    def drop(self, h):
        return F.dropout(h, self.shape.dropout, self.training)


class StoryModel(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.shape = s
        self.embed = nn.Embedding(s.vocab, s.dim)
        self.blocks = nn.ModuleList(Block(s) for _ in range(s.blocks))
        self.norm = RMSNorm(s.dim, s.eps)
        nn.init.normal_(self.embed.weight, std=0.02)
        for name, p in self.named_parameters():
            if name.endswith(("o.weight", "down.weight")):
                nn.init.zeros_(p)
        half = s.dim // s.heads // 2
        rate = s.theta ** (-torch.arange(half).float() / half)
        angle = torch.arange(s.context).float()[:, None] * rate
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        self.register_buffer("mask", torch.full((s.context, s.context), -1e4).triu(1), persistent=False)

    def forward(self, ids, loops=0):
        """(batch, time, vocab); loops 0: as often as the program says."""
        time = ids.shape[1]
        cos, sin = self.cos[:time], self.sin[:time]
        mask = self.mask[:time, :time]
        if torch.is_autocast_cpu_enabled():
            mask = mask.bfloat16()
        x = F.dropout(self.embed(ids), self.shape.dropout, self.training)
        for block in self.shape.visits(loops or self.shape.loop_max):
            x = self.blocks[block](x, cos, sin, mask)
        return F.linear(self.norm(x), self.embed.weight)
