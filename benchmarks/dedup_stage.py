"""The whole stage `dedup` against datatrove's four steps and text-dedup, on all corpora.

    python benchmarks/dedup_stage.py --peer PEER/bin/python --text-dedup OTHER/bin/python

Each has one core (one worker); seconds are of the clock, of all its steps. Two tables:

`as they are`: the corpora with everybody's defaults. Bibim reads documents, signs them with 128
permutations of character 5-grams, verifies pairs, writes annotations; ingest and measure are not
counted.
`same units`: every word replaced by one of plain letters, so that all three cut the same words;
5-grams of words, 14 bands of 8 rows, nothing verified: the numbers of clusters are comparable.
Permutations are random, so twelve seeds of ours show how far chance alone moves them.

PEER is the environment of dedup_peers.py; OTHER is made with `pip install text-dedup==0.4.0`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from corpora import records  # noqa: E402  (beside this file)

CORPORA = ("ko_docs", "ko_reviews", "en_docs", "code")
SAME = {"unit": "words", "ngram": 5, "bands": 14, "rows": 8, "verify": False}


def plain_word(word: str) -> str:
    """Return letters only, the same for the same word, that no tokenizer cuts."""
    digest = hashlib.blake2b(word.encode(), digest_size=6).hexdigest()
    return "q" + digest.translate(str.maketrans("0123456789", "ghijklmnop"))


def write_corpora(data: Path, folder: Path, share: float) -> int:
    """Write the documents of five words or more as they are, and in plain words."""
    count = 0
    with (folder / "raw.jsonl").open("w") as raw, (folder / "same.jsonl").open("w") as same:
        for name in CORPORA:
            for number, row in enumerate(records(data, f"corpora/{name}")):
                words = re.findall(r"\w+", row["text"].lower())
                if len(words) < 5 or int(number * share) == int((number - 1) * share):
                    continue
                count += 1
                plain = " ".join(map(plain_word, words))
                raw.write(json.dumps({"id": str(count), "text": row["text"]}) + "\n")
                same.write(json.dumps({"id": str(count), "text": plain}) + "\n")
    return count


def ours(path: Path, out: Path, dedup: dict[str, Any]) -> dict[str, Any]:
    """Run the stages up to `dedup`; return its seconds, documents kept and clusters."""
    import pyarrow.parquet as pq

    from pipelines.driver import Run
    from pipelines.engine.progress import LogReporter
    from pipelines.runners.runner import Runner
    from schemas.config import Config

    config = Config.model_validate(
        {
            "name": "stage",
            "sources": {"all": {"component": "en", "path": str(path)}},
            "ingest": {"repair": []},
            "dedup": dedup,
            "mixture": {"weights": {"en": 1}},
        }
    )
    run = Run(config, out, Runner("local", 1), LogReporter())
    run.execute(("ingest", "identify", "measure"))
    begin = time.monotonic()
    run.execute(("dedup",))
    seconds = time.monotonic() - begin
    clusters: set[bytes] = set()
    kept = 0
    for shard in sorted((out / "annotations/dedup").glob("*.parquet")):
        table = pq.read_table(shard, columns=["duplicate", "cluster_id"])
        kept += table.column("duplicate").to_pylist().count(False)
        clusters.update(table.column("cluster_id").drop_null().to_pylist())
    return {"seconds": round(seconds, 1), "kept": kept, "clusters": len(clusters)}


def by_datatrove(python: str, path: Path, work: Path) -> dict[str, Any]:
    done = subprocess.run(
        [python, str(ROOT / "benchmarks/dedup_peers.py"), "stage", str(path), str(work)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{python}: {done.stderr.strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def by_text_dedup(python: str, path: Path, work: Path, extra: list[str]) -> dict[str, Any]:
    out = work / "out"
    command = [python, "-m", "text_dedup.minhash", "--path", "json", "--data_files", str(path)]
    command += ["--split", "train", "--cache_dir", str(work / "cache"), "--output", str(out)]
    command += ["--column", "text", "--num_proc", "1", "--debug", *extra]
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=work)
    seconds = time.monotonic() - begin
    if done.returncode:
        sys.exit(f"{python}: {done.stderr.strip()[-2000:]}")
    kept, pairs = json.loads(
        subprocess.run(
            [python, "-c", READ_TEXT_DEDUP, str(out)], capture_output=True, check=True
        ).stdout
    )
    return {"seconds": round(seconds, 1), "kept": kept, "clusters": _sets(dict(pairs))}


READ_TEXT_DEDUP = """
import json, pickle, sys, datasets
found = pickle.load(open(sys.argv[1] + "/uf.pkl", "rb"))
parents = found if isinstance(found, dict) else found.parent
print(json.dumps([len(datasets.load_from_disk(sys.argv[1])), list(parents.items())]))
"""


def spread(path: Path, seeds: int) -> dict[str, Any]:
    """Return the least and the most clusters and documents kept that our own seeds give."""
    import numpy as np
    import pyarrow as pa

    from filters.dedup.connected import components
    from filters.dedup.lsh import band_keys, candidates
    from filters.dedup.minhash import sign

    with path.open() as file:
        texts = pa.array([json.loads(line)["text"] for line in file], pa.large_string())
    clusters, kept = [], []
    for seed in range(1, seeds + 1):
        keys = band_keys(sign(texts, "words", 5, 14 * 8, seed), 14, 8)
        owners = np.repeat(np.arange(len(texts)), 14)
        nodes, labels = components(candidates(keys.ravel(), owners, chain=False))
        clusters.append(len(np.unique(labels)))
        kept.append(len(texts) - len(nodes) + clusters[-1])
    return {
        "kept": f"{min(kept)} to {max(kept)}",
        "clusters": f"{min(clusters)} to {max(clusters)}",
    }


def _sets(parent: dict[int, int]) -> int:
    """Return how many sets of two or more a union-find holds."""

    def root(node: int) -> int:
        while parent.get(node, node) != node:
            node = parent[node]
        return node

    return sum(size > 1 for size in Counter(root(node) for node in parent).values())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--peer", required=True, help="the interpreter of datatrove's environment")
    parser.add_argument("--text-dedup", required=True, help="that of text-dedup's environment")
    parser.add_argument("--share", type=float, default=1.0, help="of the documents")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    from pipelines.runners.precompile import precompile

    precompile()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="dedup-stage-") as name:
        folder = Path(name)
        documents = write_corpora(args.data, folder, args.share)
        for kind, settings, extra in (
            ("raw", {}, []),
            ("same", SAME, ["--num_perm", "112", "--b", "14", "--r", "8"]),
        ):
            path = folder / f"{kind}.jsonl"
            for part in ("ours", "datatrove", "text-dedup"):
                (folder / kind / part).mkdir(parents=True)
            rows = {"Bibim": ours(path, folder / kind / "ours", settings)}
            rows["datatrove"] = by_datatrove(args.peer, path, folder / kind / "datatrove")
            rows["text-dedup"] = by_text_dedup(
                args.text_dedup, path, folder / kind / "text-dedup", extra
            )
            for peer in ("datatrove", "text-dedup"):
                rows[peer]["ratio"] = round(rows[peer]["seconds"] / rows["Bibim"]["seconds"], 1)
            if kind == "same":
                rows["Bibim, 12 seeds"] = spread(path, 12)
            title = "as they are" if kind == "raw" else "same units"
            found[title] = {"documents": documents, **rows}
            print(f"{title}, {documents:,} documents", flush=True)
            for who, row in rows.items():
                print(f"  {who.ljust(15)}", *(f"{k} {v}" for k, v in row.items()), sep="  ")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
