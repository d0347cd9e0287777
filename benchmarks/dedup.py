"""Deduplication and decontamination: recall, noise, throughput, planted benchmark items.

    python benchmarks/dedup.py recall        [--documents 3000]
    python benchmarks/dedup.py noise         --peer PEER/bin/python [--documents 1000]
    python benchmarks/dedup.py throughput    --peer PEER/bin/python [--documents 300]
    python benchmarks/dedup.py decontaminate

Each prints a table and, with `--json FILE`, writes the figures. The settings are the defaults
(`chars`, 5-grams, 128 permutations, threshold 0.8, verified). The peers run in an environment of
their own; see dedup_peers.py. One thread, processor time, kernels compiled before.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from corpora import records, sample  # noqa: E402  (beside this file)

from filters.columnar.kernels import compile_kernels  # noqa: E402
from filters.dedup.connected import components  # noqa: E402  (path above)
from filters.dedup.contamination import build_index, contamination  # noqa: E402
from filters.dedup.items import read_items  # noqa: E402
from filters.dedup.lsh import MISS_WEIGHT, Pairs, band_keys, bands_and_rows, candidates, jaccard  # noqa: E402
from filters.dedup.minhash import shingle_sets, sign  # noqa: E402
from filters.text.repair import repair  # noqa: E402
from schemas.config import Dedup, Ingest  # noqa: E402

CORPORA = ("ko_docs", "ko_reviews", "en_docs", "code")
TRUE_PAIR = 0.85
SETTINGS = Dedup()


def column(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def found_pairs(texts: list[str]) -> tuple[Pairs, np.ndarray[Any, Any]]:
    """Return the verified pairs, and each text's cluster (its own number outside one)."""
    text = column(texts)
    signatures = sign(text, SETTINGS.unit, SETTINGS.ngram, SETTINGS.permutations, SETTINGS.seed)
    bands, rows = bands_and_rows(SETTINGS.threshold, SETTINGS.permutations, MISS_WEIGHT)
    keys = band_keys(signatures, bands, rows)
    owners = np.repeat(np.arange(len(texts), dtype=np.int64), bands)
    pairs = candidates(keys.ravel(), owners)
    values, places = shingle_sets(text, SETTINGS.unit, SETTINGS.ngram)
    at = np.column_stack([places[:-1], places[1:]])
    similar = jaccard(values, at[pairs[:, 0]], values, at[pairs[:, 1]])
    edges = pairs[similar >= SETTINGS.threshold]
    cluster = np.arange(len(texts), dtype=np.int64)
    nodes, labels = components(edges)
    cluster[nodes] = labels
    return edges, cluster


def all_pairs(texts: list[str], least: float) -> tuple[Pairs, np.ndarray[Any, Any]]:
    """Return every pair of texts of that exact Jaccard similarity or more, by brute force."""
    from scipy.sparse import csr_array

    values, places = shingle_sets(column(texts), SETTINGS.unit, SETTINGS.ngram)
    _, numbers = np.unique(values, return_inverse=True)
    ones = np.ones(len(values), np.int32)
    matrix = csr_array((ones, numbers, places), shape=(len(texts), int(numbers.max()) + 1))
    sizes = np.diff(places)
    pairs, similar = [], []
    for start in range(0, len(texts), 200):
        shared = (matrix[start : start + 200] @ matrix.T).tocoo()
        one, other = shared.row + start, shared.col
        ratio = shared.data / (sizes[one] + sizes[other] - shared.data)
        keep = (one < other) & (ratio >= least)
        pairs.append(np.column_stack([one[keep], other[keep]]))
        similar.append(ratio[keep])
    return np.concatenate(pairs), np.concatenate(similar)


