#!/usr/bin/env python3
"""Writes tests/golden/invalid-utf8.json: what llama.cpp makes of bytes that are no UTF-8, which JavaScript strings
cannot carry, and the bytes of every token and the tokens that end a turn. Asks the library that npm node-llama-cpp
ships; the vocabularies are those that tests/js/tokenizer.test.js writes, so run that first.

    python3 tests/golden/make-invalid-utf8.py
"""
import ctypes
import glob
import hashlib
import json
import os
import random
import struct
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
VOCABULARIES = ["llama2", "gpt2", "llama3", "qwen3", "gemma3"]
VOCAB_ONLY = 72  # where llama_model_params has that flag in the pinned release
FIXED = [b"\xff", b"\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"a\xc3 b", b"\xc3\x20\xa9", b"\xe2 \x96\x81", b"\xc0\x80",
         b"\xc1\xbf", b"\xe0\x80\xaf", b"\xed\xa0\x80\xed\xb0\x80", b"\xf0\x82\x82\xac", b"\xf8\x88\x80\x80\x80", b"\xfe\xff",
         b"ok \xf0\x9f\x98\x80\xf0\x9f \n\xbf\xbf!", b"\xe4\xbd\xa0\xe5\xa5", b"' \x80s", b"'\xff", b"12\xff34",
         b"\xc0\xa0\xefthe", b"\xc0\xa7s", b"a\xc0\x8a\xc0\x8a b", b"\xc0\xb1\xc0\xb22"]


def library():
    pattern = os.path.join(ROOT, "tests/node_modules/@node-llama-cpp/linux-x64/bins/*/")
    folder = (glob.glob(pattern) or sys.exit("npm install in tests/ first"))[0]
    for part in ("libggml-base.so", "libggml.*so"):
        for path in glob.glob(os.path.join(folder, part)):
            ggml = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    ggml.ggml_backend_load_all_from_path(folder.encode())
    return ctypes.CDLL([f for f in glob.glob(folder + "libllama.*so") if "common" not in f][0])


class Params(ctypes.Structure):
    """llama_model_params and what may come behind it."""
    _fields_ = [("bytes", ctypes.c_uint8 * 512)]


LLAMA = library()
QUIET = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
POINTER, INT = ctypes.c_void_p, ctypes.c_int32
LLAMA.llama_log_set(QUIET, None)
LLAMA.llama_model_default_params.restype = Params
LLAMA.llama_model_load_from_file.restype = POINTER
LLAMA.llama_model_load_from_file.argtypes = [ctypes.c_char_p, Params]
LLAMA.llama_model_get_vocab.restype = POINTER
LLAMA.llama_model_get_vocab.argtypes = [POINTER]
LLAMA.llama_vocab_n_tokens.argtypes = [POINTER]
LLAMA.llama_vocab_is_eog.restype = ctypes.c_bool
LLAMA.llama_vocab_is_eog.argtypes = [POINTER, INT]
LLAMA.llama_tokenize.argtypes = [POINTER, ctypes.c_char_p, INT, POINTER, INT, ctypes.c_bool, ctypes.c_bool]
LLAMA.llama_token_to_piece.argtypes = [POINTER, INT, ctypes.c_char_p, INT, INT, ctypes.c_bool]


def tokenize(vocab, text):
    ids = (INT * (3 * len(text) + 16))()
    return list(ids[:LLAMA.llama_tokenize(vocab, text, len(text), ids, len(ids), False, True)])


def pieces_hash(vocab, count):
    digest, buffer = hashlib.sha256(), ctypes.create_string_buffer(65536)
    for token in range(count):
        size = LLAMA.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, False)
        digest.update(struct.pack("<I", size) + buffer.raw[:size])
    return digest.hexdigest()


def texts():
    generator = random.Random(1)
    pick, below = generator.choice, generator.randrange
    made = list(FIXED)
    while len(made) < 100:
        text = b"".join(pick([bytes([1 + below(255)]), bytes([128 + below(128)]), b" ", b"a", b"\n", b"the ", b"<s>",
                              "é€😀".encode()[:1 + below(9)]]) for _ in range(1 + below(12)))
        # llama.cpp ends the process on a code point above U+10FFFF
        if not any(a > 0xf4 or (a == 0xf4 and b > 0x8f) for a, b in zip(text, text[1:] + b"\0")):
            made.append(text)
    return made


def main():
    params = LLAMA.llama_model_default_params()
    params.bytes[VOCAB_ONLY] = 1
    golden = {}
    for name in VOCABULARIES:
        path = os.path.join(ROOT, "build/tests/vocabularies", name + ".gguf")
        model = LLAMA.llama_model_load_from_file(path.encode(), params) or sys.exit("cannot load " + path)
        vocab = LLAMA.llama_model_get_vocab(model)
        count = LLAMA.llama_vocab_n_tokens(vocab)
        golden[name] = {
            "ends": [token for token in range(count) if LLAMA.llama_vocab_is_eog(vocab, token)],
            "pieces_sha256": pieces_hash(vocab, count),
            "texts": [[text.hex(), tokenize(vocab, text)] for text in texts()],
        }
    lines = ",\n".join('"%s": {\n"ends": %s,\n"pieces_sha256": "%s",\n"texts": [\n%s\n]}' % (
        name, json.dumps(of["ends"]), of["pieces_sha256"], ",\n".join(json.dumps(t, separators=(",", ":")) for t in of["texts"]))
        for name, of in golden.items())
    with open(os.path.join(ROOT, "tests/golden/invalid-utf8.json"), "w", encoding="ascii") as file:
        file.write("{\n%s\n}\n" % lines)


main()
