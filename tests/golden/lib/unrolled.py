"""The second way of computing every family: no loops, but a list of visits that each hold their own weights, run token by
token with keys and values kept for each visit, as an engine does it. It shares no arithmetic with reference.py, so that a
slip in a mask, a rotation, a cache slot or an order shows as a difference between the two."""
import math

import torch

LLAMA = {
    "norm_in": "input_layernorm", "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
    "o": "self_attn.o_proj", "norm_mid": "post_attention_layernorm", "gate": "mlp.gate_proj", "up": "mlp.up_proj",
    "down": "mlp.down_proj", "q_norm": "self_attn.q_norm", "k_norm": "self_attn.k_norm",
}
OURO = {**LLAMA, "norm_attn": "input_layernorm_2", "norm_ffn": "post_attention_layernorm_2"}
GEMMA = {
    **LLAMA, "norm_attn": "post_attention_layernorm", "norm_mid": "pre_feedforward_layernorm",
    "norm_ffn": "post_feedforward_layernorm",
}
ALBERT = {
    "norm_in": "attention.LayerNorm", "q": "attention.query", "k": "attention.key", "v": "attention.value",
    "o": "attention.dense", "norm_mid": "full_layer_layer_norm", "gate": "ffn_gate", "up": "ffn", "down": "ffn_output",
}


def gather(w, layer, names, plus=0.0):
    """A visit: its weights by role, and what an engine would keep for it."""
    found = {role: w[f"{layer}.{name}.weight"] for role, name in names.items() if f"{layer}.{name}.weight" in w}
    return {"cache": [], **{role: value + plus if "norm" in role else value for role, value in found.items()}}


def frequencies(c, dim, theta):
    plain = [theta ** (-2 * i / dim) for i in range(dim // 2)]
    s = c.get("rope_scaling")
    if not s:
        return plain

    def stretch(f):
        length = 2 * math.pi / f
        if length < s["original_max_position_embeddings"] / s["high_freq_factor"]:
            return f
        if length > s["original_max_position_embeddings"] / s["low_freq_factor"]:
            return f / s["factor"]
        smooth = (s["original_max_position_embeddings"] / length - s["low_freq_factor"]) / (
            s["high_freq_factor"] - s["low_freq_factor"])
        return (1 - smooth) * f / s["factor"] + smooth * f

    return [stretch(f) for f in plain]


def norm(x, weight, eps):
    return x / math.sqrt(float(x @ x) / len(x) + eps) * weight


def turn(heads, at, rope):
    """Rotation as a product of complex numbers."""
    half = heads.shape[-1] // 2
    pairs = heads.unflatten(-1, (half, 2)) if rope["pairs"] else heads.unflatten(-1, (2, half)).transpose(-1, -2)
    by = torch.polar(torch.ones(half, dtype=torch.float64), torch.tensor([at * f for f in rope["f"]], dtype=torch.float64))
    turned = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * by)
    return (turned if rope["pairs"] else turned.transpose(-1, -2)).flatten(-2)


def attention(x, visit, at, model):
    dim, rope, eps = model["head_dim"], visit.get("rope", model["rope"]), model["eps"]

    def heads(role):
        y = (visit[role] @ x).unflatten(0, (-1, dim)) + visit.get(f"{role}_bias", 0)
        if f"{role}_norm" in visit:
            y = torch.stack([norm(head, visit[f"{role}_norm"], eps) for head in y])
        return turn(y, at, rope) if role in "qk" else y

    q = heads("q")
    cache = visit.get("source", visit)["cache"]
    if "source" not in visit:
        cache.append((heads("k"), heads("v")))
    seen = cache[max(0, len(cache) - visit.get("window", len(cache))) :]
    out = []
    for index, head in enumerate(q):
        group = index * seen[0][0].shape[0] // q.shape[0]
        scores = [math.exp(float(head @ k[group]) / math.sqrt(dim)) for k, _ in seen]
        out.append(sum(score * v[group] for score, (_, v) in zip(scores, seen)) / sum(scores))
    return visit["o"] @ torch.cat(out)


def silu(x):
    return x / (1 + torch.exp(-x))


def gelu(x):
    return x * 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def run_visit(x, visit, at, model):
    eps = model["eps"]
    x = x + visit.get("bias", 0)
    a = attention(norm(x, visit["norm_in"], eps), visit, at, model)
    x = x + (norm(a, visit["norm_attn"], eps) if "norm_attn" in visit else a)
    x = norm(x, visit["norm_sum_attn"], eps) if "norm_sum_attn" in visit else x
    y = norm(x, visit["norm_mid"], eps)
    f = visit["down"] @ (model.get("act", silu)(visit["gate"] @ y) * (visit["up"] @ y))
    x = x + (norm(f, visit["norm_ffn"], eps) if "norm_ffn" in visit else f)
    return norm(x, visit["norm_sum_ffn"], eps) if "norm_sum_ffn" in visit else x


def run(model, ids):
    """Steps are visits (dicts) or functions (x, kept) -> x, where `kept` is a dict that lives for one token."""
    rows = []
    for at, token in enumerate(ids):
        x, kept = model["embed"](token), {}
        for step in model["steps"]:
            x = step(x, kept) if callable(step) else run_visit(x, step, at, model)
        rows.append(model["head"](x))
    return torch.stack(rows)
