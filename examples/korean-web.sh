#!/usr/bin/env bash
# The whole system as one story: from Korean pages, English text and Python sources to a trained model.
#
#     examples/korean-web.sh [OUT]        default: out/korean-web; a second run resumes
#
# All data is in the repository (mixtures/demo/). Two cores need a few minutes, a GPU is not used.
# Training needs bibim[torch]: where torch is missing, `make torch` fetches it (6.8 GB with CUDA).
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
out=${1:-out/korean-web}

# Install what a run needs, once.
[ -x .venv/bin/bibim ] || make setup

# Look at one sentence: its language, its component and every signal that a rule can name.
bibim measure "비빔밥은 밥에 나물과 고추장을 얹어 비벼 먹는 한국 음식이다."

# Read the recipe: its sources, the rules in the order in which they decide, the mixture it aims at.
bibim plan mixtures/demo.yaml

# Ingest, identify, measure, deduplicate, redact, screen, score, tokenize and mix.
bibim run mixtures/demo.yaml --out "$out/run"

# Show what each rule dropped, per source and per component.
bibim audit show "$out/run"

# Count every stage again: documents read = kept + dropped + rejected; compare files with manifests.
bibim audit check "$out/run"

# Ask what a quality threshold would drop, from the stored columns: no signal is computed again.
bibim what-if "$out/run" --rule "ko.quality>=0.1"

# Follow one page, in CP949 and without a charset, from its file to its tokens in a shard.
bibim explain "$out/run" ko-cp949-bare.html:0

# Compare the tokenizer with plain BPE: pieces that end on Korean morphemes, bytes per token.
bibim tokenizer stats "$out/run"

# Pre-train a small decoder on the shards: 4.5 million weights, 40 steps of 4,096 tokens.
python -c "import torch" 2>/dev/null || make torch
bibim train pretrain trainer/configs/tiny.yaml --out "$out/tiny" \
  --set mixture="$out/run/mixture" --set run.steps=40 --set run.log_every=10 --set run.held_out=0.05

# Measure bits per byte on held-out documents, per component.
bibim evaluate "$out/tiny"
