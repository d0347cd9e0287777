#!/bin/sh
# Install the default into a fresh venv of another Python, run imports and a part of the tests there.
# Usage: tests/python_version.sh PYTHON   (as python3.12)
# Where there is no such interpreter it says NOT RUN and exits with 0. LIMIT: seconds for the tests.
set -eu
python=${1:?usage: tests/python_version.sh PYTHON}
cd "$(dirname "$0")/.."
starts() { "$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
if ! starts >/dev/null && command -v pyenv >/dev/null; then
  # pyenv's shims start only the versions that are switched on; take the newest of that name.
  name=$(pyenv versions --bare | grep "^${python#python}\." | tail -1) || name=
  [ -z "$name" ] || python=$(pyenv prefix "$name")/bin/python
fi
if ! version=$(starts); then
  echo "test-python: NOT RUN: $python is not an interpreter that starts" >&2
  exit 0
fi
venv=build/python$version
mkdir -p build
make --no-print-directory "$venv/.dev-light" PYTHON="$python" VENV="$venv" >"$venv.log" 2>&1 || {
  tail -20 "$venv.log" >&2
  echo "test-python: the install failed; all of its output is in $venv.log" >&2
  exit 1
}
"$venv/bin/python" -m pip --disable-pip-version-check check
# Imports, kernels, a signal, the default models, the solver, and the score stage on Beam.
PYTHONPATH=$PWD timeout "${LIMIT:-170}" "$venv/bin/python" -m pytest -n 0 -q \
  tests/test_imports.py tests/schemas tests/filters/quality/test_embedding.py tests/filters/columnar/test_kernels.py \
  tests/filters/quality/test_quality.py tests/mixtures/mixing/test_solver.py tests/pipelines/inference/test_score.py \
  --deselect tests/pipelines/inference/test_score.py::test_two_workers_write_the_same_bytes_as_one
