"""Personal data is found in every writing, ordinary numbers are not, whatever stands around."""

from __future__ import annotations

import io
import json
import logging
import random
import string
import subprocess
import sys
from collections import Counter
from types import FrameType
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.pii.analyser import Analyser, Hit
from filters.pii.annotator import Redact, resolve
from filters.pii.entities import ENTITIES, KINDS
from filters.pii.prefilter import ALL_KINDS, USUAL_KINDS, find_windows, has_candidates
from schemas.config import Entity, Pii
from tests.support import ROOT
from tests.support.pii_values import DECOYS, planted

Span = tuple[int, int, str]
CORPORA = ROOT.parent / "shared/data/corpora"


@pytest.fixture(scope="module")
def redact() -> Redact:
    return Redact(Pii())


def batch(texts: list[str | None], component: str | list[str] = "ko") -> pa.RecordBatch:
    assigned = [component] * len(texts) if isinstance(component, str) else component
    return pa.record_batch(
        {"text": pa.array(texts, pa.large_string()), "assigned": pa.array(assigned)}
    )


def spans_of(annotations: pa.RecordBatch) -> list[list[Span]]:
    return [
        [(span["start"], span["end"], span["type"]) for span in row]
        for row in annotations.column("pii_spans").to_pylist()
    ]


def found(redact: Redact, text: str, component: str = "ko") -> list[tuple[str, str]]:
    """Return (type, value) of every span in one text."""
    (spans,) = spans_of(redact(batch([text], component)))
    data = text.encode()
    return [(kind, data[start:end].decode()) for start, end, kind in spans]


def without_prefilter(texts: list[str]) -> list[list[Span]]:
    """Return what Presidio finds when it reads every text whole."""
    analyser = Analyser(["PERSON"])
    hits: list[list[Hit]] = [[] for _ in texts]
    for kind in range(len(KINDS)):
        for row, more in enumerate(analyser.analyse(texts, kind)):
            hits[row] += more
    return [
        [
            (hit.start, hit.end, hit.entity)
            for hit in resolve(
                [
                    Hit(
                        len(text[: hit.start].encode()),
                        len(text[: hit.end].encode()),
                        hit.entity,
                        hit.score,
                    )
                    for hit in row
                ]
            )
        ]
        for text, row in zip(texts, hits, strict=True)
    ]


# What is found


@pytest.mark.parametrize(
    ("text", "entity", "value"),
    [
        ("이메일은kim@naver.com입니다", "EMAIL_ADDRESS", "kim@naver.com"),
        ("kim.cs@naver.com으로보내", "EMAIL_ADDRESS", "kim.cs@naver.com"),
        ("960101-1234567이야", "KR_RRN", "960101-1234567"),
        ("번호는010-1234-5678이에요", "PHONE_NUMBER", "010-1234-5678"),
        ("계좌번호는110-123-456789로", "KR_BANK_ACCOUNT", "110-123-456789"),
        ("제차는123가4567입니다", "KR_VEHICLE", "123가4567"),
        ("공일공-일이삼사-오육칠팔로", "PHONE_NUMBER", "공일공-일이삼사-오육칠팔"),
    ],
)
def test_a_particle_does_not_hide_a_value(redact: Redact, text: str, entity: str, value: str):
    assert found(redact, text) == [(entity, value)]


@pytest.mark.parametrize(
    "address",
    [
        "서울특별시 강남구 테헤란로 152, 3층 (역삼동)",
        "경기도 수원시 영통구 광교중앙로 45번길 12",
        "부산 해운대구 우동 1408-5번지",
        "제주특별자치도 서귀포시 중문관광로72번길 60",
        "강원도 평창군 대관령면 횡계리 산 1-12",
        "종로구 새문안로 55",
        "서울 강남구 테헤란로 152 대우빌딩",
        "서울 종로구 인사동길 12",
        "속초시 중앙로 147번길 12",
        "서울시 관악구 신림동 1433-25",
        "서울 성동구 성수동2가 277-17",
        "서울 중구 을지로 3가 302-1",
    ],
)
def test_an_address_is_found_down_to_the_building(redact: Redact, address: str):
    assert found(redact, f"저희는 {address}에 있습니다.") == [("KR_ADDRESS", address)]


