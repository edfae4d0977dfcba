#!/usr/bin/env bash
# Prints a Python that has the packages of requirements.txt: one of its own in build/stories/venv.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=build/stories/venv wanted=models/train/requirements.txt
if ! cmp -s $wanted $venv/installed; then
  rm -rf $venv
  /usr/bin/python3 -m venv $venv
  $venv/bin/pip install -q -r $wanted >&2
  cp $wanted $venv/installed
fi
echo $venv/bin/python
