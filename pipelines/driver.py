"""The driver: runs the steps of a config one after another, each only as far as needed.

A step whose key stands in its folder's manifest is done. Otherwise shards with a receipt of
this very step, or unchanged since the last one, are kept and the rest is run. The manifest
is written last; a killed run goes on at the shard that it was in.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import yaml

from pipelines.code_version import code_version
from pipelines.engine.context import Context
from pipelines.engine.keys import parameter_key, stage_key
from pipelines.engine.progress import Done, MemoryWatch, Reporter
from pipelines.runners.precompile import stamp, warm
from pipelines.runners.runner import LISTS, Runner
from pipelines.stages.base import Stage
from pipelines.stages.catalog import (
    COMMANDS,
    active_stages,
    check_inputs,
    check_packages,
    effective_rules,
    stage,
)
from pipelines.storage.files import remove_temporary, write_manifest, write_text
from pipelines.storage.layout import CONFIG, LOCK, RECEIPTS, RUNS, SHARDS, STAGE_KEY, receipt_name
from pipelines.storage.shards import ShardTask, read_receipts, write_receipt
from pipelines.storage.store import StorePath, configure, remove_tree
from schemas.config import Config
from schemas.errors import InputError, RunFault
from schemas.manifest import MANIFEST, Manifest, Shard, content_key, read_manifest

if TYPE_CHECKING:
    from pipelines.ingest.run import IngestTask

INGEST = stage("ingest")
VERSIONS = (
    "bibim",
    "apache-beam",
    "fasttext-community",
    "kiwipiepy",
    "numba",
    "numpy",
    "presidio-analyzer",
    "pyarrow",
    "sentencepiece",
    "torch",
)
"""Packages whose versions run.json notes, of those that are installed."""


class Task(Protocol):
    """A piece of work that makes one shard: its name, and the key that says it is done."""

    @property
    def name(self) -> str: ...

    @property
    def key(self) -> str: ...


T = TypeVar("T", bound=Task)


@dataclass(frozen=True)
class StepResult:
    """What a step did: shards run and kept as they were, its seconds, what it took.

    CPU time and the most memory at once are of the processes of this machine, all together.
    """

    step: str
    shards: int
    ran: int
    seconds: float
    cpu_seconds: float = 0.0
    peak_rss_bytes: int = 0


def _versions() -> dict[str, str]:
    installed = {}
    for name in VERSIONS:
        with suppress(importlib.metadata.PackageNotFoundError):
            installed[name] = importlib.metadata.version(name)
    return installed


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold `out` for one run. Raises InputError if another run is at work in it.

    A store has no locks: there only runs that this machine drives are kept apart.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = out / LOCK
    if isinstance(out, StorePath):
        lock = Path(tempfile.gettempdir()) / f"bibim-{content_key(str(out))}{LOCK}"
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{out}: another run is at work here; wait for it or stop it"
            ) from None
        yield


def documents_digest(manifest: Manifest) -> str:
    """Return a key of all document shards: their names and hashes, in whatever order they come."""
    return content_key(sorted([shard.name, shard.sha256] for shard in manifest.shards))


def begin(folder: Path, key: str, tasks: Sequence[T], keep: bool) -> list[T]:
    """Make `folder` ready for a step and return the tasks that still have to run.

    Receipts of another step key are dropped; with `keep`, shards of the last manifest whose
    own key still holds get one, so they are not run again. Shards that no task names go.
    """
    receipts = folder / RECEIPTS
    marker = receipts / STAGE_KEY
    last = read_manifest(folder)
    if not marker.exists() or marker.read_text("utf-8") != key:
        remove_tree(receipts)
        write_text(marker, key)
        wanted = {task.name: task.key for task in tasks}
        for shard in last.shards if last and keep else ():
            if wanted.get(shard.name) == shard.key and _whole(folder, shard):
                write_receipt(folder, shard)
    (folder / MANIFEST).unlink(missing_ok=True)
    remove_temporary(folder)
    names = {task.name for task in tasks}
    for path in folder.glob(SHARDS):
        if path.name not in names:
            path.unlink()
    done = read_receipts(folder)
    return [task for task in tasks if task.name not in done or done[task.name].key != task.key]


def _whole(folder: Path, shard: Shard) -> bool:
    """Return whether a shard's file, and those that belong to it, are there in full size."""
    sizes = {shard.name: shard.bytes}
    sizes.update({file["name"]: file["bytes"] for file in shard.stats.get("files", [])})
    return all(
        (folder / name).exists() and (folder / name).stat().st_size == size
        for name, size in sizes.items()
    )


