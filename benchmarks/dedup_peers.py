"""The peers' side of dedup.py: signatures by datatrove, datasketch and rensa.

    PEER/bin/python benchmarks/dedup_peers.py throughput < DOCUMENTS > RESULT
    PEER/bin/python benchmarks/dedup_peers.py noise < PAIRS > RESULT
    PEER/bin/python benchmarks/dedup_peers.py stage FILE.jsonl FOLDER > RESULT

DOCUMENTS: one JSON string a line; RESULT of `throughput`: seconds of processor time by peer, 128
permutations, 5-grams of characters without white space for datasketch and rensa (as ours),
datatrove's own English words. PAIRS: one JSON list [original, copy] a line; RESULT of `noise`: for
each peer, whether its default words and bands find the copy. RESULT of `stage`: seconds
of datatrove's four steps with its defaults, documents kept, clusters of two or more. The
environment is made with

    python -m venv PEER
    PEER/bin/pip install datatrove==0.10.0 datasketch==2.0.0 rensa==0.5.0 spacy nltk tldextract \
        tokenizers ftfy regex "xxhash<4" fasteners
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

N, PERMUTATIONS = 5, 128


def _shingles(text: str) -> list[str]:
    joined = "".join(text.split())
    return [joined[at : at + N] for at in range(max(1, len(joined) - N + 1))]


def _datatrove(buckets: int, hashes: int) -> Any:
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

    config = MinhashConfig(n_grams=N, num_buckets=buckets, hashes_per_bucket=hashes)
    return MinhashDedupSignature("unused", config=config)


def throughput(texts: list[str]) -> dict[str, float]:
    from datasketch import MinHash
    from rensa import RMinHash

    trove = _datatrove(16, 8)

    def by_datatrove(text: str) -> None:
        shingles = trove.get_shingles(text)
        if shingles.size:
            trove.get_signature(shingles)

    def by_datasketch(text: str) -> None:
        MinHash(num_perm=PERMUTATIONS).update_batch([s.encode() for s in _shingles(text)])

    def by_rensa(text: str) -> None:
        minhash = RMinHash(num_perm=PERMUTATIONS, seed=1)
        minhash.update(_shingles(text))
        minhash.digest()

    seconds = {}
    peers: dict[str, Callable[[str], None]] = {
        "datatrove": by_datatrove,
        "datasketch": by_datasketch,
        "rensa": by_rensa,
    }
    for name, peer in peers.items():
        peer(texts[0][:200] or "warm up")
        begin = time.process_time()
        for text in texts:
            peer(text)
        seconds[name] = time.process_time() - begin
    return seconds


def noise(pairs: list[tuple[str, str]]) -> dict[str, list[bool]]:
    """datatrove: 14 buckets of 8, 5-grams of words; datasketch: a set of words at 0.8."""
    from datasketch import MinHash, MinHashLSH

    trove = _datatrove(14, 8)

    def bands(text: str) -> list[list[int]]:
        shingles = trove.get_shingles(text)
        return trove.get_signature(shingles) if shingles.size else []

    found: dict[str, list[bool]] = {"datatrove": [], "datasketch": []}
    for one, other in pairs:
        a, b = bands(one), bands(other)
        found["datatrove"].append(any(x == y for x, y in zip(a, b, strict=False)))
        hashes = []
        for text in (one, other):
            minhash = MinHash(num_perm=PERMUTATIONS)
            minhash.update_batch([word.encode() for word in text.split()])
            hashes.append(minhash)
        index = MinHashLSH(threshold=0.8, num_perm=PERMUTATIONS)
        index.insert("original", hashes[0])
        found["datasketch"].append("original" in index.query(hashes[1]))
    return found


def stage(path: str, folder: str) -> dict[str, float]:
    import os
    import shutil

    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import minhash
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    config = minhash.MinhashConfig()
    inputs = os.path.join(folder, "input")
    os.makedirs(inputs)
    shutil.copy(path, inputs)
    place = {name: os.path.join(folder, name) for name in ("sign", "bucket", "cluster", "kept")}
    steps = [
        ([JsonlReader(inputs), minhash.MinhashDedupSignature(place["sign"], config=config)], 1),
        (
            [minhash.MinhashDedupBuckets(place["sign"], place["bucket"], config=config)],
            config.num_buckets,
        ),
        (
            [
                minhash.MinhashDedupCluster(
                    place["bucket"], place["cluster"], config, save_cluster_size=True
                )
            ],
            1,
        ),
        (
            [
                JsonlReader(inputs),
                minhash.MinhashDedupFilter(place["cluster"], load_cluster_sizes=True),
                JsonlWriter(place["kept"], compression=None),
            ],
            1,
        ),
    ]
    begin = time.monotonic()
    for number, (pipeline, tasks) in enumerate(steps):
        LocalPipelineExecutor(
            pipeline, tasks=tasks, workers=1, logging_dir=os.path.join(folder, f"log{number}")
        ).run()
    seconds = time.monotonic() - begin
    kept = clusters = 0
    for name in os.listdir(place["kept"]):
        with open(os.path.join(place["kept"], name)) as file:
            for line in file:
                kept += 1
                clusters += json.loads(line)["metadata"].get("minhash_cluster_size", 1) > 1
    return {"seconds": round(seconds, 1), "kept": kept, "clusters": clusters}


if __name__ == "__main__":
    np.seterr(over="ignore")
    if sys.argv[1] == "stage":
        print(json.dumps(stage(sys.argv[2], sys.argv[3])))
        sys.exit()
    rows = [json.loads(line) for line in sys.stdin]
    json.dump({"throughput": throughput, "noise": noise}[sys.argv[1]](rows), sys.stdout)
