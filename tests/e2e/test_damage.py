"""A damaged run: the checks name the files, make what they can, and nothing ends in a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.altered import linked
from tests.support.commandline import bibim

SHARD = "ko-00000.parquet"


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    data = path.read_bytes()
    path.unlink()  # a hard link: the demo's own file stays as it is
    path.write_bytes(change(data))


def first(out: Path, pattern: str) -> Path:
    return sorted(out.glob(pattern))[0]


def append(out: Path) -> None:
    rewrite(out / "documents" / SHARD, lambda data: data + b"x")


def delete(out: Path) -> None:
    (out / "annotations/measure" / SHARD).unlink()


def garble(out: Path) -> None:
    def change(data: bytes) -> bytes:
        middle = slice(len(data) // 8, len(data) // 3)
        return data[: middle.start] + bytes(b ^ 0x5A for b in data[middle]) + data[middle.stop :]

    rewrite(out / "documents" / SHARD, change)


def truncate(out: Path) -> None:
    rewrite(first(out, "mixture/shard-*.bin"), lambda data: data[:-10])


def truncate_side_car(out: Path) -> None:
    rewrite(first(out, "mixture/shard-*.parquet"), lambda data: data[:-10])


def stop_half_way(out: Path) -> None:
    (out / "annotations/redact/_manifest.json").unlink()


def lose_a_step(out: Path) -> None:
    shutil.rmtree(out / "annotations/redact")


@pytest.mark.parametrize(
    ("damage", "named", "holds", "not_made"),
    [
        (append, f"documents/{SHARD} differs", "mixture keeps its shares", "conservation"),
        (garble, f"documents/{SHARD} differs", "mixture keeps its shares", "ledger of ingest"),
        (delete, f"annotations/measure/{SHARD} is missing", "splits", "ledger of ingest"),
        (truncate, ".bin differs", "ledger of measure", "ledger of mix"),
        (truncate_side_car, ".parquet differs", "conservation of ko", "mixture keeps its shares"),
        (stop_half_way, "annotations/redact has no manifest", "ledger of dedup", "ledger of mix"),
        (lose_a_step, "annotations/redact is missing", "ledger of dedup", "mixture holds"),
    ],
)
def test_what_can_be_checked_of_a_damaged_run_is(
    demo: Path,
    tmp_path: Path,
    damage: Callable[[Path], None],
    named: str,
    holds: str,
    not_made: str,
):
    out = linked(demo, tmp_path / "out")
    damage(out)
    done = bibim("audit", "check", out)
    assert "Traceback" not in done.stderr
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("FAILS files match their manifests: ")
    assert named in lines[0]
    assert any(line.startswith(f"holds {holds}") for line in lines), done.stdout
    assert any(line.startswith(f"not made {not_made}") for line in lines), done.stdout
    assert lines[-1].endswith(" not made")


def test_a_check_that_is_not_made_names_the_file_it_needs(demo: Path, tmp_path: Path):
    out = linked(demo, tmp_path / "out")
    append(out)
    done = bibim("audit", "check", out, "--json")
    assert done.returncode == 1, done.stderr
    missing = [check for check in json.loads(done.stdout) if not check["made"]]
    assert missing
    for check in missing:
        assert not check["holds"]
        assert check["detail"].startswith(f"needs documents/{SHARD}, which cannot be read")


@pytest.mark.parametrize("damage", [append, delete])
def test_other_questions_to_a_damaged_run_name_its_file(
    demo: Path, tmp_path: Path, damage: Callable[[Path], None]
):
    out = linked(demo, tmp_path / "out")
    damage(out)
    (out / "audit/index.arrow").unlink(missing_ok=True)
    rule = ("--rule", "ko.words>=30")
    for arguments in (("audit", "show", out), ("what-if", out, *rule), ("explain", out, "0" * 32)):
        done = bibim(*arguments)
        if damage is delete and arguments[0] == "explain":
            continue  # no document has the id: the annotations are not read
        assert done.returncode == 1, (arguments, done.stdout, done.stderr)
        assert done.stderr.count("bibim:") == 1
        assert SHARD in done.stderr
        assert "audit check" in done.stderr and "bibim run" in done.stderr
        assert "Traceback" not in done.stderr


def test_what_if_on_an_indexed_run_names_the_file_that_its_examples_need(
    demo: Path, tmp_path: Path
):
    out = linked(demo, tmp_path / "out")
    assert bibim("what-if", out, "--rule", "ko.words>=30").returncode == 0
    assert (out / "audit/index.arrow").exists()
    append(out)
    done = bibim("what-if", out, "--rule", "ko.words>=100000")
    assert done.returncode == 1
    assert f"documents/{SHARD} cannot be read" in done.stderr


def test_a_half_way_run_is_audited_as_far_as_it_got(demo: Path, tmp_path: Path):
    out = linked(demo, tmp_path / "out")
    stop_half_way(out)
    for arguments in (("audit", "show", out), ("what-if", out, "--rule", "ko.words>=30")):
        done = bibim(*arguments)
        assert done.returncode == 0, done.stderr
