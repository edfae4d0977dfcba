"""What each weight-sharing family computes, in float64 over a whole sequence at once and without a cache, written from the
papers and from how the public code behaves (named in families-llama.js and families-own.js). A model is
f(config, weights, ids, ...) -> logits [positions, vocabulary]; matrices are [out, in]."""
import math

import torch
import torch.nn.functional as F

from arithmetic import angles, attend, rms_norm, rotate_halves, rotate_pairs


class Llama:
    """Llama's block on tensors under their Hugging Face names, and what stands before and behind all blocks."""

    def __init__(self, config, weights, ids):
        self.c, self.w, self.ids = config, weights, ids
        self.eps = config["rms_norm_eps"]
        self.head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        rope = config.get("rope_parameters") or config
        scaling = config.get("rope_scaling") or (rope if rope.get("rope_type", "default") != "default" else None)
        self.turn = angles(len(ids), self.head_dim, rope["rope_theta"], scaling)

    def embed(self):
        return self.w["model.embed_tokens.weight"][self.ids]

    def norm(self, x):
        return rms_norm(x, self.w["model.norm.weight"], self.eps)

    def head(self, x):
        tied = self.c["tie_word_embeddings"] or self.c.get("share_embedding")
        return F.linear(x, self.w["model.embed_tokens.weight" if tied else "lm_head.weight"])

    def attention(self, x, matrices):
        q, k, v = (F.linear(x, matrices[part]).unflatten(-1, (-1, self.head_dim)) for part in "qkv")
        return F.linear(attend(rotate_halves(q, self.turn), rotate_halves(k, self.turn), v), matrices["o"])

    def matrices(self, index):
        return {part: self.w[f"model.layers.{index}.self_attn.{part}_proj.weight"] for part in "qkvo"}

    def mlp(self, x, index):
        gate, up, down = (self.w[f"model.layers.{index}.mlp.{part}_proj.weight"] for part in ("gate", "up", "down"))
        return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)

    def block(self, x, index, mlp=None):
        layer = f"model.layers.{index}"
        x = x + self.attention(rms_norm(x, self.w[f"{layer}.input_layernorm.weight"], self.eps), self.matrices(index))
        normed = rms_norm(x, self.w[f"{layer}.post_attention_layernorm.weight"], self.eps)
        return x + self.mlp(normed, index if mlp is None else mlp)


def llama(config, weights, ids):
    """Each block once, or twice in a row where MobileLLM's layer_sharing is set; MobiLlama's one MLP is found by its name."""
    m = Llama(config, weights, ids)
    x = m.embed()
    one_mlp = config["architectures"] == ["MobiLlamaForCausalLM"]
    for index in range(config["num_hidden_layers"]):
        for _ in range(2 if config.get("layer_sharing") else 1):
            x = m.block(x, index, 0 if one_mlp else None)
    return m.head(m.norm(x))


def nandi(config, weights, ids):
    m = Llama(config, weights, ids)
    x = F.linear(m.embed(), weights["model.embedding_proj.weight"])
    for index in range(config["num_hidden_layers"]):
        for _ in range(config["layer_sharing_repeats"] if config["layer_sharing"] else 1):
            x = m.block(x, index)
    return m.head(F.linear(m.norm(x), weights["lm_head_proj.weight"]))


def nanbeige(config, weights, ids):
    m = Llama(config, weights, ids)
    x = m.embed()
    for _ in range(config["num_loops"]):
        for index in range(config["num_hidden_layers"]):
            x = m.block(x, index)
        if not config["skip_loop_final_norm"]:
            x = m.norm(x)
    return m.head(m.norm(x) if config["skip_loop_final_norm"] else x)


class Ouro(Llama):
    def block(self, x, index, mlp=None):
        layer = f"model.layers.{index}"

        def norm(y, name):
            return rms_norm(y, self.w[f"{layer}.{name}.weight"], self.eps)

        x = x + norm(self.attention(norm(x, "input_layernorm"), self.matrices(index)), "input_layernorm_2")
        return x + norm(self.mlp(norm(x, "post_attention_layernorm"), index), "post_attention_layernorm_2")