def recall(args: argparse.Namespace) -> dict[str, Any]:
    """Of the true pairs how many are in one cluster; of those joined, their similarity."""
    found = {}
    for name in CORPORA:
        # Neighbours in a corpus are its near-copies: documents as they come, not spread out.
        rows = itertools.islice(records(args.data, f"corpora/{name}"), args.documents)
        texts = [row["text"] for row in rows]
        truth, _ = all_pairs(texts, TRUE_PAIR)
        edges, cluster = found_pairs(texts)
        same = cluster[truth[:, 0]] == cluster[truth[:, 1]]
        near, similar = all_pairs(texts, SETTINGS.threshold)
        exact = set(map(tuple, near.tolist()))
        wrong = sum(tuple(edge) not in exact for edge in edges.tolist())
        found[name] = {
            "documents": len(texts),
            "true pairs": len(truth),
            "recall %": round(100 * float(same.mean()) if len(truth) else 100.0, 3),
            "edges": len(edges),
            "edges below the threshold": wrong,
            "pairs 0.8-0.85": int((similar < TRUE_PAIR).sum()),
            "0.85-0.95": int(((similar >= TRUE_PAIR) & (similar < 0.95)).sum()),
            "0.95-1": int((similar >= 0.95).sum()),
        }
    return found


_DIGITS = {ord(str(d)): chr(0xFF10 + d) for d in range(10)}
_MARKS = str.maketrans({".": "。", ",": "，", "!": "！", "?": "？", '"': "”", "'": "’", "-": "–"})


def _spaces_removed(text: str, chance: random.Random) -> str:
    return re.sub(" ", lambda m: "" if chance.random() < 0.3 else " ", text)


def _spaces_added(text: str, chance: random.Random) -> str:
    spaces = max(1, text.count(" "))
    share = 0.3 * spaces / max(1, len(text))
    return "".join(char + (" " if chance.random() < share else "") for char in text)


