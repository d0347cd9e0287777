"""JSONL: a field that is not the text never costs the document; what is left out is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingest.readers.base import File, Record, Reject, Split
from pipelines.ingest.readers.fields import meta_json, take
from pipelines.ingest.readers.lines import Line, parse_line
from pipelines.ingest.run import Collector, check_rejects
from schemas.config import Config, Ingest, Source
from schemas.json_lines import UNREAD
from schemas.manifest import Shard
from tests.support.reading import read, rejects, texts

SOURCE = Source(component="ko", path="a.jsonl")
SPLIT = Split("s-00000.parquet", "s", "jsonl", (File("a.jsonl", "a.jsonl", 1, "0"),))


def row_of(line: str | bytes, text: str = "text") -> tuple[dict[str, Any], Collector]:
    """Return the document's row that a line becomes, `meta` parsed, and what counted it."""
    data = line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line
    source = SOURCE.model_copy(update={"text": text})
    item = parse_line("a.jsonl", Line(1, 0, len(data), data), source, Ingest(), "s")
    assert isinstance(item, Record), item
    collector = Collector(SPLIT, source, ())
    row = collector.row(item)
    assert row is not None
    json.dumps(row["text"], ensure_ascii=False).encode()
    return {**row, "meta": json.loads(row["meta"] or "{}")}, collector


def detail_of(line: str, text: str = "text") -> str:
    source = SOURCE.model_copy(update={"text": text})
    item = parse_line("a.jsonl", Line(1, 0, 9, line.encode()), source, Ingest(), "wiki")
    assert isinstance(item, Reject)
    return item.detail


@pytest.mark.parametrize(
    ("field", "meta"),
    [
        ("NaN", {"x": None}),
        ("[Infinity, 1]", {"x": [None, 1]}),
        ("123456789012345678901234567890", {"x": "123456789012345678901234567890"}),
        ('"a\\ud83d"', {"x": "a\ufffd"}),
        ('{"\\ude00": 1}', {"x": {"\ufffd": 1}}),
        ("[" * 254 + "]" * 254, {"left_out": ["x"]}),
        ("[" * 300 + "]" * 300, {"left_out": ["x"]}),
        ('{"a":' * 300 + "1" + "}" * 300, {"left_out": ["x"]}),
        ("[" * 3000 + "]" * 3000, {"left_out": ["x"]}),
        ('1, "x": 2', {"x": 2}),
        ('"tab\there"', {"x": "tab\there"}),
    ],
)
def test_a_field_that_json_cannot_hold_costs_no_document(field: str, meta: dict[str, Any]):
    row, collector = row_of(f'{{"text": "글", "x": {field}, "y": 1}}')
    assert row["text"] == "글"
    assert row["meta"] == {"y": 1, **meta}
    assert collector.stats["fields_left_out"] == ("left_out" in meta)


def test_half_an_emoji_in_the_text_becomes_a_replacement_character_that_is_counted():
    row, collector = row_of('{"text": "웃음 \\ud83d 끝 \\ude00", "url": "u\\ud83d"}')
    assert row["text"] == "웃음 \ufffd 끝 \ufffd"
    assert row["url"] == "u\ufffd"
    assert collector.stats["replaced_chars"] == 2


def test_a_known_column_that_cannot_be_read_is_left_out_alone():
    row, _ = row_of('{"text": "글", "url": ' + "[" * 3000 + "]" * 3000 + ', "license": 5}')
    assert row["url"] is None
    assert row["license"] == "5"
    assert row["meta"] == {"left_out": ["url"]}


def test_the_field_of_a_path_is_the_text_and_a_field_of_that_name_comes_first():
    line = '{"doc": {"body": "안", "id": 1}, "doc.body": "밖"}'
    assert row_of(line, "doc.body")[0]["text"] == "밖"
    row, _ = row_of('{"doc": {"body": "안", "id": 1}}', "doc.body")
    assert (row["text"], row["meta"]) == ("안", {"doc": {"id": 1}})
    row, _ = row_of('{"doc": {"body": "안"}, "n": 1}', "doc.body")
    assert row["meta"] == {"n": 1}, "an object without a field is removed"
    value: dict[str, Any] = {"a.b": {"c": 1}, "a": {"b": {"c": 2}}}
    assert take(value, "a.b.c") == (True, 2)
    assert take(value, "a.b.c") == (True, 1)
    assert take(value, "a.b.c") == (False, None)


