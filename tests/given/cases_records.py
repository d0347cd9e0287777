"""Fields beside the text, columns of other types, names in the config."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.given.expect import all_of, case, message, right, texts_of
from tests.oracles.readers.rig import Outcome, Right


def column(path: Path, name: str = "text") -> list[str]:
    """Return a column of strings, or of bytes in UTF-8."""
    array = pq.read_table(path, columns=[name]).column(name)
    return array.cast(pa.string()).to_pylist()


@case("05-jsonl-deep-meta")
def a_tree_300_deep(folder: Path) -> Right:
    return right(texts_of((folder / "a.jsonl").read_bytes()), docs=4)


@case("28-parquet-odd-times/far")
def the_year_161_000(folder: Path) -> Right:
    return right(column(folder / "far.parquet"), docs=5)


@case("28-parquet-odd-times/zone")
def a_zone_called_kst(folder: Path) -> Right:
    return right(column(folder / "zone.parquet"), docs=5)


@case("28-parquet-odd-times/date")
def a_day_of_the_year_26_610(folder: Path) -> Right:
    return right(column(folder / "date.parquet"), docs=5)


@case("33-parquet-image-bytes")
def bytes_of_pictures(folder: Path) -> Right:
    def small_meta(got: Outcome) -> str | None:
        large = [len(doc["meta"]) for doc in got.docs if doc["meta"] and len(doc["meta"]) > 500]
        return f"lengths of meta: {large}" if large else None

    return right(column(folder / "a.parquet"), docs=5, check=small_meta)


@case("30-parquet-binary-text")
def texts_as_bytes(folder: Path) -> Right:
    return right(column(folder / "a.parquet"), docs=5)


@case("32-parquet-struct-and-list/struct")
def a_text_in_a_struct(folder: Path) -> Right:
    rows = pq.read_table(folder / "struct.parquet").column("doc").to_pylist()
    return right([row["text"] for row in rows], docs=5)


@case("32-parquet-struct-and-list/nested")
def a_text_in_an_object(folder: Path) -> Right:
    articles = texts_of((folder / "nested.jsonl").read_bytes(), key="article")
    return right([article["body"] for article in articles], docs=5)


@case("32-parquet-struct-and-list/list")
def a_list_of_texts_is_named(folder: Path) -> Right:
    def typed(got: Outcome) -> str | None:
        details = [got.output, *(one["detail"] or "" for one in got.rejects)]
        named = any(re.search(r"list<|a list\b|lists? of", detail) for detail in details)
        return None if named else "no message names the type, a list of strings"

    return right(docs=0, code=(1, 2), faults=(0, 5), words=["text"], check=typed)


@case("53-source-names/slash")
def a_source_with_a_slash(folder: Path) -> Right:
    def nothing_read(got: Outcome) -> str | None:
        return "the source was read" if (folder / "out/documents").exists() else None

    refused = message(r"wiki/ko", but="no document came")
    return right(docs=0, code=2, check=all_of(refused, nothing_read))


@case("53-source-names/no")
def a_component_that_yaml_reads_as_false(folder: Path) -> Right:
    return right(
        docs=0, code=2, check=message(r"['\"`]no['\"`].{0,20}quot|quot.{0,20}['\"`]no['\"`]")
    )
