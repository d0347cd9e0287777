"""Boilerplate at the edges is found, the text is not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.columnar.kernels import buffers, everywhere
from filters.measure.boilerplate import find_boilerplate, line_kind
from filters.pii.annotator import SPANS
from filters.pii.mask import apply_spans
from filters.text.removed_spans import REMOVED_SPANS, removed_span_keys
from schemas.config import Pii

BODY = (
    "서울시는 내년부터 시내버스 노선을 새로 짠다고 밝혔다.\n"
    "새 노선은 지하철역과 주거지를 잇는 데 무게를 둔다.\n"
    "시민 의견은 다음 달까지 듣는다.\n"
)


def tails(*texts: str) -> pa.ListArray:
    data, offsets = buffers(pa.array(texts, pa.large_string()))
    return find_boilerplate(data, offsets, everywhere(offsets))


def left(text: str) -> str:
    """Return what `text` has left when its tails are cut."""
    none = pa.nulls(1, SPANS)
    column = pa.array([text], pa.large_string())
    return str(apply_spans(column, none, Pii(), [tails(text)])[0].as_py())


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("ⓒ 누리일보, 무단 전재 및 재배포 금지", "copyright"),
        ("저작권자 © 누리일보 무단전재 및 재배포 금지", "copyright"),
        ("Copyright 2021 Nuri Press. All rights reserved.", "copyright"),
        ("(c) 2019 Nuri Press", "copyright"),
        ("홍길동 기자 gildong@nuri.example", "sign-off"),
        ("[사진=누리일보 제공]", "sign-off"),
        ("댓글 12", "share-bar"),
        ("관련 기사", "share-bar"),
        ("Follow us on Nuri and elsewhere", "share-bar"),
        ("이 사이트는 더 나은 서비스를 위해 쿠키를 사용합니다.", "cookies"),
        ("We use cookies. Accept all cookies", "cookies"),
        ("개인정보처리방침 | 이용약관 | 고객센터", "policies"),
        ("Privacy Policy | Terms of Use | Contact us", "policies"),
    ],
)
def test_a_line_of_boilerplate_has_its_kind(line: str, kind: str) -> None:
    assert line_kind(line) == kind


@pytest.mark.parametrize(
    "line",
    [
        "기자들은 회견장을 떠났다.",
        "저작권은 창작과 함께 생긴다.",
        "The function returns the copyright holder's name.",
        "쿠키를 오븐에 12분 굽는다.",
        "Read the contact's record before you change it.",
        "영화가 좋아요",
        "x" * 301 + " All rights reserved.",
    ],
)
def test_a_sentence_of_the_text_is_not_boilerplate(line: str) -> None:
    assert line_kind(line) is None


def test_the_tail_goes_and_the_text_stays() -> None:
    tail = "\n홍길동 기자 gildong@nuri.example\n\nⓒ 누리일보, 무단 전재 및 재배포 금지\n"
    assert left(BODY + tail) == BODY


def test_a_cookie_banner_goes_from_the_top() -> None:
    assert left("We use cookies. Accept all cookies\n\n" + BODY) == "\n" + BODY


def test_a_copyright_line_inside_the_text_stays() -> None:
    text = "ⓒ 누리일보, 무단 전재 및 재배포 금지\n" + BODY
    assert left(text) == text


def test_one_weak_line_alone_stays() -> None:
    assert left(BODY + "댓글 12\n") == BODY + "댓글 12\n"
    assert left(BODY + "댓글 12\n공유하기\n") == BODY


def test_a_document_of_boilerplate_alone_stays() -> None:
    text = "Copyright 2021 Nuri Press. All rights reserved.\n"
    assert left(text) == text


def test_personal_data_in_a_tail_goes_with_it() -> None:
    tail = "홍길동 기자 gildong@nuri.example\nⓒ 누리일보, 무단 전재 금지\n"
    text = BODY + tail
    start = len((BODY + "홍길동 기자 ").encode())
    span = {"start": start, "end": start + 20, "type": "EMAIL_ADDRESS"}
    spans = pa.array([[span]], SPANS)
    column = pa.array([text], pa.large_string())
    assert apply_spans(column, spans, Pii(), [tails(text)])[0].as_py() == BODY


@given(
    st.text(max_size=40),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9), st.booleans()), max_size=6),
)
def test_spans_and_cuts_that_overlap_remove_every_byte_that_either_covers(
    text: str, drawn: list[tuple[int, int, bool]]
) -> None:
    text = "가" * 10 + text.replace("\0", "")
    places = {True: [(0, 0)], False: [(0, 0)]}
    for start, length, is_cut in sorted(drawn):
        end = min(start + length, len(text))
        if places[is_cut][-1][1] <= start < end:
            places[is_cut].append((start, end))
    offset = [len(text[:i].encode()) for i in range(len(text) + 1)]

    def column(kind: pa.DataType, cut: bool) -> pa.Array:
        name = "kind" if cut else "type"
        rows = [
            {"start": offset[a], "end": offset[b], name: "IP_ADDRESS"} for a, b in places[cut][1:]
        ]
        return pa.array([rows], kind)

    result = apply_spans(
        pa.array([text], pa.large_string()),
        column(SPANS, False),
        Pii(),
        [column(REMOVED_SPANS, True)],
    )[0].as_py()
    covered = np.zeros(len(text), bool)
    for start, end in places[True][1:] + places[False][1:]:
        covered[start:end] = True
    kept = "".join(c for c, gone in zip(text, covered, strict=True) if not gone)
    assert result.replace("<IP_ADDRESS>", "") == kept.replace("<IP_ADDRESS>", "")


def test_rows_have_the_tails_that_they_have_alone() -> None:
    texts = [BODY, BODY + "ⓒ 누리일보, 무단 전재 금지\n", "", "ⓒ"]
    assert tails(*texts).to_pylist() == [tails(text)[0].as_py() for text in texts]


def test_a_key_tells_cuts_apart_and_is_0_without_any() -> None:
    one = tails(BODY + "ⓒ 누리일보, 무단 전재 금지\n", BODY)
    keys = removed_span_keys([one], 2)
    assert keys[0] != 0
    assert keys[1] == 0
    other = tails(BODY + "x\nⓒ 누리일보, 무단 전재 금지\n", BODY)
    assert removed_span_keys([other], 2)[0] != keys[0]
    assert removed_span_keys([one, one], 2)[0] != keys[0]


def test_front_matter_at_the_beginning_is_cut_and_a_rule_of_hyphens_is_not():
    matter = "---\ntitle: 제목\nms.assetid: a1\nkeys:\n- b\n---\n"
    assert left(matter + BODY) == BODY
    assert left("---\n참고: 아래를 보라.\n---\n" + BODY) == "---\n참고: 아래를 보라.\n---\n" + BODY
