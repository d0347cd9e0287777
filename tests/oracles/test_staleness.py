"""A run into an old folder writes what a run into a new one writes, whatever changed in between.

For each change of a key or file four things are tried: the run again, the run again after the
change is taken back, and two random subsets of `--stages` under the changed config, each of which
either is refused or writes what a new run writes, and is followed by a full run.

`BIBIM_ORACLES=full` tries all changes; without it a sample runs.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.stages.catalog import COMMANDS
from schemas.errors import BibimError
from tests.oracles.changes import KEYS, Change, changed, changes, keys_of
from tests.oracles.world import BASES, Data, complete, execute, make_world
from tests.support import ROOT

FULL = os.environ.get("BIBIM_ORACLES") == "full"
WAYS = ("again", "back", "stages 1", "stages 2")
SAMPLE = (
    ('mixture.strategy = "proportional"', "again"),
    ('mixture.strategy = "proportional"', "back"),
    ('pii.disable = ["EMAIL_ADDRESS", "PHONE_NUMBER"]', "stages 1"),
    ("ingest.max_reject_share = 0.001", "again"),
    ("rules: seventh digit", "again"),
    ("source renamed", "again"),
    ("code renamed", "again"),
)
"""Changes that CI tries."""
CHANGED = 1_900_000_000
"""Time of modification of changed files, in seconds."""
FOLDERS = {
    "ingest": ("documents", "rejects"),
    "identify": ("annotations/identify",),
    "measure": ("annotations/measure",),
    "dedup": ("annotations/sign", "annotations/dedup", "annotations/lines"),
    "redact": ("annotations/redact",),
    "screen": ("annotations/screen",),
    "score": ("annotations/score", "annotations/semantic"),
    "tokenize": ("annotations/tokenize", "tokenizer"),
    "mix": ("mixture",),
}
"""What each name of `--stages` writes."""
LATE = ("redact", "screen", "score", "semantic", "tokenize")
"""Stages that annotate survivors; a survivor that is dropped later keeps its values."""
COMPARED = ("documents", "annotations", "mixture", "tokenizer", "rejects")
FILES = ("config.yaml", "audit/stats.json")

CHANGES = {change.name: change for change in changes()}
CASES = [(name, way) for name in CHANGES for way in WAYS] if FULL else list(SAMPLE)


@dataclass
class Lab:
    """The world's files, the finished runs of bases and the last change's fresh run."""

    folder: Path
    bases: dict[str, tuple[Data, Path, Exception | None]] = field(default_factory=dict)
    fresh: tuple[str, Path, Exception | None] | None = None

    @property
    def world(self) -> Path:
        return self.folder / "world"

    @property
    def pristine(self) -> Path:
        return self.folder / "pristine"

    def restore(self) -> None:
        """Put every file of the world back, times of modification too."""
        if self.pristine.exists():
            shutil.rmtree(self.world)
            shutil.copytree(self.pristine, self.world)

    def act(self, change: Change) -> None:
        """Change the files; every way of one change gives them the same time of modification."""
        if change.act is None:
            return
        change.act(self.world)
        for path in self.world.rglob("*"):
            twin = self.pristine / path.relative_to(self.world)
            if not twin.exists() or twin.stat().st_mtime_ns != path.stat().st_mtime_ns:
                os.utime(path, (CHANGED, CHANGED))

    def base(self, change: Change) -> tuple[Data, Path, Exception | None]:
        """Return the config before the change, a finished run of it, and what stopped that."""
        config = changed(BASES[change.base](self.world), change.before)
        name = json.dumps(config, ensure_ascii=False)
        if name not in self.bases:
            out = self.folder / f"base-{len(self.bases)}"
            error = execute(config, out)
            assert error is None or change.base_stops, f"{change.name}: the base stops: {error!r}"
            self.bases[name] = (config, out, error)
        return self.bases[name]


def resolved(world: Path, config: Data) -> Data:
    """Return the config with its folder of data inside the world."""
    data = Path(config["data"])
    return {**config, "data": str(data if data.is_absolute() else world / data)}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("staleness"))
    make_world(lab.world)
    if FULL:
        complete(lab.world)
        shutil.copytree(lab.world, lab.pristine)
    else:
        shutil.copytree(lab.world, lab.pristine)
    yield lab
    shutil.rmtree(lab.folder)


def files_of(out: Path, folders: tuple[str, ...] = COMPARED) -> set[str]:
    """Return the files of a run that are compared; receipts are a running stage's."""
    return {
        path.relative_to(out).as_posix()
        for folder in folders
        for path in (out / folder).rglob("*")
        if path.is_file() and "_receipts" not in path.parts
    }


