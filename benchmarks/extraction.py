"""Main text of pages: words kept and words let through, beside other extractors; pages per second.

    python benchmarks/extraction.py words [--data ../shared/data] [--every 4] [--news DIR] [--held]
    python benchmarks/extraction.py full FILE.jsonl …
    python benchmarks/extraction.py ingest [--data ../shared/data]

`words` prints a line per extractor and set of pages: mean recall and precision of words (multisets
of runs of letters and digits), pages of which under half is kept, and pages per second of processor
time. Sets: the marked pages of `tests/data/pages` by type of site (`--held`: those that are held
back), the pages of the web corpus with an element `#DisplayArea`, whose words are the truth, and
with `--news` a checkout of trafilatura's `tests`, whose `evaldata.json` marks passages of 990 pages
that belong to the text and others that do not (F1 of these passages).

`full` prints a line per extractor and FILE of pages with their whole main text (fields `html`,
`text`): precision, recall and F1 of runs of four words, each page with the same weight, then the
mean of the pages' F1 and the F1 of all words together.

`ingest` runs the stage `ingest` over the web corpus on one core, with trafilatura's `fast` mode in
place of the extractor, then with the extractor, and prints pages per second of the stage and of the
whole process. To profile it: `python -m cProfile -s cumulative benchmarks/extraction.py one ours
../shared/data OUT`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filters.text import html as pages
from filters.text.charset import decode_page

ROOT = Path(__file__).parent.parent
WORD = re.compile(r"\w+")
Extractor = Callable[[str], str]


@dataclass
class Marked:
    """A page with the words of its main text, and those that count as neither."""

    kind: str
    html: str
    truth: Counter[str]
    apart: Counter[str]


def count(text: str) -> Counter[str]:
    return Counter(WORD.findall(text))


def trafilatura_fast(html: str) -> str:
    """The extraction before: trafilatura without its fallbacks, all text where it finds none."""
    import trafilatura
    from trafilatura.settings import use_config

    config = use_config()
    config.set("DEFAULT", "MIN_EXTRACTED_SIZE", "25")
    config.set("DEFAULT", "MIN_OUTPUT_SIZE", "1")
    config.set("DEFAULT", "EXTRACTION_TIMEOUT", "0")
    tree = trafilatura.load_html(html)
    if tree is None:
        return ""
    text = trafilatura.extract(
        tree, fast=True, include_comments=False, include_tables=True, config=config
    )
    if not text:
        tree = trafilatura.load_html(html)
        text = trafilatura.html2txt(tree) if tree is not None else ""
    return str(text or "").strip()


def trafilatura_recall(html: str) -> str:
    import trafilatura

    return trafilatura.extract(html, favor_recall=True, include_comments=False) or ""


def trafilatura_fallback(html: str) -> str:
    import trafilatura

    return trafilatura.extract(html, include_comments=False) or ""


def trafilatura_precision(html: str) -> str:
    import trafilatura

    return trafilatura.extract(html, favor_precision=True, include_comments=False) or ""


def resiliparse_main(html: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(html, main_content=True, alt_texts=False, list_bullets=False))


def resiliparse_all(html: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(html, alt_texts=False, list_bullets=False))


EXTRACTORS: dict[str, Extractor] = {
    "ours": pages.main_text,
    "trafilatura fast": trafilatura_fast,
    "trafilatura": trafilatura_fallback,
    "trafilatura favor_precision": trafilatura_precision,
    "trafilatura favor_recall": trafilatura_recall,
    "resiliparse main_content": resiliparse_main,
    "resiliparse all text": resiliparse_all,
}


def site_pages(held: bool) -> Iterator[Marked]:
    """Yield the marked pages of the tests."""
    folder = ROOT / "tests/data/pages"
    for row in (folder / "index.tsv").read_text("utf-8").splitlines()[1:]:
        name, language, kind, is_held, *_ = row.split("\t")
        if (is_held == "yes") == held:
            apart = folder / f"{name}.comments.txt"
            yield Marked(
                f"{language} {kind}",
                decode_page((folder / f"{name}.html").read_bytes())[0],
                count((folder / f"{name}.txt").read_text("utf-8")),
                count(apart.read_text("utf-8") if apart.exists() else ""),
            )


def documentation(data: Path, every: int) -> Iterator[Marked]:
    """Yield one in `every` pages of the web corpus that has the element and words in it."""
    from lxml import html as lxml_html
    from warcio.archiveiterator import ArchiveIterator

    with (data / "corpora/web.warc.gz").open("rb") as file:
        for record in ArchiveIterator(file):
            url = record.rec_headers.get_header("WARC-Target-URI") or ""
            chance = int(hashlib.md5(url.encode()).hexdigest(), 16)
            if record.rec_type != "response" or chance % every:
                continue
            kind = record.http_headers.get_header("Content-Type")
            html, _codec = decode_page(record.content_stream().read(), kind)
            if 'id="DisplayArea"' not in html:
                continue
            parser = lxml_html.HTMLParser(encoding="utf-8")
            tree = lxml_html.fromstring(html.encode(), parser=parser)
            truth = count(" ".join(tree.get_element_by_id("DisplayArea").itertext()))
            if truth:
                language = "ko" if "/ko/" in url else "other"
                yield Marked(f"documentation {language}", html, truth, Counter())


def figures(extract: Extractor, rows: list[Marked]) -> dict[str, list[tuple[float, float]]]:
    """Return (recall, precision) per page, by kind and by language."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        got = count(extract(row.html))
        right = (row.truth & got).total()
        more = (got - row.truth - row.apart).total()
        scores = (right / row.truth.total(), right / max(right + more, 1))
        found[row.kind].append(scores)
        if not row.kind.startswith("documentation"):
            found[f"{row.kind.split()[0]} sites"].append(scores)
    return found


