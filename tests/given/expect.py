"""The cases by name, what their inputs hold by plain decoding, and checks that several share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.oracles.readers.rig import Builder, Outcome, Right, plain, squeezed
from tests.support import ROOT

DATA = ROOT / "tests" / "data" / "readers"
CASES: dict[str, Builder] = {}
"""`FOLDER/CONFIG`, or `FOLDER` where its config is `config.yaml` → builder of the right outcome.

A builder gets a copy of the folder, adds what git cannot keep, and returns what must come out.
"""

Check = Callable[[Outcome], str | None]


def case(name: str) -> Callable[[Builder], Builder]:
    """Register a builder."""

    def register(build: Builder) -> Builder:
        assert name not in CASES, name
        CASES[name] = build
        return build

    return register


def right(texts: Sequence[str] | None = None, **more: Any) -> Right:
    """Return a right outcome of a config that exists; nothing is rejected unless `more` says so."""
    return Right({}, texts, **{"others": 0, **more})


def texts_of(data: bytes, charset: str = "utf-8", key: str = "text") -> list[str]:
    """Return the texts of JSON lines."""
    return [json.loads(line)[key] for line in data.decode(charset).split("\n") if line.strip()]


def paragraphs_of(page: str) -> list[str]:
    return re.findall(r"<p>(.*?)</p>", page, re.S)


def by_source(got: Outcome) -> dict[str, list[str]]:
    """Return source → its texts in order."""
    texts: dict[str, list[str]] = {}
    for doc in got.docs:
        texts.setdefault(doc["source"], []).append(plain(doc["text"]))
    return {source: sorted(found) for source, found in texts.items()}


def sources(expected: dict[str, list[str]]) -> Check:
    """Return a check that each source has its texts."""

    def check(got: Outcome) -> str | None:
        found = by_source(got)
        wrong = {
            name: f"{len(found.get(name, []))} documents, not the {len(texts)} texts"
            for name, texts in expected.items()
            if found.get(name, []) != sorted(plain(text) for text in texts)
        }
        return str(wrong) if wrong else None

    return check


def pages(expected: dict[str, list[str]], lost: int = 0) -> Check:
    """Return a check that the page of each file holds its paragraphs and at most `lost` U+FFFD."""

    def check(got: Outcome) -> str | None:
        wrong = []
        for name, parts in expected.items():
            found = [
                d["text"] for d in got.docs if Path(re.split(r":\d", d["origin"])[0]).name == name
            ]
            if len(found) != 1:
                wrong.append(f"{name}: {len(found)} documents")
                continue
            text = squeezed(found[0].replace("\ufffd", ""))
            missing = [part for part in parts if squeezed(part) not in text]
            if missing:
                wrong.append(
                    f"{name}: {len(missing)} of {len(parts)} paragraphs are not there, "
                    f"first {missing[0][:50]!r}; the text begins {found[0][:80]!r}"
                )
            if (count := found[0].count("\ufffd")) > lost:
                wrong.append(f"{name}: {count} U+FFFD, not {lost} at most")
        return "; ".join(wrong) or None

    return check


def all_of(*checks: Check) -> Check:
    """Return a check that reports what every one of `checks` reports."""

    def check(got: Outcome) -> str | None:
        return "; ".join(wrong for one in checks if (wrong := one(got))) or None

    return check


def message(pattern: str, but: str | None = None) -> Check:
    """Return a check that the output has `pattern` and lacks `but`, in any case of letters."""

    def check(got: Outcome) -> str | None:
        output = " ".join(got.output.split())
        if not re.search(pattern, output, re.I):
            return f"no message has {pattern!r}"
        return f"a message has {but!r}" if but and re.search(but, output, re.I) else None

    return check