def content(path: Path, kept_longer: set[str]) -> object:
    """Return a file's bytes; of a manifest its data, but for what is history (docs/index.md).

    That is `computed`, the rows that the last run computed, and sizes and digests of the shards
    `kept_longer`, which hold values of documents that a rule drops now.
    """
    if path.name != "_manifest.json":
        return path.read_bytes()
    manifest = json.loads(path.read_bytes())
    for shard in manifest.get("shards", []):
        (shard.get("stats") or {}).pop("computed", None)
        if f"{path.parent.name}/{Path(shard['name']).stem}" in kept_longer:
            for key in ("bytes", "sha256", "stats"):
                shard.pop(key, None)
    return manifest


def longer(new: Path, old: Path) -> set[str]:
    """Return the shards of late stages that differ in documents that a fresh run leaves null."""
    found = set()
    for stage in LATE:
        for path in (new / "annotations" / stage).glob("*.parquet"):
            other = old / "annotations" / stage / path.name
            if not other.exists() or other.read_bytes() == path.read_bytes():
                continue
            right, got = (pq.read_table(each).to_pylist() for each in (path, other))
            # Where a document's tokens begin depends on those before it.
            drop = {"run_offset"} if stage == "tokenize" else set()
            if len(right) == len(got) and all(
                all(value is None for value in one.values())
                or all(one[k] == two.get(k) for k in one.keys() - drop)
                for one, two in zip(right, got, strict=True)
            ):
                found.add(f"{stage}/{path.stem}")
    return found


def difference(path: str, new: Path, old: Path) -> str:
    """Return where two files of one name differ first."""
    if path.endswith(".json"):
        values = (content(o / path, set()) for o in (new, old))
        return f"{path}: " + first_of(
            *(json.loads(v) if isinstance(v, bytes) else v for v in values)
        )
    if path.endswith(".parquet"):
        mine, theirs = (pq.read_table(o / path) for o in (old, new))
        if mine.column_names != theirs.column_names or len(mine) != len(theirs):
            return f"{path}: {len(mine)} rows of {mine.column_names[:4]}, fresh {len(theirs)}"
        for name in mine.column_names:
            pairs = zip(mine[name].to_pylist(), theirs[name].to_pylist(), strict=True)
            for row, (got, right) in enumerate(pairs):
                if got != right and got == got:
                    return f"{path}: {name}, row {row}: {str(got)[:80]}, fresh {str(right)[:80]}"
    return f"{path}: other bytes"


def first_of(right: Any, got: Any, at: str = "") -> str:
    """Return the first place where two JSON values differ."""
    if isinstance(right, dict) and isinstance(got, dict) and set(right) == set(got):
        for key in right:
            if right[key] != got[key]:
                return first_of(right[key], got[key], f"{at}.{key}")
    if isinstance(right, list) and isinstance(got, list) and len(right) == len(got):
        for number, (one, other) in enumerate(zip(right, got, strict=True)):
            if one != other:
                return first_of(one, other, f"{at}[{number}]")
    return f"{at} is {str(got)[:120]}, fresh {str(right)[:120]}"


def differences(new: Path, old: Path, folders: tuple[str, ...] = COMPARED) -> list[str]:
    """Return how the run in `old` differs from the fresh one in `new`."""
    mine, theirs = files_of(old, folders), files_of(new, folders)
    files = {f for f in FILES if folders == COMPARED and (new / f).exists()}
    found = [f"{path}: left over" for path in sorted(mine - theirs)]
    found += [f"{path}: missing" for path in sorted(theirs - mine)]
    history = longer(new, old)
    for path in sorted((mine & theirs) | files):
        if "/".join((Path(path).parent.name, Path(path).stem)) in history:
            continue
        if not (old / path).exists() or content(old / path, history) != content(
            new / path, history
        ):
            found.append(
                difference(path, new, old) if (old / path).exists() else f"{path}: missing"
            )
    # What was computed comes before the manifests that repeat it.
    return sorted(found, key=lambda text: ("manifest" in text, not text.startswith("mixture")))


