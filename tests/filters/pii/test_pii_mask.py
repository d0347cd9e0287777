"""Spans applied: what stays of a value, and that nothing else of the text changes."""

from __future__ import annotations

import random
import re
from datetime import date

import pyarrow as pa
import pytest

from filters.pii.annotator import SPANS, Redact
from filters.pii.entities import drop_types
from filters.pii.mask import apply_spans, drops, masked
from filters.pii.pseudonym import Pseudonyms
from filters.text.removed_spans import build_removed_spans
from schemas.config import Pii
from tests.support.pii_values import Planted, planted


@pytest.fixture(scope="module")
def redact() -> Redact:
    return Redact(Pii())


def column(texts: list[str | None]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def spans(redact: Redact, texts: list[str | None]) -> pa.ListArray:
    rows = pa.record_batch({"text": column(texts), "assigned": pa.array(["ko"] * len(texts))})
    return redact(rows).column("pii_spans")


def applied(redact: Redact, text: str, settings: Pii | None = None) -> str:
    result = apply_spans(column([text]), spans(redact, [text]), settings or Pii())
    result.validate(full=True)
    return str(result[0].as_py())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("이메일은kim@naver.com입니다", "이메일은****@naver.com입니다"),
        ("kim (at) naver.com", "**** (at) naver.com"),
        ("kim골뱅이naver닷com", "****골뱅이naver닷com"),
        ("010-1234-5678", "010-****-****"),
        ("01012345678", "010********"),
        ("(02) 123-4567", "(02) ***-****"),
        ("031-123-4567", "031-***-****"),
        ("0504-123-4567", "0504-***-****"),
        ("070-1234-5678", "070-****-****"),
        ("+82-10-1234-5678", "+82-10-****-****"),
        ("+82 (0)2-123-4567", "+82 (0)2-***-****"),
        ("공일공-일이삼사-오육칠팔", "공일공-****-****"),
        ("문의 1588-1234", "문의 1588-****"),
        ("+1 (415) 555-2671", "+1 (***) ***-****"),
        ("960101-1234567이야", "<KR_RRN>이야"),
        ("계좌 110-123-456789로", "계좌 <KR_BANK_ACCOUNT>로"),
        ("postgres://svc:Hx92kaqq@db.host.net/x", "postgres://<URL_CREDENTIALS>@db.host.net/x"),
    ],
)
def test_a_mask_keeps_what_names_nobody(redact: Redact, text: str, expected: str):
    assert applied(redact, text) == expected


def test_a_resident_number_keeps_decade_and_sex_on_request():
    settings = Pii(keep_demographics=True)
    assert masked("960101-1234567", "KR_RRN", settings) == "9*****-1******"
    assert masked("960101-1234567", "KR_RRN", Pii()) == "<KR_RRN>"


def test_nothing_but_the_value_changes(redact: Redact):
    texts = planted(seed=11, rounds=2)
    given = [t.text for t in texts]
    result = apply_spans(column(list(given)), spans(redact, list(given)), Pii()).to_pylist()
    for item, after in zip(texts, result, strict=True):
        ((start, end, value),) = item.spans
        data = item.text.encode()
        assert after.encode().startswith(data[:start]), value.writing
        assert after.encode().endswith(data[end:]), value.writing
        assert value.text not in after, value.writing


def test_masked_text_holds_nothing_more_to_mask(redact: Redact):
    texts = [t.text for t in planted(seed=12, rounds=2)]
    once = apply_spans(column(list(texts)), spans(redact, list(texts)), Pii())
    again = spans(redact, once.to_pylist())
    assert [row for row in again.to_pylist() if row] == []


def test_a_type_has_an_action_of_its_own(redact: Redact):
    text = "010-1234-5678, kim@naver.com"
    assert applied(redact, text, Pii(entities={"PHONE_NUMBER": "keep"})) == (
        "010-1234-5678, ****@naver.com"
    )
    assert applied(redact, text, Pii(action="keep", entities={"EMAIL_ADDRESS": "mask"})) == (
        "010-1234-5678, ****@naver.com"
    )


def test_drop_names_the_documents_that_hold_a_type(redact: Redact):
    rows = spans(redact, ["010-1234-5678", "a.kim@naver.com, b.lee@naver.com", "없음"])
    assert drops(rows, Pii()).to_pylist() == [False, False, False]
    assert drops(rows, Pii(entities={"PHONE_NUMBER": "drop"})).to_pylist() == [True, False, False]
    assert drops(rows, Pii(drop_above=1)).to_pylist() == [False, True, False]
    assert drop_types(Pii(entities={"KR_RRN": "drop"})) == ["KR_RRN"]


