"""Texts for the oracles of signals: real documents, and adversarial ones made by a seed."""

from __future__ import annotations

import io
import json
import os
import random
import unicodedata
from functools import cache

import zstandard

from tests.support import ROOT

CORPORA = ROOT.parent / "shared" / "data" / "corpora"
NAMES = ("ko_docs", "ko_reviews", "en_docs", "code")
FULL = os.environ.get("BIBIM_ORACLES") == "full"
DOCUMENTS = 2_000 if FULL else 60
STRINGS = 20_000 if FULL else 1_500
ASCII_MARKS = [chr(n) for n in range(33, 127) if not chr(n).isalnum()]
NEIGHBOURS = list("é한ㅋ日カЖ½…“”•。\u00a0\u3000\u0301\u1112\u2028\u200b\u200d😀𝒳🇰\U000e0041")
PIECES = [
    "한글", "학교에서 ", "했습니다.", "나는 ", "ㅋㅋㅋ", "ㅠ", "the ", "The", "OF ", "and that", "be",
    "12", "3.14", "#", "##", "#맛집", "C#에서", "...", "…", "....", "\n", "\n\n", "\r\n", " \n", "\t",
    " ", "\u00a0", "\u3000", "\u2028", "<![CDATA[본문]]>", "<p>", "</p>", "<!-- x -->", "<script>",
    "</script>", "3 < 5", "- 항목\n", "* ", "• ", "-1", "[12]", "{", "}", "lorem ipsum", "“끝.”",
    "e.g. ", "Mr. ", "Yes! ", "Why? ", "// ", "/* ", "# ", "* p", "日本語", "かな", "ｶﾅ", "ＡＢ１",
    "é", "e\u0301", "가\u0301", "😀", "👩\u200d💻", "𝒳", "㈜", "①", "http://a.b/c?d=1", "a@b.co",
    "가 나 다 라 ", "가" * 12, "\ufeff", "\u200b", "cookie policy", "One line that ends well.\n",
]  # fmt: skip


@cache
def documents(name: str) -> list[str]:
    """Return DOCUMENTS texts of a corpus, evenly spaced; of the demo where there are none."""
    path = CORPORA / f"{name}.jsonl.zst"
    if not path.exists():
        return demo(name)
    with path.open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
        rows = [line for line in lines if line.strip()]
    step = max(1, len(rows) // DOCUMENTS)
    return [json.loads(line)["text"] for line in rows[::step][:DOCUMENTS]]


def demo(name: str) -> list[str]:
    """Return texts of the demo's files, or sources of the standard library's `json` for code."""
    if name == "code":
        return [path.read_text("utf-8") for path in sorted((ROOT / "filters").rglob("*.py"))]
    path = ROOT / "mixtures" / "demo" / f"{name[:2]}.jsonl"
    texts = []
    for line in path.read_text("utf-8").splitlines():
        try:
            texts.append(json.loads(line)["text"])
        except (ValueError, KeyError):
            continue  # the demo holds a broken record
    return texts


@cache
def adversarial() -> list[str]:
    """Return STRINGS texts: around every ASCII mark, of odd pieces, long, empty, of one character."""
    draw = random.Random(20)
    around = [
        left + mark + right
        for mark in ASCII_MARKS
        for left in ("", *NEIGHBOURS, "a", "1", " ")
        for right in ("", *NEIGHBOURS, "a", "1", " ")
    ]
    draw.shuffle(around)
    edges = [
        "", "\n", " ", "a", "#", "가", "\r\n", "\r\n".join(["One. ", "Two!", "세 번째 줄이다"]),
        "가" * 9_000, "the cat " * 4_000, "#한" * 3_000, "ab" * 20_000, "x\n" * 5_000, "\n" * 3_000,
    ]  # fmt: skip
    return (edges + around[: STRINGS // 2] + [odd(draw) for _ in range(STRINGS)])[:STRINGS]


def odd(draw: random.Random) -> str:
    """Return one text of random pieces, characters and repetitions."""
    parts: list[str] = []
    for _ in range(draw.choice((1, 2, 4, 8, 16, 60))):
        choice = draw.random()
        if choice < 0.7:
            parts.append(draw.choice(PIECES))
        elif choice < 0.8:
            parts.append(draw.choice(ASCII_MARKS) * draw.choice((1, 1, 2, 3, 5)))
        elif choice < 0.9:
            parts.append(draw.choice(NEIGHBOURS))
        elif parts:
            parts.append(draw.choice(parts) * draw.choice((1, 2, 6)))
    text = "".join(parts)[:20_000]
    return unicodedata.normalize("NFD", text) if draw.random() < 0.1 else text


def shorten(text: str, fails: object) -> str:
    """Return a shortest text, by removing slices, for which `fails(text)` is still true."""
    assert callable(fails)
    size = max(1, len(text) // 2)
    while size:
        at = 0
        while at < len(text):
            less = text[:at] + text[at + size :]
            if fails(less):
                text = less
            else:
                at += size
        size //= 2
    return text
