"""Screening: planted abuse, spam and clean text; and the shipped model's card."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.fit.labelled import is_held_out
from filters.fit.logistic import figures
from filters.toxicity.annotator import DEFAULT_MODEL, Screen, model_files
from filters.toxicity.lexicon import CLASSES, phrases
from schemas.config import Toxicity
from schemas.errors import InputError
from tests.support import ROOT

DATA = ROOT.parent / "shared" / "data"
SCREEN = Screen(Toxicity())

ABUSE = [
    "야 이 병신아 당장 꺼져",
    "저런 쓰레기 같은 것들은 다 죽어야 돼",
    "You are a stupid bitch and everyone hates you",
    "shut up you dumb whore",
]
CLEAN = [
    "오늘은 날씨가 좋아서 공원을 산책했습니다.",
    "설정 파일을 고친 다음 서버를 다시 시작하세요.",
    "배우들 연기도 좋고 음악도 정말 감동적이었어요",
    "The function returns the number of bytes that were read.",
    "We walked along the river and talked about the film.",
]
SPAM = [
    "카지노사이트 추천 꽁머니 3만 첫충 30% 가입코드 ABC 카톡문의 주세요",
    "카 지 노 추 천 꽁.머.니 드려요 카톡 문의",
    "무직자대출 당일입금 누구나 가능! 010-1234-5678 상담환영",
    "강남 출장마사지 후불제 24시 카톡문의 010.1234.5678",
    "Claim your bonus now! Best online casino, free spins, no deposit bonus http://x.example",
    "Buy viagra online, no prescription, limited time offer, click here www.x.example",
    "폰테크 당일입금 무직자 환영 카톡문의",
    "인스타 팔로워 구매 최저가 보장, 텔레그램 문의",
    "Replica Rolex, best price, free shipping. DM me on WhatsApp",
]
REPORTS = [
    "경찰은 불법 온라인 도박 사이트를 운영한 혐의로 세 명을 구속했다고 밝혔다. 이들은 바카라 게임을 "
    "제공하고 판돈의 일부를 챙긴 것으로 조사됐다.",
    "The court sentenced the owner of an illegal casino after police investigated online gambling.",
    "Poker is a family of card games in which players bet; betting rounds follow each deal. In a "
    "casino the house deals, and roulette or baccarat tables stand nearby.",
    "은행의 대출 금리가 오르면서 주택 담보 대출을 받은 가구의 부담이 커졌다. 연체도 늘었다.",
    "형법은 도박을 한 사람을 처벌하며, 상습 도박은 더 무겁게 처벌한다. 카지노업은 따로 규제한다.",
    "금융감독원은 '무직자대출', '당일대출' 같은 문구로 유인하는 불법 사금융 광고를 적발했다며 주의를 당부했다.",
    "카지노와 룰렛, 블랙잭, 바카라의 규칙은 https://ko.wikipedia.org 에서 볼 수 있다.",
    "무료 상담과 한도 조회는 서민금융진흥원 대출상담 창구 1397에서 받을 수 있습니다.",
    "Run npm install express. Click here to read the API docs: https://x.example/docs",
]


def screen(*texts: str | None) -> list[dict[str, object]]:
    batch = pa.RecordBatch.from_arrays([pa.array(list(texts), pa.large_string())], names=["text"])
    found = SCREEN(batch)
    assert found.schema == Screen.schema
    return found.to_pylist()


@pytest.mark.parametrize("text", ABUSE)
def test_abuse_is_toxic(text: str):
    assert screen(text)[0]["toxicity"] > 0.6


@pytest.mark.parametrize("text", CLEAN)
def test_clean_text_is_neither_toxic_nor_spam(text: str):
    (found,) = screen(text)
    assert found["toxicity"] < 0.5
    assert found["spam"] == 0
    assert found["lexicon"] == []


@pytest.mark.parametrize("text", SPAM)
def test_offers_are_spam(text: str):
    assert screen(text)[0]["spam"] > 0.9


@pytest.mark.parametrize("text", REPORTS)
def test_reports_about_a_trade_are_not_spam(text: str):
    assert screen(text)[0]["spam"] < 0.9


def test_one_abusive_line_does_not_make_a_long_page_toxic():
    page = "\n".join(CLEAN * 20)
    (found,) = screen(page + "\n" + ABUSE[0] + "\n" + page)
    assert found["toxicity"] < 0.5
    assert found["lexicon"] == ["hate"]
    (abuse,) = screen("\n".join(ABUSE * 20))
    assert abuse["toxicity"] > 0.8
    assert abuse["toxic_share"] > 0.9


def test_one_offer_does_not_make_a_long_page_spam():
    page = "\n".join(CLEAN * 20)
    assert 0 < screen(page + "\n" + SPAM[0] + "\n" + page)[0]["spam"] < 0.1


def test_text_without_a_character_is_zero_and_never_null():
    for found in screen("", None, " \n\t", "\u200b"):
        assert (found["toxicity"], found["spam"], found["lexicon"]) == (0, 0, [])


def test_words_that_only_contain_a_phrase_are_not_matched():
    """English phrases need word edges; two syllables of Hangul must stand together."""
    assert screen("scunthorpe and essex loaned sloane a slotsman")[0]["lexicon"] == []
    assert screen("개 년도별 통계와 좋은 대 출장 기록")[0]["lexicon"] == []


@pytest.mark.parametrize(
    "word", ["토토사이트", "스포츠토토", "대출상담", "사설토토사이트", "payday loan"]
)
def test_one_topical_word_names_no_class_whatever_phrases_overlap_in_it(word: str):
    assert screen(f"어제 {word} 이야기")[0]["lexicon"] == []
    assert len(screen(f"어제 {word} 이야기, 또 {word}")[0]["lexicon"]) == 1


def test_two_topical_words_side_by_side_name_their_class():
    assert screen("casino poker")[0]["lexicon"] == ["gambling"]
    assert screen("카지노바카라")[0]["lexicon"] == ["gambling"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=("Cs",)), max_size=400),
            st.lists(st.sampled_from(SPAM + ABUSE + CLEAN), max_size=12).map("\n".join),
        ),
        max_size=5,
    )
)
def test_any_batch_gives_what_its_rows_give_alone(texts: list[str]):
    whole = screen(*texts)
    assert whole == [screen(text)[0] for text in texts]
    for found in whole:
        for name in ("toxicity", "toxic_share", "spam"):
            assert 0 <= found[name] <= 1
        assert set(found["lexicon"]) <= set(CLASSES)


def test_every_phrase_is_found_where_it_stands():
    """But those of reports, which belong to no class."""
    for phrase, kind, role in phrases():
        if role in (0, 3):
            assert CLASSES[kind] in screen(f"x {phrase.strip()} x")[0]["lexicon"], phrase


def test_a_missing_model_names_the_remedy(tmp_path: Path):
    with pytest.raises(InputError, match="bibim fit toxicity"):
        Screen(Toxicity(model=str(tmp_path / "none.npz")))
    assert model_files(Toxicity()) == [DEFAULT_MODEL]


def rows(name: str) -> list[dict[str, object]]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"../shared/data is not here: {name}")
    with path.open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("name", "auc", "macro_f1"),
    [("toxicity_ko", 0.87, 0.785), ("toxicity_en", 0.98, 0.91)],
)
def test_the_shipped_model_keeps_its_cards_promise_on_held_out_rows(
    name: str, auc: float, macro_f1: float
):
    held = [row for row in rows(f"labelled/{name}.jsonl.zst") if is_held_out(str(row["id"]))]
    found = screen(*(str(row["text"]) for row in held))
    measured = figures(
        np.array([row["toxicity"] for row in found]),
        np.array([row["label"] == 1 for row in held]),
    )
    assert measured.auc >= auc
    assert measured.macro_f1 >= macro_f1
    assert measured.ece <= 0.03


@pytest.mark.parametrize("name", ["ko_docs", "en_docs", "code"])
def test_documentation_and_code_are_not_dropped(name: str):
    texts = [str(row["text"]) for row in rows(f"corpora/{name}.jsonl.zst")[::10]]
    found = screen(*texts)
    assert sum(row["toxicity"] > 0.9 for row in found) <= 1
    assert sum(row["spam"] > 0.9 for row in found) == 0
