"""Which addresses are those of one page: only what names no page is left out of the key."""

from __future__ import annotations

import itertools

import pytest

from filters.dedup.urls import TRACKING, canonical_url, url_key

PAGE = "https://example.org/news/1"


@pytest.mark.parametrize(
    "same",
    [
        "http://example.org/news/1",
        "https://www.example.org/news/1/",
        "https://EXAMPLE.org:443/news/1#top",
        "https://example.org/news/1/index.html",
        "https://example.org/news/1?utm_source=a&UTM_Medium=b&fbclid=c",
        "https://example.org/news/1?ref_=nav&PHPSESSID=1",
        "https://example.org/news/1?",
    ],
)
def test_an_address_that_differs_only_in_its_writing_names_the_same_page(same: str):
    assert url_key(same) == url_key(PAGE)


@pytest.mark.parametrize(
    "pages",
    [
        ("?1234", "?5678", ""),
        ("?p", "?q", "?p=1", "?p=2"),
        ("?name=%C7%D1", "?name=%B1%DB", "?name=%ED%95%9C"),
        ("?ref_id=1", "?ref_id=2", "?ref_no=1"),
        ("?sessionid_list=1", "?sessionid_list=2"),
        ("?utm_zone=51", "?utm_zone=52"),
        ("?a=1%262=3", "?a=1&2=3"),
        ("?a%3D1", "?a=1"),
        ("?q=c%2B", "?q=c+"),
        ("?a=1&a=1", "?a=1"),
        ("/a", "/A", "/%61"),
    ],
)
def test_addresses_that_may_name_different_pages_have_different_keys(pages: tuple[str, ...]):
    keys = [url_key(PAGE + page) for page in pages]
    assert all(one != other for one, other in itertools.combinations(keys, 2))


def test_the_order_and_the_percent_encoding_of_a_query_do_not_count():
    one = canonical_url("http://a.kr/v?b=%ed%95%9c&a=x%20y&utm_source=z")
    assert one == canonical_url("http://a.kr/v?a=x+y&b=한") == "a.kr/v?a=x%20y&b=%ED%95%9C"


def test_a_parameter_is_left_out_by_its_whole_name_alone():
    for name in TRACKING:
        assert canonical_url(f"{PAGE}?{name}=1") == canonical_url(PAGE)
        for near in (f"{name}x", f"x{name}", f"{name}.id"):
            assert near in TRACKING or canonical_url(f"{PAGE}?{near}=1") != canonical_url(PAGE)


@pytest.mark.parametrize("text", ["", "nonsense", "/path", "http://[::1", "http://a:b/"])
def test_what_is_not_a_web_address_has_no_key(text: str):
    assert url_key(text) is None
