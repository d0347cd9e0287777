"""The report and the server in a real browser."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from audit.query.frame import Frame
from audit.report.page import write_report
from audit.report.views import MOST_FOUND, Views
from bibim.cli.options import load_run
from tests.support.serving import served

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 800}


@contextlib.contextmanager
def opened(
    browser: Browser,
    url: str,
    size: dict[str, int] = WIDE,
    scheme: str = "light",
    locale: str = "en-US",
    address: str | None = None,
) -> Iterator[Page]:
    """Open `url`, below `address` if given; whatever it says on the console, or asks of elsewhere, fails the test."""
    address = address or url
    page = browser.new_page(viewport=size, color_scheme=scheme, locale=locale)
    messages: list[str] = []
    page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: messages.append(f"error: {error}"))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, "data:", "blob:"))
            else messages.append(f"asked for {request.url}")
        ),
    )
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    yield page
    page.close()
    assert messages == []


def serious(page: Page) -> list[str]:
    """Return axe's serious and critical findings."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0].get('failureSummary')}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def barriers(page: Page) -> list[str]:
    """Return axe's findings of any impact."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


def shoot(page: Page, folder: Path, name: str) -> None:
    page.screenshot(path=folder / f"{name}.png")
    print(f"screenshot {folder / name}.png")


def test_the_report_shows_the_funnel_without_a_network(
    browser: Browser, demo_report: Path, screenshots: Path
) -> None:
    with opened(browser, demo_report.as_uri()) as page:
        assert page.locator("h1").inner_text() == "demo"
        assert page.locator("#funnel .stack").count() == 4
        page.get_by_role("button", name="by component").click()
        assert "code" in page.locator("#funnel .flow").inner_text()
        stages = page.get_by_role("group", name="By stage").locator("tbody th").all_inner_texts()
        assert (stages[0], stages[-1]) == ("ingest", "mix")
        report = page.locator("#findings").inner_text()
        assert "No findings." in report or "Note" in report or "Warning" in report
        shoot(page, screenshots, "report-light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_report_has_no_serious_barrier(
    browser: Browser, demo_report: Path, screenshots: Path, scheme: str, size: dict[str, int]
) -> None:
    with opened(browser, demo_report.as_uri(), size, scheme) as page:
        page.locator("#rule-2 summary").first.click()
        page.locator("#rule-2 canvas").wait_for()
        assert serious(page) == []
        wide, inner = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= inner
        shoot(page, screenshots, f"report-{scheme}-{size['width']}")


def test_the_report_speaks_korean(browser: Browser, demo_report: Path, screenshots: Path) -> None:
    with opened(browser, demo_report.as_uri(), PHONE, locale="ko-KR") as page:
        assert page.evaluate("document.documentElement.lang") == "ko"
        assert "깔때기" in page.locator("#funnel h2").inner_text()
        page.locator("#language").click()
        assert page.locator("#funnel h2").inner_text() == "Funnel"
        shoot(page, screenshots, "report-korean-375")


def test_the_report_works_with_the_keyboard_and_prints(browser: Browser, demo_report: Path) -> None:
    with opened(browser, demo_report.as_uri()) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.locator("#rule-1 summary").first.focus()
        page.keyboard.press("Enter")
        page.locator("#rule-1 canvas").wait_for()
        assert len(page.pdf()) > 50_000


def test_a_moved_threshold_shows_what_changes(
    browser: Browser, demo_server: str, demo_views: Views, screenshots: Path
) -> None:
    index = next(i for i, r in enumerate(demo_views.frame.rules) if r.column == "toxicity")
    with opened(browser, demo_server) as page:
        page.locator(f"#rule-{index} summary").first.click()
        over = page.locator(f"#rule-{index} .u-over")
        over.wait_for()
        over.scroll_into_view_if_needed()
        box = over.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40, steps=5)
        page.mouse.up()
        value = page.locator(f"#rule-{index} input[type=number]").input_value()
        page.wait_for_selector(f'#what-if[data-rules="all.toxicity<={value}"]')
        found = demo_views.changed([f"all.toxicity<={value}"])
        answer = page.locator("#answer").inner_text()
        assert [int(n) for n in re.findall(r"\d+", answer)[:2]] == [
            found["kept_before"],
            found["kept_after"],
        ]
        assert found["kept_after"] < found["kept_before"]
        shoot(page, screenshots, "server-what-if")
        page.get_by_role("button", name="Rules as YAML").click()
        assert f"drop_above: {value}" in page.locator("pre.yaml").inner_text()
        assert serious(page) == []


def test_a_search_leads_to_a_document_and_its_path(
    browser: Browser, demo_server: str, screenshots: Path
) -> None:
    with opened(browser, demo_server, scheme="dark") as page:
        page.locator("#query").fill("비빔밥")
        page.keyboard.press("Enter")
        page.locator("dialog mark").first.wait_for()
        page.locator("dialog .link").first.click()
        page.locator("dialog .path").wait_for()
        assert "비빔밥" in page.locator("dialog .text").inner_text()
        assert page.locator("dialog .path li").count() >= 3
        assert serious(page) == []
        shoot(page, screenshots, "server-document-dark")


def look_everywhere(page: Page) -> str:
    """Open all that the page can open and return its text."""
    page.evaluate("document.querySelectorAll('main details').forEach((d) => { d.open = true; })")
    page.evaluate("document.querySelectorAll('main *').forEach((n) => n.whenSeen?.())")
    page.locator("#duplicates .text").first.wait_for(state="attached")
    page.locator("[aria-busy]").first.wait_for(state="detached")
    return page.locator("main").inner_text()


def untouched(page: Page) -> None:
    """Assert that no document became markup and that none of its scripts ran."""
    assert page.evaluate("window.__owned") is None
    strange = "main :is(script, img, svg, iframe, style, template, a), dialog :is(script, img, svg)"
    assert page.locator(strange).count() == 0


def test_hostile_documents_execute_nothing_wherever_they_are_shown(
    browser: Browser, hostile_run: Path, tmp_path: Path
) -> None:
    views = Views(Frame(hostile_run, load_run(hostile_run)))
    report = tmp_path / "report.html"
    write_report(views, report)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', report.read_text("utf-8"))
    assert policy is not None and "unsafe" not in policy[1]
    with opened(browser, report.as_uri()) as page:
        text = look_everywhere(page)
        assert "<script>window.__owned" in text and "U+202E" in text
        untouched(page)
    with served(views) as address, opened(browser, address) as page:
        look_everywhere(page)
        page.locator("#query").fill("<script>")
        page.keyboard.press("Enter")
        page.locator("dialog .doc").first.wait_for()
        untouched(page)
        page.locator("dialog .link").first.click()
        page.locator("dialog .path").wait_for()
        assert "<script>" in page.locator("dialog .text").inner_text()
        untouched(page)


@pytest.mark.parametrize("part", ["rules", "duplicates", "pii", "costs"])
def test_an_address_with_a_part_shows_that_part(
    browser: Browser, demo_server: str, part: str
) -> None:
    with opened(browser, f"{demo_server}#{part}", address=demo_server) as page:
        page.wait_for_function(
            "(id) => { const box = document.getElementById(id).getBoundingClientRect();"
            "return scrollY > 0 && box.top < innerHeight && box.bottom > 0; }",
            arg=part,
        )


def test_an_address_with_a_rule_opens_the_rule(browser: Browser, demo_server: str) -> None:
    with opened(browser, f"{demo_server}#rule-2", address=demo_server) as page:
        page.locator("#rule-2[open] .body > *").first.wait_for()


def test_another_language_leaves_open_what_was_open(browser: Browser, demo_server: str) -> None:
    with opened(browser, demo_server) as page:
        for number in (1, 3):
            page.locator(f"#rule-{number} summary").first.click()
        page.locator("#rule-3 .kinds").wait_for()
        page.locator("#language").click()
        assert page.locator("#rules h2").inner_text() == "규칙"
        page.locator("#rule-3[open] .kinds").wait_for()
        assert page.locator("#rule-1[open]").count() == 1
        assert page.locator("details.rule[open]").count() == 2


def test_back_closes_a_document_and_stays_on_the_page(browser: Browser, demo_server: str) -> None:
    with opened(browser, demo_server) as page:
        page.evaluate("location.hash = 'rules'")
        for close in ("Back", "Escape"):
            page.locator("#query").fill("비빔밥")
            page.keyboard.press("Enter")
            page.locator("dialog[open] .link").first.click()
            page.locator("dialog[open] .path").wait_for()
            if close == "Back":
                page.go_back()
            else:
                page.keyboard.press("Escape")
            page.locator("dialog[open]").wait_for(state="detached")
            # a function: the page's policy forbids to evaluate a string
            page.wait_for_function("() => !history.state?.dialog")
            assert page.url.endswith("#rules")


def test_a_search_with_more_documents_than_it_shows_says_so(
    browser: Browser, demo_server: str, demo_views: Views
) -> None:
    common, rare = demo_views.found("the"), demo_views.found("비빔밥")
    assert common["more"] and len(common["documents"]) == MOST_FOUND and not rare["more"]
    with opened(browser, demo_server) as page:
        for words, title in (
            ("the", f"the · the first {MOST_FOUND} found; there are more"),
            ("비빔밥", f"비빔밥 · {len(rare['documents'])} found"),
        ):
            page.locator("#query").fill(words)
            page.keyboard.press("Enter")
            page.locator("dialog[open] h2", has_text=title).wait_for()
            page.get_by_role("button", name="Close").click()


def test_the_page_has_no_barrier_of_any_impact(browser: Browser, demo_server: str) -> None:
    with opened(browser, demo_server) as page:
        look_everywhere(page)
        assert barriers(page) == []
        page.locator("#query").fill("비빔밥")
        page.keyboard.press("Enter")
        page.locator("dialog .link").first.click()
        page.locator("dialog .path").wait_for()
        assert barriers(page) == []
