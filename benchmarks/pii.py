"""Personal data: throughput, what is found on real corpora, recall and precision of planted values.

    python benchmarks/pii.py speed    --data ../shared/data [--mb 20]
    python benchmarks/pii.py counts   --data ../shared/data [--sample FILE]
    python benchmarks/pii.py planted  --data ../shared/data [--rounds 70]
    python benchmarks/pii.py memory

Each prints a table and, with `--json FILE`, writes the figures. One thread; processor time.
`--sample` writes 200 random hits with their surroundings for reading; the file holds personal
data and belongs nowhere else.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/filters")]

CORPORA = {"ko_docs": "ko", "ko_reviews": "ko", "en_docs": "en", "code": "code"}
BATCH_ROWS, BATCH_BYTES = 1000, 8 << 20


def documents(data: Path, name: str, limit: float) -> Iterator[str]:
    """Yield texts of a corpus, spread over the file, about `limit` bytes in all."""
    from schemas.files import read_lines

    path = data / "corpora" / f"{name}.jsonl.zst"
    if not path.exists():
        sys.exit(f"{path} is not here; name the folder of the corpora with --data")
    step = 1
    if limit < float("inf"):
        step = max(1, int(path.stat().st_size * 6 / limit))
    seen = 0
    for number, line in read_lines(path, "records"):
        if (number - 1) % step:
            continue
        text = json.loads(line)["text"]
        seen += len(text.encode())
        yield text
        if seen >= limit:
            return


def batches(texts: Iterator[str] | list[str], component: str) -> Iterator[pa.RecordBatch]:
    """Yield record batches as `ingest` cuts them."""
    rows: list[str] = []
    size = 0
    for text in texts:
        rows.append(text)
        size += len(text.encode())
        if len(rows) == BATCH_ROWS or size >= BATCH_BYTES:
            yield _batch(rows, component)
            rows, size = [], 0
    if rows:
        yield _batch(rows, component)


def _batch(rows: list[str], component: str) -> pa.RecordBatch:
    return pa.record_batch(
        {"text": pa.array(rows, pa.large_string()), "assigned": pa.array([component] * len(rows))}
    )


def speed(data: Path, limit: float) -> dict[str, Any]:
    """MB/s a core: the byte scan alone, the annotator, Presidio on every document."""
    from filters.pii.analyser import Analyser
    from filters.pii.annotator import Redact
    from filters.pii.entities import KINDS
    from filters.pii.prefilter import USUAL_KINDS, find_triggers, find_windows
    from schemas.config import Pii

    redact = Redact(Pii())
    analyser = Analyser(["PERSON"])
    redact(_batch(["a.kim@naver.com 010-1234-5678"], "ko"))  # compiles the kernel
    table = {}
    for name, component in CORPORA.items():
        rows = list(batches(documents(data, name, limit), component))
        size = sum(batch.column("text").nbytes for batch in rows) / 1e6
        scan = _seconds(
            lambda rows=rows: [find_triggers(b.column("text"), USUAL_KINDS) for b in rows]
        )
        whole = _seconds(lambda rows=rows: [redact(batch) for batch in rows])
        shown = sum(
            int((w.shown_end - w.shown_start).sum())
            for b in rows
            for w in find_windows(b.column("text"), USUAL_KINDS)
        )
        few = rows[0].column("text").to_pylist()[:150]
        few_size = sum(len(text.encode()) for text in few) / 1e6
        every = _seconds(
            lambda few=few: [analyser.analyse(few, kind) for kind in range(len(KINDS) - 1)]
        )
        table[name] = {
            "MB": round(size, 1),
            "scan MB/s": round(size / scan, 1),
            "redact MB/s": round(size / whole, 1),
            "shown %": round(100 * shown / size / 1e6, 2),
            "no prefilter MB/s": round(few_size / every, 2),
        }
    return table


def _seconds(act: Any) -> float:
    begin = time.thread_time()
    act()
    return time.thread_time() - begin


def counts(data: Path, limit: float, sample: Path | None) -> dict[str, Any]:
    """Spans by type on the corpora as they are."""
    from filters.pii.annotator import Redact
    from schemas.config import Pii

    redact = Redact(Pii())
    table: dict[str, Any] = {}
    hits: list[dict[str, str]] = []
    for name, component in CORPORA.items():
        found: Counter[str] = Counter()
        rows = with_any = 0
        for batch in batches(documents(data, name, limit), component):
            result = redact(batch).column("pii_spans").to_pylist()
            rows += len(result)
            for text, spans in zip(batch.column("text").to_pylist(), result, strict=True):
                with_any += bool(spans)
                encoded = text.encode() if spans else b""
                for span in spans:
                    found[span["type"]] += 1
                    hits.append(_shown(name, encoded, span))
        table[name] = {"documents": rows, "with any": with_any, **dict(sorted(found.items()))}
    if sample is not None:
        chosen = random.Random(0).sample(hits, min(200, len(hits)))
        sample.write_text("\n".join(json.dumps(hit, ensure_ascii=False) for hit in chosen))
        distinct = {(hit["type"], hit["value"]): hit for hit in hits}
        sample.with_suffix(".distinct").write_text(
            "\n".join(json.dumps(hit, ensure_ascii=False) for _, hit in sorted(distinct.items()))
        )
    return table


def _shown(corpus: str, text: bytes, span: dict[str, Any]) -> dict[str, str]:
    start, end = span["start"], span["end"]
    return {
        "corpus": corpus,
        "type": span["type"],
        "value": text[start:end].decode()[:160],
        "before": text[max(0, start - 90) : start].decode(errors="ignore"),
        "after": text[end : end + 60].decode(errors="ignore"),
    }


def planted(data: Path, rounds: int) -> dict[str, Any]:
    """Recall by type of values planted into real texts, and precision of all that is found.

    A planted text is some lines of a real document with a sentence that holds the value put
    between two of them. Hits outside the planted value that the document has by itself do
    not count; what appears only through planting does.
    """
    from filters.pii.annotator import Redact
    from schemas.config import Pii
    from tests.support.pii_values import CARRIERS, values

    redact = Redact(Pii())
    draw = random.Random(20)
    pages = {
        name: [text for text in documents(data, name, 3e6) if len(text) > 200] for name in CORPORA
    }
    texts, components, places, wanted = [], [], [], []
    for number, value in enumerate(values(21, rounds)):
        name = list(CORPORA)[number % len(CORPORA)]
        lines = draw.choice(pages[name]).splitlines()
        at = draw.randrange(len(lines))
        carrier = draw.choice(CARRIERS[value.entity])
        head = "\n".join([*lines[max(0, at - 4) : at], carrier[: carrier.index("{v}")]])
        tail = "\n".join([carrier[carrier.index("{v}") + 3 :], *lines[at : at + 4]])
        texts.append(head + value.text + tail)
        components.append(CORPORA[name])
        places.append((len(head.encode()), len((head + value.text).encode())))
        wanted.append((value, head + "\n" + tail))
    batch = pa.record_batch(
        {"text": pa.array(texts, pa.large_string()), "assigned": pa.array(components)}
    )
    bare = batch.set_column(0, "text", pa.array([page for _, page in wanted], pa.large_string()))
    found = redact(batch).column("pii_spans").to_pylist()
    own = redact(bare).column("pii_count").to_pylist()
    total: Counter[tuple[str, str]] = Counter()
    hit: Counter[tuple[str, str]] = Counter()
    right = wrong = 0
    wrong_by: Counter[str] = Counter()
    for (value, _), (start, end), spans, already in zip(wanted, places, found, own, strict=True):
        kind = "obfuscated" if value.obfuscated else "formatted"
        total[value.entity, kind] += 1
        held = [s for s in spans if s["start"] <= start and s["end"] >= end]
        ok = any(s["type"] == value.entity for s in held)
        hit[value.entity, kind] += ok
        right += ok
        others = len(spans) - len(held) - already
        if others > 0 or (held and not ok):
            wrong += max(others, 0) + (bool(held) and not ok)
            wrong_by[value.entity] += 1
    table: dict[str, Any] = {}
    for (entity, kind), count in sorted(total.items()):
        table.setdefault(entity, {})[kind] = f"{hit[entity, kind]}/{count}"
    for kind in ("formatted", "obfuscated"):
        some = [key for key in total if key[1] == kind]
        share = sum(hit[key] for key in some) / sum(total[key] for key in some)
        table.setdefault("all", {})[kind] = f"{share:.4f} of {sum(total[key] for key in some)}"
    table["precision"] = {"share": round(right / (right + wrong), 4), "wrong": dict(wrong_by)}
    return table


def memory(_: Path) -> dict[str, Any]:
    """Resident memory and time of a worker that loads Presidio and redacts."""
    begin = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    from filters.pii.annotator import Redact
    from schemas.config import Pii

    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    redact = Redact(Pii())
    made = time.perf_counter() - begin
    redact(_batch(["a.kim@naver.com 010-1234-5678"], "ko"))
    return {
        "worker": {
            "MiB before": round(before),
            "MiB, pipeline imported": round(imported),
            "MiB, Presidio loaded": round(
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            ),
            "seconds to load": round(made, 2),
            "seconds to first result": round(time.perf_counter() - begin, 2),
            "torch loaded": "torch" in sys.modules,
        }
    }


def main() -> None:
    """Run one of the four and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["speed", "counts", "planted", "memory"])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--mb", type=float, default=float("inf"))
    parser.add_argument("--rounds", type=int, default=70)
    parser.add_argument("--sample", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    limit = options.mb * 1e6
    if options.what == "speed":
        table = speed(options.data, limit)
    elif options.what == "counts":
        table = counts(options.data, limit, options.sample)
    elif options.what == "planted":
        table = planted(options.data, options.rounds)
    else:
        table = memory(options.data)
    for name, figures in table.items():
        print(f"{name:20}", "  ".join(f"{key} {value}" for key, value in figures.items()))
    if options.json:
        options.json.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
