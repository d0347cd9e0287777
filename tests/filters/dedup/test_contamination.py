"""Benchmark items are found inside documents, whatever case, spacing and marks do."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from filters.dedup.contamination import build_index, contamination, read_items
from schemas.errors import InputError

ENGLISH = (
    "A farmer has twelve hens and each hen lays four eggs a week; how many eggs does the "
    "farmer collect in five weeks if one hen stops laying after the second week?"
)
KOREAN_LONG = "철수는 시장에서 사과 일곱 개를 사고 영희에게 세 개를 나누어 준 뒤 남은 사과를 동생과 똑같이 나누었다. 동생은 몇 개를 받았을까?"
KOREAN_SHORT = "그 가게는 월요일마다 문을 닫지만 전화 주문은 받는다."
CODE = "def has_close_elements(numbers: list[float], threshold: float) -> bool:\n    for idx, elem in enumerate(numbers): return True"
ITEMS = [
    ("en", ENGLISH, "en"),
    ("ko", KOREAN_LONG, "ko"),
    ("short", KOREAN_SHORT, "ko"),
    ("code", CODE, ""),
]
INDEX = build_index(ITEMS, 13)
AROUND = ("앞에는 다른 이야기가 있습니다. ", " 뒤에도 다른 이야기가 이어집니다.")


def found(text: str) -> str | None:
    return contamination(pa.array([text], pa.large_string()), INDEX)[2][0]


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, t, _ in ITEMS])
def test_an_item_inside_a_document_is_found(name: str, text: str):
    assert found(text) == name
    assert found(AROUND[0] + text + AROUND[1]) == name
    assert found(AROUND[0] + text.upper().replace(".", " !") + AROUND[1]) == name


def test_korean_is_found_without_its_spaces():
    assert found(AROUND[0] + KOREAN_LONG.replace(" ", "") + AROUND[1]) == "ko"
    assert found(AROUND[0] + KOREAN_SHORT.replace(" ", "  ") + AROUND[1]) == "short"


def test_a_part_of_thirteen_words_is_enough_and_twelve_are_not():
    words = ENGLISH.split()
    assert found("prefix " + " ".join(words[3:16]) + " suffix") == "en"
    assert found("prefix " + " ".join(words[3:15]) + " suffix") is None


def test_a_clean_document_has_no_share_and_no_run():
    clean = pa.array(["The hens are in the yard. 닭은 마당에 있다.", ""], pa.large_string())
    share, run, item = contamination(clean, INDEX)
    assert share.tolist() == [0, 0]
    assert run.tolist() == [0, 0]
    assert item == [None, None]


def test_the_run_counts_the_units_that_match():
    _, run, _ = contamination(pa.array([ENGLISH], pa.large_string()), INDEX)
    assert run[0] == len(ENGLISH.replace("?", "").replace(";", "").split())


def test_a_file_of_items_that_is_broken_names_its_line(tmp_path: Path):
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"text": "ok"}) + '\n{"no": 1}\n', "utf-8")
    with pytest.raises(InputError, match="line 2"):
        read_items(str(path))
    with pytest.raises(InputError, match="no such file"):
        read_items(str(tmp_path / "none.jsonl"))
