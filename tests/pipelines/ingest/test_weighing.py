"""Damage is weighed in bytes: above the share the run stops, below it the run says so."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from pipelines.engine.context import Context
from pipelines.ingest.run import check_rejects, finish_rejects, ingest_key, ingest_tasks, run_ingest
from pipelines.ingest.weighing import Weight, weigh
from pipelines.runners.runner import Runner
from pipelines.storage.shards import read_receipts
from schemas.config import Config
from schemas.documents import damage_in_words
from schemas.errors import RunFault
from schemas.manifest import Shard
from tests.support.damage import LINES

MEMBERS = [gzip.compress("".join(LINES[at : at + 100]).encode()) for at in range(0, 4000, 100)]


def ingested(tmp_path: Path, data: bytes, most: float = 0.01) -> tuple[Config, list[Shard]]:
    """Ingest a file and return the config and the shards of its documents."""
    (tmp_path / "a.jsonl.gz").write_bytes(data)
    config = Config.model_validate(
        {
            "name": "t",
            "sources": {"web": {"component": "ko", "path": str(tmp_path / "a.jsonl.gz")}},
            "ingest": {"max_reject_share": most},
            "mixture": {"weights": {"ko": 1}},
        }
    )
    out = tmp_path / "out"
    tasks = ingest_tasks(config)
    run_ingest(Runner(), Context(out, config, "ingest"), tasks)
    finish_rejects(out, ingest_key(tasks), tasks)
    return config, list(read_receipts(out / "documents").values())


def cut_member(number: int) -> bytes:
    """Return the members with one of them damaged from its start on."""
    parts = [*MEMBERS]
    parts[number] = parts[number][:10] + bytes(len(parts[number]) - 10)
    return b"".join(parts)


def test_a_quarter_of_a_cut_file_stops_the_run(tmp_path: Path):
    whole = gzip.compress("".join(LINES[:4000]).encode())
    config, shards = ingested(tmp_path, whole[: len(whole) // 4])
    with pytest.raises(RunFault) as caught:
        check_rejects(tmp_path / "out", config, shards)
    message = str(caught.value)
    for part in (
        "source web: 5",
        "% of its bytes could not be read",
        "more than ingest.max_reject_share = 1.00%",
        "1 damaged file, about ",
        "a.jsonl.gz:byte ",
        "get the damaged files again, or raise ingest.max_reject_share",
    ):
        assert part in message


def test_less_damage_than_the_share_is_noted_with_its_place(tmp_path: Path):
    config, shards = ingested(tmp_path, cut_member(20), most=0.1)
    (note,) = check_rejects(tmp_path / "out", config, shards)
    lost = len("".join(LINES[2000:2100]).encode())
    assert note.startswith("source web: 1 damaged file, about ")
    assert int(note.split("about ")[1].split(" ")[0].replace(",", "")) == pytest.approx(
        lost, rel=0.2
    )
    assert "first a.jsonl.gz:byte " in note


def test_one_lost_member_of_forty_counts_as_its_bytes_not_as_one_record(tmp_path: Path):
    _, shards = ingested(tmp_path, cut_member(20))
    weight = weigh(shards)["web"]
    assert weight.records_share < 0.001
    assert weight.bytes_share == pytest.approx(1 / 40, rel=0.2)


def test_a_share_counts_what_was_lost_among_what_there_was():
    weight = Weight(
        documents=9, faults=1, read_bytes=600, fault_bytes=100, lost_bytes=400, damage=1
    )
    assert (weight.records_share, weight.bytes_share) == (0.1, 0.5)
    assert (Weight().records_share, Weight().bytes_share) == (0.0, 0.0)


def test_a_sound_file_has_no_note(tmp_path: Path):
    config, shards = ingested(tmp_path, json.dumps({"text": "온전한 글"}).encode() + b"\n")
    assert check_rejects(tmp_path / "out", config, shards) == []


def test_damage_that_cost_no_unread_byte_names_the_files_alone():
    assert damage_in_words(1, 0) == "1 damaged file"
    assert damage_in_words(2, 20_000) == "2 damaged files, about 20,000 bytes lost"
