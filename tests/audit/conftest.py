"""One small run that shows everything once, for all tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.config import Config
from tests.support.finished_run import Given, given, write_finished

EMAIL = "someone@example.org"
TAIL = "무단 전재 금지"
REJECTS = [
    {
        "source": "ko",
        "origin": "ko.jsonl:90",
        "reason": "malformed_json",
        "fault": True,
        "raw_bytes": 7,
    },
    {"source": "ko", "origin": "ko.jsonl:91", "reason": "no_text", "fault": False, "raw_bytes": 5},
    {"source": "en", "origin": "en.jsonl:90", "reason": "no_text", "fault": False, "raw_bytes": 11},
]
STRUCTURAL = 13
GUARDS = {"least_documents": 1, "source_loss": 0.05, "large_cluster": 2, "short_component": 0.0}


def span(text: str, part: str, **kind: str) -> dict[str, object]:
    """Return the bytes of `part` in `text` as a span."""
    start = len(text[: text.index(part)].encode())
    return {"start": start, "end": start + len(part.encode()), **kind}


def documents() -> list[Given]:
    """Return documents of which every step drops one, and every edit touches one."""
    masked = f"편지를 {EMAIL} 주소로 보내 주세요"
    cut = f"봄이 오는 길을 걸었다 {TAIL}"
    return [
        given("바람이 부는 언덕에 나무 한 그루가 서 있다", copies=2),
        given("바람이 부는 언덕에 나무 한 그루가 서 있었다", copy_of=0),
        given("너무 짧다", last="dedup", words=2),
        given("한글이 거의 없는 글이라서 떨어진다", last="dedup", hangul_ratio=0.1),
        given("둘 다", last="dedup", words=2, hangul_ratio=0.1),
        given(masked, pii_spans=[span(masked, EMAIL, type="EMAIL_ADDRESS")]),
        given(cut, tails=[span(cut, TAIL, kind="copyright")]),
        given("욕설이 아주 많은 글은 버린다", last="screen", toxicity=0.95),
        given("시험 문제가 그대로 들어 있는 글", last="dedup", contaminated_by="eval.jsonl:1"),
        given("자리가 없어서 쓰이지 않은 글 하나", copies=0),
        given("the wind moves over the hill", "en"),
        given("naïve words, twice as long — but kept", "en", copies=3),
        given("short", "en", last="dedup", words=1),
        given("누리집에서 온 한국어 글 하나", "web"),
        given("これは日本語です", "web", last="dedup", assigned=None, lang="ja"),
    ]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config]:
    """Return the folder and config of a finished run; tests must not write into it."""
    from tests.support.finished_run import settings

    out = tmp_path_factory.mktemp("audit") / "out"
    config = settings(
        decontaminate={"against": ["eval.jsonl"]}, measure={"cut_tails": True}, guards=GUARDS
    )
    return out, write_finished(out, documents(), config, rejects=REJECTS, structural=STRUCTURAL)