def test_null_rows_and_slices_come_through(redact: Redact):
    texts: list[str | None] = ["앞", None, "a.kim@naver.com", "", "뒤 010-1234-5678", None]
    rows = spans(redact, texts)
    expected = ["앞", None, "****@naver.com", "", "뒤 010-****-****", None]
    assert apply_spans(column(texts), rows, Pii()).to_pylist() == expected
    for start in range(len(texts)):
        part = apply_spans(column(texts).slice(start), rows.slice(start), Pii())
        part.validate(full=True)
        assert part.to_pylist() == expected[start:]
    unknown = pa.array([None] * 6, SPANS)
    assert apply_spans(column(texts), unknown, Pii()).to_pylist() == texts
    assert apply_spans(column([]), pa.array([], SPANS), Pii()).to_pylist() == []


def test_a_batch_of_many_equals_many_of_one(redact: Redact):
    texts: list[str | None] = [t.text for t in planted(seed=13, rounds=1)]
    rows = spans(redact, texts)
    for settings in (Pii(), Pii(action="pseudonymise", key="k")):
        together = apply_spans(column(texts), rows, settings).to_pylist()
        alone = [
            apply_spans(column([text]), rows.slice(i, 1), settings)[0].as_py()
            for i, text in enumerate(texts)
        ]
        assert together == alone


PSEUDONYMISE = Pii(action="pseudonymise", key="a secret")


@pytest.mark.parametrize("settings", [Pii(), PSEUDONYMISE])
@pytest.mark.parametrize(
    ("text", "cut", "expected"),
    [
        ("첫째 줄\n{kim@naver.com | 안내}", ["kim@naver.com | 안내"], "첫째 줄\n"),
        ("첫째 줄\n{kim@naver.com}", ["kim@naver.com"], "첫째 줄\n"),
        ("앞 {kim@naver.com 뒤}", ["naver.com 뒤"], "앞 "),
        ("{안내 kim@naver.com} 뒤", ["안내 kim@"], " 뒤"),
        ("가 {kim@naver.com} 나", ["@"], "가  나"),
        ("{kim@naver.com}", ["kim", "com"], ""),
        ("a.lee@naver.com\n{kim@naver.com}", ["kim@naver.com"], "****@naver.com\n"),
    ],
)
def test_a_value_that_a_cut_reaches_goes_with_it_and_leaves_no_mask(
    redact: Redact, settings: Pii, text: str, cut: list[str], expected: str
):
    text = text.replace("{", "").replace("}", "")
    rows = spans(redact, [text])
    starts = [len(text[: text.index(part)].encode()) for part in cut]
    ends = [start + len(part.encode()) for start, part in zip(starts, cut, strict=True)]
    columns = [
        build_removed_spans(1, [0], [(start, end, "line")])
        for start, end in zip(starts, ends, strict=True)
    ]
    after = apply_spans(column([text]), rows, settings, columns)[0].as_py()
    other = r".+@.+" if settings is PSEUDONYMISE else re.escape("****@naver.com")
    assert re.fullmatch(re.escape(expected).replace(re.escape("****@naver.com"), other), after)


def test_a_value_whose_action_is_keep_loses_only_what_is_cut(redact: Redact):
    text = "kim@naver.com 뒤"
    cut = build_removed_spans(1, [0], [(0, 4, "line")])
    after = apply_spans(column([text]), spans(redact, [text]), Pii(action="keep"), [cut])
    assert after.to_pylist() == ["naver.com 뒤"]


