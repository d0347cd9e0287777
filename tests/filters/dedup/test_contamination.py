"""Benchmark items are found inside documents, whatever case, spacing and marks do."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest

from filters.dedup.annotator import Sign
from filters.dedup.contamination import build_index, contamination
from filters.dedup.items import read_items
from filters.text.repair import normalise
from schemas.config import Decontaminate, Dedup
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


@pytest.mark.parametrize("text", [KOREAN_LONG, KOREAN_SHORT, "café " * 8 + "où l'été naïf"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_item_matches_in_whatever_normal_form_its_file_is(tmp_path: Path, text: str, form: str):
    path = tmp_path / "items.jsonl"
    item = {"id": "x", "text": "\ufeff" + unicodedata.normalize(form, text) + "\0"}  # type: ignore[arg-type]  # a form
    path.write_text(json.dumps(item) + "\n", "utf-8")
    document = pa.array([AROUND[0] + normalise(text) + AROUND[1]], pa.large_string())
    share, run, found = contamination(document, build_index(read_items(str(path)), 13))
    assert found == ["x"]
    assert share[0] > 0 and run[0] > 0


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_a_separator_inside_an_items_text_ends_no_line(tmp_path: Path, separator: str):
    path = tmp_path / "items.jsonl"
    lines = [json.dumps({"text": f"하나{separator}둘"}, ensure_ascii=False), '{"text": "셋"}']
    path.write_text("\n".join(lines) + "\n", "utf-8", newline="")
    items = read_items(str(path))
    assert [(name, text) for name, text, _ in items] == [
        ("items.jsonl:1", f"하나{separator}둘"),
        ("items.jsonl:2", "셋"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": 5}', "line 1: text is a number"),
        ('{"text": null}', "line 1: text is null"),
        ('{"question": "x"}', "line 1: text not found; fields: question"),
        ("[]", "line 1: a list, not an object"),
        ('{"text": " "}', "holds no item with a text"),
        ("", "holds no items with a text"),
    ],
)
def test_items_without_text_are_an_error_that_names_the_line(
    tmp_path: Path, line: str, message: str
):
    path = tmp_path / "items.jsonl"
    path.write_text(line + "\n", "utf-8")
    with pytest.raises(InputError, match=rf"items\.jsonl: .*{message}"):
        read_items(str(path))


def test_a_short_item_before_the_first_window_adds_no_window_to_the_share():
    items = [
        ("short", "one two three four five six seven eight", ""),
        ("long", " ".join(f"w{n}" for n in range(13)), ""),
    ]
    index = build_index(items, 13)
    texts = [f"{items[0][1]} and {items[1][1]}", f"{items[1][1]} and {items[0][1]}", items[0][1]]
    share, _, _ = contamination(pa.array(texts, pa.large_string()), index)
    windows = 8 + 1 + 13 - 13 + 1
    assert share.tolist() == pytest.approx([1 / windows, 1 / windows, 1])


def test_a_file_of_items_that_is_broken_names_its_line(tmp_path: Path):
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"text": "ok"}) + '\n{"no": 1}\n', "utf-8")
    with pytest.raises(InputError, match="line 2"):
        read_items(str(path))
    with pytest.raises(InputError, match="no such file"):
        read_items(str(tmp_path / "none.jsonl"))


def test_items_that_are_all_too_short_to_be_found_are_an_error(tmp_path: Path):
    path = tmp_path / "items.jsonl"
    path.write_text('{"text": "one two three"}\n{"text": "가나다"}\n', "utf-8")
    with pytest.raises(InputError, match=r"items\.jsonl: no item has 8 words"):
        Sign(Dedup(), Decontaminate(against=[str(path)]))