def test_a_place_without_a_house_number_is_not_an_address(redact: Redact):
    assert found(redact, "서울특별시 강남구 테헤란로를 따라 걸어 역삼동까지 갔다.") == []


def test_resident_numbers_need_no_checksum_but_a_date(redact: Redact):
    assert found(redact, "210315-3123456") == [("KR_RRN", "210315-3123456")]
    assert found(redact, "211315-3123456") == []


def test_a_number_without_a_shape_needs_a_word_beside_it(redact: Redact):
    assert found(redact, "입금 계좌 12345678901234") == [("KR_BANK_ACCOUNT", "12345678901234")]
    assert found(redact, "총 12345678901234개") == []


def test_source_code_needs_more_than_a_shape(redact: Redact):
    assert found(redact, "limit = 01087654321", "ko") == [("PHONE_NUMBER", "01087654321")]
    assert found(redact, "limit = 01087654321", "code") == []
    assert found(redact, "phone = 01087654321", "code") == [("PHONE_NUMBER", "01087654321")]


def test_a_private_key_is_found_whole_wherever_a_window_ends(redact: Redact):
    body = "\n".join("MIIEowIBAAKCAQEA" * 4 for _ in range(90))
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"
    text = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n" * 3 + key + "\n"
    assert found(redact, text * 3, "code") == [("PRIVATE_KEY", key)] * 3


def test_names_are_found_beside_a_label_and_only_on_request():
    text = "담당자: 김하늘 (총무팀), 이수민님께 전달"
    assert found(Redact(Pii()), text) == []
    everything = Redact(Pii(disable=[]))
    assert found(everything, text) == [("PERSON", "김하늘"), ("PERSON", "이수민")]
    assert found(everything, "환자 이송, 담당자 변경, 주인장님과 위원장님, 이름 조회") == []


def test_planted_values_are_found_and_nothing_else(redact: Redact):
    texts = planted(seed=3, rounds=12)
    rows = spans_of(redact(batch([t.text for t in texts], [t.component for t in texts])))
    seen: Counter[tuple[bool, bool]] = Counter()
    missed = []
    for text, row in zip(texts, rows, strict=True):
        ((start, end, value),) = text.spans
        held = any(s <= start and e >= end and t == value.entity for s, e, t in row)
        seen[value.obfuscated, held] += 1
        seen[True, False] += 0
        if not held:
            missed.append((value.entity, value.writing))
        beside = [span for span in row if span[1] <= start or span[0] >= end]
        assert not beside, (value.entity, value.writing)
    assert sum(seen.values()) > 900
    assert seen[False, True] >= 0.99 * (seen[False, True] + seen[False, False]), missed
    assert seen[True, True] >= 0.97 * (seen[True, True] + seen[True, False]), missed


@pytest.mark.parametrize(("component", "text"), DECOYS)
def test_ordinary_numbers_survive(redact: Redact, component: str, text: str):
    assert found(redact, text, component) == []


