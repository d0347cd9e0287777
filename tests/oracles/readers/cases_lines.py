"""JSON lines: line ends, marks, charsets, and fields that are not the text."""

from __future__ import annotations

import json
from pathlib import Path

from tests.oracles.readers.cases_streams import put
from tests.oracles.readers.pack import gz, jsonl
from tests.oracles.readers.prose import paragraph, paragraphs
from tests.oracles.readers.rig import Outcome, Right

TEXTS = paragraphs(12, first=100)
LINES = jsonl(TEXTS)
MARK = "\ufeff".encode()


def raw(texts: list[str], field: str) -> bytes:
    """Return lines with another field, written as JSON source."""
    return b"".join(
        b'{"text": '
        + json.dumps(text, ensure_ascii=False).encode()
        + b", "
        + field.encode()
        + b"}\n"
        for text in texts
    )


def lines_that_end_in_cr_lf(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", LINES.replace(b"\n", b"\r\n")), TEXTS)


def lines_that_end_in_cr_alone(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", LINES.replace(b"\n", b"\r")), TEXTS, refused=["a.jsonl"])


def blank_lines_of_spaces_and_tabs(folder: Path) -> Right:
    data = b"\n \n\t\r\n" + LINES.replace(b"\n", b"\n  \t \n\n")
    return Right(put(folder, "a.jsonl", data), TEXTS, others=0)


def no_newline_at_the_end(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", LINES.rstrip(b"\n")), TEXTS)


def separators_of_unicode_inside_strings(folder: Path) -> Right:
    texts = [f"{TEXTS[n]}{mark}{TEXTS[n + 1]}" for n, mark in enumerate("\u2028\u2029\u0085\x1c")]
    data = jsonl(texts)  # json writes U+001C escaped, the others as they are

    def check(got: Outcome) -> str | None:
        both = [d for d in got.docs for n in range(4) if d["text"].split() == texts[n].split()]
        return None if len(both) == 4 else f"{len(both)} of 4 texts have their words"

    return Right(put(folder, "a.jsonl", data), docs=4, check=check)


def one_array_over_many_lines(folder: Path) -> Right:
    data = b"[\n" + b",\n".join(LINES.rstrip(b"\n").split(b"\n")) + b"\n]\n"
    return Right(put(folder, "a.json", data), TEXTS, refused=["a.json", "array"])


def one_object_over_many_lines(folder: Path) -> Right:
    data = json.dumps({"title": "머리", "text": TEXTS[0]}, ensure_ascii=False, indent=2).encode()
    return Right(put(folder, "a.json", data), TEXTS[:1], refused=["a.json", "object"])


def a_comma_after_every_line(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", LINES.replace(b"}\n", b"},\n")), TEXTS, refused=["a.jsonl"])


def marks_of_files_that_were_joined(folder: Path) -> Right:
    data = b"".join(MARK + jsonl(TEXTS[at : at + 4]) for at in (0, 4, 8))
    return Right(put(folder, "a.jsonl", data), TEXTS)


def utf16_big_endian_without_mark(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", LINES.decode().encode("utf-16-be")), TEXTS)


def utf16_with_mark_in_gzip(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl.gz", gz(LINES.decode().encode("utf-16"))), TEXTS)


def utf32_with_mark(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", LINES.decode().encode("utf-32")), TEXTS)


def euc_kr_in_gzip_with_the_key(folder: Path) -> Right:
    name = put(folder, "a.jsonl.gz", gz(LINES.decode().encode("euc-kr")))
    return Right({"s": {"path": name, "encoding": "euc-kr"}}, TEXTS)


def shift_jis_with_the_key(folder: Path) -> Right:
    texts = [f"{n}番目の文章です。朝の霧が晴れると港には二そうの船が入っていた。" for n in range(8)]
    name = put(folder, "a.jsonl", jsonl(texts).decode().encode("shift_jis"))
    return Right({"s": {"path": name, "encoding": "shift_jis"}}, texts)


def a_charset_that_no_program_knows(folder: Path) -> Right:
    put(folder, "a.jsonl", LINES)
    return Right(
        {"s": {"path": "a.jsonl", "encoding": "klingon-8"}}, code=2, words=["encoding", "klingon-8"]
    )


def zero_bytes_after_a_crash(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", LINES + bytes(4096)), TEXTS, faults=(0, 1))


def zero_bytes_between_lines(folder: Path) -> Right:
    half = jsonl(TEXTS[:6])
    return Right(put(folder, "a.jsonl", half + bytes(512) + jsonl(TEXTS[6:])), faults=(0, 1),
                 check=lambda got: None if len(got.docs) >= 11 else f"{len(got.docs)} documents of 12")  # fmt: skip


def not_a_number_and_infinity(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", raw(TEXTS, '"score": NaN, "best": -Infinity')), TEXTS)


def numbers_beyond_every_type(folder: Path) -> Right:
    field = f'"a": {10**40}, "b": 1e400, "c": -0, "d": 1E-999'
    return Right(put(folder, "a.jsonl", raw(TEXTS, field)), TEXTS)


def half_an_emoji_in_another_field(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", raw(TEXTS, '"user": "\\ud83d", "\\udc00": 1')), TEXTS)


def half_an_emoji_in_the_text(folder: Path) -> Right:
    data = "".join(f'{{"text": "{text[:-1]} \\ud83d"}}\n' for text in TEXTS).encode()
    return Right(put(folder, "a.jsonl", data), docs=12, holds=[text[:-1] for text in TEXTS])


def a_key_twice(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", raw(TEXTS, '"n": 1, "n": {"n": [2]}')), TEXTS)


def a_list_900_deep(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", raw(TEXTS, '"tree": ' + "[" * 900 + "]" * 900)), TEXTS)


def a_list_5000_deep_in_one_line(folder: Path) -> Right:
    deep = raw(["깊은 글 하나입니다."], '"tree": ' + "[" * 5000 + "]" * 5000)
    return Right(put(folder, "a.jsonl", LINES + deep), faults=(0, 1), holds=TEXTS)


def bad_bytes_in_another_field(folder: Path) -> Right:
    data = raw(TEXTS, '"author": "김@@"').replace(b"@@", b"\xff\xb1")
    return Right(put(folder, "a.jsonl", data), TEXTS)


def one_bad_byte_in_the_text(folder: Path) -> Right:
    data = LINES.replace("글입니다".encode(), "글입니다".encode() + b"\xb0", 1)

    def check(got: Outcome) -> str | None:
        bad = sum(doc["text"].count("\ufffd") for doc in got.docs)
        return None if bad == 1 and len(got.docs) == 12 else f"{bad} signs of damage"

    return Right(put(folder, "a.jsonl", data), holds=TEXTS[1:], check=check)


def a_time_of_every_type(folder: Path) -> Right:
    values = [
        "17",
        "1e300",
        '{"$date": "2020"}',
        "[1]",
        "true",
        '"gestern"',
        "-99999999999999999999",
    ]
    data = b"".join(
        raw([text], f'"timestamp": {value}') for text, value in zip(TEXTS, values, strict=False)
    )
    return Right(put(folder, "a.jsonl", data), TEXTS[: len(values)])


def addresses_and_licences_of_every_type(folder: Path) -> Right:
    values = ["17", '["http://a.example/"]', '{"href": "x"}', "null", '""', '"\\u0000"']
    data = b"".join(
        raw([text], f'"url": {value}, "license": {value}, "meta": {value}')
        for text, value in zip(TEXTS, values, strict=False)
    )
    return Right(put(folder, "a.jsonl", data), TEXTS[: len(values)])


def texts_that_are_not_strings(folder: Path) -> Right:
    odd = b"".join(
        b'{"text": %s, "title": "t"}\n' % v for v in (b"null", b"3", b'["a"]', b'{"a": 1}')
    )
    return Right(put(folder, "a.jsonl", LINES + odd), TEXTS, faults=(0, 4),
                 check=lambda got: None if len(got.rejects) == 4 else f"{len(got.rejects)} rejects, not 4")  # fmt: skip


def lines_that_are_not_objects(folder: Path) -> Right:
    data = LINES + b'"only a string"\n[1, 2]\n17\nnull\n'
    return Right(put(folder, "a.jsonl", data), TEXTS, faults=4)


def a_line_longer_than_allowed(folder: Path) -> Right:
    data = LINES + jsonl(["긴 글 " * 30000]) + jsonl([paragraph(777)])
    return Right(put(folder, "a.jsonl", data), [*TEXTS, paragraph(777)], faults=(0, 1),
                 config={"ingest": {"max_reject_share": 1, "max_document_bytes": "100KB"}})  # fmt: skip


def a_key_with_a_dot_as_it_stands(folder: Path) -> Right:
    name = put(folder, "a.jsonl", jsonl(TEXTS, key="doc.text"))
    return Right({"s": {"path": name, "text": "doc.text"}}, TEXTS)


def a_key_three_levels_down(folder: Path) -> Right:
    rows = [{"a": {"b": {"c": text}, "n": 1}} for text in TEXTS]
    name = put(folder, "a.ndjson", "".join(json.dumps(row) + "\n" for row in rows).encode())
    return Right({"s": {"path": name, "text": "a.b.c"}}, TEXTS)


CASES = [
    lines_that_end_in_cr_lf,
    lines_that_end_in_cr_alone,
    blank_lines_of_spaces_and_tabs,
    no_newline_at_the_end,
    separators_of_unicode_inside_strings,
    one_array_over_many_lines,
    one_object_over_many_lines,
    a_comma_after_every_line,
    marks_of_files_that_were_joined,
    utf16_big_endian_without_mark,
    utf16_with_mark_in_gzip,
    utf32_with_mark,
    euc_kr_in_gzip_with_the_key,
    shift_jis_with_the_key,
    a_charset_that_no_program_knows,
    zero_bytes_after_a_crash,
    zero_bytes_between_lines,
    not_a_number_and_infinity,
    numbers_beyond_every_type,
    half_an_emoji_in_another_field,
    half_an_emoji_in_the_text,
    a_key_twice,
    a_list_900_deep,
    a_list_5000_deep_in_one_line,
    bad_bytes_in_another_field,
    one_bad_byte_in_the_text,
    a_time_of_every_type,
    addresses_and_licences_of_every_type,
    texts_that_are_not_strings,
    lines_that_are_not_objects,
    a_line_longer_than_allowed,
    a_key_with_a_dot_as_it_stands,
    a_key_three_levels_down,
]
