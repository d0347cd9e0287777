"""Duplicates across shards and sources: one survivor a cluster, chosen by rule, never by order."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.columnar.arrays import fixed_matrix
from filters.dedup.connected import Nodes, components
from pipelines.dedup.connect import connect
from pipelines.driver import Run
from pipelines.engine.progress import LogReporter
from pipelines.runners.runner import Runner
from schemas.config import Config
from schemas.errors import InputError
from schemas.manifest import read_manifest

WORDS = ["바다", "하늘", "구름", "나무", "아침", "저녁", "사람", "마을", "시장", "편지", "노래", "그림", "학교", "버스", "기차", "우산", "의자", "창문", "커피", "라면", "김치", "고양이", "강아지", "선생님", "도서관", "병원", "축구", "바람", "별빛", "계단"]  # fmt: skip
STAGES = ("ingest", "identify", "measure", "dedup")


def story(seed: int, sentences: int = 16) -> str:
    chance = random.Random(seed)
    parts = []
    for _ in range(sentences):
        words = [chance.choice(WORDS) + chance.choice(["이", "은", "을", "에서"]) for _ in range(7)]
        parts.append(" ".join(words) + " 있었다.")
    return " ".join(parts)


def noisy(text: str, kind: str) -> str:
    chance = random.Random(len(text))
    if kind == "spaces":
        return "".join(ch for ch in text if ch != " " or chance.random() > 0.3)
    if kind == "decomposed":
        return unicodedata.normalize("NFD", text)
    if kind == "sentence":
        parts = text.split(". ")
        parts[3] = "이 문장만 새로 쓴 것이라서 앞의 글과는 다르다"
        return ". ".join(parts)
    return text


Texts = list[str] | list[tuple[str, str]]
"""Texts, or texts with their addresses."""


def run(folder: Path, sources: dict[str, Texts], workers: int = 1, **dedup: object) -> Path:
    """Write `sources` as JSONL and run the stages up to dedup."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, texts in sources.items():
        rows = [
            {"text": text} if isinstance(text, str) else {"text": text[0], "url": text[1]}
            for text in texts
        ]
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    config = Config.model_validate(
        {
            "name": "small",
            "sources": {
                name: {"component": "ko", "path": str(folder / f"{name}.jsonl")} for name in sources
            },
            "ingest": {"shard_bytes": 20_000},
            "dedup": dedup,
            "mixture": {"weights": {"ko": 1}},
        }
    )
    out = folder / "out"
    Run(config, out, Runner("local", workers), LogReporter()).execute(STAGES)
    return out


def annotations(out: Path) -> list[dict[str, object]]:
    """Return every document's text, source and dedup columns."""
    rows = []
    manifest = read_manifest(out / "documents")
    assert manifest is not None
    for shard in manifest.shards:
        documents = pq.read_table(out / "documents" / shard.name, columns=["id", "text", "source"])
        labels = pq.read_table(out / "annotations/dedup" / shard.name)
        joined = pa.Table.from_arrays(
            [*documents.columns, *labels.columns],
            names=[*documents.column_names, *labels.column_names],
        )
        rows += joined.to_pylist()
    return rows


BASE = [story(seed) for seed in range(60)]