@pytest.mark.parametrize(
    ("component", "text", "entity", "value"),
    [
        ("ko", "서울 종로구 인사동길 12 인사아트센터 옆", "KR_ADDRESS", "서울 종로구 인사동길 12 인사아트센터"),
        ("ko", "서울시 관악구 신림동 1433-25 원룸", "KR_ADDRESS", "서울시 관악구 신림동 1433-25"),
        ("ko", "속초시 중앙로 147번길 12 대게나라", "KR_ADDRESS", "속초시 중앙로 147번길 12"),
        ("ko", "서울 서초구 서초대로 411 회사 건물", "KR_ADDRESS", "서울 서초구 서초대로 411"),
        ("ko", "입금하실 계좌는 482902-04-118237 3만원입니다", "KR_BANK_ACCOUNT", "482902-04-118237"),
        ("ko", "계좌번호 482902-04-118237 20,000원", "KR_BANK_ACCOUNT", "482902-04-118237"),
        ("ko", "대구은행 508-11-882291-3", "KR_BANK_ACCOUNT", "508-11-882291-3"),
        ("ko", "하나은행 391-91022833107", "KR_BANK_ACCOUNT", "391-91022833107"),
        ("ko", "국민(482902-04-118237) 김*수", "KR_BANK_ACCOUNT", "482902-04-118237"),
        ("ko", "[신한] 110-482-902411", "KR_BANK_ACCOUNT", "110-482-902411"),
        ("ko", "카뱅 3333-04-8812934", "KR_BANK_ACCOUNT", "3333-04-8812934"),
        ("ko", "Tel. 82-2-558-9917", "PHONE_NUMBER", "82-2-558-9917"),
        ("ko", "배달은 1577-8000", "PHONE_NUMBER", "1577-8000"),
        ("ko", "문의: kim.ms@naver.com(담당자)", "EMAIL_ADDRESS", "kim.ms@naver.com"),
        ("en", "write to minsu.kim@acme.com(home)", "EMAIL_ADDRESS", "minsu.kim@acme.com"),
        ("en", "_minsu.kim@acme.co.kr_ is mine", "EMAIL_ADDRESS", "_minsu.kim@acme.co.kr"),
        ("en", "We met at 12 Sejong-daero, Jung-gu, Seoul and then walked", "KR_ADDRESS", "12 Sejong-daero, Jung-gu, Seoul"),
        ("code", "aws_secret_access_key = kT9xQ2vLm4Zp8RwYc1Nb7HsJd5Gf3Ua6EoIiXq0W", "API_KEY", "kT9xQ2vLm4Zp8RwYc1Nb7HsJd5Gf3Ua6EoIiXq0W"),
        ("code", "secret_key: kT9xQ2vLm4Zp8RwYc1Nb7HsJd5", "API_KEY", "kT9xQ2vLm4Zp8RwYc1Nb7HsJd5"),
        ("code", "-H 'Authorization: Bearer kT9xQ2vLm4Zp8RwYc1Nb7HsJd5'", "API_KEY", "kT9xQ2vLm4Zp8RwYc1Nb7HsJd5"),
        ("code", '<string name="api_key">kT9xQ2vLm4Zp8RwYc1Nb7HsJd5</string>', "API_KEY", "kT9xQ2vLm4Zp8RwYc1Nb7HsJd5"),
        ("code", "GET /v1?api_key=kT9xQ2vLm4Zp8RwYc1Nb7HsJd5&q=1", "API_KEY", "kT9xQ2vLm4Zp8RwYc1Nb7HsJd5"),
        ("code", 'PRIVATE_KEY="0x' + "4c0883a69102937d" * 4 + '"', "API_KEY", "0x" + "4c0883a69102937d" * 4),
        ("code", 'secret_key = "9f86d081884c7d659a2feaa0"', "API_KEY", "9f86d081884c7d659a2feaa0"),
    ],
)  # fmt: skip
def test_a_value_ends_where_it_ends_whatever_stands_beside_it(
    redact: Redact, component: str, text: str, entity: str, value: str
):
    assert found(redact, text, component) == [(entity, value)]


def test_random_keys_are_hardly_ever_taken_for_words(redact: Redact):
    chance = random.Random(7)
    alphabet = string.ascii_letters + string.digits + "+/"
    keys = ["".join(chance.choice(alphabet) for _ in range(40)) for _ in range(200)]
    text = "\n".join(f'AWS_SECRET_ACCESS_KEY="{key}"' for key in keys)
    assert len(found(redact, text, "code")) >= 180


def test_a_disabled_type_is_not_looked_for():
    only = Redact(Pii(disable=[entity for entity in ENTITIES if entity != "EMAIL_ADDRESS"]))
    assert found(only, "010-1234-5678, a.b@naver.com, svc:Hx92kaqq") == [
        ("EMAIL_ADDRESS", "a.b@naver.com")
    ]


def test_the_config_knows_every_type_and_no_other():
    assert set(get_args(Entity)) == set(ENTITIES)
    with pytest.raises(ValidationError, match="EMAIL_ADDRESS"):
        Pii.model_validate({"disable": ["EMAIL"]})


