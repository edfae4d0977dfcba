"""Write what train or adapt made as GGUF: python3 export.py --from DIR --vocabulary spm.model | --adapter DIR, --out FILE.gguf

The blocks are stored once; `reprise-llama.layer_map` says when each is visited. The architecture's name keeps older
loaders from running half the layers; a model that visits each block once is a plain "llama". Q and K are permuted from
"rotate halves" to the adjacent pairs of the llama family. Adapters are written as llama.cpp's convert_lora_to_gguf.py
writes them.
"""
import argparse
import json
from pathlib import Path

import gguf
import numpy
import sentencepiece

EPS, THETA, CONTEXT, PROGRESS_BYTES = 1e-5, 10000.0, 512, 48
MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


class Shape:
    def __init__(self, log):
        self.__dict__.update(log["shape"])
        self.blocks = max(self.layer_map) + 1

    @property
    def architecture(self):
        return "llama" if self.layer_map == list(range(self.blocks)) else "reprise-llama"

    def matrices(self):
        """Rows and columns of each of MATRICES."""
        kv = self.dim // self.heads * self.kv_heads
        rows = (self.dim, kv, kv, self.dim, self.ffn, self.ffn, self.dim)
        return [(n, self.ffn if name == "ffn_down" else self.dim) for n, name in zip(rows, MATRICES)]

    def heads_of(self, name):
        return {"attn_q": self.heads, "attn_k": self.kv_heads}.get(name)


class Values:
    """The floats of a checkpoint, in order."""

    def __init__(self, path):
        self.all, self.at = numpy.fromfile(path, "<f4", offset=PROGRESS_BYTES), 0

    def take(self, *shape):
        count = int(numpy.prod(shape))
        self.at += count
        return self.all[self.at - count : self.at].reshape(shape)


def adjacent_pairs(w, heads):
    rows, columns = w.shape
    return w.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns) if heads else w


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
    out.add_context_length(CONTEXT)
    out.add_embedding_length(s.dim)
    out.add_feed_forward_length(s.ffn)
    out.add_head_count(s.heads)
    out.add_head_count_kv(s.kv_heads)
    out.add_layer_norm_rms_eps(EPS)
    out.add_rope_dimension_count(s.dim // s.heads)
    out.add_rope_freq_base(THETA)
    out.add_vocab_size(s.vocab)
    if s.architecture != "llama":
        out.add_array(f"{s.architecture}.layer_map", s.layer_map)
    if s.loop_max > 1:
        for name in ("first", "last", "min", "max"):
            out.add_uint32(f"{s.architecture}.loop.{name}", getattr(s, f"loop_{name}"))


def add_model(out, s, values, kind):
    add_shape(out, s)

    def add(name, data):
        if data.ndim == 2:
            out.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)
        else:
            out.add_tensor(name, data)

    add("token_embd.weight", values.take(s.vocab, s.dim))
    norm = values.take(s.dim)
    for block in range(s.blocks):
        add(f"blk.{block}.attn_norm.weight", values.take(s.dim))
        add(f"blk.{block}.ffn_norm.weight", values.take(s.dim))
        for name, (rows, columns) in zip(MATRICES, s.matrices()):
            w = adjacent_pairs(values.take(rows, columns), s.heads_of(name))
            add(f"blk.{block}.{name}.weight", numpy.ascontiguousarray(w))
    add("output_norm.weight", norm)


def add_adapter(out, s, values, log):
    rank = log["rank"]
    out.add_type("adapter")
    out.add_string("adapter.type", "lora")
    out.add_float32("adapter.lora.alpha", log["alpha"])
    out.add_license("MIT")
    for block in range(s.blocks):
        for name, (rows, columns) in zip(MATRICES, s.matrices()):
            a, b = values.take(rank, columns), adjacent_pairs(values.take(rows, rank), s.heads_of(name))
            for part, data in (("a", a), ("b", b)):
                out.add_tensor(f"blk.{block}.{name}.weight.lora_{part}", numpy.ascontiguousarray(data, "<f2"))


def main():
    arg = argparse.ArgumentParser(description=__doc__)
    what = arg.add_mutually_exclusive_group(required=True)
    what.add_argument("--from", dest="folder", type=Path, help="a run of train")
    what.add_argument("--adapter", type=Path, help="a run of adapt")
    arg.add_argument("--vocabulary", help="the run's spm.model")
    arg.add_argument("--out", required=True, type=Path)
    arg.add_argument("--type", default="Q8_0", help="of the matrices; norms stay F32")
    a = arg.parse_args()
    if a.folder and not a.vocabulary:
        arg.error("--from needs --vocabulary")
    log = json.loads(((a.folder or a.adapter) / "log.json").read_text())
    s, part = Shape(log), a.out.with_suffix(".part")
    out = gguf.GGUFWriter(part, s.architecture)
    values = Values(a.folder / "checkpoint" if a.folder else a.adapter / "adapter")
    if a.folder:
        add_model(out, s, values, gguf.GGMLQuantizationType[a.type])
        add_vocabulary(out, sentencepiece.SentencePieceProcessor(model_file=a.vocabulary))
    else:
        add_adapter(out, s, values, log)
    if a.adapter and values.at != values.all.size:
        arg.error(f"{a.adapter} is not an adapter of the shape and rank in its log.json")
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    part.rename(a.out)


if __name__ == "__main__":
    main()
