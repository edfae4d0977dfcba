#!/usr/bin/env bash
# Prints a Python that has the packages of requirements.txt: one of its own in build/stories/venv.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=build/stories/venv
if [ ! -f $venv/done ]; then
  rm -rf $venv
  /usr/bin/python3 -m venv $venv
  $venv/bin/pip install -q -r models/train/requirements.txt >&2
  touch $venv/done
fi
echo $venv/bin/python
