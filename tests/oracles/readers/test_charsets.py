"""Texts come out of twenty charsets as they were written, whatever the label, or the input is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.ingest.readers import read_split
from pipelines.ingest.readers.base import ReadStats, Record
from pipelines.ingest.readers.plan import plan_splits
from schemas.config import Ingest, Source
from tests.oracles.readers import charsets


def read(path: Path, **keys: object) -> dict[str, str]:
    """Return the texts of a source by file, those of one file joined."""
    source, ingest = Source(component="ko", path=str(path), **keys), Ingest()
    found: dict[str, str] = {}
    for split in plan_splits("s", source, ingest):
        for item in read_split(split, source, ingest, ReadStats()):
            if isinstance(item, Record):
                name = Path(item.file).stem
                found[name] = f"{found.get(name, '')}\n{item.text}"
    return found


def outcome(samples: list[charsets.Sample], found: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return the samples that are not right, and those whose text is mojibake as a whole."""
    wrong = [f"{one.name} {one.share(found.get(one.name, '')):.2f}" for one in samples
             if not one.right(found.get(one.name, ""))]  # fmt: skip
    broken = [
        one.name
        for one in samples
        if one.name in found and one.share(found[one.name]) < 0.5 and not one.lenient
    ]
    return wrong, broken


def write(folder: Path, samples: list[charsets.Sample], suffix: str) -> Path:
    for one in samples:
        (folder / f"{one.name}{suffix}").write_bytes(one.data)
    return folder


@pytest.mark.parametrize("label", charsets.LABELS)
def test_pages_are_read_whatever_their_label(label: str, tmp_path: Path):
    samples = charsets.pages(label)
    wrong, broken = outcome(samples, read(write(tmp_path, samples, ".html")))
    assert len(wrong) <= 0.02 * len(samples), f"{len(wrong)} of {len(samples)} wrong: {wrong}"
    assert not broken, f"whole pages of mojibake: {broken}"


def test_plain_texts_are_read_without_a_label(tmp_path: Path):
    samples = charsets.texts()
    wrong, broken = outcome(samples, read(write(tmp_path, samples, ".txt")))
    assert not broken, f"whole texts of mojibake: {broken}"
    assert len(wrong) <= 0.02 * len(samples), f"{len(wrong)} of {len(samples)} wrong: {wrong}"


@pytest.mark.parametrize("damaged", [False, True])
def test_plain_texts_are_read_with_the_key(damaged: bool, tmp_path: Path):
    wrong = []
    for one in charsets.texts():
        charset = one.name.rpartition("-")[0]
        if one.damaged is damaged:
            path = tmp_path / f"{one.name}.txt"
            path.write_bytes(one.data)
            text = read(path, encoding=charsets.KEYS.get(charset, charset)).get(one.name, "")
            wrong += [] if one.right(text) else [f"{one.name} {one.share(text):.2f}"]
    assert not wrong, f"{len(wrong)} wrong: {wrong}"


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("keyed", [False, True])
def test_lines_are_read_or_refused(keyed: bool, damaged: bool, tmp_path: Path):
    wrong, broken, refused = [], [], []
    for charset in charsets.CHARSETS:
        one = charsets.lines(charset, damaged)
        path = tmp_path / f"{charset}.jsonl"
        path.write_bytes(one.data)
        keys = {"encoding": charsets.KEYS.get(charset, charset)} if keyed else {}
        text = read(path, **keys).get(charset)
        if text is None:
            refused.append(charset)
        elif not one.right(text):
            wrong.append(f"{charset} {one.share(text):.2f}")
            broken += [charset] if one.share(text) < 0.5 else []
    assert not broken, f"mojibake without a word: {broken}; wrong: {wrong}; refused: {refused}"
    assert len(wrong) <= (0 if keyed else 1), f"{wrong}; refused: {refused}"
    assert not keyed or not refused, f"refused though the key names the charset: {refused}"
    assert not {c for c in refused if c.startswith("utf")}, f"refused: {refused}"
