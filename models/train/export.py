"""Write a trained checkpoint as GGUF: python3 export.py --from DIR --out FILE.gguf [--type Q8_0]

The blocks are stored once; `reprise-llama.layer_map` says when each is visited. The architecture's name keeps older
loaders from running half the layers; a model that visits each block once is a plain "llama". Q and K are permuted from
"rotate halves" to the adjacent pairs of the llama family.
"""
import argparse
from pathlib import Path

import gguf
import sentencepiece
import torch

from model import Shape


def architecture(s):
    return "llama" if s.layer_map == list(range(s.blocks)) else "reprise-llama"


def adjacent_pairs(w, heads):
    rows, columns = w.shape
    return w.reshape(heads, 2, rows // heads // 2, columns).transpose(1, 2).reshape(rows, columns)


def add_vocabulary(out, spm):
    ids = range(spm.get_piece_size())
    kinds = [(spm.is_unknown, gguf.TokenType.UNKNOWN), (spm.is_control, gguf.TokenType.CONTROL),
             (spm.is_byte, gguf.TokenType.BYTE)]
    types = [next((kind for test, kind in kinds if test(i)), gguf.TokenType.NORMAL) for i in ids]
    out.add_tokenizer_model("llama")
    out.add_tokenizer_pre("default")
    out.add_token_list([spm.id_to_piece(i) for i in ids])
    out.add_token_scores([spm.get_score(i) for i in ids])
    out.add_token_types(types)
    out.add_unk_token_id(spm.unk_id())
    out.add_bos_token_id(spm.bos_id())
    out.add_eos_token_id(spm.eos_id())
    out.add_add_bos_token(True)
    out.add_add_eos_token(False)
    out.add_add_space_prefix(True)


def add_shape(out, s):
    out.add_name("Reprise stories")
    out.add_description("A small story model")
    out.add_license("MIT")
    out.add_block_count(s.blocks)
    out.add_context_length(s.context)
    out.add_embedding_length(s.dim)
    out.add_feed_forward_length(s.ffn)
    out.add_head_count(s.heads)
    out.add_head_count_kv(s.kv_heads)
    out.add_layer_norm_rms_eps(s.eps)
    out.add_rope_dimension_count(s.dim // s.heads)
    out.add_rope_freq_base(s.theta)
    out.add_vocab_size(s.vocab)
    if architecture(s) != "llama":
        out.add_array(f"{architecture(s)}.layer_map", s.layer_map)
    if s.loop_max > 1:
        for name in ("first", "last", "min", "max"):
            out.add_uint32(f"{architecture(s)}.loop.{name}", getattr(s, f"loop_{name}"))


def main():
    arg = argparse.ArgumentParser(description=__doc__)
    arg.add_argument("--from", dest="folder", required=True)
    arg.add_argument("--out", required=True)
    arg.add_argument("--type", default="Q8_0", help="of the matrices; norms stay F32")
    a = arg.parse_args()
    saved = torch.load(Path(a.folder) / "checkpoint.pt")
    shape, weights = Shape(**saved["shape"]), {k: v.float() for k, v in saved["model"].items()}
    kind = gguf.GGMLQuantizationType[a.type]
    out = gguf.GGUFWriter(a.out, architecture(shape))
    add_shape(out, shape)
    add_vocabulary(out, sentencepiece.SentencePieceProcessor(model_file=f"{a.folder}/spm{shape.vocab}.model"))

    def add(name, tensor):
        data = tensor.numpy()
        if data.ndim == 2:
            out.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)
        else:
            out.add_tensor(name, data)

    add("token_embd.weight", weights["embed.weight"])
    names = {"attn_norm": "attn_norm", "q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output",
             "ffn_norm": "ffn_norm", "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down"}
    heads = {"q": shape.heads, "k": shape.kv_heads}
    for block in range(shape.blocks):
        for ours, theirs in names.items():
            w = weights[f"blocks.{block}.{ours}.weight"]
            add(f"blk.{block}.{theirs}.weight", adjacent_pairs(w, heads[ours]) if ours in heads else w)
    add("output_norm.weight", weights["norm.weight"])
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main()
