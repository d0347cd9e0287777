#!/bin/sh
# Pin every dependency of pyproject.toml with its hashes into requirements*.lock.
# Usage: docs/lock.sh PYTHON   (Linux x86_64, Python 3.11: the locks are made for these)
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
    echo "# What $what, pinned: Linux x86_64, Python 3.11."
    echo "# Made from pyproject.toml by \`make lock\`; installed by ${installer:-\`make\`} with --require-hashes."
    cat "$tools/$output"
  } >"$output"
}

# The development lock first: the runtime's takes the same versions, so one can follow the other.
compile requirements-dev.lock "tests, lint and types need on top of a run" --extra dev
compile requirements.lock "a run needs" --constraint requirements-dev.lock
installer=deploy/Dockerfile
compile requirements-gcp.lock "a run on Dataflow needs" --extra gcp --constraint requirements-dev.lock
