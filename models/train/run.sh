#!/usr/bin/env bash
# Trains models: run.sh CORPUS VALID [NAME...]. Each name is a line of runs.txt; without names all of the comparison's, one after the
# other. A run lies in build/stories/NAME and goes on from its checkpoint. What is finished is exported to build/stories/NAME.gguf.
set -euo pipefail
cd "$(dirname "$0")/../.."

corpus=${1:-} valid=${2:-}
if [ ! -f "$corpus" ] || [ ! -f "$valid" ]; then
  echo "usage: make stories|compare CORPUS=tinystories-train.txt VALID=tinystories-val.txt (models/README.md names the files)" >&2
  exit 2
fi
shift 2

python=build/stories/venv/bin/python
if [ ! -x $python ]; then
  /usr/bin/python3 -m venv --system-site-packages build/stories/venv
  build/stories/venv/bin/pip install -q -r models/train/requirements.txt
fi

runs=models/train/runs.txt
[ $# -gt 0 ] || set -- $(awk '/^(small|large)-|^depth/ { print $1 }' $runs)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)}
for name in "$@"; do
  out=build/stories/$name
  options=$(awk -v name="$name" '$1 == name { $1 = ""; print }' $runs)
  [ -n "$options" ] || { echo "no run $name in $runs" >&2; exit 2; }
  # shellcheck disable=SC2086  # options are words
  [ -f $out/log.json ] || $python models/train/train.py --corpus "$corpus" --valid "$valid" --out $out $options
  $python models/train/export.py --from $out --out $out.gguf
done
