"""UTF-8 that was read as CP949: restored where nothing was lost, else counted."""

from __future__ import annotations

import pyarrow as pa
import pytest

from filters.columnar.kernels import buffers, everywhere
from filters.columnar.lost import lost_marks as count
from filters.text.charset.mojibake import from_cp949
from tests.support.charset_texts import TEXTS


def lost_marks(text: str) -> int:
    data, offsets = buffers(pa.array(["x", text, "\ufffd"], pa.large_string()))
    return int(count(data, offsets, everywhere(offsets))[1])


def misread(text: str) -> str:
    return text.encode().decode("cp949", "replace")


@pytest.mark.parametrize("text", ["번째", "0번째 문장", "첫째 번째 마을", "바다 친구 커피"])
def test_words_that_lost_nothing_are_restored(text: str):
    assert "\ufffd" not in misread(text)
    assert from_cp949(misread(text)) == text


def test_a_word_that_lost_bytes_stays_and_is_counted():
    broken = misread("번째 이야기.")
    assert from_cp949(broken) == f"번째 {misread('이야기.')}"
    assert lost_marks(broken) == broken.count("\ufffd") > 0


@pytest.mark.parametrize("lang", list(TEXTS))
def test_good_text_is_neither_restored_nor_counted(lang: str):
    assert from_cp949(TEXTS[lang]) is None
    assert lost_marks(TEXTS[lang]) == 0


@pytest.mark.parametrize("text", ["獨占시장", "占領", "어쨌든 그 째째한 사람", "㎏ 踰越", "뷁쉛"])
def test_rare_characters_are_not_mojibake(text: str):
    assert from_cp949(text) is None
    assert lost_marks(text) == 0


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("占쏙옙", 1),
        (misread("\ufffd" * 4), 2),
        ("锟斤拷锟斤拷", 2),
        ("a\ufffdb", 1),
        ("\u00ef\u00bf\u00bd", 1),
        ("plain", 0),
        ("", 0),
    ],
)
def test_remains_of_lost_characters_are_counted(text: str, marks: int):
    assert lost_marks(text) == marks
