"""Prints the hashes that tests/c/convert_quantize_test.c holds our quantizers to: `python3 tests/golden/quantize.py`.

They are FNV-1a hashes of what ggml's reference quantizers (quantize_row_*_ref of the llama.cpp library that the other goldens
come from) make of the same rows as that test makes. Needs tests/node_modules, on Linux on x86-64.
"""
import ctypes
import pathlib
import struct

LIBRARY = "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so"
TYPES = [("q4_0", 32, 18), ("q4_1", 32, 20), ("q5_0", 32, 22), ("q8_0", 32, 34), ("q4_K", 256, 144), ("q6_K", 256, 210)]
ROWS, COLUMNS = 64, 512
MASK = (1 << 64) - 1


class Random:
    """test_random of tests/c/test.h, from seed 1."""

    def __init__(self):
        self.state = 1

    def bits(self):
        self.state = z = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def bell(self):
        return sum((self.bits() >> 40) - (1 << 23) for _ in range(4)) / (1 << 23)


def value(random, kind, column):
    """Each is exact in double precision and rounded once, when it becomes a float."""
    if kind == "bell":
        return random.bell()
    if kind == "small":
        return random.bell() / 64
    if kind == "ties":
        return -8 if column % 32 == 0 else ((random.bits() >> 40) % 33 - 16) / 2
    if kind == "eighths":
        return 127 if column % 32 == 0 else ((random.bits() >> 40) % 509 - 254) / 2
    if kind == "outlier":
        return -100 if column % 256 == 77 else random.bell()
    if kind == "levels":
        return random.bell() / (1 << column // 32 % 4)
    if kind == "positive":
        return 1000 + random.bell()
    return 0


def fnv(data):
    result = 0xCBF29CE484222325
    for byte in data:
        result = ((result ^ byte) * 0x100000001B3) & MASK
    return result


def main():
    ggml = ctypes.CDLL(str(pathlib.Path(__file__).resolve().parent.parent / LIBRARY))
    for kind in ["bell", "small", "ties", "eighths", "outlier", "levels", "positive", "zeros"]:
        random = Random()
        count = ROWS * COLUMNS
        floats = (ctypes.c_float * count)(*[value(random, kind, i % COLUMNS) for i in range(count)])
        hashes = []
        for name, block, size in TYPES:
            out = ctypes.create_string_buffer(count // block * size)
            getattr(ggml, f"quantize_row_{name}_ref")(floats, out, ctypes.c_int64(count))
            hashes.append(f"0x{fnv(out.raw):016x}")
        print(f"{{{', '.join(hashes)}}}, /* {kind} */")


main()
