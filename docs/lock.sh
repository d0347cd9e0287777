#!/bin/sh
# Pin every dependency of pyproject.toml with its hashes into requirements*.lock.
# Usage: docs/lock.sh PYTHON   (Linux x86_64, Python 3.11: the locks are made with these)
# A lock has the hashes of every file of a version, so one made with 3.11 serves later Pythons as
# long as they need no other package; `make test-python` shows whether they do.
set -eu
python=${1:?usage: docs/lock.sh PYTHON}
cd "$(dirname "$0")/.."
tools=build/lock
[ -x "$tools/bin/pip-compile" ] || {
  "$python" -m venv "$tools"
  "$tools/bin/python" -m pip install --quiet pip-tools
}
version=$("$tools/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$version" != 3.11 ]; then
  echo "the locks are made with Python 3.11, not $version; say make lock PYTHON=python3.11" >&2
  exit 1
fi

compile() { # OUTPUT WHAT OPTIONS…
  output=$1 what=$2
  shift 2
  "$tools/bin/pip-compile" --quiet --generate-hashes --strip-extras --allow-unsafe \
    --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
    --no-emit-trusted-host --no-emit-options --output-file "$tools/$output" "$@" pyproject.toml
  if grep -n '://' "$tools/$output"; then
    echo "$output would hold an address; a lock names versions and hashes only" >&2
    exit 1
  fi
  {
    echo "# What $what, pinned: Linux x86_64, Python ${pythons:-3.11}."
    echo "# Made from pyproject.toml by \`make lock\`; installed by ${installer:-\`make\`} with --require-hashes."
    cat "$tools/$output"
  } >"$output"
}

# The development lock first: all others take its versions, so one can follow the other.
compile requirements-dev.lock "tests, lint and types need on top of a run" --extra dev
compile requirements-torch.lock "models in torch and the trainer need on top of a run" \
  --extra torch --constraint requirements-dev.lock
pythons="3.11 to 3.13"
compile requirements.lock "a run needs" --constraint requirements-dev.lock
compile requirements-dev-light.lock "tests, lint and types without torch need" \
  --extra dev-light --constraint requirements-dev.lock
pythons=3.11
installer=deploy/Dockerfile
compile requirements-gcp.lock "a run on Dataflow needs" --extra gcp --constraint requirements-dev.lock
