"""Charsets, repair, pages, and the stages behind the reader."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.given.expect import case, pages, paragraphs_of, right, sources, texts_of
from tests.oracles.readers.prose import paragraphs
from tests.oracles.readers.rig import Outcome, Right, plain, rows


@case("01-jsonl-bom")
def lines_behind_a_mark(folder: Path) -> Right:
    return right(texts_of((folder / "a.jsonl").read_bytes(), "utf-8-sig"), docs=3)


@case("10-text-utf16")
def texts_in_utf16(folder: Path) -> Right:
    charsets = {"a": "utf-16", "b": "utf-16", "c": "utf-8"}
    return right(
        [(folder / f"corpus/{n}.txt").read_bytes().decode(c) for n, c in charsets.items()], docs=3
    )


@case("11-text-cp949")
def texts_in_cp949(folder: Path) -> Right:
    texts = [path.read_bytes().decode("cp949") for path in sorted((folder / "corpus").iterdir())]
    return right(texts, docs=3, refused=["cp949", "encoding"])


@case("13-jsonl-cp949-utf16/cp949")
def lines_in_cp949(folder: Path) -> Right:
    texts = texts_of((folder / "a.jsonl").read_bytes(), "cp949")
    return right(texts, docs=5, refused=["cp949"])


@case("13-jsonl-cp949-utf16/utf16")
def lines_in_utf16(folder: Path) -> Right:
    texts = texts_of((folder / "b.jsonl").read_bytes(), "utf-16")
    return right(texts, docs=5, refused=["utf-16"])


@case("43-html-charset-lies")
def pages_with_wrong_labels_and_a_bad_byte(folder: Path) -> Right:
    charsets = {
        "utf8-latin1label.html": "utf-8",
        "utf8-euckrlabel.html": "utf-8",
        "euckr-nolabel.html": "cp949",
        "euckr-utf8label.html": "cp949",
        "iso2022kr.html": "iso2022_kr",
        "ok-euckr.html": "cp949",
    }
    expected = {
        name: paragraphs_of(
            (folder / "p" / name).read_bytes().replace(b"\xff", b"").decode(charset)
        )
        for name, charset in charsets.items()
    }
    return right(docs=6, check=pages(expected, lost=1))


@case("40-warc-no-content-type")
def pages_without_a_content_type(folder: Path) -> Right:
    content = (folder / "a.warc").read_bytes().decode()
    plain_text = re.search(r"Text/Plain; charset=UTF-8\r\n\r\n(.*?)\r\n\r\nWARC", content, re.S)
    assert plain_text is not None
    return right(docs=5, holds=[*paragraphs_of(content), plain_text[1]])


@case("44-html-deep-nesting")
def pages_nested_beyond_256(folder: Path) -> Right:
    quotes = paragraphs(300)
    nested = "".join(f"<blockquote>{text}" for text in quotes)
    (folder / "p/quote.html").write_text(f"<html><body>{nested}</body></html>", "utf-8")
    expected = {
        name: paragraphs_of((folder / "p" / name).read_text("utf-8"))
        for name in ("font.html", "ok.html")
    }
    return right(docs=3, check=pages({**expected, "quote.html": quotes}))


@case("48-form-feed-joins-words")
def controls_between_words(folder: Path) -> Right:
    text = re.sub("[\f\v\x85]", "\n", (folder / "a.txt").read_bytes().decode())
    lines = texts_of((folder / "b.jsonl").read_bytes())
    colours = [re.sub("\x1b\\[[0-9;]*m", "", line) for line in lines]
    return right(check=sources({"s": [text], "t": colours}))


@case("49-mojibake-cp949")
def utf8_read_as_cp949(folder: Path) -> Right:
    """Restored, rejected, or with the signal `lost_chars` and not sure to be Korean."""
    good = texts_of((folder / "b.jsonl").read_bytes())

    def check(got: Outcome) -> str | None:
        clean = sorted(plain(doc["text"]) for doc in got.docs if doc["source"] == "ok")
        if clean != sorted(plain(text) for text in good):
            return "the good texts are not as they were"
        found: Counter[str] = Counter()
        languages, signals = (rows(folder / "out/annotations" / n) for n in ("identify", "measure"))
        for doc, lang, signal in zip(got.docs, languages, signals, strict=True):
            lost = signal["lost_chars"]
            if doc["source"] == "ok":
                found["good texts with lost_chars"] += lost > 0
            elif not restored(doc["text"]):
                found["without lost_chars"] += lost == 0
                found["ko with 1.0"] += (lang["lang"], round(lang["lang_score"], 3)) == ("ko", 1.0)
        found["without a word"] = 70 - len(got.docs) - len(got.faults)
        return ", ".join(f"{count} {what}" for what, count in found.items() if count) or None

    return right(faults=(0, 40), others=None, stages="ingest,identify,measure", check=check)


def restored(text: str) -> bool:
    """Return whether nothing of the wrong reading is left."""
    return not re.search("[踰덉㎏占쏙옙\ufffd]", text)


@case("56-hangul-fillers-only")
def texts_of_fillers(folder: Path) -> Right:
    texts = texts_of((folder / "a.jsonl").read_bytes())

    def check(got: Outcome) -> str | None:
        reasons = [one["reason"] for one in got.rejects]
        return None if reasons == ["no_text"] * 5 else f"reasons {reasons}"

    return right(
        [text for text in texts if "번째" in text], faults=(0, 5), others=None, check=check
    )


@case("62-all-caps-english")
def english_in_capitals(folder: Path) -> Right:
    def check(got: Outcome) -> str | None:
        found = [
            (row["lang"], row["assigned"], round(row["lang_score"], 2))
            for row in rows(folder / "out/annotations/identify")
        ]
        return None if [one[:2] for one in found] == [("en", "en")] * 8 else f"got {found}"

    texts = texts_of((folder / "a.jsonl").read_bytes())
    return right(texts, stages="ingest,identify", check=check)


def no_duplicates(folder: Path, *files: str) -> Right:
    texts = [text for name in files for text in texts_of((folder / name).read_bytes())]

    def check(got: Outcome) -> str | None:
        found = [row["duplicate"] for row in rows(folder / "out/annotations/dedup")]
        return None if found == [False] * len(texts) else f"duplicates: {found}"

    return right(texts, stages="ingest,identify,measure,dedup", check=check)


@case("70-dedup-urls-without-addresses/none")
def duplicates_by_address_without_addresses(folder: Path) -> Right:
    return no_duplicates(folder, "a.jsonl")


@case("70-dedup-urls-without-addresses/some")
def duplicates_by_address_where_half_have_one(folder: Path) -> Right:
    return no_duplicates(folder, "a.jsonl", "b.jsonl")
