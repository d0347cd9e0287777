"""Languages and signals: throughput beside datatrove, agreement, langid, code against prose.

    python benchmarks/signals.py speed     [--data ../shared/data] [--mb 20]
    python benchmarks/signals.py peer      --peer PEER/bin/python [--documents 100]
    python benchmarks/signals.py agreement --peer PEER/bin/python [--documents 500]
    python benchmarks/signals.py languages [--judge JUDGE/bin/python]
    python benchmarks/signals.py code [--fit]
    python benchmarks/signals.py growth

Each prints a table and, with `--json FILE`, writes the figures. One thread, processor time, kernels
compiled before. `peer` and `agreement` want an environment of datatrove's own, see
datatrove_signals.py; `languages --judge` wants one with lingua-language-detector. `code --fit`
prints the weights of filters/language/codelang.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from corpora import records, sample  # noqa: E402  (beside this file)

from filters.columnar.kernels import buffers, compile_kernels, everywhere  # noqa: E402
from filters.language.annotator import Identify  # noqa: E402
from filters.language.codelang import code_features, code_score, prose_shares  # noqa: E402  (path above)
from filters.language.lid import model_path  # noqa: E402
from filters.language.prose import function_words  # noqa: E402
from filters.measure.annotator import Measure  # noqa: E402
from schemas.config import Identify as IdentifySettings  # noqa: E402
from schemas.config import Measure as MeasureSettings  # noqa: E402

CORPORA = {"ko_docs": "ko", "ko_reviews": "ko", "en_docs": "en", "code": "code"}
LANGUAGE = {"ko": "kor", "en": "eng", "code": "eng"}
BATCH_ROWS = 1000
RULES = {  # as the peer is set: FineWeb2's for Korean, Gopher's and FineWeb's for English
    "ko": {
        "units": (50, 1e5), "mean_unit_length": (1, 6), "alpha_units": (0.791, 1),
        "unit_symbol_ratio": (0, 0.1), "stop_words": (2, 99), "unit_newlines": (0, 0.196),
        "line_punctuation": (0.062, 1), "char_duplicates": (0, 0.1), "dup_lines": (0, 0.374),
        "top_2gram": (0, 0.282), "top_3gram": (0, 0.228), "top_4gram": (0, 0.185),
        "dup_5gram": (0, 0.201), "dup_6gram": (0, 0.184), "dup_7gram": (0, 0.168),
        "dup_8gram": (0, 0.154), "dup_9gram": (0, 0.140), "dup_10gram": (0, 0.127),
    },
    "en": {
        "units": (50, 1e5), "mean_unit_length": (3, 10), "alpha_units": (0.8, 1),
        "unit_symbol_ratio": (0, 0.1), "stop_words": (2, 99), "unit_newlines": (0, 0.3),
        "line_punctuation": (0.12, 1), "short_lines": (0, 0.67), "char_duplicates": (0, 0.01),
        "dup_lines": (0, 0.3), "top_2gram": (0, 0.2), "top_3gram": (0, 0.18),
        "top_4gram": (0, 0.16), "dup_5gram": (0, 0.15), "dup_6gram": (0, 0.14),
        "dup_7gram": (0, 0.13), "dup_8gram": (0, 0.12), "dup_9gram": (0, 0.11),
        "dup_10gram": (0, 0.10),
    },
}  # fmt: skip
JUDGED = 0.9
"""Confidence from which the judge's "English" corrects a label."""


def annotate(texts: list[str], component: str) -> tuple[pa.Table, float, float]:
    """Return all columns, and seconds of `identify` and `measure`."""
    identify, measure = Identify(IdentifySettings()), Measure(MeasureSettings())
    tables, first, second = [], 0.0, 0.0
    for start in range(0, len(texts), BATCH_ROWS):
        rows = texts[start : start + BATCH_ROWS]
        batch = pa.RecordBatch.from_arrays(
            [
                pa.array(rows, pa.large_string()),
                pa.array([component] * len(rows)),
                pa.nulls(len(rows), pa.string()),
            ],
            names=["text", "component", "meta"],
        )
        begin = time.process_time()
        found = identify(batch)
        middle = time.process_time()
        measured = measure(
            pa.RecordBatch.from_arrays(
                [batch["text"], found["assigned"], found["code_lang"], batch["meta"]],
                names=["text", "assigned", "code_lang", "meta"],
            )
        )
        first, second = first + middle - begin, second + time.process_time() - middle
        columns = dict(zip(found.schema.names, found.columns, strict=True))
        columns |= dict(zip(measured.schema.names, measured.columns, strict=True))
        tables.append(pa.table(columns))
    return pa.concat_tables(tables), first, second