def ouro_exits(states, weights, threshold):
    """The loop (from 0) that each position leaves at, as in ByteDance's code: the gate of a loop takes its share of what
    earlier ones left, the last loop takes the rest, and the first loop at which the sum reaches the threshold is the
    exit. Also how near any sum came to the threshold, so that a golden does not hang on the last bit."""
    left = torch.ones(states[0].shape[0], dtype=torch.float64)
    sums = []
    for state in states[:-1]:
        gate = F.linear(state, weights["model.early_exit_gate.weight"], weights["model.early_exit_gate.bias"])
        left = left * (1 - torch.sigmoid(gate.squeeze(-1)))
        sums.append(1 - left)
    reached = torch.stack([*(total >= threshold for total in sums), torch.ones_like(left, dtype=torch.bool)])
    margin = min((total - threshold).abs().min().item() for total in sums)
    return reached.to(torch.int64).argmax(0), margin


def ouro(config, weights, ids, loops=None, threshold=None):
    """Every loop is computed for every position; the exit only picks the state that the head sees."""
    m = Ouro(config, weights, ids)
    x = m.embed()
    states = []
    for _ in range(loops or config["total_ut_steps"]):
        for index in range(config["num_hidden_layers"]):
            x = m.block(x, index)
        x = m.norm(x)
        states.append(x)
    threshold = config["early_exit_threshold"] if threshold is None else threshold
    if len(states) == 1:
        return m.head(x)
    exits, _ = ouro_exits(states, weights, threshold)
    return m.head(torch.stack(states)[exits, torch.arange(len(ids))])


ALBERT_NAMES = {
    "input_layernorm": "attention.LayerNorm", "post_attention_layernorm": "full_layer_layer_norm",
    "self_attn.q_proj": "attention.query", "self_attn.k_proj": "attention.key", "self_attn.v_proj": "attention.value",
    "self_attn.o_proj": "attention.dense", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn", "mlp.down_proj": "ffn_output",
}


def albert(config, weights, ids):
    """Llama's block under ALBERT's names: inner layer i of group g is Llama's layer g * inner_group_num + i here."""
    groups, inner = config["num_hidden_groups"], config["inner_group_num"]
    named = {"model.norm.weight": weights["albert.LayerNorm.weight"]}
    for index in range(groups * inner):
        layer = f"albert.encoder.albert_layer_groups.{index // inner}.albert_layers.{index % inner}"
        for ours, theirs in ALBERT_NAMES.items():
            named[f"model.layers.{index}.{ours}.weight"] = weights[f"{layer}.{theirs}.weight"]
    m = Llama(config, named, ids)
    words = weights["albert.embeddings.word_embeddings.weight"]
    x = F.linear(words[ids], weights["albert.encoder.embedding_hidden_mapping_in.weight"])
    for layer in range(config["num_hidden_layers"]):
        group = layer // (config["num_hidden_layers"] // groups)
        for index in range(group * inner, (group + 1) * inner):
            x = m.block(x, index)
    return F.linear(F.linear(m.norm(x), weights["predictions.dense.weight"]), words)


def raven_block(x, layer, w, c, turn):
    heads, eps = c["n_heads"], c["norm_eps"]
    q, k, v = F.linear(rms_norm(x, w[f"{layer}.norm_1.weight"], eps), w[f"{layer}.attn.Wqkv.weight"]).chunk(3, -1)
    q, k, v = (part.unflatten(-1, (heads, -1)) for part in (q, k, v))
    if c["qk_bias"]:
        q, k = q + w[f"{layer}.attn.qk_bias"][0], k + w[f"{layer}.attn.qk_bias"][1]
    mixed = attend(rotate_pairs(q, turn), rotate_pairs(k, turn), v)
    x = rms_norm(x + F.linear(mixed, w[f"{layer}.attn.proj.weight"]), w[f"{layer}.norm_2.weight"], eps)
    gate, up = F.linear(rms_norm(x, w[f"{layer}.norm_3.weight"], eps), w[f"{layer}.mlp.fc.weight"]).chunk(2, -1)
    return rms_norm(x + F.linear(F.silu(gate) * up, w[f"{layer}.mlp.proj.weight"]), w[f"{layer}.norm_4.weight"], eps)


