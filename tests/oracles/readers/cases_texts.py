"""Repair, messages and the stages behind the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.oracles.readers.cases_streams import put
from tests.oracles.readers.pack import gz, jsonl, tar
from tests.oracles.readers.prose import paragraph, paragraphs
from tests.oracles.readers.rig import Outcome, Right, rows, run

BRACKETS = [
    "영화 <올드 보이>와 <A Quiet Place>를 함께 보았다. <표 2>와 <그림 3-1>도 참조하라.",
    "In Table <1> we compare x <y and z> w; List<String> and Map<K, V> stay as they are.",
    "Die <b Taste drücken, dann <Enter> und <Strg>+<C>.",
    "#include <stdio.h> 를 쓰고 <iostream> 은 쓰지 않는다. if a<b and c>d: print(a)",
    "보낸 사람: 김철수 <chulsoo at site.example> 받는 사람: <이영희>",
    "소설 <B 사감의 편지>, 시집 <I and You>, 노래 <p.s. 사랑해>는 모두 다르다.",
]
LETTERS = [
    "അവൻ വന്നു. ന്‍ എന്ന ചില്ലക്ഷരം പഴയ രീതിയിലും എഴുതാം.",
    "র‍্যাব এবং র‌্যাব দুটি ভিন্ন রূপ।",
    "او می‌خواهد کتاب‌ها را بخواند.",
    "가족 👨‍👩‍👧‍👦 사진과 깃발 🏳️‍🌈 그리고 심장 ❤️ 을 올렸다.",
    "ක්‍රමය සහ ශ්‍රී ලංකාව.",
]
TABLES = [
    "100°C에서 끓고 21°C에서 식는다. £5 또는 €6, ½컵, 3×4, ±2, §5, naïve café.",
    "Ã and Â are letters of Portuguese: MAÇÃ, ÂNCORA, São João, não.",
    "àâäçéèêëîïôöùûüÿ ÀÂÄÇÉÈÊËÎÏÔÖÙÛÜŸ",
    "°±²³´µ¶·¸¹º»¼½¾¿ ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏ ÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß",
    "À¸·Î is a name in a table of codes; so are ¾È³ç and ÇÑ±Û.",
]


def brackets_are_not_elements(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", jsonl(BRACKETS)), BRACKETS)


def joiners_that_are_letters_stay(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", jsonl(LETTERS)), LETTERS)


def tables_of_latin_1_stay(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", jsonl(TABLES[:4])), TABLES[:4])


def separators_become_line_ends(folder: Path) -> Right:
    words = [
        f"{paragraph(n)}{mark}{paragraph(n + 50)}" for n, mark in enumerate("\f\v\x85\x1c\x1d\x1e")
    ]
    wanted = [f"{paragraph(n)}\n{paragraph(n + 50)}" for n in range(6)]
    return Right(put(folder, "a.jsonl", jsonl(words)), wanted)


def quotes_of_windows_1252_are_restored(folder: Path) -> Right:
    texts = [
        "It\x92s the owner\x92s \x93old\x94 house \x96 or was it\x85",
        "Only 20\x80 for Brand\x99 shoes",
    ]
    texts[0] = texts[0].removesuffix("\x85")
    wanted = ["It’s the owner’s “old” house – or was it", "Only 20€ for Brand™ shoes"]
    return Right(put(folder, "a.jsonl", jsonl(texts)), wanted)


def colours_of_terminals_go_whole(folder: Path) -> Right:
    texts = [
        "\x1b[1;31mERROR\x1b[0m: the disk is full",
        "\x1b]0;title\x07prompt \x1b[2K\x1b[38;5;200mready\x1b[m",
    ]
    return Right(put(folder, "a.jsonl", jsonl(texts)), ["ERROR: the disk is full", "prompt ready"])


def a_second_repair_changes_nothing(folder: Path) -> Right:
    """The documents of a first run are the input of a second one, which must give the same."""
    texts = [
        "a <<b>i>c</i> d",
        "&amp;lt;b&amp;gt; x",
        "Ã\x83Â©",
        "e\u200d\u0301\u200b x",
        "\u1112\u200b\u1161\u11ab 글",
    ]
    first = run(folder, Right(put(folder, "first.jsonl", jsonl(texts))))
    (folder / "out").rename(folder / "first")
    again = [doc["text"] for doc in first.docs]
    return Right(put(folder, "a.jsonl", jsonl(again)), again, docs=5)


def source_code_is_not_repaired(folder: Path) -> Right:
    texts = ["template <b>x</b> = '&amp;lt;' + \"\u200b\"\n", "x = 'Ã©'  # mojibake on purpose\n"]
    name = put(folder, "a.jsonl", jsonl(texts))
    return Right({"s": {"component": "code", "path": name}}, texts,
                 config={"mixture": {"weights": {"code": "1/1"}, "allow_short": True}})  # fmt: skip


def lines_of_nothing_visible(folder: Path) -> Right:
    blank = [
        "\u200b\u200c\u200d",
        "\ufeff",
        "\u00ad\u00ad",
        "\u3164\u3164 \u3164",
        "\u2800\u2800",
        "\x00\x01",
    ]
    return Right(put(folder, "a.jsonl", jsonl(blank + paragraphs(3))), paragraphs(3), faults=(0, 6))


def marks_in_names_are_printed_as_they_stand(folder: Path) -> Right:
    (folder / "in").mkdir()
    put(folder, "in/[red]a:smile:.jsonl", b'{"text": 1}\nkaputt\n' + jsonl(paragraphs(3)))
    return Right("in", docs=3, faults=(1, 2), code=1, words=["[red]a:smile:.jsonl"],
                 config={"ingest": {"max_reject_share": 0.01}})  # fmt: skip


def the_place_of_a_damaged_tar_is_printed(folder: Path) -> Right:
    data = bytearray(tar([(f"{n}.txt", paragraph(n).encode()) for n in range(6)]))
    data[2 * 1024 + 10] = 0xFF
    data[2 * 1024 + 300] = 0xFF
    return Right(put(folder, "a.tar", bytes(data)), faults=(1, 2), code=1, words=["a.tar:"],
                 config={"ingest": {"max_reject_share": 0.01}})  # fmt: skip


def a_scheme_that_is_not_known(folder: Path) -> Right:
    return Right("ftp://site.example/a.jsonl", code=2, words=["ftp"], check=lambda got: None
                 if any(known in got.output for known in ("s3://", "gs://", "hf://")) else "no known scheme is named")  # fmt: skip


def an_address_of_a_local_file(folder: Path) -> Right:
    put(folder, "a b.jsonl", jsonl(paragraphs(3)))
    return Right((folder / "a b.jsonl").as_uri(), paragraphs(3))


def a_path_in_the_home_folder(folder: Path) -> Right:
    return Right("~/surely-not-there-7713.jsonl", code=2, check=lambda got: None
                 if str(Path.home()) in got.output.replace("\n", "") else "the home folder is not in the message")  # fmt: skip


def names_of_sources_that_no_file_can_have(folder: Path) -> Right:
    put(folder, "a.jsonl", jsonl(paragraphs(3)))
    return Right({"../up": {"path": "a.jsonl"}}, code=2, docs=0, words=["../up"])


def a_name_of_a_source_with_a_slash(folder: Path) -> Right:
    put(folder, "a.jsonl", jsonl(paragraphs(3)))
    return Right({"en/web": {"path": "a.jsonl"}}, code=2, docs=0, words=["en/web", "name"],
                 check=lambda got: "misleading" if "holds none" in got.output else None)  # fmt: skip


def a_cut_file_of_many_lines_is_not_a_success(folder: Path) -> Right:
    data = gz(jsonl(paragraphs(4000, first=10_000)))
    return Right(put(folder, "a.jsonl.gz", data[: len(data) // 4]), code=1, faults=(1, 2),
                 words=["a.jsonl.gz"], config={"ingest": {"max_reject_share": 0.01}})  # fmt: skip


def a_hole_in_a_large_file_is_not_a_success(folder: Path) -> Right:
    members = [gz(jsonl(paragraphs(200, first=20_000 + 200 * n))) for n in range(10)]
    broken = members[4][:300] + bytes(len(members[4]) - 300)
    data = b"".join(members[:4]) + broken + b"".join(members[5:])
    whole = set(paragraphs(800, first=20_000) + paragraphs(1000, first=21_000))

    def check(got: Outcome) -> str | None:
        lost = whole - {doc["text"] for doc in got.docs}
        outside = [one["origin"] for one in got.faults if not in_the_hole(one)]
        return (
            f"{len(lost)} texts of whole members are lost" if lost else str(outside or "") or None
        )

    def in_the_hole(fault: dict[str, Any]) -> bool:
        """Return whether a fault is the gap or a line of what the zeros unpack to.

        That is 240 kB with any number of line ends, so that their number says nothing.
        """
        return ":byte " in fault["origin"] or 800 < int(fault["origin"].split(":")[1]) <= 1000

    return Right(put(folder, "a.jsonl.gz", data), code=1, faults=(1, 200), check=check,
                 config={"ingest": {"max_reject_share": 0.05}})  # fmt: skip


def capitals_are_english(folder: Path) -> Right:
    lines = ["THE COMMITTEE WILL PUBLISH ITS FINDINGS BEFORE THE END OF MARCH.",
             "WARNING: DO NOT OPEN THE COVER WHILE THE MACHINE IS RUNNING.",
             "ALL RIGHTS UNDER THIS AGREEMENT END WHEN THE LICENSE EXPIRES.",
             "STUDENTS MEASURED THE TEMPERATURE OF THE POND TWICE A DAY."]  # fmt: skip
    name = put(folder, "a.jsonl", jsonl(lines))

    def check(got: Outcome) -> str | None:
        langs = [row["lang"] for row in rows(folder / "out/annotations/identify")]
        return None if langs == ["en"] * 4 else f"languages {langs}"

    return Right({"s": {"component": "auto", "path": name}}, lines, stages="ingest,identify", check=check,
                 config={"mixture": {"weights": {"en": 1}, "allow_short": True}})  # fmt: skip


CASES = [
    brackets_are_not_elements,
    joiners_that_are_letters_stay,
    tables_of_latin_1_stay,
    separators_become_line_ends,
    quotes_of_windows_1252_are_restored,
    colours_of_terminals_go_whole,
    a_second_repair_changes_nothing,
    source_code_is_not_repaired,
    lines_of_nothing_visible,
    marks_in_names_are_printed_as_they_stand,
    the_place_of_a_damaged_tar_is_printed,
    a_scheme_that_is_not_known,
    an_address_of_a_local_file,
    a_path_in_the_home_folder,
    names_of_sources_that_no_file_can_have,
    a_name_of_a_source_with_a_slash,
    a_cut_file_of_many_lines_is_not_a_success,
    a_hole_in_a_large_file_is_not_a_success,
    capitals_are_english,
]
