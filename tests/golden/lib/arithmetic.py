"""What the families' blocks are made of, in float64 and over all positions at once."""
import math

import torch


def rms_norm(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def llama3_frequencies(frequencies, scaling):
    """Llama 3.1's bands: short waves stay, long ones are stretched by the factor, those between are blended."""
    low, high, factor = scaling["low_freq_factor"], scaling["high_freq_factor"], scaling["factor"]
    waves = scaling["original_max_position_embeddings"] * frequencies / (2 * math.pi)
    blend = ((waves - low) / (high - low)).clamp(0, 1)
    return frequencies * (blend + (1 - blend) / factor)


def angles(size, dim, theta, scaling=None):
    """[positions, dim / 2]"""
    frequencies = theta ** -(torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    if scaling:
        if scaling["rope_type"] != "llama3":
            raise ValueError(f"RoPE scaling {scaling['rope_type']}")
        frequencies = llama3_frequencies(frequencies, scaling)
    return torch.outer(torch.arange(size, dtype=torch.float64), frequencies)


def rotate_halves(x, turn):
    """x: [positions, heads, head_dim]; element i turns with element i + head_dim / 2"""
    a, b = x.chunk(2, -1)
    cos, sin = turn.cos()[:, None], turn.sin()[:, None]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def rotate_pairs(x, turn):
    """As rotate_halves, but element 2i turns with element 2i + 1."""
    cos, sin = turn.cos()[:, None], turn.sin()[:, None]
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2)


def attend(q, k, v, window=None):
    """Causal attention; q [positions, heads, head_dim], k and v with a head for each group of query heads. A window of n
    shows a position itself and n - 1 before it."""
    size, heads, dim = q.shape
    k, v = (x.repeat_interleave(heads // x.shape[1], 1) for x in (k, v))
    scores = torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(dim)
    far = torch.arange(size)[:, None] - torch.arange(size)
    hidden = far < 0 if window is None else (far < 0) | (far >= window)
    weights = scores.masked_fill(hidden, -math.inf).softmax(-1)
    return torch.einsum("hij,jhd->ihd", weights, v).flatten(1)