# The prefilter


def test_the_prefilter_loses_nothing_on_planted_text(redact: Redact):
    texts = [t.text for t in planted(seed=5, rounds=3)] + [text for _, text in DECOYS]
    joined = ["\n".join(texts[i : i + 7]) for i in range(0, len(texts), 7)]
    assert spans_of(redact(batch(joined))) == without_prefilter(joined)


@pytest.mark.parametrize("name", ["ko_docs", "ko_reviews", "en_docs", "code"])
def test_the_prefilter_loses_nothing_on_real_text(redact: Redact, name: str):
    path = CORPORA / f"{name}.jsonl.zst"
    if not path.exists():
        pytest.skip(f"../shared/data is not here: {path.name} is what this reads")
    import zstandard

    texts, size = [], 0
    with path.open("rb") as file:
        for number, line in enumerate(
            io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
        ):
            if number % 17:
                continue
            texts.append(json.loads(line)["text"])
            size += len(texts[-1])
            if size > 400_000:
                break
    values = planted(seed=8, rounds=1)
    mixed = [
        f"{text}\n{values[i % len(values)].text}\n{text[:300]}" for i, text in enumerate(texts)
    ]
    assert spans_of(redact(batch(mixed))) == without_prefilter(mixed)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(
            alphabet=st.one_of(
                st.sampled_from(
                    "0123456789-.() +@공일이삼사오육칠팔구영로길동리시군구 가나３０＠:/AaZz=\"'\n"
                ),
                st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
            ),
            max_size=120,
        ),
        max_size=4,
    )
)
def test_the_prefilter_loses_nothing_on_any_text(redact: Redact, texts: list[str]):
    assert spans_of(redact(batch(list(texts)))) == without_prefilter(texts)


def test_every_row_with_a_span_has_a_candidate(redact: Redact):
    texts = [t.text for t in planted(seed=9, rounds=2)]
    candidates = has_candidates(pa.array(texts, pa.large_string())).to_pylist()
    counts = redact(batch(list(texts))).column("pii_count").to_pylist()
    assert all(candidate for candidate, count in zip(candidates, counts, strict=True) if count)
    assert has_candidates(pa.array([None, "", "오늘은 맑다."], pa.large_string())).to_pylist() == [
        False,
        False,
        False,
    ]


def test_windows_are_small_disjoint_and_whole_characters():
    texts = [t.text * 3 for t in planted(seed=2, rounds=1)]
    column = pa.array(texts, pa.large_string())
    data = "".join(texts).encode()
    for windows in find_windows(column, ALL_KINDS):
        ends = windows.end.tolist()
        for index, (start, end) in enumerate(zip(windows.start.tolist(), ends, strict=True)):
            assert start < end
            assert index == 0 or start >= ends[index - 1]
        for low, high in zip(windows.shown_start.tolist(), windows.shown_end.tolist(), strict=True):
            data[low:high].decode()


def test_work_is_linear_in_the_number_of_candidates(redact: Redact):
    line = "연락처 010-1234-5678, 메일 kim@naver.com, 203.252.10.7에서 접속\n"

    def steps(lines: int) -> int:
        """Return how many lines of our code and Presidio's run: the same on any machine."""
        rows = batch([line * lines])
        count = 0

        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal count
            file = frame.f_code.co_filename
            if "/filters/" not in file and "presidio" not in file:
                return None
            count += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            annotations = redact(rows)
        finally:
            sys.settrace(before)
        assert annotations.column("pii_count")[0].as_py() == 3 * lines
        return count

    steps(10)
    few = steps(200)
    assert few > 1000
    assert steps(1600) < 8.5 * few


# What a span is


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
            st.sampled_from([t.text for t in planted(seed=1, rounds=1)]),
        ),
        max_size=5,
    )
)
def test_spans_are_sorted_disjoint_and_on_whole_characters(redact: Redact, texts: list[str]):
    annotations = redact(batch(list(texts)))
    for text, row in zip(texts, spans_of(annotations), strict=True):
        data, at = text.encode(), 0
        for start, end, kind in row:
            assert at <= start < end <= len(data)
            assert kind in ENTITIES
            data[start:end].decode()
            at = end
    assert annotations.schema == Redact.schema


