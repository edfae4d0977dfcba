"""For each family the list of steps that unrolled.py runs: every visit written out, with a copy of its weights' names."""
import math

import torch

from unrolled import ALBERT, GEMMA, LLAMA, OURO, frequencies, gather, gelu, norm


def base(c, w, steps, **more):
    dim = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    theta = (c.get("rope_parameters") or c)["rope_theta"]
    eps = c["rms_norm_eps"]
    words = w.get("model.embed_tokens.weight")
    last = w.get("model.norm.weight")
    head = w.get("lm_head.weight", words)
    return {
        "head_dim": dim, "eps": eps, "rope": {"pairs": False, "f": frequencies(c, dim, theta)}, "steps": steps,
        "embed": lambda token: words[token], "head": lambda x: head @ norm(x, last, eps), **more,
    }


def llama(c, w, _loops):
    layers = range(c["num_hidden_layers"])
    order = [i for i in layers for _ in (0, 1)] if c.get("layer_sharing") else list(layers)
    steps = [gather(w, f"model.layers.{i}", LLAMA) for i in order]
    for step in steps:
        for role in ("gate", "up", "down"):
            step.setdefault(role, steps[0][role])
    return base(c, w, steps)


def nandi(c, w, _loops):
    order = [i // 2 for i in range(2 * c["num_hidden_layers"])]
    words, enter, leave = (w[f"{name}.weight"] for name in ("model.embed_tokens", "model.embedding_proj", "lm_head_proj"))
    return base(
        c, w, [gather(w, f"model.layers.{i}", LLAMA) for i in order], embed=lambda token: enter @ words[token],
        head=lambda x: words @ (leave @ norm(x, w["model.norm.weight"], c["rms_norm_eps"])))


def stack_loops(c, w, loops, names, between):
    """The stack repeated; `between` says whether the last norm stands between loops. The head norms once in any case."""
    steps = []
    for loop in range(loops):
        if loop and between:
            steps.append(lambda x, _: norm(x, w["model.norm.weight"], c["rms_norm_eps"]))
        steps += [gather(w, f"model.layers.{i}", names) for i in range(c["num_hidden_layers"])]
    return base(c, w, steps)


def nanbeige(c, w, _loops):
    return stack_loops(c, w, c["num_loops"], LLAMA, not c["skip_loop_final_norm"])


def ouro(c, w, loops):
    return stack_loops(c, w, loops or c["total_ut_steps"], OURO, True)


def albert(c, w, _loops):
    order = [(0, 0), (0, 1)] * 3 + [(1, 0), (1, 1)] * 3
    if (c["num_hidden_layers"], c["num_hidden_groups"], c["inner_group_num"]) != (6, 2, 2):
        raise ValueError("this order is written for 6 layers, 2 groups of 2")
    words, enter, leave = (w[f"{name}.weight"] for name in (
        "albert.embeddings.word_embeddings", "albert.encoder.embedding_hidden_mapping_in", "predictions.dense"))
    return base(
        c, w, [gather(w, f"albert.encoder.albert_layer_groups.{g}.albert_layers.{i}", ALBERT) for g, i in order],
        embed=lambda token: enter @ words[token],
        head=lambda x: words @ (leave @ norm(x, w["albert.LayerNorm.weight"], c["rms_norm_eps"])))


def raven_visit(w, layer):
    q, k, v = w[f"{layer}.attn.Wqkv.weight"].chunk(3)
    gate, up = w[f"{layer}.mlp.fc.weight"].chunk(2)
    q_bias, k_bias = w[f"{layer}.attn.qk_bias"][:, 0]
    roles = ("norm_in", "norm_sum_attn", "norm_mid", "norm_sum_ffn")
    norms = {role: w[f"{layer}.norm_{i}.weight"] for i, role in enumerate(roles, 1)}
    return {
        "cache": [], "q": q, "k": k, "v": v, "q_bias": q_bias, "k_bias": k_bias, "gate": gate, "up": up, **norms,
        "o": w[f"{layer}.attn.proj.weight"], "down": w[f"{layer}.mlp.proj.weight"],
    }


def raven(c, w, loops):
    dim, eps = c["n_embd"] // c["n_heads"], c["norm_eps"]
    words, last, adapter = (w[f"transformer.{name}.weight"] for name in ("wte", "ln_f", "adapter"))

    def keep(x, kept):
        kept["e"] = x
        return torch.zeros_like(x)

    def adapt(x, kept):
        return adapter[:, : c["n_embd"]] @ x + adapter[:, c["n_embd"] :] @ kept["e"]

    steps = [raven_visit(w, "transformer.prelude.0"), keep]
    for _ in range(loops or c["mean_recurrence"]):
        steps += [adapt, raven_visit(w, "transformer.core_block.0"), raven_visit(w, "transformer.core_block.1")]
    steps += [lambda x, _: norm(x, last, eps), raven_visit(w, "transformer.coda.0")]
    return {
        "head_dim": dim, "eps": eps, "rope": {"pairs": True, "f": frequencies({}, dim, c["rope_base"])}, "steps": steps,
        "embed": lambda token: words[token] * c["init_values"]["embed_scale"],
        "head": lambda x: w["lm_head.weight"] @ norm(x, last, eps),
    }


def gemma3(c, w, _loops):
    steps = [gather(w, f"model.layers.{i}", GEMMA, 1.0) for i in range(6)]
    local = {"pairs": False, "f": frequencies({}, c["head_dim"], c["rope_local_base_freq"])}
    for index in (0, 1, 3, 4):
        steps[index] |= {"rope": local, "window": c["sliding_window"]}
    for index, source in ((3, 1), (4, 1), (5, 2)):
        steps[index]["source"] = steps[source]
    words, last = w["model.embed_tokens.weight"], 1 + w["model.norm.weight"]
    return base(
        c, w, steps, act=gelu, embed=lambda token: words[token] * math.sqrt(c["hidden_size"]),
        head=lambda x: words @ norm(x, last, c["rms_norm_eps"]))


def looped_visit(w, index, visit):
    own = f"model.layers.{index}.visits.{visit}"
    step = {**gather(w, f"model.layers.{index}", LLAMA), **{k: v for k, v in gather(w, own, LLAMA).items() if k != "cache"}}
    step["bias"] = w.get(f"{own}.step_bias", 0)
    if f"{own}.self_attn.q_proj.lora_A.weight" in w:
        step["q"] = step["q"] + w[f"{own}.self_attn.q_proj.lora_B.weight"] @ w[f"{own}.self_attn.q_proj.lora_A.weight"]
    return step


def looped(c, w, loops):
    def keep(x, kept):
        kept["e"] = x
        return x

    steps = [looped_visit(w, 0, 0), keep]
    for loop in range(loops or c["num_loops"]):
        steps += [lambda x, kept: x + kept["e"]] if loop else []
        steps += [looped_visit(w, 1, loop), looped_visit(w, 2, loop)]
    return base(c, w, [*steps, looped_visit(w, 3, 0)])


PROGRAMS = {
    "llama": llama, "mobilellm": llama, "nandi": nandi, "nanbeige": nanbeige, "ouro": ouro, "albert_decoder": albert,
    "huginn_raven": raven, "gemma3_text": gemma3, "reprise_looped": looped,
}
