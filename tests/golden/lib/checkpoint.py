"""Reads a Hugging Face folder with PyTorch and the standard library alone: config.json and every safetensors file, as
float64 tensors. It knows nothing of any family."""
import json
import struct
from pathlib import Path

import torch

TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}


def read_safetensors(path):
    data = bytearray(path.read_bytes())
    (size,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(data[8 + size + begin : 8 + size + end], dtype=TYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"]).to(torch.float64)
    return tensors


def read_folder(folder):
    """A folder's config and its tensors by name, from one file or from the shards that the index names."""
    folder = Path(folder)
    config = json.loads((folder / "config.json").read_text())
    index = folder / "model.safetensors.index.json"
    files = {"model.safetensors"}
    if index.exists():
        where = json.loads(index.read_text())["weight_map"]
        files = set(where.values())
    tensors = {}
    for file in sorted(files):
        tensors.update(read_safetensors(folder / file))
    if index.exists() and set(where) != set(tensors):
        raise ValueError(f"{folder}: the index and the shards name different tensors")
    return config, tensors
