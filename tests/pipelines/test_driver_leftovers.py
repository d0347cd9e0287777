"""A folder that is run into again holds what a fresh one would: no old name, no leftover."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines import driver
from pipelines.driver import Run
from pipelines.engine.progress import LogReporter
from pipelines.runners.runner import Runner
from pipelines.stages.catalog import COMMANDS
from schemas.config import Config
from schemas.errors import RunFault
from tests.pipelines.dedup.test_dedup import BASE

ITEMS = (0, 25)
"""Documents that the benchmark file holds."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three sources and a file of benchmark items without ids."""
    folder = tmp_path_factory.mktemp("data")
    texts = {"a": BASE[:20], "b": BASE[20:30], "c": [BASE[30], BASE[0]]}
    texts["items"] = [BASE[number] for number in ITEMS]
    for name, rows in texts.items():
        lines = (json.dumps({"text": text}, ensure_ascii=False) for text in rows)
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def config(data: Path, sources: str, **sections: Any) -> Config:
    """Return a config of `sources`, in their order."""
    return Config.model_validate(
        {
            "name": "old",
            "sources": {
                name: {"component": "ko", "path": str(data / f"{name}.jsonl")} for name in sources
            },
            "ingest": {"shard_bytes": 10_000},
            "decontaminate": {"against": [str(data / "items.jsonl")], "action": "keep"},
            "tokenizer": {"vocab_size": 600, "morphemes": False, "sample": 200_000},
            "mixture": {"tokens": 2000, "shards": 2, "weights": {"ko": 1}},
            **sections,
        }
    )


def execute(given: Config, out: Path, stages: tuple[str, ...] = COMMANDS) -> dict[str, int]:
    """Run `stages`; return how many shards each of them wrote."""
    job = Run(given, out, Runner("local", 1), LogReporter())
    job.execute(stages)
    return {result.stage: result.ran for result in job.results}


def contents(out: Path) -> dict[str, bytes]:
    """Return the bytes of every file of a run, but for the history and the lock.

    How many rows the last run computed is history too.
    """
    return {
        path.relative_to(out).as_posix(): re.sub(rb'"computed":\s*\d+', b"", path.read_bytes())
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in ("run.json", ".lock")
    }


@pytest.fixture(scope="module")
def first(data: Path) -> Path:
    """Return a finished run of all sources, with the stage `semantic`."""
    out = data / "first"
    execute(config(data, "abc", dedup={"semantic": {"enabled": True}}), out)
    return out


def test_a_folder_holds_what_a_fresh_one_does_after_renames_and_removals(
    data: Path, first: Path, tmp_path: Path
):
    items = tmp_path / "renamed.jsonl"
    shutil.copy2(data / "items.jsonl", items)
    again, fresh = tmp_path / "again", tmp_path / "fresh"
    shutil.copytree(first, again)
    assert (again / "annotations/tokenize/b-00000.run").exists()
    assert (again / "annotations/semantic").exists()
    against = {"against": [str(items)], "action": "keep"}
    changed = config(data, "ca", name="new", decontaminate=against)
    execute(changed, again)
    execute(changed, fresh)
    found, expected = contents(again), contents(fresh)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    assert json.loads(found["mixture/manifest.json"])["name"] == "new"


def test_a_new_name_rewrites_the_mixtures_manifest_and_no_shard(
    data: Path, first: Path, tmp_path: Path
):
    out = tmp_path / "out"
    shutil.copytree(first, out)
    before = {path: path.stat().st_ino for path in (out / "mixture").glob("shard-*")}
    manifest = json.loads((out / "mixture/manifest.json").read_text("utf-8"))
    renamed = config(data, "abc", name="new", dedup={"semantic": {"enabled": True}})
    assert set(execute(renamed, out).values()) == {0}
    after = json.loads((out / "mixture/manifest.json").read_text("utf-8"))
    assert after == {**manifest, "name": "new"}
    assert {path: path.stat().st_ino for path in (out / "mixture").glob("shard-*")} == before


def test_the_order_of_sources_in_the_config_changes_no_file(
    data: Path, first: Path, tmp_path: Path
):
    out = tmp_path / "out"
    shutil.copytree(first, out)
    before = contents(out)
    turned = config(data, "cba", dedup={"semantic": {"enabled": True}})
    assert set(execute(turned, out).values()) == {0}
    after = contents(out)
    assert {name for name in before | after if before.get(name) != after.get(name)} == {
        "config.yaml"
    }


def rejecting(folder: Path, share: float) -> Config:
    """Return a config of eight records, one of which cannot be read."""
    file = folder / "a.jsonl"
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in BASE[:7]]
    if not file.exists():
        file.write_text("\n".join([*lines, "{broken"]) + "\n", "utf-8")
    given = config(folder, "a", ingest={"max_reject_share": share})
    return given.model_copy(update={"decontaminate": Config.model_fields["decontaminate"].default})


@pytest.mark.parametrize("stages", [("ingest",), ("identify",), ("ingest", "identify")])
def test_a_lowered_share_of_rejects_is_checked_without_reading_again(
    tmp_path: Path, stages: tuple[str, ...]
):
    out = tmp_path / "out"
    execute(rejecting(tmp_path, 0.5), out, ("ingest", "identify"))
    written = (out / "documents/a-00000.parquet").stat().st_ino
    with pytest.raises(RunFault, match=r"12\.50% of 8 records .*malformed_json 1"):
        execute(rejecting(tmp_path, 0.1), out, stages)
    assert set(execute(rejecting(tmp_path, 0.125), out, stages).values()) == {0}
    assert (out / "documents/a-00000.parquet").stat().st_ino == written


def test_each_manifest_is_read_once_before_a_run_and_once_for_its_own_stage(
    data: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out"
    shutil.copytree(first, out)
    read: list[str] = []
    original = driver.read_manifest

    def counted(folder: Path) -> Any:
        read.append(folder.name)
        return original(folder)

    monkeypatch.setattr(driver, "read_manifest", counted)
    given = config(data, "abc", dedup={"semantic": {"enabled": True}})
    execute(given, out, ("score", "tokenize", "mix"))
    late = ("score", "semantic", "tokenize", "mixture")
    assert {name: read.count(name) for name in set(read) - {"documents"}} == dict.fromkeys(
        ("identify", "measure", "sign", "dedup", "redact", "screen", *late), 1
    )


@pytest.mark.parametrize("damage", ["deleted", "cut"])
def test_tokens_that_are_not_whole_are_written_again(
    data: Path, first: Path, tmp_path: Path, damage: str
):
    out = tmp_path / "out"
    shutil.copytree(first, out)
    run = out / "annotations/tokenize/b-00000.run"
    whole = run.read_bytes()
    if damage == "deleted":
        run.unlink()
    else:
        run.write_bytes(whole[:-2])
    ran = execute(config(data, "abc", dedup={"semantic": {"enabled": True}}), out)
    assert ran["tokenize"] > 0
    assert run.read_bytes() == whole