def test_no_mask_is_left_of_any_value_that_a_cut_overlaps(redact: Redact):
    """Against a character at a time: what the text outside values and cuts is."""
    chance = random.Random(5)
    texts = [item.text + "\n꼬리 " + item.text for item in planted(seed=15, rounds=2)]
    rows = spans(redact, list(texts))
    where: list[int] = []
    cuts: list[tuple[int, int, str]] = []
    for number, text in enumerate(texts):
        bounds = [len(text[:at].encode()) for at in range(len(text) + 1)]
        start, end = sorted(chance.sample(bounds, 2))
        where.append(number)
        cuts.append((start, end, "line"))
    removed = build_removed_spans(len(texts), where, cuts)
    found = apply_spans(column(list(texts)), rows, Pii(), [removed]).to_pylist()
    reached = 0
    for text, (start, end, _), own, after in zip(texts, cuts, rows.to_pylist(), found, strict=True):
        data = text.encode()
        expected, at = b"", 0
        edits = [(start, end, b"")]
        for span in own:
            value = data[span["start"] : span["end"]].decode()
            hit = span["start"] < end and span["end"] > start
            reached += hit
            put = b"" if hit else masked(value, span["type"], Pii()).encode()
            edits.append((span["start"], span["end"], put))
        for first, last, put in sorted(edits):
            expected += data[at:first] + put
            at = max(at, last)
        assert after == (expected + data[at:]).decode()
    assert reached > 50


def test_a_pseudonym_is_stable_inside_a_document_and_differs_between_them(redact: Redact):
    text = "010-2345-6789 그리고 01023456789, 다른 사람은 010-9876-5432"
    first = applied(redact, text, PSEUDONYMISE)
    hyphens, bare = first.split(" 그리고 ")[0], first.split(" 그리고 ")[1][:11]
    assert hyphens.replace("-", "") == bare
    assert hyphens.startswith("010-") and hyphens != "010-2345-6789"
    assert applied(redact, text, PSEUDONYMISE) == first
    assert applied(redact, text + " 끝", PSEUDONYMISE)[:13] != hyphens
    assert applied(redact, text, Pii(action="pseudonymise", key="another")) != first


def test_a_pseudonym_keeps_the_form_and_not_the_value(redact: Redact):
    def shape(text: str) -> str:
        return "".join("9" if c in "0123456789" else c for c in text)

    kept = ("KR_RRN", "PHONE_NUMBER", "KR_BANK_ACCOUNT", "CREDIT_CARD", "KR_BRN", "KR_VEHICLE")
    texts: list[Planted] = [
        t
        for t in planted(seed=14, rounds=2)
        if t.spans[0][2].entity in kept and not t.spans[0][2].obfuscated
    ]
    for item in texts:
        after = applied(redact, item.text, PSEUDONYMISE)
        assert shape(after) == shape(item.text), item.spans[0][2].writing
        assert item.spans[0][2].text not in after


def test_a_number_with_letters_of_its_own_gives_no_pseudonym(redact: Redact):
    text = "지갑 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa, 차량 33오1192"
    after = applied(redact, text, PSEUDONYMISE)
    assert "<CRYPTO>" in after and "오" in after and "33오1192" not in after


@pytest.mark.parametrize("mail", ["kim (@) naver.com", "kim( @ )naver.com", "kim (at) naver.com"])
def test_the_brackets_of_a_mark_stay_whole(redact: Redact, mail: str):
    assert applied(redact, f"메일은 {mail}", Pii()) == f"메일은 ****{mail[3:]}"


def test_a_pseudonym_is_nobodys_number(redact: Redact):
    from presidio_analyzer.predefined_recognizers import KrBrnRecognizer

    for number in range(40):
        text = (
            f"주민번호 9601{number % 28 + 1:02}-1234567, 사업자등록번호 220-81-62517, 끝 {number}"
        )
        after = applied(redact, text, PSEUDONYMISE)
        resident, business = after[5:19], after[29:41]
        with pytest.raises(ValueError, match="day"):
            date(1900 + int(resident[:2]), int(resident[2:4]), int(resident[4:6]))
        assert not KrBrnRecognizer().validate_result(business), business


VALUES = [
    ("EMAIL_ADDRESS", "someone@example.org"),
    ("PHONE_NUMBER", "010-1234-5678"),
    ("KR_RRN", "900101-1234567"),
    ("CREDIT_CARD", "4111 1111 1111 1111"),
    ("KR_BRN", "220-81-62517"),
    ("KR_VEHICLE", "12가3456"),
    ("PERSON", "홍길동"),
    ("IP_ADDRESS", "8.8.4.4"),
    ("IP_ADDRESS", "2001:4860::8844"),
]


@pytest.mark.parametrize(("entity", "value"), VALUES)
def test_a_pseudonym_is_as_long_under_every_key(entity: str, value: str):
    keys = map(str, range(300))
    found = {Pseudonyms(key, b"document").of(value, entity) for key in keys}
    assert len(found) > 1
    assert len({len(pseudonym.encode()) for pseudonym in found}) == 1