def _one_sentence(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    full = [at for at, line in enumerate(lines) if line.strip()] or [0]
    lines[chance.choice(full)] = "이 문장은 다른 사람이 바꾸어 쓴 것이다."
    return "\n".join(lines)


NOISE: dict[str, Callable[[str, random.Random], str]] = {
    "30 % of spaces removed": _spaces_removed,
    "30 % of spaces added": _spaces_added,
    "NFD": lambda text, chance: unicodedata.normalize("NFD", text),
    "full-width digits": lambda text, chance: text.translate(_DIGITS),
    "other punctuation": lambda text, chance: text.translate(_MARKS),
    "one line changed": _one_sentence,
}


def noise(args: argparse.Namespace) -> dict[str, Any]:
    """Copies with noise of real documents of 500 characters or more: how many are found."""
    found: dict[str, Any] = {}
    for name in ("ko_docs", "ko_reviews"):
        texts = [t for t in sample(args.data, name, 4 * args.documents) if len(t) >= 500]
        texts = texts[: args.documents]
        for kind, make in NOISE.items():
            chance = random.Random(7)
            copies = [make(text, chance) for text in texts]
            pairs = [text for pair in zip(texts, copies, strict=True) for text in pair]
            # As a run has it: every document is repaired when it is read.
            ours = [repair(text, Ingest().repair)[0] for text in pairs]
            _, cluster = found_pairs(ours)
            row = {"Bibim %": round(100 * float((cluster[::2] == cluster[1::2]).mean()), 2)}
            if args.peer:
                few = list(zip(texts, copies, strict=True))[: args.peer_documents]
                for peer, hits in ask_peer(args.peer, "noise", few).items():
                    row[f"{peer} %"] = round(100 * float(np.mean(hits)), 1)
            found[f"{name}: {kind}"] = {"documents": len(texts), **row}
    return found


def ask_peer(python: str, act: str, rows: list[Any]) -> dict[str, Any]:
    done = subprocess.run(
        [python, str(ROOT / "benchmarks/dedup_peers.py"), act],
        input="".join(json.dumps(row) + "\n" for row in rows),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{python}: {done.stderr.strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def throughput(args: argparse.Namespace) -> dict[str, Any]:
    """Characters a second of one core, the same documents, 128 permutations, 5-grams."""
    found = {}
    for name in CORPORA:
        texts = sample(args.data, name, args.documents)
        chars = sum(map(len, texts)) / 1e6
        text = column(texts)
        times = []
        for _ in range(3):
            begin = time.process_time()
            sign(text, SETTINGS.unit, SETTINGS.ngram, SETTINGS.permutations, SETTINGS.seed)
            times.append(time.process_time() - begin)
        row = {"M characters": round(chars, 2), "Bibim M/s": round(chars / min(times), 1)}
        if args.peer:
            for peer, seconds in ask_peer(args.peer, "throughput", texts).items():
                row[f"{peer} M/s"] = round(chars / seconds, 2)
                row[f"{peer} ratio"] = round(seconds / min(times), 1)
        found[name] = row
    return found


def _planted(item: str, body: str, kind: int) -> str:
    """Return `item` in the middle of `body`, edited lightly: case, spacing, surroundings."""
    edits = (
        lambda text: text,
        str.upper,
        lambda text: re.sub(r" ", "  ", text),
        lambda text: re.sub(r"\s+", "\n", text),
        lambda text: f'"{text}"',
    )
    half = len(body) // 2
    return f"{body[:half]}\n\n{edits[kind % len(edits)](item)}\n\n{body[half:]}"


def decontaminate(args: argparse.Namespace) -> dict[str, Any]:
    """Every benchmark item planted into a document: found; the corpora as they are: flagged."""
    path = args.data / "benchmarks/eval_sets.jsonl.zst"
    items = read_items(str(path))
    index = build_index(items, 13)
    bodies = {name: sample(args.data, name, 400) for name in ("ko_docs", "en_docs", "code")}
    found: dict[str, Any] = {}
    hosts = [bodies[name] for name in sorted(bodies)]
    texts = [_planted(item[1], hosts[at % 3][at % 400][:3000], at) for at, item in enumerate(items)]
    _, _, by = contamination(column(texts), index)
    hit = np.array([name is not None for name in by])
    kinds = sorted({item[0].split(":")[0].split("-")[0] for item in items})
    found["items planted"] = {"n": len(items), "found %": round(100 * float(hit.mean()), 2)}
    missed = [items[at] for at in np.flatnonzero(~hit).tolist()]
    found["missed"] = {"n": len(missed), "ids": " ".join(item[0] for item in missed[:12])}
    found["kinds of ids"] = {"names": " ".join(kinds[:12])}
    for name in ("ko_docs", "en_docs", "code", "ko_reviews"):
        rows = list(records(args.data, f"corpora/{name}"))
        _, _, by = contamination(column([row["text"] for row in rows]), index)
        flagged = [(row["id"], item) for row, item in zip(rows, by, strict=True) if item]
        found[name] = {
            "documents": len(rows),
            "flagged %": round(100 * len(flagged) / len(rows), 4),
            "flagged": " ".join(f"{one}={item}" for one, item in flagged[:20]),
        }
    return found


def show(found: dict[str, Any]) -> None:
    width = max(len(name) for name in found)
    for name, row in found.items():
        print(name.ljust(width), *(f"{key} {value}" for key, value in row.items()), sep="  ")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    acts = {act.__name__: act for act in (recall, noise, throughput, decontaminate)}
    parser.add_argument("act", choices=acts)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--documents", type=int)
    parser.add_argument("--peer", help="the interpreter of the peers' environment")
    parser.add_argument("--peer-documents", type=int, default=100, help="of each kind of noise")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    defaults = {"recall": 3000, "noise": 1000, "throughput": 300, "decontaminate": 0}
    args.documents = args.documents or defaults[args.act]
    compile_kernels(["filters.dedup.minhash", "filters.dedup.lsh", "filters.dedup.contamination"])
    found = acts[args.act](args)
    show(found)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
