"""Goldens of the weight-sharing families: `python3 tests/golden/families.py FOLDER OUT.json`, where FOLDER is what
families.js beside this file wrote. Needs PyTorch (1.13 or later). Logits are computed in float64 from the stored weights by
lib/reference.py and compared with lib/unrolled.py's before anything is written.

OUT: {family: {files: {name: SHA-256}, ids, runs: {run: {exits?, logits: {position: [logit of every id]}}}}}. Runs are
`default` (the config as it stands), `loops-N` (a run-time depth) and `exit-T` (Ouro's threshold; `exits` counts loops from
1, for every position). Logits have six significant digits."""
import hashlib
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent / "lib"))
from checkpoint import read_folder  # noqa: E402
from programs import PROGRAMS  # noqa: E402
from reference import MODELS, ouro_exits  # noqa: E402
from unrolled import run  # noqa: E402

IDS = [1, 75, 265, 40, 287, 130, 75, 265, 3, 211]  # a pair comes back, so that attention has something to find
POSITIONS = (0, 4, 9)
DEPTHS = {"ouro": (1, 2, 3), "huginn_raven": (1, 2, 3), "reprise_looped": (1, 2, 3)}
EXIT_THRESHOLD = 0.42
NEAR = 1e-9  # how far the two ways of computing may differ
CLEAR = 5e-3  # how far every exit probability has to be from the threshold


def rounded(values):
    return [float(f"{value:.6g}") for value in values.tolist()]


def checked_logits(config, weights, loops=None):
    kind = config["model_type"]
    depth = {} if loops is None else {"loops": loops}
    logits = MODELS[kind](config, weights, IDS, **depth)
    other = run(PROGRAMS[kind](config, weights, loops), IDS)
    difference = (logits - other).abs().max().item()
    if not difference < NEAR:
        raise ValueError(f"{config['model_type']}: two ways of computing differ by {difference}")
    return logits


def picked(logits):
    return {"logits": {position: rounded(logits[position]) for position in POSITIONS}}


def exit_run(config, weights, depths):
    """Each position's logits are those of the depth it leaves at, because loops do not know how many follow."""
    logits = MODELS["ouro"](config, weights, IDS, threshold=EXIT_THRESHOLD)
    exits, margin = ouro_exits(ouro_states(config, weights), weights, EXIT_THRESHOLD)
    if margin < CLEAR or len(set(exits[list(POSITIONS)].tolist())) < len(POSITIONS):
        raise ValueError(f"a poor threshold: exits {exits.tolist()}, margin {margin}")
    for position, loop in enumerate(exits.tolist()):
        if not torch.allclose(logits[position], depths[loop + 1][position], rtol=0, atol=NEAR):
            raise ValueError(f"position {position} does not leave at loop {loop + 1}")
    return {"exits": [loop + 1 for loop in exits.tolist()], **picked(logits)}


def ouro_states(config, weights):
    """The normed state of each loop: the head of a model whose head is the identity."""
    identity = {**weights, "lm_head.weight": torch.eye(config["hidden_size"], dtype=torch.float64)}
    return [MODELS["ouro"](config, identity, IDS, loops=loops, threshold=1.0) for loops in DEPTHS["ouro"]]


def golden(folder):
    config, weights = read_folder(folder)
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}
    logits = checked_logits(config, weights)
    runs = {"default": picked(logits)}
    depths = {loops: checked_logits(config, weights, loops) for loops in DEPTHS.get(config["model_type"], ())}
    for loops, at_depth in depths.items():
        if not torch.equal(at_depth, logits):
            runs[f"loops-{loops}"] = picked(at_depth)
    if depths and not torch.equal(depths[max(depths)], logits):
        raise ValueError(f"{folder.name}: the deepest run is not the default one")
    if config["model_type"] == "ouro":
        runs[f"exit-{EXIT_THRESHOLD}"] = exit_run(config, weights, depths)
    spread = logits.std().item()
    print(f"{folder.name}: deviation {spread:.2f}, largest {logits.abs().max().item():.2f}, runs {', '.join(runs)}")
    return {"files": files, "ids": IDS, "runs": runs}


def compact(value, indent=""):
    """JSON with every list of numbers on one line."""
    if not isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"))
    inner = indent + " "
    lines = [f"{inner}{json.dumps(str(key))}: {compact(item, inner)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: python3 tests/golden/families.py FOLDER OUT.json")
    folders = sorted(folder for folder in Path(sys.argv[1]).iterdir() if folder.is_dir())
    goldens = {folder.name: golden(folder) for folder in folders}
    Path(sys.argv[2]).write_text(compact(goldens) + "\n")


if __name__ == "__main__":
    main()
