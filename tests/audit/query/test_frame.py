"""The frame and its index: rows in groups, read once and read again only for other data or rules."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audit.query import columns
from audit.query.columns import Names, is_null, null_of, put
from audit.query.frame import LATE, Frame
from audit.query.groups import SEEN, first_bit
from audit.query.index import read_index, write_index
from pipelines.storage.layout import AUDIT_INDEX
from schemas.config import Config
from schemas.errors import InputError, RunFault
from tests.support import ROOT
from tests.support.altered import alter, replace_json
from tests.support.finished_run import given, settings, write_finished

DOCUMENTS = [given("하나 둘 셋"), given("하나", last="dedup"), given("one two", "en")]


def written(out: Path) -> int:
    return (out / AUDIT_INDEX).stat().st_mtime_ns


@pytest.fixture
def run(finished: tuple[Path, Config], tmp_path: Path) -> tuple[Path, Config]:
    out, config = finished
    copy = Path(shutil.copytree(out, tmp_path / "out"))
    (copy / AUDIT_INDEX).unlink(missing_ok=True)
    return copy, config


def test_groups_hold_the_sums_of_their_rows(finished: tuple[Path, Config]):
    frame = Frame(*finished)
    assert frame.rows == len(frame.group) == int(frame.groups.documents.sum()) == 15
    for name, sums in (("bytes", frame.groups.bytes), ("chars", frame.groups.chars)):
        values = frame.values(name)
        for group, total in enumerate(sums.tolist()):
            assert values[frame.group == group].sum() == total, (name, group)
    first = frame.groups.first()
    reasons = [frame.rules[i].reason if i >= 0 else "kept" for i in first[frame.group]]
    assert reasons.count("kept") == 7 and reasons.count("words") == 3


def test_blocks_do_not_alter_the_groups(run: tuple[Path, Config], monkeypatch: pytest.MonkeyPatch):
    whole = Frame(*run)
    (run[0] / AUDIT_INDEX).unlink()
    for module in ("frame", "groups", "stored", "columns"):
        monkeypatch.setattr(f"audit.query.{module}.BLOCK", 4)
    parts = Frame(*run)
    assert columns.BLOCK == 4
    assert np.array_equal(whole.group, parts.group)
    assert np.array_equal(whole.groups.bytes, parts.groups.bytes)


def test_every_late_stage_has_seen_the_rows_that_are_kept_and_no_others(
    finished: tuple[Path, Config],
):
    frame = Frame(*finished)
    every = (1 << len(LATE)) - 1
    assert every < SEEN
    complete = frame.groups.seen[frame.group] == every
    kept = (frame.groups.mask == 0)[frame.group]
    assert complete[kept].all() and not complete[~kept].any()


def test_a_copy_knows_the_row_of_its_survivor(finished: tuple[Path, Config]):
    frame = Frame(*finished)
    (copy,) = np.flatnonzero(frame.survivor >= 0)
    ids = frame.take([int(copy), int(frame.survivor[copy])], ["id", "duplicate_of"])
    assert ids[0]["duplicate_of"] == ids[1]["id"]


def test_a_second_frame_maps_the_index_and_reads_no_annotation(run: tuple[Path, Config]):
    out, config = run
    first = Frame(out, config)
    before = written(out)
    for path in (out / "annotations").glob("*/*-00001.parquet"):
        path.unlink()  # the first shard gives the columns; the others are not needed
    second = Frame(out, config)
    assert written(out) == before
    assert np.array_equal(first.group, second.group)
    assert not second.group.flags.owndata


@pytest.mark.parametrize(
    "change",
    [
        {"rules": {"ko": {"words": ">=4"}}},
        {"toxicity": {"drop_above": 0.5}},
        {"rules": {"en": {"words": ">=3"}}},
    ],
)
def test_other_rules_make_another_index(
    run: tuple[Path, Config], change: dict[str, dict[str, object]]
):
    out, config = run
    before = Frame(out, config)
    at = written(out)
    after = Frame(out, settings(**change))
    assert written(out) > at
    assert [str(rule) for rule in before.rules] != [str(rule) for rule in after.rules]


def test_another_manifest_makes_another_index(run: tuple[Path, Config]):
    out, config = run
    Frame(out, config)
    at = written(out)
    alter(out / "annotations/measure", "ko-00000.parquet", lambda r: r.update(words=1), 0)
    frame = Frame(out, config)
    assert written(out) > at
    assert frame.values("words")[frame.shards[1].first] == 1 or frame.values("words").min() == 1


def test_limits_of_guards_keep_the_index(run: tuple[Path, Config]):
    out, config = run
    Frame(out, config)
    at = written(out)
    Frame(out, config.model_copy(update={"guards": settings().guards}))
    assert written(out) == at


@pytest.mark.parametrize("keep", [0, 10, 400])
def test_a_truncated_index_is_written_again(run: tuple[Path, Config], keep: int):
    out, config = run
    whole = Frame(out, config)
    data = (out / AUDIT_INDEX).read_bytes()
    (out / AUDIT_INDEX).write_bytes(data[:keep])
    assert np.array_equal(Frame(out, config).group, whole.group)
    assert (out / AUDIT_INDEX).read_bytes() == data


def test_an_index_gives_back_columns_and_notes_under_its_key_only(tmp_path: Path):
    values = {"a": np.array([1, 2], np.int32), "b": np.array([0.5, np.nan], np.float64)}
    write_index(tmp_path / "index", "key", values, {"n": [1]})
    result = read_index(tmp_path / "index", "key")
    assert result is not None
    assert result[1] == {"n": [1]}
    for name, column in values.items():
        assert np.array_equal(result[0][name], column, equal_nan=True)
    assert read_index(tmp_path / "index", "other") is None
    assert read_index(tmp_path / "missing", "key") is None


def test_an_annotation_of_other_documents_is_refused_with_the_remedy(run: tuple[Path, Config]):
    out, config = run
    step = out / "annotations/score"
    shutil.copy(step / "ko-00001.parquet", step / "ko-00000.parquet")
    with pytest.raises(RunFault, match=r"score/ko-00000.parquet belongs to another document shard"):
        Frame(out, config)


def test_fewer_rows_than_the_manifest_are_refused(run: tuple[Path, Config]):
    out, config = run

    def add(manifest: dict[str, list[dict[str, int]]]) -> None:
        manifest["shards"][0]["rows"] += 1

    replace_json(out / "documents/_manifest.json", add)
    with pytest.raises(RunFault, match=r"has 15 rows, its manifest 16"):
        Frame(out, config)


def test_more_rules_than_bits_are_refused_with_the_remedy(tmp_path: Path):
    write_finished(tmp_path, DOCUMENTS)
    conditions = ", ".join(f"!={number + 100}" for number in range(70))
    config = settings(rules={"ko": {"words": conditions}})
    with pytest.raises(InputError, match="the audit shows 62 at most; remove rules"):
        Frame(tmp_path, config)


def test_an_unknown_column_names_the_page_that_lists_them(finished: tuple[Path, Config]):
    with pytest.raises(InputError, match=r"wordz: no stage adds this column; docs/signals.md"):
        Frame(*finished).folder_of("wordz")


def test_rows_are_taken_in_the_order_asked_for(finished: tuple[Path, Config]):
    frame = Frame(*finished)
    every = [row["origin"] for row in frame.take(range(frame.rows), ["origin"])]
    assert len(set(every)) == frame.rows
    asked = [14, 0, 7, 7]
    assert [row["origin"] for row in frame.take(asked, ["origin"])] == [every[i] for i in asked]


def test_a_question_by_the_index_loads_neither_beam_nor_numba(finished: tuple[Path, Config]):
    out, config = finished
    Frame(out, config)
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from audit.query.frame import Frame\nfrom audit.query.what_if import WhatIf\n"
        "from audit.report.overview import overview\nfrom audit.query.histogram import histogram\n"
        "from bibim.cli.options import load_run\n"
        f"out = Path({str(out)!r})\nframe = Frame(out, load_run(out))\n"
        "WhatIf(frame).compare(['ko.words>=4'])\noverview(frame, False)\nhistogram(frame, 'words')\n"
        "print('LOADED', *({'apache_beam', 'numba', 'torch'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["LOADED"]


def test_the_lowest_set_bit_of_a_mask_is_found():
    masks = np.array([0, 1, 0b1100, 1 << 61, (1 << 61) | 2], np.uint64)
    assert first_bit(masks).tolist() == [-1, 0, 2, 61, 1]


def test_names_are_codes_and_null_is_zero():
    import pyarrow as pa

    names = Names()
    assert names.codes(pa.array(["b", None, "a", "b"])).tolist() == [1, 0, 2, 1]
    assert names.names == [None, "b", "a"]


def test_null_survives_a_wider_column():
    narrow = np.array([null_of(np.dtype(np.int32)), 1], np.int32)
    wide = put(narrow, np.array([1 << 40], np.int64), 1)
    assert wide.tolist()[1] == 1 << 40
    assert is_null(wide).tolist() == [True, False]