def raven(config, weights, ids, loops=None):
    """The state starts from zero; ln_f stands behind the last recurrence and again before the head."""
    turn = angles(len(ids), config["n_embd"] // config["n_heads"], config["rope_base"])

    def blocks(x, part, count):
        for index in range(count):
            x = raven_block(x, f"transformer.{part}.{index}", weights, config, turn)
        return x

    def final(x):
        return rms_norm(x, weights["transformer.ln_f.weight"], config["norm_eps"])

    words = weights["transformer.wte.weight"]
    e = blocks(words[ids] * config["init_values"]["embed_scale"], "prelude", config["n_layers_in_prelude"])
    state = torch.zeros_like(e)
    for _ in range(loops or config["mean_recurrence"]):
        state = F.linear(torch.cat((state, e), -1), weights["transformer.adapter.weight"])
        state = blocks(state, "core_block", config["n_layers_in_recurrent_block"])
    return F.linear(final(blocks(final(state), "coda", config["n_layers_in_coda"])), words)


def gemma3(config, weights, ids):
    eps, dim, kinds = config["rms_norm_eps"], config["head_dim"], config["layer_types"]
    first_shared = len(kinds) - config["num_kv_shared_layers"]
    turns = {
        "sliding_attention": angles(len(ids), dim, config["rope_local_base_freq"]),
        "full_attention": angles(len(ids), dim, config["rope_theta"]),
    }
    windows = {"sliding_attention": config["sliding_window"], "full_attention": None}
    words = weights["model.embed_tokens.weight"]
    x = words[ids] * math.sqrt(config["hidden_size"])
    latest = {}  # keys and values of the last layer of each kind that has its own
    for index, kind in enumerate(kinds):
        w = {name[len(f"model.layers.{index}.") : -len(".weight")]: value for name, value in weights.items()
             if name.startswith(f"model.layers.{index}.")}

        def norm(y, name):
            return rms_norm(y, 1 + w[name], eps)

        def heads(y, part):
            return F.linear(y, w[f"self_attn.{part}_proj"]).unflatten(-1, (-1, dim))

        normed = norm(x, "input_layernorm")
        q = rotate_halves(norm(heads(normed, "q"), "self_attn.q_norm"), turns[kind])
        if index < first_shared:
            k = rotate_halves(norm(heads(normed, "k"), "self_attn.k_norm"), turns[kind])
            latest[kind] = k, heads(normed, "v")
        mixed = F.linear(attend(q, *latest[kind], windows[kind]), w["self_attn.o_proj"])
        x = x + norm(mixed, "post_attention_layernorm")
        normed = norm(x, "pre_feedforward_layernorm")
        gate = F.gelu(F.linear(normed, w["mlp.gate_proj"]), approximate="tanh")
        x = x + norm(F.linear(gate * F.linear(normed, w["mlp.up_proj"]), w["mlp.down_proj"]), "post_feedforward_layernorm")
    return F.linear(rms_norm(x, 1 + weights["model.norm.weight"], eps), words)


class Looped(Llama):
    def visit(self, x, index, visit):
        prefix = f"model.layers.{index}.visits.{visit}"

        def own(name):
            return self.w.get(f"{prefix}.{name}.weight", self.w[f"model.layers.{index}.{name}.weight"])

        def adapted(part):
            a, b = (self.w.get(f"{prefix}.self_attn.{part}_proj.lora_{side}.weight") for side in "AB")
            matrix = self.w[f"model.layers.{index}.self_attn.{part}_proj.weight"]
            return matrix if a is None else matrix + b @ a

        x = x + self.w.get(f"{prefix}.step_bias", 0)
        matrices = {part: adapted(part) for part in "qkvo"}
        x = x + self.attention(rms_norm(x, own("input_layernorm"), self.eps), matrices)
        return x + self.mlp(rms_norm(x, own("post_attention_layernorm"), self.eps), index)


def looped(config, weights, ids, loops=None):
    if config["loop_injection"] != "add":
        raise ValueError(f"loop injection {config['loop_injection']}")
    m = Looped(config, weights, ids)
    first, last = config["loop_first"], config["loop_last"]
    x = m.embed()
    for index in range(first):
        x = m.visit(x, index, 0)
    entered = x
    for loop in range(loops or config["num_loops"]):
        if loop > 0:
            x = x + entered
        for index in range(first, last + 1):
            x = m.visit(x, index, loop)
    for index in range(last + 1, config["num_hidden_layers"]):
        x = m.visit(x, index, 0)
    return m.head(m.norm(x))


MODELS = {
    "llama": llama, "mobilellm": llama, "nandi": nandi, "nanbeige": nanbeige, "ouro": ouro, "albert_decoder": albert,
    "huginn_raven": raven, "gemma3_text": gemma3, "reprise_looped": looped,
}
