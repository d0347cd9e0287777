"""The tokenizer alone: training from files, showing tokens, measuring against others."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
import zstandard

from mixtures.tokenizer.tokenizer import Tokenizer
from pipelines.runners.runner import Runner
from pipelines.tokenize.run import run_tokenize
from pipelines.tokenize.standalone import (
    drawn,
    encode_text,
    file_texts,
    run_stats,
    train_from_files,
)
from schemas.config import Tokenizer as Settings
from schemas.errors import InputError
from tests.support.small_run import SmallContext, config, shard_tasks, write_documents

WORDS = ("바람이", "창문을", "나물과", "shard", "mixture", "reader", "return", "12", "()")
TEXTS = [
    " ".join(random.Random(number).choices(WORDS, k=12)) + f" {number}" for number in range(200)
]


def written(folder: Path) -> dict[str, Path]:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()
    files = {
        "plain": (folder / "a.jsonl", lines),
        "gzip": (folder / "a.jsonl.gz", gzip.compress(lines)),
        "zstd": (folder / "a.jsonl.zst", zstandard.compress(lines)),
        "text": (folder / "a.txt", "\n\n".join(TEXTS).encode()),
    }
    for path, data in files.values():
        path.write_bytes(data)
    return {kind: path for kind, (path, _) in files.items()}


def test_every_kind_of_file_gives_the_same_texts(tmp_path: Path):
    for kind, path in written(tmp_path).items():
        assert list(file_texts(str(path))) == TEXTS, kind


def test_a_draw_is_bounded_and_does_not_depend_on_the_order(tmp_path: Path):
    path = written(tmp_path)["plain"]
    found = drawn(str(path), 3000, 0)
    assert 3000 <= sum(len(text.encode()) for text in found) < 3300
    backwards = tmp_path / "b.jsonl"
    backwards.write_bytes(b"".join(reversed(path.read_bytes().splitlines(keepends=True))))
    assert drawn(str(backwards), 3000, 0) == found
    assert drawn(str(path), 3000, 1) != found
    assert len(drawn(str(path), 10**9, 0)) == len(TEXTS)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", b'{"text": "fine"}\n{"text": '),
        ("a.jsonl", b'{"body": "no text"}\n'),
        ("a.jsonl.gz", gzip.compress(b'{"text": "cut"}\n' * 99, mtime=0)[:-9]),
        ("a.jsonl.zst", b"not compressed"),
        ("a.txt", b"\xff\xfe"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, data: bytes):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        list(file_texts(str(tmp_path / name)))


def test_files_train_a_tokenizer(tmp_path: Path):
    files = written(tmp_path)
    settings = Settings(vocab_size=512, morphemes=False)
    card = train_from_files([str(files["plain"]), str(files["text"])], settings, tmp_path / "out")
    assert Tokenizer.load(tmp_path / "out").sha256 == card.sha256
    with pytest.raises(InputError, match="no file to train on"):
        train_from_files([], settings, tmp_path / "out")
    tokens = encode_text(Tokenizer.load(tmp_path / "out"), "shard 가\u0007")
    assert "".join(token.text for token in tokens[:1]).startswith("s")
    assert tokens[-1].text == "\x07"


def test_a_run_is_measured_beside_plain_bpe_and_others(tmp_path: Path):
    components = {"ko-a": "ko", "en-a": "en"}
    write_documents(tmp_path, {"ko-a": TEXTS[:120], "en-a": TEXTS[120:]}, components)
    mixture = {"weights": {"ko": 0.5, "en": 0.5}}
    ctx = SmallContext(tmp_path, config(components, mixture=mixture), "tokenize")
    run_tokenize(Runner(), ctx, shard_tasks(tmp_path))
    rows = run_stats(ctx, {"again": tmp_path / "tokenizer/tokenizer.model"}, measured=2000)
    by_name = {(row.component, row.tokenizer): row for row in rows}
    assert {name for _, name in by_name} == {"bibim", "plain BPE", "again"}
    assert by_name["ko", "bibim"].tokens == by_name["ko", "again"].tokens > 0
    assert by_name["en", "bibim"].bytes_per_token > 1
    assert by_name["ko", "plain BPE"].documents == by_name["ko", "bibim"].documents > 0
