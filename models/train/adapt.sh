#!/usr/bin/env bash
# Trains an adapter of the shipped story model on other stories: adapt.sh TEXT. The last 28 stories of TEXT are held out; what the adapter, and
# proxy-tuning with it, does on them is told in a table. Needs the run `stories` of run.sh. Writes build/stories/tales.gguf.
set -euo pipefail
cd "$(dirname "$0")/../.."

text=${1:-} base=build/stories/stories out=build/stories/tales
if [ ! -f "$text" ] || [ ! -f $base/log.json ] || [ ! -f $base.gguf ]; then
  echo "usage: make adapt TEXT=tales.txt, after make stories" >&2
  exit 2
fi

python=$(models/train/python.sh)
options=$(awk '$1 == "stories" { $1 = ""; gsub(/--(tokens|decay) [^ ]+/, ""); print }' models/train/runs.txt)
"$python" models/train/prepare.py --corpus "$text" --vocabulary build/stories/spm.model --hold 28 --out $out
# shellcheck disable=SC2086  # options are words
build/train/adapt --base $base --data $out/ids --out $out $options --tokens 2e6
"$python" models/train/export.py --adapter $out --out $out.gguf
node models/train/steer.js $base.gguf $out.gguf $out/held.txt
