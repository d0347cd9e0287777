#!/bin/sh
# Measure an install from nothing, in a temporary copy of the committed tree and without pip's cache.
# Usage: docs/install_size.sh PYTHON [dev-light|torch|dev]   (none: the default install, `make setup`)
# Prints seconds, MB fetched (sizes of the packages' files, from pip's report), MB on disk, and
# the largest packages.
set -eu
python=${1:?usage: docs/install_size.sh PYTHON [dev-light|torch|dev]}
target=${2:-setup}
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT INT TERM
git archive HEAD | tar -x -C "$copy"
log=$copy/.install.log
start=$(date +%s)
PIP_NO_CACHE_DIR=1 PIP_PROGRESS_BAR=off make -C "$copy" "$target" PYTHON="$python" >"$log" 2>&1 || {
  tail -20 "$log" >&2
  echo "make $target failed" >&2
  exit 1
}
seconds=$(($(date +%s) - start))
fetched=$(sed -nE 's/.*Downloading .* \(([0-9.]+) ([kMG])B\).*/\1 \2/p' "$log" |
  awk '{ s += $1 * ($2 == "G" ? 1000 : $2 == "M" ? 1 : 0.001) } END { printf "%.0f", s }')
echo "make $target: $seconds s, $fetched MB fetched, $(du -sm "$copy" | cut -f1) MB on disk"
du -sm "$copy"/.venv/lib/python*/site-packages/* | sort -rn | head -12 |
  sed "s|$copy/.venv/lib/python[0-9.]*/site-packages/||"