def finish(folder: Path, stage: str, key: str, tasks: Sequence[Task]) -> Manifest:
    """Write the manifest of a step from its receipts. Raises RunFault if one is missing."""
    receipts = read_receipts(folder)
    missing = [task.name for task in tasks if task.name not in receipts]
    if missing:
        raise RunFault(
            f"{folder}: {len(missing)} shards were not written (first: {missing[0]}). "
            "Run the same command again: it goes on with these."
        )
    manifest = Manifest(stage=stage, key=key, shards=[receipts[task.name] for task in tasks])
    write_manifest(folder, manifest)
    remove_tree(folder / RECEIPTS)
    return manifest


def _polled(folder: Path, sizes: dict[str, int]) -> Any:
    """Return a function that counts the receipts in `folder`, remembering those it has read."""
    seen: dict[str, tuple[int, int]] = {}

    def poll() -> Done:
        for path in (folder / RECEIPTS).glob(receipt_name("*")):
            if path.name not in seen:
                try:
                    shard = Shard.model_validate_json(path.read_text("utf-8"))
                except (FileNotFoundError, ValueError):
                    continue
                size = sizes.get(shard.name, int(shard.stats.get("text_bytes", 0)))
                seen[path.name] = (shard.rows, size)
        values = list(seen.values())
        return Done(len(values), sum(v[0] for v in values), sum(v[1] for v in values))

    return poll


