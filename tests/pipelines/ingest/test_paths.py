"""Paths: what a source may name, and the messages about what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import InputError
from tests.support.contents import LINES
from tests.support.reading import read, texts


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("https://site.example/a.jsonl", "https:// is not read, only local paths and gs://"),
        ("HTTP://site.example/a.jsonl", "http:// is not read"),
        ("s3a://bucket/a.jsonl", "write s3://bucket/a.jsonl"),
        ("abfs://bucket/a.jsonl", "only local paths and gs://, s3://, hdfs://, hf://, file://"),
        ("file://host/a.jsonl", "names the host host"),
        ("gone.jsonl", "there is no such file or folder"),
    ],
)
def test_a_path_that_is_not_read_is_refused_with_what_is(path: str, message: str):
    with pytest.raises(InputError, match=r"sources\.s\.path: ") as error:
        read(Path(path)) if ":" not in path else read(path)  # type: ignore[arg-type]  # Path joins //
    assert message in str(error.value)


def test_a_tilde_and_a_file_address_are_local_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a b#1.jsonl").write_bytes(LINES)
    for path in (
        "~/a b#1.jsonl",
        f"file://{tmp_path}/a%20b#1.jsonl",
        f"file:{tmp_path}/a b%231.jsonl",
    ):
        assert len(texts(read(path)[0])) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["말뭉치 [2차]/a b.jsonl", "x[1]*?.jsonl", "[ab]/[cd].jsonl", "[!x].jsonl"]
)
def test_brackets_are_literal_where_such_a_file_is_there(tmp_path: Path, name: str):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(LINES)
    assert len(texts(read(path)[0])) == 3
    assert len(texts(read(path.parent / "*.jsonl")[0])) == 3
    assert len(texts(read(Path(f"{path.parent}/**/*.jsonl"))[0])) == 3


def test_a_glob_matches_as_a_shell_does(tmp_path: Path):
    for name in ("a1.jsonl", "a2.jsonl", "b1.jsonl", "x/a1.jsonl", "x/y/a3.jsonl", ".a9.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(LINES)
    for pattern, count in (
        ("*.jsonl", 3), ("a[12].jsonl", 2), ("a[!1].jsonl", 1), ("?1.jsonl", 2), ("*/*.jsonl", 1),
        ("**/*.jsonl", 5), ("x/**", 2), ("**/a?.jsonl", 4), ("**/y/*.jsonl", 1), ("**", 5),
    ):  # fmt: skip
        assert len(texts(read(tmp_path / pattern)[0])) == 3 * count, pattern


def test_names_within_a_source_do_not_depend_on_where_it_is(tmp_path: Path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a.jsonl").write_bytes(LINES)
    assert read(tmp_path / "d")[0][0].file == "a.jsonl"
    assert read(tmp_path / "d/*.jsonl")[0][0].file == "a.jsonl"
    assert read(tmp_path / "*/a.jsonl")[0][0].file == "d/a.jsonl"
    assert read(Path(f"{tmp_path}/**/*.jsonl"))[0][0].file == "d/a.jsonl"
