"""A case: an input, a config and the right outcome; and the run of it through the command."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from click.testing import Result as Ran
from typer.testing import CliRunner

from bibim.cli.app import app


@dataclass
class Outcome:
    """What a run of the command gave."""

    code: int
    output: str
    error: BaseException | None
    docs: list[dict[str, Any]]
    rejects: list[dict[str, Any]]

    @property
    def texts(self) -> list[str]:
        return sorted(plain(doc["text"]) for doc in self.docs)

    @property
    def faults(self) -> list[dict[str, Any]]:
        return [one for one in self.rejects if one["fault"]]

    def brief(self) -> str:
        """Return what a reader of a failure needs."""
        rejects = [
            f"{r['origin']} {r['reason']} {'fault' if r['fault'] else 'nf'} {r['detail'][:90]}"
            for r in self.rejects
        ]
        return (
            f"exit {self.code}, {self.error!r}, {len(self.docs)} documents\n"
            f"first: {[doc['text'][:90] for doc in self.docs[:3]]}\n"
            f"rejects: {rejects[:6]}\noutput: {self.output[-900:]}"
        )


@dataclass(frozen=True)
class Right:
    """The right outcome of a case.

    `texts`: the documents in any order, outer white space aside. `holds`: each is in exactly one
    document. `lacks`: in no document. `faults`: their number, or least and most. `refused`: words
    of a message that is right as well, with an exit code other than 0. `loud`: some reject or a
    message must name the input, where documents cannot be had.
    """

    sources: str | dict[str, dict[str, Any]]
    texts: Sequence[str] | None = None
    docs: int | None = None
    holds: Sequence[str] = ()
    lacks: Sequence[str] = ()
    faults: int | tuple[int, int] = 0
    others: int | None = None
    code: int | tuple[int, ...] = 0
    words: Sequence[str] = ()
    refused: Sequence[str] = ()
    config: dict[str, Any] = field(default_factory=dict)
    stages: str = "ingest"
    check: Callable[[Outcome], str | None] | None = None


Builder = Callable[[Path], Right]


def plain(text: str) -> str:
    """Return text as it is compared: NFC, line ends as newlines, no outer white space."""
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    return text.strip()


def squeezed(text: str) -> str:
    """Return text with every run of white space as one space."""
    return re.sub(r"\s+", " ", plain(text))


def run(folder: Path, right: Right) -> Outcome:
    """Write the config and run the command in `folder`, which is the working directory."""
    sources = right.sources
    if isinstance(sources, str):
        sources = {"s": {"path": sources}}
    config = {
        "name": "case",
        "sources": {name: {"component": "ko", **keys} for name, keys in sources.items()},
        "ingest": {"max_reject_share": 1},
        "mixture": {"weights": {"ko": "1/1"}, "shards": 1, "allow_short": True},
        "tokenizer": {"vocab_size": 1500, "morphemes": False},
        **right.config,
    }
    (folder / "case.yaml").write_text(json.dumps(config, ensure_ascii=False), "utf-8")
    arguments = ["run", "case.yaml", "--out", "out", "--stages", right.stages, "--workers", "1"]
    ran: Ran = CliRunner().invoke(app, arguments)
    error = None if isinstance(ran.exception, SystemExit) else ran.exception
    docs = rows(folder / "out/documents") if (folder / "out/documents").is_dir() else []
    rejects = rows(folder / "out/rejects") if (folder / "out/rejects").is_dir() else []
    return Outcome(ran.exit_code, ran.output, error, docs, rejects)


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of every shard of a folder."""
    return [
        row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]


def differences(right: Right, got: Outcome) -> list[str]:
    """Return in what `got` is not `right`."""
    if got.error is not None or "Traceback (most recent" in got.output:
        return [f"an exception left the command: {got.error!r}"]
    if (
        right.refused
        and got.code != 0
        and all(w.lower() in got.output.lower() for w in right.refused)
    ):
        return []
    wrong = []
    codes = right.code if isinstance(right.code, tuple) else (right.code,)
    if got.code not in codes:
        wrong.append(f"exit code {got.code}, not {codes}")
    least, most = right.faults if isinstance(right.faults, tuple) else (right.faults, right.faults)
    if not least <= len(got.faults) <= most:
        wrong.append(f"{len(got.faults)} faults, not {least} to {most}")
    if right.others is not None and len(got.rejects) - len(got.faults) != right.others:
        wrong.append(
            f"{len(got.rejects) - len(got.faults)} rejects without fault, not {right.others}"
        )
    if right.docs is not None and len(got.docs) != right.docs:
        wrong.append(f"{len(got.docs)} documents, not {right.docs}")
    if right.texts is not None and got.texts != sorted(plain(text) for text in right.texts):
        wrong.append(f"{len(got.docs)} documents, not the {len(right.texts)} texts")
    found = [squeezed(doc["text"]) for doc in got.docs]
    for part in right.holds:
        if (times := sum(squeezed(part) in text for text in found)) != 1:
            wrong.append(f"{times} documents hold {part[:60]!r}")
    wrong += [
        f"a document holds {part!r}"
        for part in right.lacks
        if any(part in d["text"] for d in got.docs)
    ]
    wrong += [f"the output lacks {w!r}" for w in right.words if w.lower() not in got.output.lower()]
    if len({doc["id"] for doc in got.docs}) != len(got.docs):
        wrong.append("two documents have the same id")
    if right.check is not None and (more := right.check(got)):
        wrong.append(more)
    return wrong
