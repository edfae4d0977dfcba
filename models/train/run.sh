#!/usr/bin/env bash
# Trains models/stories.gguf again: run.sh CORPUS VALID. Goes on from build/stories/checkpoint.pt when there is one.
# About two hours on two cores. PyTorch comes from Debian; PyPI's default build would bring gigabytes of GPU libraries.
set -euo pipefail
cd "$(dirname "$0")/../.."

corpus=${1:-} valid=${2:-}
if [ ! -f "$corpus" ] || [ ! -f "$valid" ]; then
  echo "usage: make stories CORPUS=tinystories-train.txt VALID=tinystories-val.txt (models/README.md names the files)" >&2
  exit 2
fi

packages=(python3-torch libopenblas0-openmp python3-venv)
if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
  [ "$(id -u)" = 0 ] || { echo "please install: ${packages[*]}" >&2; exit 1; }
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${packages[@]}" >/dev/null
fi
if [ ! -x build/stories/venv/bin/python ]; then
  /usr/bin/python3 -m venv --system-site-packages build/stories/venv
  build/stories/venv/bin/pip install -q -r models/train/requirements.txt
fi

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)}
build/stories/venv/bin/python models/train/train.py --corpus "$corpus" --valid "$valid" --out build/stories
build/stories/venv/bin/python models/train/export.py --from build/stories --out models/stories.gguf
