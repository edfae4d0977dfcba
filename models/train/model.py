"""The story model: a Llama whose blocks are each visited more than once.

Shapes follow src/: RMSNorm before attention and FFN, grouped KV heads, rotary
pairs in the "rotate halves" layout (export.py permutes Q and K to the layout
that GGUF's llama family stores), SwiGLU, output tied to the embedding.
"""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Shape:
    vocab: int = 2048
    dim: int = 256
    blocks: int = 4
    visits: int = 2          # times in a row that each block runs
    heads: int = 8
    kv_heads: int = 2
    ffn: int = 512
    context: int = 512
    eps: float = 1e-5
    theta: float = 10000.0

    @property
    def layer_map(self):
        return [block for block in range(self.blocks) for _ in range(self.visits)]


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
        x = x + self.o(mixed.transpose(1, 2).reshape(batch, time, dim))
        h = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


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

    def forward(self, ids):
        time = ids.shape[1]
        cos, sin = self.cos[:time], self.sin[:time]
        mask = self.mask[:time, :time]
        if torch.is_autocast_cpu_enabled():
            mask = mask.bfloat16()
        x = self.embed(ids)
        for block in self.shape.layer_map:
            x = self.blocks[block](x, cos, sin, mask)
        return F.linear(self.norm(x), self.embed.weight)
