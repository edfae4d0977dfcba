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
[ $# -gt 0 ] || set -- $(awk '/^(small|large)-/ { print $1 }' $runs)
for name in "$@"; do
  grep -q "^${name%@*} " $runs || { echo "no run ${name%@*} in $runs" >&2; exit 2; }
done
python=$(models/train/python.sh)
export python
corpus_sum=$(sha256sum <"$corpus")
if [ ! -f $out/ids ]; then
  "$python" models/train/prepare.py --corpus "$corpus" --out $out
  echo "$corpus_sum" >$out/corpus
elif [ "$corpus_sum" != "$(cat $out/corpus)" ]; then
  echo "$out/ids is of another corpus; move $out away to begin anew" >&2
  exit 2
fi

run() {
  local name=$1 options
  options=$(awk -v name="${name%@*}" '$1 == name { $1 = ""; print }' $runs)
  [ "$name" = "${name%@*}" ] || options+=" --seed ${name#*@}"
  mkdir -p "$out/$name"
  # shellcheck disable=SC2086  # options are words
  [ -f "$out/$name/log.json" ] || build/train/train --data $out/ids --out "$out/$name" $options 2>&1 | sed -u "s/^/$name: /"
  [ "$out/$name.gguf" -nt "$out/$name/log.json" ] ||
    "$python" models/train/export.py --from "$out/$name" --vocabulary $out/spm.model --out "$out/$name.gguf"
}
export -f run
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 bash -euo pipefail -c 'run "$1" || { echo "$1 failed" >&2; exit 255; }' run