def news(folder: Path, extract: Extractor) -> str:
    """Return precision, recall and F1 of the marked passages."""
    right = lost = wrong = 0

    def flat(text: str) -> str:
        return " ".join(text.replace("\xad", "").split())

    for item in json.loads((folder / "evaldata.json").read_text("utf-8")).values():
        places = (folder / part / item["file"] for part in ("cache", "eval"))
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            continue
        text = flat(extract(decode_page(path.read_bytes())[0]))
        found = sum(flat(passage) in text for passage in item["with"])
        right += found
        lost += len(item["with"]) - found
        wrong += sum(flat(passage) in text for passage in item["without"])
    precision, recall = right / (right + wrong), right / (right + lost)
    f1 = 2 * precision * recall / (precision + recall)
    return f"precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f}"


def words(options: argparse.Namespace) -> None:
    """Print the table."""
    rows = list(site_pages(options.held))
    if (options.data / "corpora/web.warc.gz").is_file():
        rows += documentation(options.data, options.every)
    else:
        print(f"no documentation pages: {options.data}/corpora/web.warc.gz is not there")
    for name, extract in EXTRACTORS.items():
        extract(rows[0].html)
        start = time.process_time()
        for row in rows:
            extract(row.html)
        rate = len(rows) / (time.process_time() - start)
        print(f"\n{name}: {rate:,.0f} pages/s")
        for kind, scores in sorted(figures(extract, rows).items()):
            recall = sum(score[0] for score in scores) / len(scores)
            precision = sum(score[1] for score in scores) / len(scores)
            half = sum(score[0] < 0.5 for score in scores) / len(scores)
            print(
                f"  {kind:22} {len(scores):5} pages  recall {recall:.3f}  "
                f"precision {precision:.3f}  under half {half:.1%}"
            )
        if options.news:
            print(f"  passages: {news(options.news, extract)}")


def four(text: str) -> Counter[tuple[str, ...]]:
    """Return the runs of four words of a text."""
    found = WORD.findall(text)
    return Counter(
        tuple(found[at : at + 4]) for at in range(max(len(found) - 3, min(len(found), 1)))
    )


def full(options: argparse.Namespace) -> None:
    """Print how pages with their whole main text are extracted."""
    for path in options.files:
        rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
        for name, extract in EXTRACTORS.items():
            pages_found = []
            for row in rows:
                wanted, got = four(row["text"]), four(extract(row["html"]))
                right = (wanted & got).total()
                pages_found.append((right, got.total() - right, wanted.total() - right))
            shares = [[part / max(sum(page), 1) for part in page] for page in pages_found]
            right, wrong, lost = (sum(column) for column in zip(*shares, strict=True))
            f1 = 2 * right / (2 * right + wrong + lost)
            each = [2 * page[0] / max(2 * page[0] + page[1] + page[2], 1) for page in pages_found]
            totals = [sum(column) for column in zip(*pages_found, strict=True)]
            print(
                f"{path.stem} {len(rows)} pages, {name}: precision {right / (right + wrong):.3f}, "
                f"recall {right / (right + lost):.3f}, F1 {f1:.3f}, "
                f"mean F1 {sum(each) / len(each):.3f}, "
                f"F1 of all {2 * totals[0] / (2 * totals[0] + totals[1] + totals[2]):.3f}"
            )


RECIPE = """
name: web
sources:
  web: {component: auto, path: PATH}
mixture:
  tokens: 1M
  weights: {ko: 1/2, en: 1/2}
"""


def ingest(options: argparse.Namespace) -> None:
    """Print pages per second of `ingest` with the extraction before and now."""
    for name in ("trafilatura fast", "ours"):
        with tempfile.TemporaryDirectory() as folder:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, __file__, "one", name, str(options.data), folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        stage, documents = map(float, done.stdout.split()[-2:])
        print(
            f"{name}: {documents / stage:,.0f} pages/s of the stage ({stage:.1f} s of processor "
            f"time), {documents / seconds:,.0f} of the process ({seconds:.1f} s)"
        )


def one(options: argparse.Namespace) -> None:
    """Run `ingest` once on one core; print its processor seconds and its documents."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pages.main_text = EXTRACTORS[options.extractor]
    from bibim.cli.app import main

    recipe = options.out / "web.yaml"
    recipe.write_text(RECIPE.replace("PATH", str(options.data.resolve() / "corpora/web.warc.gz")))
    run = options.out / "run"
    sys.argv = ["bibim", "run", str(recipe), "--out", str(run), "--stages", "ingest"]
    sys.argv += ["--workers", "1"]
    start = time.process_time()
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
    seconds = time.process_time() - start
    import pyarrow.parquet as pq

    shards = (run / "documents").rglob("*.parquet")
    print(seconds, sum(pq.ParquetFile(shard).metadata.num_rows for shard in shards))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    acts = parser.add_subparsers(dest="act", required=True)
    for name, act in (("words", words), ("ingest", ingest)):
        command = acts.add_parser(name)
        command.add_argument("--data", type=Path, default=ROOT / "../shared/data")
        command.set_defaults(run=act)
        if name == "words":
            command.add_argument("--every", type=int, default=4)
            command.add_argument("--news", type=Path)
            command.add_argument("--held", action="store_true")
    command = acts.add_parser("full")
    command.add_argument("files", type=Path, nargs="+")
    command.set_defaults(run=full)
    command = acts.add_parser("one")
    command.add_argument("extractor", choices=[*EXTRACTORS])
    command.add_argument("data", type=Path)
    command.add_argument("out", type=Path)
    command.set_defaults(run=one)
    options: Any = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
