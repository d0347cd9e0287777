"""The rules that docs/signals.md recommends: they keep good documents and drop junk."""

from __future__ import annotations

import base64
import random
import re

import pyarrow as pa
import pytest
import yaml

from filters.language.annotator import Identify
from filters.measure.annotator import Measure, applies_to, meanings
from filters.rules.decide import KEPT, decide
from schemas.config import Identify as IdentifySettings
from schemas.config import Measure as MeasureSettings
from schemas.rules import Rule, parse_condition
from tests.support import ROOT
from tests.support.columns import records, texts

PAGE = ROOT / "docs/signals.md"

KOREAN = """버퍼가 가득 차면 쓰기는 기다립니다. 읽는 쪽이 한 칸을 비우면 다시 이어집니다.
이 방식은 단순하지만 느린 소비자 하나가 전체를 막을 수 있습니다.
그래서 오래 걸리는 일은 다른 스레드에 맡기고, 결과만 차례대로 돌려받습니다.
"""
REVIEW = "배우들 연기가 너무 좋아서 끝까지 몰입해서 봤어요 ㅋㅋ 강추합니다!"
ENGLISH = """A full buffer makes the writer wait until the reader has taken something out of it.
That is simple, but one slow reader can hold up everyone else. Long work is therefore handed
to another thread, and only the results come back, in the order in which they were asked for.
"""
PYTHON = '''"""Count words."""

import sys


def main() -> None:
    """Print how many words standard input holds."""
    print(sum(len(line.split()) for line in sys.stdin))


if __name__ == "__main__":
    main()
'''
_random = random.Random(1)
JUNK = {
    "one line again and again": ("ko", "지금 바로 신청하세요 무료 상담 문의\n" * 80),
    "one phrase again and again": ("ko", "최저가 보장 당일 배송 " * 200),
    "laughter alone": ("ko", "ㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋ ㅎㅎㅎㅎㅎㅎㅎ ㅠㅠㅠㅠㅠㅠ 와 ㅋㅋㅋㅋㅋㅋㅋ 는 ㅋㅋㅋㅋ"),
    "no Korean in it": ("ko", "Lorem ipsum dolor sit amet, consectetur adipiscing elit. " * 3),
    "a word and no more": ("ko", "굿"),
    "hash tags": ("ko", " ".join(f"#맛집{i} #여행 #의 #일상" for i in range(30))),
    "numbers of a table": ("ko", "\n".join(f"{i} | {i * 7} | 1.{i} | 합계의 | --" for i in range(60))),
    "a list of names": ("en", ", ".join(f"Model-{i}{'X' * (i % 5)}" for i in range(200))),
    "the same menu": ("en", "Home | About the shop | Contact us\n" * 60),
    "random letters": ("en", "".join(_random.choices("abcdefghijklmnopqrstuvwxyz", k=3000))),
    "too short to be a page": ("en", "Click here to read more of this."),
    "encoded data": ("code", 'X = "' + base64.b64encode(_random.randbytes(3000)).decode() + '"\n'),
    "a minified bundle": ("code", "var a=1;function f(b){return b+a};" * 80),
    "a table of numbers": ("code", "\n".join(f"{i}, {i * 3}, {i * 5}," for i in range(300))),
    "punctuation art": ("code", "{}[]();:--==++!!\n" * 50),
}  # fmt: skip


def recommended() -> dict[str, dict[str, str]]:
    block = re.search(r"```yaml\n(rules:.*?)```", PAGE.read_text("utf-8"), re.S)
    assert block is not None
    rules: dict[str, dict[str, str]] = yaml.safe_load(block.group(1))["rules"]
    return rules


def verdicts(values: list[str], component: str) -> list[str]:
    """Return the rule that drops each text, or an empty string."""
    rules: list[Rule] = [
        rule
        for column, condition in recommended()[component].items()
        for rule in parse_condition(component, column, condition)
    ]
    batch = pa.RecordBatch.from_arrays(
        [texts(*values), pa.array([component] * len(values)), pa.nulls(len(values), pa.string())],
        names=["text", "component", "meta"],
    )
    found = Identify(IdentifySettings())(batch)
    measured = Measure(MeasureSettings())(
        pa.RecordBatch.from_arrays(
            [batch["text"], found["assigned"], found["code_lang"], batch["meta"]],
            names=["text", "assigned", "code_lang", "meta"],
        )
    )
    columns = dict(zip(measured.schema.names, measured.columns, strict=True))
    columns |= {"assigned": found["assigned"], "source": found["assigned"]}
    return ["" if v == KEPT else str(rules[v]) for v in decide(columns, rules)]


@pytest.mark.parametrize("name", list(JUNK))
def test_junk_is_dropped(name: str):
    component, text = JUNK[name]
    assert verdicts([text], component) != [""]


@pytest.mark.parametrize(
    ("component", "text"), [("ko", KOREAN), ("ko", REVIEW), ("en", ENGLISH), ("code", PYTHON)]
)
def test_good_text_is_kept(component: str, text: str):
    assert verdicts([text], component) == [""]


@pytest.mark.parametrize(
    ("corpus", "component", "most"),
    [
        ("ko_docs", "ko", 0.05),
        ("ko_reviews", "ko", 0.06),
        ("en_docs", "en", 0.04),
        ("code", "code", 0.01),
    ],
)
def test_few_real_documents_are_dropped(corpus: str, component: str, most: float):
    found = verdicts([row["text"] for row in records(f"corpora/{corpus}", every=15)], component)
    assert sum(map(bool, found)) / len(found) <= most


def test_the_page_names_every_column_once():
    page = PAGE.read_text("utf-8").split("## Rules")[0]
    for name in [*meanings(), *Identify.schema.names]:
        assert page.count(f"| `{name}` |") == 1, name


def test_the_page_has_the_meanings_of_the_code():
    page = PAGE.read_text("utf-8")
    kinds = applies_to()
    rows = [f"| `{name}` | {kinds[name]} | {meaning} |" for name, meaning in meanings().items()]
    assert "\n".join(rows) in page, "docs/signals.md is out of date; run `make docs`"