def test_a_message_names_the_fields_that_are_there():
    detail = detail_of('{"content": "글", "doc": {"title": "x"}, "url": "u"}')
    assert detail == ("text not found; fields: content, doc.title, url: set sources.wiki.text")
    assert detail_of('{"text": ["글"]}') == "field 'text' is a list, not a string"
    assert detail_of('{"text": NaN}') == "field 'text' is a number, not a string"
    assert detail_of('{"text": ""}') == "field 'text' is empty"
    deep = "[" * 3000 + "]" * 3000
    assert detail_of(f'{{"text": {deep}}}') == "field 'text' is nested too deeply, not a string"


def test_a_field_named_left_out_gives_way_and_is_listed():
    row, _ = row_of('{"text": "글", "left_out": "mine"}')
    assert row["meta"] == {"left_out": "mine"}
    row, _ = row_of('{"text": "글", "left_out": "mine", "x": ' + "[" * 300 + "]" * 300 + "}")
    assert row["meta"] == {"left_out": ["x", "left_out"]}


def test_bytes_and_what_was_not_read_are_left_out_by_their_path():
    meta = {"image": {"bytes": b"\0", "path": "p"}, "list": [b"\0", 1], 5: UNREAD}
    found, left = meta_json(meta, ["audio.bytes"])
    assert left == ["audio.bytes", "image.bytes", "list", "5"]
    assert json.loads(found or "") == {"image": {"path": "p"}, "list": [1], "left_out": left}


def test_many_paths_are_bounded():
    found, left = meta_json({str(n): b"" for n in range(50)})
    listed = json.loads(found or "")["left_out"]
    assert len(left) == 50
    assert listed[20:] == ["and 30 more"]


def test_a_run_names_the_fields_that_it_left_out(tmp_path: Path):
    config = Config.model_validate(
        {
            "name": "n",
            "sources": {"s": {"component": "ko", "path": "p"}},
            "mixture": {"weights": {"ko": 1}},
        }
    )
    stats = {"fields_left_out": 1200, "left_out": {"image.bytes": 1200}, "replaced_chars": 3}
    shard = Shard(name="s-00000.parquet", rows=1300, bytes=1, sha256="", key="", stats=stats)
    assert check_rejects(tmp_path, config, [shard]) == [
        "source s: fields left out of meta, documents: 1,200, since JSON cannot hold them: "
        "image.bytes; meta.left_out lists them",
        "source s: 3 halves of characters became U+FFFD",
    ]


def test_a_tree_of_300_levels_in_one_line_costs_none_of_four(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    deep = json.dumps({"text": "넷째 글"})[:-1] + ', "tree": ' + '{"c": [' * 150 + "]}" * 150 + "}"
    lines = [json.dumps({"text": f"{n}번째 글"}) for n in range(3)]
    path.write_text("\n".join([*lines, deep]), "utf-8")
    items, _ = read(path)
    assert (len(texts(items)), rejects(items)) == (4, [])


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=())), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(
    fields=st.dictionaries(
        st.sampled_from(["url", "license", "timestamp", "meta", "a", "left_out", "\ud800", "한"]),
        VALUES,
        max_size=5,
    ),
    depth=st.sampled_from([0, 1, 150, 253, 254, 255, 900, 1100, 5000]),
    text=st.text(st.characters(exclude_categories=())).filter(lambda text: bool(text.strip())),
)
def test_a_line_with_a_text_is_a_document_whatever_its_other_fields_hold(
    fields: dict[str, Any], depth: int, text: str
):
    line = json.dumps({"text": text + ".", **fields})[:-1] + ', "deep": ' + "[" * depth
    row, _ = row_of(line + "1" + "]" * depth + "}")
    assert isinstance(row["meta"], dict)
    for name in ("url", "license", "timestamp"):
        assert row[name] is None or row[name].encode() is not None
        value = fields.get(name)
        assert (row[name] is None) == (value is None or value != value), "NaN is null"