class Run:
    """One run of a config into a folder."""

    def __init__(self, config: Config, out: Path, runner: Runner, reporter: Reporter) -> None:
        self.config = config
        self.out = out
        self.runner = replace(runner, out=out)
        self.reporter = reporter
        self.results: list[StepResult] = []
        self.memory = MemoryWatch()

    def execute(self, stages: Sequence[str] = COMMANDS) -> None:
        """Run `stages`, as `--stages` names them, in their fixed order; then write run.json.

        Raises InputError for what the user can mend, RunFault for what the run found.
        """
        started = time.time()
        configure(self.runner.options)
        from pipelines.ingest.run import ingest_tasks

        effective_rules(self.config)  # an unknown column stops here, before any work
        check_inputs(self.config, stages)
        if self.runner.name == "local":
            check_packages(self.config, stages)
        with locked(self.out), self.memory.watching():
            self._refuse_others()
            planned = ingest_tasks(self.config) if "ingest" in stages else None
            self._write_config()
            if planned is not None:
                self._ingest(planned)
            manifest = read_manifest(self.out / INGEST.folder)
            if manifest is None:
                raise InputError(f"{self.out}: no documents yet; run with --stages ingest first")
            for declared in active_stages(self.config)[1:]:
                if declared.command in stages:
                    self._stage(declared, manifest)
            remove_tree(self.out / LISTS)
            self._write_run(started)

    def _refuse_others(self) -> None:
        """Raise InputError where `out` holds the run of another config: it would be lost."""
        path = self.out / CONFIG
        if not path.exists():
            return
        there = yaml.safe_load(path.read_text("utf-8")) or {}
        shared = set(there.get("sources") or ()) & set(self.config.sources)
        if there.get("name") != self.config.name and not shared:
            raise InputError(
                f"{self.out}: the run {there.get('name')!r} is here, with other sources than "
                f"{self.config.name!r}; name another --out, or remove that run first"
            )

    def _ready(self, declared: Stage, documents: str) -> None:
        """Raise InputError where a stage that `declared` reads is missing or of another config."""
        active = active_stages(self.config)
        earlier = active[1 : active.index(declared)]
        for needed in earlier:
            if not (declared.survivors_only or needed.name in declared.reads):
                continue
            manifest = read_manifest(self.out / needed.folder)
            remedy = f"add {needed.command} to --stages"
            if manifest is None:
                raise InputError(
                    f"{self.out}: {declared.command} reads what {needed.command} writes, which "
                    f"is not done here; {remedy}"
                )
            if manifest.key != stage_key(needed, self.config, documents):
                raise InputError(
                    f"{self.out}: {declared.command} reads what {needed.command} writes, and "
                    f"that was made for another config, other documents or other code; {remedy}"
                )

    def _write_config(self) -> None:
        data = self.config.model_dump(mode="json", exclude_defaults=False)
        text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
        path = self.out / CONFIG
        if not path.exists() or path.read_text("utf-8") != text:
            write_text(path, text)

    def _write_run(self, started: float) -> None:
        path = self.out / RUNS
        record = {
            "name": self.config.name,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "seconds": round(time.time() - started, 2),
            "peak_rss_bytes": self.memory.peak,
            "runner": {"name": self.runner.name, "workers": self.runner.workers},
            "python": platform.python_version(),
            "versions": {name: importlib.metadata.version(name) for name in VERSIONS},
            "code": {each.name: code_version(*each.code) for each in active_stages(self.config)},
            "steps": [asdict(result) for result in self.results],
        }
        history = json.loads(path.read_text("utf-8"))["runs"] if path.exists() else []
        write_text(path, json.dumps({"runs": [*history, record]}, indent=1) + "\n")

    def _up_to_date(self, folder: Path, name: str, key: str) -> bool:
        manifest = read_manifest(folder)
        if manifest is None or manifest.key != key:
            return False
        if not all(_whole(folder, shard) for shard in manifest.shards):
            return False
        self.reporter.note(f"{name}: up to date")
        self.results.append(StepResult(name, len(manifest.shards), 0, 0.0))
        return True

    def _ingest(self, tasks: list[IngestTask]) -> None:
        from pipelines.ingest.run import check_rejects, finish_rejects, run_ingest

        key = content_key([[task.name, task.key] for task in tasks])
        folder = self.out / INGEST.folder
        if self._up_to_date(folder, "ingest", key):
            return
        start = self._start()
        todo = begin(folder, key, tasks, keep=True)
        with self.reporter.step("ingest", len(tasks), _polled(folder, {})):
            if todo:
                run_ingest(self.runner, Context(self.out, self.config, "ingest"), todo)
        finish_rejects(self.out, key, tasks)
        for line in check_rejects(self.out, self.config):
            self.reporter.note(line)
        finish(folder, "ingest", key, tasks)
        self._done("ingest", len(tasks), len(todo), start)

    def _stage(self, declared: Stage, documents: Manifest) -> None:
        folder = self.out / declared.folder
        digest = documents_digest(documents)
        self._ready(declared, digest)
        key = stage_key(declared, self.config, digest)
        if self._up_to_date(folder, declared.name, key):
            return
        from pipelines.wiring import WIRING

        self._warm()
        start = self._start()
        tasks = self._tasks(declared, documents, key)
        sizes = {shard.name: int(shard.stats.get("text_bytes", 0)) for shard in documents.shards}
        todo = begin(folder, key, tasks, keep=not declared.survivors_only)
        if todo and declared.whole:
            todo = tasks  # the remaining shards alone would miss duplicates of the others
        largest = sorted(todo, key=lambda task: (-sizes.get(task.name, 0), task.name))
        with self.reporter.step(declared.name, len(tasks), _polled(folder, sizes)):
            if todo or declared.output == "mixture":  # the mixture's manifest is written last
                WIRING[declared.name](
                    self.runner, Context(self.out, self.config, declared.name), largest
                )
        finish(folder, declared.name, key, tasks)
        self._done(declared.name, len(tasks), len(todo), start)

    def _tasks(self, declared: Stage, documents: Manifest, key: str) -> list[ShardTask]:
        """Return a task for each shard that the stage writes; `key`: that of the whole stage."""
        if declared.output == "mixture":
            from pipelines.mix.run import mix_tasks

            return mix_tasks(self.config, key)
        parameters = parameter_key(declared, self.config)
        return [
            ShardTask(
                shard.name,
                shard.sha256,
                shard.rows,
                key if declared.whole else content_key(parameters, shard.sha256),
            )
            for shard in documents.shards
        ]

    def _warm(self) -> None:
        """Have the kernels compiled before the first step that needs them."""
        if stamp().exists():
            return
        start = time.monotonic()
        self.reporter.note("kernels: compiling, once for this version")
        warm()
        self.reporter.note(f"kernels: ready in {time.monotonic() - start:.1f} s")

    def _start(self) -> tuple[float, float]:
        return time.monotonic(), self.memory.begin_step()

    def _done(self, name: str, shards: int, ran: int, start: tuple[float, float]) -> None:
        seconds = round(time.monotonic() - start[0], 2)
        spent = round(self.memory.cpu_seconds() - start[1], 2)
        peak = self.memory.step_peak
        self.results.append(StepResult(name, shards, ran, seconds, spent, peak))


def pending_stages(config: Config, out: Path) -> list[tuple[str, bool]]:
    """Return for each stage whether it is done in `out` for this config. Touches nothing."""
    from pipelines.ingest.run import ingest_tasks

    key = content_key([[task.name, task.key] for task in ingest_tasks(config)])
    documents = read_manifest(out / INGEST.folder)
    done = documents is not None and documents.key == key
    found = [(INGEST.name, done)]
    for declared in active_stages(config)[1:]:
        if documents is not None and done:
            manifest = read_manifest(out / declared.folder)
            wanted = stage_key(declared, config, documents_digest(documents))
            found.append((declared.name, manifest is not None and manifest.key == wanted))
        else:
            found.append((declared.name, False))
    return found