def speed(args: argparse.Namespace) -> dict[str, Any]:
    """MB/s of each stage alone and of both, by corpus; sources as declared and as `auto`."""
    found = {}
    for name, component in CORPORA.items():
        texts: list[str] = []
        size = 0
        for record in records(args.data, f"corpora/{name}"):
            texts.append(record["text"])
            size += len(record["text"].encode())
            if size >= args.mb * 1e6:
                break
        for declared in (component, "auto"):
            _, first, second = annotate(texts, declared)
            found[f"{name} ({declared})"] = {
                "MB": round(size / 1e6, 1),
                "identify MB/s": round(size / 1e6 / first, 1),
                "measure MB/s": round(size / 1e6 / second, 1),
                "both MB/s": round(size / 1e6 / (first + second), 1),
            }
    return found


def ask_peer(python: str, texts: list[str], language: str) -> dict[str, Any]:
    done = subprocess.run(
        [python, str(ROOT / "benchmarks/datatrove_signals.py"), language, str(model_path())],
        input="".join(json.dumps(text) + "\n" for text in texts),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{python}: {done.stderr.strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def peer(args: argparse.Namespace) -> dict[str, Any]:
    """Both on the same documents, one after the other: MB/s and their ratio."""
    found = {}
    for name, component in CORPORA.items():
        texts = sample(args.data, name, args.documents)
        size = sum(len(text.encode()) for text in texts) / 1e6
        seconds = ask_peer(args.peer, texts, LANGUAGE[component])["seconds"]
        _, first, second = annotate(texts, "auto")
        ours, theirs = size / (first + second), size / sum(seconds.values())
        found[name] = {
            "MB": round(size, 2),
            "Bibim MB/s": round(ours, 1),
            "datatrove MB/s": round(theirs, 4),
            "ratio": round(ours / theirs, 1),
            **{f"{key} s": round(value, 1) for key, value in seconds.items()},
        }
    return found


def agreement(args: argparse.Namespace) -> dict[str, Any]:
    """How often a rule says the same over our numbers and over the peer's."""
    found: dict[str, Any] = {}
    for name in ("ko_docs", "ko_reviews", "en_docs"):
        component = CORPORA[name]
        texts = sample(args.data, name, args.documents)
        answer = ask_peer(args.peer, texts, LANGUAGE[component])
        theirs = answer["numbers"]
        table, _, _ = annotate(texts, component)
        both = [np.ones(len(texts), bool), np.ones(len(texts), bool)]
        rows = {}
        for column, (low, high) in RULES[component].items():
            ours = np.asarray(table[column].to_numpy(), np.float64)
            peers = np.array([row[column] for row in theirs])
            kept = [(low <= values) & (values <= high) for values in (ours, peers)]
            both = [one & other for one, other in zip(both, kept, strict=True)]
            rows[column] = {
                "kept %": round(100 * kept[0].mean(), 1),
                "peer keeps %": round(100 * kept[1].mean(), 1),
                "agree %": round(100 * (kept[0] == kept[1]).mean(), 2),
                "same number %": round(100 * (np.abs(ours - peers) <= 1e-6).mean(), 1),
                "median": round(float(np.median(ours)), 4),
                "peer's median": round(float(np.median(peers)), 4),
            }
        rows["all rules"] = {
            "kept %": round(100 * both[0].mean(), 1),
            "peer keeps %": round(100 * both[1].mean(), 1),
            "agree %": round(100 * (both[0] == both[1]).mean(), 2),
        }
        if component == "en":
            rows["C4"] = _c4_agreement(table, answer["verdicts"]["c4"])
        found |= {f"{name} {key}": row for key, row in rows.items()}
    return found


def _c4_agreement(table: pa.Table, verdicts: list[str]) -> dict[str, Any]:
    ours = (np.asarray(table["c4_sentences"]) >= 5) & (np.asarray(table["c4_banned"]) == 0)
    peers = np.array([not verdict for verdict in verdicts])
    return {
        "kept %": round(100 * ours.mean(), 1),
        "peer keeps %": round(100 * peers.mean(), 1),
        "agree %": round(100 * (ours == peers).mean(), 2),
    }


def languages(args: argparse.Namespace) -> dict[str, Any]:
    """Recall, precision and F1 by language on labelled paragraphs.

    Some paragraphs of a translation were never translated. Those that occur word for word among the
    English paragraphs or pages are English whatever their label; figures are given with
    the labels as they are and with these corrected.
    """
    rows = list(records(args.data, "labelled/langid"))
    table, _, _ = annotate([row["text"] for row in rows], "auto")
    predicted = table["lang"].to_pylist()
    labels = [row["lang"] for row in rows]
    english = _english_text(args.data, rows)
    truth = [
        "en" if label != "en" and len(key) > 12 and key in english else label
        for label, key in zip(labels, (_letters(row["text"]) for row in rows), strict=True)
    ]
    found: dict[str, Any] = {}
    truths = {
        "as labelled": (predicted, labels),
        "word for word English corrected": (predicted, truth),
    }
    if args.judge:
        judged = [
            "en" if label != "en" and english_by >= JUDGED else label
            for label, english_by in zip(labels, _judge(args.judge, rows), strict=True)
        ]
        truths["corrected by lingua"] = (predicted, judged)
        # The upper bound for any program: the corrected labels, measured by the old ones.
        truths["lingua's corrections as an answer, as labelled"] = (judged, labels)
        found["labels that lingua corrects"] = {
            "n": sum(a != b for a, b in zip(judged, labels, strict=True))
        }
    for name, (predicted, real) in truths.items():
        scores = []
        for language in sorted(set(labels)):
            hit = sum(a == b == language for a, b in zip(predicted, real, strict=True))
            recall = hit / max(real.count(language), 1)
            precision = hit / max(predicted.count(language), 1)
            scores.append(2 * recall * precision / max(recall + precision, 1e-9))
            if language in ("ko", "en"):
                found[f"{name} {language}"] = {"recall": recall, "precision": precision}
        found[f"{name} macro F1"] = {"F1": round(float(np.mean(scores)), 4)}
        found[f"{name} other taken for Korean"] = {
            "share": sum(a == "ko" != b for a, b in zip(predicted, real, strict=True)) / len(rows)
        }
    found["corrected labels"] = {"n": sum(a != b for a, b in zip(truth, labels, strict=True))}
    return found


def _judge(python: str, rows: list[dict[str, Any]]) -> list[float]:
    """Return how sure lingua, in an environment of its own, is that each text is English."""
    program = (
        "import json, sys; from lingua import Language, LanguageDetectorBuilder as B;"
        "d = B.from_all_languages().build();"
        "print(json.dumps([d.compute_language_confidence(json.loads(t), Language.ENGLISH)"
        " for t in sys.stdin]))"
    )
    done = subprocess.run(
        [python, "-c", program],
        input="".join(json.dumps(row["text"]) + "\n" for row in rows),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{python}: {done.stderr.strip()[-2000:]}")
    answer: list[float] = json.loads(done.stdout)
    return answer


def _letters(text: str) -> str:
    return re.sub(r"\W+", "", text).lower()


def _english_text(data: Path, rows: list[dict[str, Any]]) -> str:
    """Return all English paragraphs and the text of English pages of the web archive."""
    import html

    from warcio.archiveiterator import ArchiveIterator

    parts = [_letters(row["text"]) for row in rows if row["lang"] == "en"]
    with (data / "corpora/web.warc.gz").open("rb") as file:
        for record in ArchiveIterator(file):
            address = record.rec_headers.get_header("WARC-Target-URI") or ""
            if record.rec_type == "response" and re.search(r"/en[-/]", address):
                page = record.content_stream().read().decode("utf-8", "replace")
                parts.append(_letters(html.unescape(re.sub(r"<[^>]*>", "", page))))
    return "\n".join(parts)


_FENCE = re.compile(r"^[ \t]*(```|~~~)[^\n]*\n(.*?)^[ \t]*\1[ \t]*$", re.S | re.M)
_OUTPUT = re.compile(r"[ \t]*(```|~~~)(output|text|console|md|markdown)", re.I)
_FRONT = re.compile(r"\A---\n.*?\n---\n", re.S)


def pieces(data: Path) -> Iterator[tuple[str, str, int, str]]:
    """Yield (text, kind, 1 for code, id): files, fenced blocks, paragraphs, documents."""
    for name in ("ko_docs", "en_docs"):
        for record in list(records(data, f"corpora/{name}"))[::7]:
            text = _FRONT.sub("", record["text"], count=1)
            for fence in list(_FENCE.finditer(text))[:2]:
                if len(fence[2]) > 100 and not _OUTPUT.match(fence[0]):
                    yield fence[2], "fence", 1, record["id"]
            prose = [
                paragraph
                for paragraph in re.split(r"\n\s*\n", _FENCE.sub("", text))
                if len(paragraph) > 100
                and not paragraph.lstrip().startswith(("|", "#", ">", "```", ":::", "    "))
            ]
            yield from ((paragraph, "paragraph", 0, record["id"]) for paragraph in prose[:2])
            yield text[:20_000], "document", 0, record["id"]
    for record in list(records(data, "corpora/ko_reviews"))[::6]:
        yield record["text"][:5000], "review", 0, record["id"]
    for record in list(records(data, "labelled/langid"))[::5]:
        yield record["text"], "labelled paragraph", 0, record["id"]
    for record in records(data, "corpora/code"):
        yield record["text"][:20_000], "file", 1, record["id"]


def code(args: argparse.Namespace) -> dict[str, Any]:
    """F1 of code against prose without names, on the quarter left out of the fit."""
    texts, kinds, truth, ids = zip(*pieces(args.data), strict=True)
    data, offsets = buffers(pa.array(texts, pa.large_string()))
    features = code_features(data, offsets, everywhere(offsets))
    words = function_words(data, offsets, everywhere(offsets))
    held = np.array([hashlib.md5(value.encode()).digest()[0] < 64 for value in ids])
    real, kind = np.array(truth), np.array(kinds)
    if args.fit:
        from sklearn.linear_model import LogisticRegression

        weight = np.where(kind == "labelled paragraph", 6.0, 1.0)
        model = LogisticRegression(C=30, max_iter=20_000)
        inputs = np.column_stack([features, prose_shares(words)])
        model.fit(inputs[~held], real[~held], sample_weight=weight[~held])
        print(
            "WEIGHTS", np.round(model.coef_[0], 2).tolist(), "BIAS", np.round(model.intercept_, 2)
        )
    predicted = code_score(features, words) > 0.5
    found: dict[str, Any] = {}
    for name, chosen in (
        ("files, fences, paragraphs", np.isin(kind, ["file", "fence", "paragraph"])),
        ("all", np.ones(len(kind), bool)),
    ):
        rows = held & chosen
        hit = int((predicted & (real == 1) & rows).sum())
        recall, precision = hit / int((real[rows] == 1).sum()), hit / int(predicted[rows].sum())
        found[name] = {"n": int(rows.sum()), "F1": 2 * recall * precision / (recall + precision)}
    for name in sorted(set(kinds)):
        rows = held & (kind == name)
        found[name] = {
            "n": int(rows.sum()),
            "right": float((predicted == (real == 1))[rows].mean()),
        }
    return found


def growth(args: argparse.Namespace) -> dict[str, Any]:
    """Nanoseconds a byte as documents grow from 1 kB to 10 MB, the same text again and again."""
    found = {}
    for name, component in (("ko_docs", "ko"), ("en_docs", "en"), ("code", "code")):
        whole = "\n\n".join(sample(args.data, name, 4000)).encode()
        row = {}
        for size in (1_000, 10_000, 100_000, 1_000_000, 10_000_000):
            count = max(1, 20_000_000 // size)
            starts = np.linspace(0, max(len(whole) - size, 0), count).astype(int)
            texts = [whole[s : s + size].decode("utf-8", "ignore") for s in starts]
            best = min(sum(annotate(texts, component)[1:]) for _ in range(2))
            row[f"{size} B"] = round(1e9 * best / sum(len(t.encode()) for t in texts), 1)
        found[name] = row
    return found


def show(found: dict[str, Any]) -> None:
    width = max(len(name) for name in found)
    for name, row in found.items():
        cells = (
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.items()
        )
        print(name.ljust(width), *cells, sep="  ")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    acts = {act.__name__: act for act in (speed, peer, agreement, languages, code, growth)}
    parser.add_argument("act", choices=acts)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--mb", type=float, default=20, help="of each corpus")
    parser.add_argument("--documents", type=int, default=100, help="of each corpus")
    parser.add_argument("--peer", help="the interpreter of datatrove's environment")
    parser.add_argument("--judge", help="the interpreter of an environment with lingua")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.act in ("peer", "agreement") and not args.peer:
        parser.error(f"{args.act} wants --peer PEER/bin/python; see datatrove_signals.py")
    compile_kernels()
    found = acts[args.act](args)
    show(found)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