def same_error(one: Exception | None, other: Exception | None, out: Path, fresh: Path) -> bool:
    def plain(error: Exception | None) -> str:
        text = "" if error is None else f"{type(error).__name__}: {error}"
        return text.replace(str(out), "OUT").replace(str(fresh), "OUT")

    return plain(one) == plain(other)


def check(config: Data, out: Path, fresh: Path, error: Exception | None, what: str) -> None:
    """Run `config` into `out` and hold it against a fresh run of it."""
    got = execute(config, out)
    assert same_error(got, error, out, fresh), f"{what}: stops with {got!r}, fresh {error!r}"
    if error is not None and not (fresh / "audit/stats.json").exists():
        return  # what a run that was stopped left is not promised
    found = differences(fresh, out)
    assert not found, f"{what}: {len(found)} files differ: " + "; ".join(found[:4])


def stages_of(name: str, way: str) -> tuple[str, ...]:
    """Return a random subset of stages, in their order; the sample's is the finding's."""
    if not FULL:
        return ("tokenize", "mix")
    chance = random.Random(f"{name} {way}")
    chosen = set(chance.sample(COMMANDS, chance.randint(1, 4)))
    return tuple(stage for stage in COMMANDS if stage in chosen)


def partial(config: Data, out: Path, stages: tuple[str, ...], fresh: Path, what: str) -> None:
    """Run some stages: refused with a message that helps, or right in what they wrote."""
    other_documents = bool(differences(fresh, out, ("documents",)))
    error = execute(config, out, stages)
    if error is not None:
        text = str(error)
        named = any(word in text for word in (*COMMANDS, "--stages", "sources", "ingest"))
        assert named, f"{what}: refused without a remedy: {text}"
        return
    if other_documents and "ingest" not in stages:
        return  # a source's files count when `ingest` reads them
    folders = tuple(folder for stage in stages for folder in FOLDERS[stage])
    found = differences(fresh, out, folders)
    assert not found, f"{what}: {len(found)} files differ: " + "; ".join(found[:4])


@pytest.mark.parametrize(("name", "way"), CASES, ids=[f"{n}, {w}" for n, w in CASES])
def test_a_run_into_an_old_folder_equals_a_fresh_one(lab: Lab, name: str, way: str):
    change = CHANGES[name]
    base, finished, stopped = lab.base(change)
    out = lab.folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    try:
        lab.act(change)
        after = resolved(lab.world, changed(base, change.values))
        if lab.fresh is None or lab.fresh[0] != name:
            new = lab.folder / "fresh"
            shutil.rmtree(new, ignore_errors=True)
            lab.fresh = (name, new, execute(after, new))
        _, fresh, error = lab.fresh
        assert error is None or isinstance(error, BibimError), f"{name}: a crash: {error!r}"
        blind = change.seen and error is None and not differences(fresh, finished)
        if way == "back":
            if not fresh.exists():
                return
            shutil.copytree(fresh, out)
            if change.act is not None:
                lab.restore()
            check(base, out, finished, stopped, f"{name}, taken back")
            return
        shutil.copytree(finished, out)
        what = name
        if way.startswith("stages") and error is None:
            stages = stages_of(name, way)
            what = f"{name}, after --stages {','.join(stages)}"
            partial(after, out, stages, fresh, f"{name}, --stages {','.join(stages)}")
        check(after, out, fresh, error, what)
        if blind:
            pytest.skip(f"{name} decides nothing in this world: change the case or the world")
    finally:
        if change.act is not None:
            lab.restore()


def test_every_key_of_the_schema_is_changed():
    schema = json.loads((ROOT / "docs/config.schema.json").read_text("utf-8"))
    keys = keys_of(schema)
    assert keys - {"rules"} == set(KEYS), (
        f"changes.KEYS lacks {sorted(keys - {'rules'} - set(KEYS))}, "
        f"and the schema lacks {sorted(set(KEYS) - keys)}"
    )


def test_at_least_four_hundred_cases_are_tried_in_full():
    assert len(CHANGES) == len(changes()), "two changes have one name"
    assert len(CHANGES) * len(WAYS) >= 400
