"""What stands around the main text of a page and has no telling names: columns, labels, dates."""

from __future__ import annotations

import numpy as np
import pytest

from filters.text.html import main_text
from filters.text.pages.lines import opens_comments
from filters.text.pages.odds import MODEL, features, odds
from filters.text.pages.trim import is_dated_line, is_price

PROSE = (
    "The town council met on Tuesday evening and agreed to repair the old stone bridge before "
    "winter, although two members asked for a second opinion on the cost of the work."
)
MORE = (
    "Work on the bridge begins in May, the engineer said, and the road will stay open for people "
    "on foot while the arches are cleaned and the missing stones are cut and set again."
)


def test_columns_of_a_layout_table_are_left_out():
    page = (
        "<table><tr><td><b>Departments</b><br>Clerk<br>Roads<br>Water</td>"
        f"<td><p>{PROSE}</p><p>{MORE}</p></td></tr></table><p>Best viewed at 640 by 480.</p>"
    )
    assert main_text(page) == f"{PROSE}\n{MORE}"


def test_the_title_in_a_row_above_the_text_stays():
    page = (
        "<title>공고 제12호 열람 | 군청</title><table><tr><th>제목</th><td>공고 제12호 열람</td></tr>"
        f"<tr><th>조회수</th><td>512</td></tr><tr><td colspan=2><p>{PROSE}</p><p>{MORE}</p></td></tr>"
        "</table>"
    )
    text = main_text(page)
    assert "공고 제12호 열람" in text
    assert "512" not in text


def test_a_label_that_repeats_is_left_out_and_cells_of_a_table_are_not():
    posts = "".join(f"<div>Re: bridge</div><div>{PROSE} Part {n}.</div>" for n in range(4))
    rows = "".join(f"<tr><td>{n}</td><td>Yes</td></tr>" for n in range(4))
    text = main_text(f"<body>{posts}<table>{rows}</table>")
    assert "Re: bridge" not in text
    assert text.count("Yes") == 4


def test_comments_without_a_name_end_at_their_heading():
    page = f"<p>{PROSE}</p>" * 4 + "<div>12 Comments</div>" + f"<p>{MORE}</p>"
    assert "Work on the bridge" not in main_text(f"<body>{page}")


@pytest.mark.parametrize("line", ["Comments", "3 Comments", "댓글 5", "Post a comment", "댓글"])
def test_a_line_opens_comments(line):
    assert opens_comments(line)


@pytest.mark.parametrize("line", ["Comments in Python start with #", "Comment on the draft law"])
def test_a_line_about_comments_does_not(line):
    assert not opens_comments(line)


@pytest.mark.parametrize(
    ("line", "dated"),
    [
        ("Posted on September 30th, 2008 in Music", True),
        ("조약돌 ・ 2022. 11. 6. 22:14", True),
        ("The treaty of 12 March 1921 ended the war between both states and set the border", False),
        ("It was signed on March 12, 1921.", False),
    ],
)
def test_a_line_of_a_date_and_few_words_is_known_from_a_sentence(line, dated):
    assert is_dated_line(line, "p") == dated


@pytest.mark.parametrize(
    ("line", "price"),
    [("£38.00", True), ("11 in stock", True), ("12,000원", True), ("1,204", False)],
)
def test_a_price_is_known_from_a_number(line, price):
    assert is_price(line) == price


def test_the_name_of_the_board_and_the_title_again_are_left_out():
    page = (
        "<title>밤마다 들리는 소리의 정체를 찾았습니다 | 자유게시판</title><h1>자유게시판</h1>"
        f"<h2>밤마다 들리는 소리의 정체를 찾았습니다</h2><p>자유게시판</p><p>{PROSE}</p><p>{MORE}</p>"
    )
    text = main_text(page)
    assert text.startswith("밤마다 들리는 소리의 정체를 찾았습니다\n")
    assert "자유게시판" not in text


def test_the_model_prefers_prose_to_an_invitation():
    from filters.text.pages.choice import Chooser
    from filters.text.pages.tree import read_page

    invitation = (
        "<p><a href=x>Subscribe to our newsletter</a> | <a href=y>Follow us on Twitter</a></p>"
    )
    page = read_page(f"<body><div><p>{PROSE}</p><p>{MORE}</p></div><div>{invitation}</div>")
    blocks = Chooser(page, True).described([0, 1, 2], -1, -1)
    prose, _, furniture = odds(np.array(features(blocks))).tolist()
    assert prose > furniture + 1  # logarithms: two and a half times the odds


def test_the_model_has_the_features_that_the_code_gives():
    from filters.text.pages.choice import Chooser
    from filters.text.pages.tree import read_page

    blocks = Chooser(read_page(f"<p>{PROSE}</p>"), False).described([0], -1, -1)
    with np.load(MODEL) as file:
        assert file["feature"].max() < len(features(blocks)[0])


def test_labels_of_a_page_come_from_its_whole_text():
    from filters.fit.pages import labelled

    page = f"<body><div><p>{PROSE}</p><p>{MORE}</p><p>An unrelated sentence stands here alone.</p></div>"
    labels = [label for _, label, _ in labelled(page, f"{PROSE} {MORE}", "")]
    assert labels == [True, True, False]


def test_the_comments_of_a_page_without_sentences_are_its_text():
    comments = f'<div class="comment">{PROSE}</div><div class="comment">{MORE}</div>'
    page = f"<title>A stone bridge</title><h1>A stone bridge</h1><p>212 points by abc</p>{comments}"
    text = main_text(page)
    assert PROSE in text
    assert MORE in text


def test_a_link_that_begins_as_the_title_does_is_not_the_title():
    page = (
        "<title>Pivot Chart Update</title><body><h1>Updating Pivot Charts</h1>"
        f"<p>{PROSE}</p><ul><li>Choose Refresh in the menu of any cell.</li></ul>"
        "<div><p>Related Topics</p><p><a href=a>Pivot Chart</a></p><p><a href=b>Editing</a></p></div>"
    )
    text = main_text(page)
    assert text.startswith(f"Updating Pivot Charts\n{PROSE}")
    assert "Choose Refresh" in text
