"""How well `bibim plan --scale` predicts a run, and what its bottlenecks take.

    python benchmarks/scale.py run       runs slices of the corpora, 1/4, 1 and 4 times 10 MB of
                                         text, predicts the largest from the two others
    python benchmarks/scale.py pieces    memory of the solver's order, of components, of labels

CPU time of one worker process; other work on the machine hardly alters it.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import yaml
import zstandard
from warcio.archiveiterator import ArchiveIterator

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks/results/scale.json"
RECIPE = ROOT / "mixtures/ko-en-code.yaml"
TEXT = 227_000_000
"""Bytes of text in the corpora, about."""
TIMES = (0.25, 1, 4)


def chosen(key: bytes, share: float) -> bool:
    """Return whether a record is in the slice; a larger share holds all of a smaller one."""
    return zlib.crc32(key) < share * 2**32


def slice_corpora(corpora: Path, folder: Path, share: float) -> None:
    """Write `share` of each corpus into `folder`, under the same names."""
    folder.mkdir(parents=True)
    for path in sorted(corpora.glob("*.jsonl.zst")):
        with path.open("rb") as file, zstandard.open(folder / path.name, "wb") as out:
            for line in io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file)):
                if chosen(line, share):
                    out.write(line)
    for path in sorted(corpora.glob("*.warc.gz")):
        places = []
        with path.open("rb") as file:
            records = ArchiveIterator(file)
            for record in records:
                name = record.rec_headers.get_header("WARC-Target-URI") or ""
                places.append((records.get_record_offset(), name.encode()))
        data = path.read_bytes()
        ends = [at for at, _ in places[1:]] + [len(data)]
        kept = [
            data[at:end]
            for (at, name), end in zip(places, ends, strict=True)
            if chosen(name, share)
        ]
        (folder / path.name).write_bytes(b"".join(kept))


def run(data: Path, work: Path, megabytes: float) -> None:
    """Run the slices, predict the largest, print and keep the comparison."""
    from bibim.cli.options import load_run
    from pipelines.forecast import costs, measured

    outs = []
    for times in TIMES:
        share = times * megabytes * 1e6 / TEXT
        place, out = work / f"data-{times:g}", work / f"run-{times:g}"
        slice_corpora(data / "corpora", place / "corpora", share)
        (place / "benchmarks").symlink_to((data / "benchmarks").resolve())
        recipe = yaml.safe_load(RECIPE.read_text("utf-8"))
        recipe["data"] = str(place)
        recipe["tokenizer"] |= {"sample": "1MB", "vocab_size": 8000}
        recipe["mixture"] |= {"tokens": int(times * megabytes * 1e5), "allow_short": True}
        (place / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
        command = [sys.executable, "-m", "bibim", "run", str(place / "recipe.yaml")]
        subprocess.run([*command, "--out", str(out), "--workers", "1"], check=True, cwd=ROOT)
        outs.append(measured(out, load_run(out)))
    *known, large = outs
    rows = {}
    predicted = costs(known)
    for name, spent in large.stages.items():
        rows[name] = {
            **{
                f"{times:g}": one.stages[name].cpu_seconds
                for times, one in zip(TIMES, outs, strict=True)
            },
            "foretold": round(predicted[name](large.text_bytes), 2),
            "from_one": round(costs(known[1:])[name](large.text_bytes), 2),
        }
        rows[name]["peak_rss_mb"] = spent.peak_rss_bytes // 1_000_000
    total = {key: round(sum(row[key] for row in rows.values()), 2) for key in rows["ingest"]}
    del total["peak_rss_mb"]
    result = {
        "text_bytes": [one.text_bytes for one in outs],
        "documents": [one.documents for one in outs],
        "duplicates": [one.duplicates for one in outs],
        "left_bytes": [one.bytes for one in outs],
        "steps": rows,
        "all": total,
        "error": round(total["foretold"] / total["4"] - 1, 4),
        "error_from_one": round(total["from_one"] / total["4"] - 1, 4),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result, indent=1))


def pieces(count: int) -> None:
    """Print the memory, above what goes in, of what one process does whole."""
    from filters.dedup.connected import components
    from mixtures.mixing.documents import Documents
    from mixtures.mixing.order import arrange_stages
    from mixtures.mixing.plan import Pool
    from pipelines.dedup.clusters import CLUSTER, MEMBER
    from schemas.mixture import Mixture

    generator = np.random.default_rng(0)
    pools = [Pool("a", "ko"), Pool("b", "en")]
    documents = Documents(
        ids=generator.integers(0, 256, (count, 16), dtype=np.uint8),
        pool=generator.integers(0, 2, count).astype(np.int32),
        tokens=generator.integers(100, 2000, count),
    )
    held = sum(array.nbytes for array in (documents.ids, documents.pool, documents.tokens))
    held += 12 * count  # location of each one's tokens: run and offset
    settings = Mixture.model_validate(
        {
            "tokens": int(documents.tokens.sum() * 0.9),
            "weights": {"ko": 0.5, "en": 0.5},
            "shards": 8,
        }
    )
    tracemalloc.start()
    arrange_stages(documents, pools, settings)
    peak = tracemalloc.get_traced_memory()[1]
    print(f"mix: {(peak + held) / count:.0f} bytes a document")
    tracemalloc.stop()
    edges = generator.integers(0, 2 * count, (count, 2))
    tracemalloc.start()
    components(edges)
    peak = tracemalloc.get_traced_memory()[1]
    print(f"components: {(peak + edges.nbytes) / count:.0f} bytes an edge")
    tracemalloc.stop()
    entry = CLUSTER.itemsize + MEMBER.itemsize
    print(f"labels: {entry} bytes an entry, before it is sorted")


def main() -> None:
    """Run the act that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("act", choices=("run", "pieces"))
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--megabytes", type=float, default=10)
    parser.add_argument("--count", type=int, default=1_000_000)
    given = parser.parse_args()
    if given.act == "pieces":
        pieces(given.count)
    else:
        with tempfile.TemporaryDirectory(prefix="bibim-scale-") as work:
            run(given.data, Path(work), given.megabytes)


if __name__ == "__main__":
    main()
