"""The loss curves of a pre-training run as a picture, 5-gram models beside them.

    python benchmarks/curves.py RUN --picture docs/trainer-curves.png [--ngram FILE]

RUN is the folder of `bibim train pretrain`; its `metrics.jsonl` is read. `--ngram`: what
`benchmarks/trainer.py ngram --json FILE` wrote, drawn as one dashed line a component.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt  # after the backend is chosen

NAMES = {"ko": "Korean", "en": "English", "code": "code"}
COLOURS = {"ko": "#c2410c", "en": "#1d4ed8", "code": "#15803d"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--ngram", type=Path)
    args = parser.parse_args()
    lines = (args.run / "metrics.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4), dpi=110, layout="constrained")
    trained = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    left.plot(*zip(*trained, strict=True), color="#6b7280", linewidth=0.9, label="training, all")
    grams = json.loads(args.ngram.read_text("utf-8")) if args.ngram else {}
    for name, colour in COLOURS.items():
        for axis, figure_name in ((left, "loss"), (right, "bits_per_byte")):
            key = f"held_out/{name}/{figure_name}"
            points = [(row["step"], row[key]) for row in rows if key in row]
            if points:
                axis.plot(*zip(*points, strict=True), color=colour, label=NAMES[name], marker=".")
        if name in grams:
            level = grams[name]["5-gram bits/byte"]
            right.axhline(level, color=colour, linestyle="--", linewidth=0.9)
    left.set(xlabel="step", ylabel="nats a token", title="Loss, held-out documents")
    right.set(xlabel="step", ylabel="bits per byte", title="Held out; dashed: 5-gram")
    for axis in (left, right):
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=8)
    figure.savefig(args.picture)
    print(args.picture)


if __name__ == "__main__":
    main()
