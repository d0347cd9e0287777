"""The test pages of `tests/data/pages` agree with their truth, their source and their index."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

PAGES = Path(__file__).parent / "data" / "pages"
NAMES = sorted(path.stem for path in PAGES.glob("*.html"))
SITE_TYPES = {
    "ko": "board cafe docs gov naver news qna shop tistory wiki",
    "en": "blog docs forum gov news qna shop wiki",
}


class AllText(HTMLParser):
    """Join all character data of a page, its scripts included, without any white space."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += "".join(data.split())


def page_text(name: str) -> str:
    reader = AllText()
    reader.feed((PAGES / f"{name}.html").read_text(encoding="utf-8"))
    reader.close()
    return reader.text


def truth_blocks(name: str, suffix: str = ".txt") -> list[str]:
    path = PAGES / f"{name}{suffix}"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def index_rows() -> list[dict[str, str]]:
    with (PAGES / "index.tsv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def first_missing(blocks: list[str], text: str) -> str:
    """Return the first block of which a word does not follow the words before it, or ''."""
    at = 0
    for block in blocks:
        for word in block.split():
            at = text.find(word, at)
            if at < 0:
                return block
            at += len(word)
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_the_words_of_the_truth_stand_in_the_page_in_this_order(name: str) -> None:
    text = page_text(name)
    assert truth_blocks(name)
    assert first_missing(truth_blocks(name), text) == ""
    assert first_missing(truth_blocks(name, ".comments.txt"), text) == ""


def test_a_word_that_the_page_lacks_or_has_too_early_is_found() -> None:
    assert first_missing(["one two", "three"], "onetwothree") == ""
    assert first_missing(["one two", "four"], "onetwothree") == "four"
    assert first_missing(["two", "one"], "onetwothree") == "one"


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_holds_no_blank_line_and_no_mark(name: str) -> None:
    blocks = truth_blocks(name)
    page = (PAGES / f"{name}.html").read_text(encoding="utf-8")
    assert all(block.strip() for block in blocks)
    assert not set("⟦⟧⟪⟫") & set(page + "".join(blocks))


def test_the_main_text_is_part_of_the_page_and_never_all_of_it() -> None:
    words = {name: len(" ".join(truth_blocks(name)).split()) for name in NAMES}
    letters = {name: len("".join("".join(truth_blocks(name)).split())) for name in NAMES}
    assert min(words.values()) >= 10
    assert [name for name in NAMES if letters[name] > 0.8 * len(page_text(name))] == []


def test_the_index_names_every_page_once() -> None:
    assert sorted(row["name"] for row in index_rows()) == NAMES


def test_every_site_type_has_four_pages() -> None:
    counts = Counter((row["language"], row["type"]) for row in index_rows())
    wanted = {(lang, kind) for lang, kinds in SITE_TYPES.items() for kind in kinds.split()}
    assert set(counts) == wanted
    assert [key for key in sorted(wanted) if counts[key] < 4] == []


def test_about_a_quarter_of_the_pages_is_held_back_in_every_language() -> None:
    rows = index_rows()
    assert {row["held"] for row in rows} == {"yes", "no"}
    for language in SITE_TYPES:
        held = [row["held"] == "yes" for row in rows if row["language"] == language]
        assert 0.2 <= sum(held) / len(held) <= 0.3


def test_the_pages_and_their_truth_are_what_the_source_builds() -> None:
    command = [sys.executable, str(PAGES / "build.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0, done.stderr
