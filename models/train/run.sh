#!/usr/bin/env bash
# Trains models: run.sh CORPUS [NAME...]. Each name is a line of runs.txt, NAME@SEED the same with another seed; without names all of the
# comparison's. As many runs at once as there are cores. A run lies in build/stories/NAME and goes on from its checkpoint; what is finished
# is exported to build/stories/NAME.gguf.
set -euo pipefail
cd "$(dirname "$0")/../.."

corpus=${1:-}
if [ ! -f "$corpus" ]; then
  echo "usage: make stories|compare CORPUS=tinystories-train.txt (models/README.md names the file)" >&2
  exit 2
fi
shift

export out=build/stories runs=models/train/runs.txt
python=$(models/train/python.sh)
export python
[ -f $out/ids ] || "$python" models/train/prepare.py --corpus "$corpus" --out $out
[ $# -gt 0 ] || set -- $(awk '/^(small|large)-/ { print $1 }' $runs)

run() {
  local name=$1 options
  options=$(awk -v name="${name%@*}" '$1 == name { $1 = ""; print }' $runs)
  [ -n "$options" ] || { echo "no run ${name%@*} in $runs" >&2; exit 2; }
  [ "$name" = "${name%@*}" ] || options+=" --seed ${name#*@}"
  mkdir -p "$out/$name"
  # shellcheck disable=SC2086  # options are words
  [ -f "$out/$name/log.json" ] || build/train/train --data $out/ids --out "$out/$name" $options | sed -u "s/^/$name: /"
  "$python" models/train/export.py --from "$out/$name" --vocabulary $out/spm.model --out "$out/$name.gguf"
}
export -f run
printf '%s\n' "$@" | xargs -P "$(nproc)" -I NAME bash -euo pipefail -c 'run NAME'