def test_noisy_copies_join_their_original_and_nothing_else_does(tmp_path: Path):
    copies = [
        noisy(BASE[i], kind) for i in range(30) for kind in ("spaces", "decomposed", "sentence")
    ]
    out = run(tmp_path, {"first": BASE, "second": copies}, prefer=["first"])
    rows = annotations(out)
    originals = {row["text"]: row["id"] for row in rows if row["source"] == "first"}
    found = [row for row in rows if row["source"] == "second"]
    assert all(not row["duplicate"] for row in rows if row["source"] == "first")
    right = sum(
        row["duplicate_of"] == originals[BASE[index // 3]]
        for index, row in enumerate(_ordered(found, copies))
    )
    assert right >= 0.98 * len(copies)
    sizes = {row["cluster_size"] for row in rows if row["source"] == "first"}
    assert sizes == {1, 4}


def _ordered(rows: list[dict[str, object]], texts: list[str]) -> list[dict[str, object]]:
    by_text = {row["text"]: row for row in rows}
    return [by_text[unicodedata.normalize("NFC", text)] for text in texts]


@pytest.mark.parametrize(
    ("prefer", "expected"), [(["second"], "second"), (["first"], "first"), ([], "second")]
)
def test_the_survivor_is_the_preferred_then_the_longest(
    tmp_path: Path, prefer: list[str], expected: str
):
    longer = BASE[0] + " 끝."
    rows = annotations(run(tmp_path, {"first": [BASE[0]], "second": [longer]}, prefer=prefer))
    (survivor,) = [row for row in rows if not row["duplicate"]]
    (dropped,) = [row for row in rows if row["duplicate"]]
    assert survivor["source"] == expected
    assert dropped["duplicate_of"] == survivor["id"]
    assert dropped["cluster_id"] == survivor["cluster_id"]
    assert dropped["cluster_id"] == min(row["id"] for row in rows)  # type: ignore[type-var]  # bytes


def test_exact_copies_are_distinguished_from_near_ones(tmp_path: Path):
    rows = annotations(run(tmp_path, {"a": [BASE[0], BASE[0], noisy(BASE[0], "sentence")]}))
    assert sorted(str(row["duplicate_kind"]) for row in rows if row["duplicate"]) == [
        "exact",
        "near",
    ]


def test_short_texts_are_compared_as_wholes(tmp_path: Path):
    rows = annotations(run(tmp_path, {"a": ["네", "네", "아니오", "예"]}))
    assert [row["duplicate"] for row in rows].count(True) == 1


def test_two_workers_write_the_same_annotations_as_one(tmp_path: Path):
    sources = {"a": [*BASE, *BASE[:20]], "b": [noisy(t, "sentence") for t in BASE[10:40]]}
    one = run(tmp_path / "one", sources, workers=1)
    two = run(tmp_path / "two", sources, workers=2)
    shards = read_manifest(one / "annotations/dedup")
    other = read_manifest(two / "annotations/dedup")
    assert shards is not None
    assert other is not None
    assert len(shards.shards) > 3
    assert [(s.name, s.sha256) for s in shards.shards] == [(s.name, s.sha256) for s in other.shards]


def test_switched_off_it_finds_nothing(tmp_path: Path):
    rows = annotations(run(tmp_path, {"a": [BASE[0], BASE[0]]}, enabled=False))
    assert not any(row["duplicate"] for row in rows)


def test_what_an_earlier_run_holds_is_dropped_by_its_signatures_alone(tmp_path: Path):
    first = run(tmp_path / "first", {"old": BASE[:30]})
    for path in (first / "documents").glob("*.parquet"):
        with pq.ParquetFile(path) as file:
            groups = [file.read_row_group(number) for number in range(file.num_row_groups)]
            schema = file.schema_arrow
        with pq.ParquetWriter(path, schema) as writer:
            for group in groups:
                nothing = pa.array([""] * group.num_rows, schema.field("text").type)
                place = schema.get_field_index("text")
                writer.write_table(group.set_column(place, schema.field("text"), nothing))
    again = [noisy(text, "spaces") for text in BASE[:20]]
    new = BASE[30:45]
    out = run(tmp_path / "second", {"new": [*again, *new, new[0]]}, against=[str(first)])
    rows = {str(row["text"]): row for row in annotations(out) if row["duplicate_kind"] != "exact"}
    ids = {row["id"] for row in annotations(first)}
    for text in again:
        assert rows[text]["duplicate_kind"] == "earlier"
        assert rows[text]["duplicate_of"] in ids
    assert not any(rows[text]["duplicate"] for text in new)
    kinds = [row["duplicate_kind"] for row in annotations(out)]
    assert kinds.count("exact") == 1, "its own copies are still found"


def test_documents_that_the_earlier_run_dropped_hold_nothing_back(tmp_path: Path):
    first = run(tmp_path / "first", {"old": [BASE[0], BASE[0], BASE[1]]})
    out = run(tmp_path / "second", {"new": [BASE[0], BASE[2]]}, against=[str(first)])
    kept = {row["id"] for row in annotations(first) if not row["duplicate"]}
    (dropped,) = [row for row in annotations(out) if row["duplicate"]]
    assert dropped["duplicate_of"] in kept


def test_an_earlier_run_signed_otherwise_is_refused_with_the_remedy(tmp_path: Path):
    first = run(tmp_path / "first", {"old": BASE[:3]}, ngram=4)
    with pytest.raises(InputError, match=r"dedup\.ngram: 4"):
        run(tmp_path / "second", {"new": BASE[:3]}, against=[str(first)])
    with pytest.raises(InputError, match=r"no such file|no signatures"):
        run(tmp_path / "third", {"new": BASE[:3]}, against=[str(tmp_path / "nowhere")])
    (file,) = (first / "documents").glob("*.parquet")
    file.unlink()
    with pytest.raises(
        InputError, match=r"documents/old-00000\.parquet is not there; .*leave it out"
    ):
        run(tmp_path / "fourth", {"new": BASE[:3]}, ngram=4, against=[str(first)])


def test_two_workers_find_the_same_of_an_earlier_run(tmp_path: Path):
    first = run(tmp_path / "first", {"old": BASE[:30]})
    sources = {"a": [*BASE[10:50], *BASE[20:25]]}
    shards = []
    for workers in (1, 2):
        out = run(tmp_path / str(workers), sources, workers=workers, against=[str(first)])
        manifest = read_manifest(out / "annotations/dedup")
        assert manifest is not None
        shards.append([(shard.name, shard.sha256) for shard in manifest.shards])
    assert shards[0] == shards[1]


def test_pages_of_one_address_are_one_where_that_is_asked_for(tmp_path: Path):
    pages = [
        (BASE[0], "https://www.example.org/news/1?utm_source=a"),
        (BASE[1], "http://example.org/news/1/#top"),
        (BASE[2], "https://example.org/news/2"),
    ]
    rows = annotations(run(tmp_path / "off", {"web": pages}))
    assert not any(row["duplicate"] for row in rows)
    rows = annotations(run(tmp_path / "on", {"web": pages}, urls=True))
    assert [row["duplicate_kind"] for row in rows if row["duplicate"]] == ["url"]
    assert {row["text"] for row in rows if row["cluster_size"] == 1} == {BASE[2]}


def test_lines_that_many_documents_hold_are_cut_not_dropped_for(tmp_path: Path):
    menu, notice = "처음 소개 고객센터", "이 글은 회원만 볼 수 있습니다"
    texts = [f"{menu}\n{a}\n{b}\n{notice}" for a, b in zip(BASE[:30], BASE[30:], strict=True)]
    limits = {"enabled": True, "common": {"default": 20}, "rare": {"default": 2}}
    for workers in (1, 2):
        rows = annotations(
            run(tmp_path / str(workers), {"web": [*texts, BASE[0]]}, workers, lines=limits)
        )
        assert len(rows) == 31
        for row in rows:
            text = str(row["text"])
            spans = [(span["start"], span["end"]) for span in row["repeats"]]  # type: ignore[attr-defined]
            if text == BASE[0]:
                assert spans == []
                continue
            data = text.encode()
            assert [data[a:b].decode().strip() for a, b in spans] == [menu, notice]
            share = sum(b - a for a, b in spans) / len(data)
            assert row["repeated"] == pytest.approx(share, abs=1e-6)


def test_lines_of_duplicates_are_not_counted(tmp_path: Path):
    limits = {"enabled": True, "common": {"default": 5}, "rare": {"default": 2}}
    text = f"{BASE[0]}\n{BASE[1]}"
    rows = annotations(run(tmp_path, {"web": [text] * 10}, lines=limits))
    assert [row["repeats"] for row in rows] == [[]] * 10


@pytest.mark.parametrize("workers", [1, 2])
def test_rounds_of_star_steps_label_as_one_process_does(tmp_path: Path, workers: int):
    chance = np.random.default_rng(3)
    far = np.int64(1) << 33
    chain = np.arange(0, 600, dtype=np.int64)
    graphs: list[Nodes] = [
        np.column_stack([chain[:-1], chain[1:]]),  # a long path
        np.column_stack([np.full(300, far), far + 1 + np.arange(300)]),  # a star
        np.sort(chance.integers(1000, 3000, (900, 2)), axis=1),
    ]
    files = []
    for number, edges in enumerate(graphs):
        files.append(tmp_path / f"edges-{number}.npy")
        np.save(files[-1], edges[edges[:, 0] != edges[:, 1]])
    nodes, labels = connect(Runner("local", workers), tmp_path / "work", files, in_process=10)
    expected = components(np.concatenate([np.load(path) for path in files]))
    assert nodes.tolist() == expected[0].tolist()
    assert labels.tolist() == expected[1].tolist()


def test_the_order_of_lines_in_a_file_decides_no_survivor(tmp_path: Path):
    texts = [*BASE[:25], *[noisy(text, "sentence") for text in BASE[:25]]]
    one = annotations(run(tmp_path / "one", {"a": texts}))
    other = annotations(run(tmp_path / "other", {"a": texts[::-1]}))
    kept = [{row["text"] for row in rows if not row["duplicate"]} for rows in (one, other)]
    assert kept[0] == kept[1]


def test_the_order_of_sources_and_files_changes_no_annotation(tmp_path: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, texts in {"b": BASE[10:30], "a": BASE[:20]}.items():
        lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    sources = {
        "all": {"component": "ko", "path": str(folder / "*.jsonl")},
        "again": {"component": "ko", "path": str(folder / "b.jsonl")},
    }
    found = []
    for number, names in enumerate((["all", "again"], ["again", "all"])):
        config = Config.model_validate(
            {
                "name": "small",
                "sources": {name: sources[name] for name in names},
                "ingest": {"shard_bytes": 20_000},
                "mixture": {"weights": {"ko": 1}},
            }
        )
        out = tmp_path / str(number)
        Run(config, out, Runner("local", 1), LogReporter()).execute(STAGES)
        manifest = read_manifest(out / "annotations/dedup")
        assert manifest is not None
        found.append({shard.name: shard.sha256 for shard in manifest.shards})
    assert found[0] == found[1]


def test_morphemes_find_copies_with_other_spacing(tmp_path: Path):
    copies = [noisy(text, "spaces") for text in BASE[:8]]
    rows = annotations(run(tmp_path, {"a": [*BASE[:8], *copies]}, unit="morphemes", threshold=0.5))
    assert sum(bool(row["duplicate"]) for row in rows) >= 7


COPIES = (str.upper, str.title, lambda text: text.replace(" ", ""), lambda text: f" {text}\n\n")
"""Ways to write a text that the content hash leaves out; full width is one more."""


@pytest.mark.parametrize(("unit", "ngram"), [("words", 3), ("morphemes", 3), ("chars", 5)])
def test_exact_copies_are_joined_whatever_the_shingles_are(tmp_path: Path, unit: str, ngram: int):
    originals = [f"Page {seed} of Notes. {text}" for seed, text in enumerate(BASE[:10])]
    wide = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
    copies = [write(text) for text in originals for write in (*COPIES, lambda t: t.translate(wide))]
    out = run(tmp_path / "one", {"a": originals, "b": copies}, prefer=["a"], unit=unit, ngram=ngram)
    rows = annotations(out)
    assert [row["duplicate_kind"] for row in rows if row["source"] == "b"] == ["exact"] * 50
    assert {row["cluster_size"] for row in rows} == {6}
    later = run(tmp_path / "two", {"c": copies}, unit=unit, ngram=ngram, against=[str(out)])
    assert {row["duplicate_kind"] for row in annotations(later)} == {"earlier"}


@pytest.mark.parametrize("width", [4, 16])
def test_a_matrix_of_no_rows_has_its_columns(width: int):
    assert fixed_matrix(pa.array([], pa.binary()), width, "<u4").shape == (0, width // 4)


def test_pages_beside_a_source_without_addresses_are_joined_by_address(tmp_path: Path):
    pages = [(BASE[0], "https://example.org/a"), (BASE[1], "http://example.org/a/")]
    sources: dict[str, Texts] = {"none": BASE[2:30], "web": [*pages, *BASE[30:40]]}
    rows = annotations(run(tmp_path, sources, urls=True))
    assert [row["duplicate_kind"] for row in rows if row["duplicate"]] == ["url"]
    assert {row["text"] for row in rows if row["cluster_size"] == 2} == set(BASE[:2])


def test_pages_that_only_look_alike_by_address_are_not_joined(tmp_path: Path):
    ends = ("?1234", "?5678", "?name=%C7%D1", "?name=%B1%DB", "?ref_id=1", "?ref_id=2")
    pages = [(BASE[n], f"https://example.org/view.asp{end}") for n, end in enumerate(ends)]
    assert not any(
        row["duplicate"] for row in annotations(run(tmp_path, {"web": pages}, urls=True))
    )