def test_a_batch_of_many_equals_many_of_one(redact: Redact):
    texts: list[str | None] = [t.text for t in planted(seed=4, rounds=2)]
    texts[3:5] = [None, ""]
    together = redact(batch(texts))
    alone = pa.concat_batches([redact(batch([text])) for text in texts])
    assert together == alone
    sliced = batch(texts).slice(7, 40)
    assert redact(sliced) == together.slice(7, 40)


def test_an_annotated_row_is_never_null(redact: Redact):
    annotations = redact(batch([None, "", "본문"]))
    assert annotations.column("pii_spans").null_count == 0
    assert annotations.column("pii_count").to_pylist() == [0, 0, 0]
    assert annotations.column("pii_types").to_pylist() == [[], [], []]


def test_types_are_sorted_and_each_once(redact: Redact):
    annotations = redact(batch(["010-1234-5678, 010-8765-4321, z@naver.com"]))
    assert annotations.column("pii_count").to_pylist() == [3]
    assert annotations.column("pii_types").to_pylist() == [["EMAIL_ADDRESS", "PHONE_NUMBER"]]


def test_of_overlapping_hits_the_longest_then_the_surest_stays():
    hits = [
        Hit(0, 10, "A", 0.5),
        Hit(5, 12, "B", 1.0),
        Hit(0, 10, "C", 0.9),
        Hit(11, 12, "D", 0.5),
        Hit(20, 25, "E", 0.5),
    ]
    expected = [Hit(0, 10, "C", 0.9), Hit(11, 12, "D", 0.5), Hit(20, 25, "E", 0.5)]
    assert resolve(hits) == expected
    assert resolve(hits[::-1]) == expected


# What must not happen


def test_no_value_reaches_a_log(redact: Redact, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    texts = planted(seed=6, rounds=2)
    for logger in ("presidio-analyzer", "decision_process"):
        logging.getLogger(logger).setLevel(logging.DEBUG)
    annotations = redact(batch([t.text for t in texts]))
    redact(batch(["GB00 WEST 1234 5698 7654 3ㄱ, DE8937040044053201300Ǝ"]))
    logged = caplog.text + repr(redact) + repr(annotations.schema)
    assert not [v.text for t in texts for _, _, v in t.spans if v.text in logged]


def test_a_failure_names_no_value(redact: Redact, monkeypatch: pytest.MonkeyPatch):
    def fail(self: Analyser, texts: list[str], kind: int) -> list[list[Hit]]:
        raise ValueError(f"Did not find word '{texts[0]}'")

    monkeypatch.setattr(Analyser, "analyse", fail)
    with pytest.raises(Exception, match=r"pii\.disable") as caught:
        redact(batch(["kim.secret@naver.com"]))
    assert "kim.secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_usual_kinds_leave_out_names_only():
    left = [kind.entities for n, kind in enumerate(KINDS) if not USUAL_KINDS >> n & 1]
    assert left == [("PERSON",)]


def test_a_worker_that_redacts_loads_no_torch():
    program = (
        "import sys, pyarrow as pa\n"
        "from filters.pii.annotator import Redact\n"
        "from schemas.config import Pii\n"
        "assert 'presidio_analyzer' not in sys.modules\n"
        "rows = {'text': pa.array(['010-1234-5678'], pa.large_string()), 'assigned': ['ko']}\n"
        "Redact(Pii())(pa.record_batch(rows))\n"
        "assert 'presidio_analyzer' in sys.modules\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
        "try:\n"
        "    from transformers import BertModel\n"  # what needs them can still load them
        "except ModuleNotFoundError:\n"
        "    sys.exit('absent')\n"
        "assert BertModel.forward\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.stderr.strip().endswith("absent"):
        pytest.skip("torch and transformers are not installed; `make dev` installs them")
    assert done.returncode == 0, done.stderr[-2000:]
