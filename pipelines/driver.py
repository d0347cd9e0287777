"""The driver: runs the stages of a config one after another, each only as far as needed.

A stage whose key stands in its folder's manifest is done. Otherwise shards with a receipt of
this very stage, or unchanged since the last one, are kept and the rest is run
(`pipelines.engine.resume`). A killed run resumes at the shard that it was in.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pipelines.code_version import code_version
from pipelines.engine.context import Context
from pipelines.engine.keys import parameter_key, shards_key, stage_key
from pipelines.engine.progress import MemoryWatch, Reporter
from pipelines.engine.resume import begin, counter, documents_digest, finish, is_whole
from pipelines.runners.precompile import precompile, stamp
from pipelines.runners.runner import LISTS, Runner
from pipelines.stages.base import Stage
from pipelines.stages.catalog import (
    COMMANDS,
    STAGES,
    active_stages,
    check_inputs,
    check_packages,
    effective_rules,
    stage,
)
from pipelines.storage.files import write_text
from pipelines.storage.layout import CONFIG, LOCK, RUNS
from pipelines.storage.shards import ShardTask, read_receipts
from pipelines.storage.store import StorePath, configure, remove_tree
from schemas.config import Config
from schemas.errors import InputError
from schemas.load import load_config
from schemas.manifest import Manifest, Shard, content_key, read_manifest

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


@dataclass(frozen=True)
class StageResult:
    """What a stage did: its shards, how many of them were run, and what that took.

    CPU time and peak memory are of all processes of this machine together.
    """

    stage: str
    shards: int
    ran: int
    seconds: float
    cpu_seconds: float = 0.0
    peak_rss_bytes: int = 0

    def as_record(self) -> dict[str, Any]:
        """Return its entry in run.json, where a stage is called a step."""
        fields = asdict(self)
        return {"step": fields.pop("stage"), **fields}


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


class Run:
    """One run of a config into a folder."""

    def __init__(self, config: Config, out: Path, runner: Runner, reporter: Reporter) -> None:
        self.config = config
        self.out = out
        self.runner = replace(runner, out=out)
        self.reporter = reporter
        self.results: list[StageResult] = []
        self.memory = MemoryWatch()
        self._keys: dict[str, str | None] = {}

    def execute(self, stages: Sequence[str] = COMMANDS) -> None:
        """Run `stages`, as `--stages` names them, in their fixed order; then write run.json.

        Raises InputError for what the user can fix, RunFault for what the run found.
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
            planned = None
            if INGEST.command in stages:
                planned = ingest_tasks(self.config)
            else:
                self._refuse_other_documents()
                self._check_documents(stages)
            self._write_config()
            if planned is not None:
                self._ingest(planned)
            manifest = read_manifest(self.out / INGEST.folder)
            if manifest is None:
                raise InputError(f"{self.out}: no documents yet; run with --stages ingest first")
            digest = documents_digest(manifest)
            for declared in STAGES[1:]:
                if declared.command not in stages:
                    continue
                if declared.enabled(self.config):
                    self._stage(declared, manifest, digest)
                else:
                    remove_tree(self.out / declared.folder)
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

    def _refuse_other_documents(self) -> None:
        """Raise InputError where the documents in `out` were read under other settings.

        What counts is `sources` and `ingest`, but for limits that change no document.
        """
        path = self.out / CONFIG
        if not path.exists():
            return
        remedy = f"add {INGEST.command} to --stages"
        try:
            there = load_config(path, secrets=False)
        except InputError as error:
            raise InputError(f"{error}\nThe documents' settings are not known; {remedy}") from None
        before, now = (_ingested(config) for config in (there, self.config))
        changed = sorted(key for key in before | now if before.get(key) != now.get(key))
        if changed:
            raise InputError(
                f"{self.out}: the documents were read with another {', '.join(changed)}; {remedy}"
            )

    def _check_documents(self, stages: Sequence[str]) -> None:
        """Refuse, before anything is written, what an earlier run left and this one does not allow.

        That is what `_ready` would refuse when it is its turn, and too many rejects.
        """
        documents = read_manifest(self.out / INGEST.folder)
        if documents is None:
            return
        digest = documents_digest(documents)
        for declared in active_stages(self.config)[1:]:
            if declared.command in stages:
                self._ready(declared, digest, stages)
        self._check_rejects(documents.shards)

    def _check_rejects(self, shards: Iterable[Shard]) -> None:
        from pipelines.ingest.run import check_rejects

        for line in check_rejects(self.out, self.config, shards):
            self.reporter.note(line)

    def _key_of(self, declared: Stage) -> str | None:
        """Return the key in a stage's manifest, which is read once per run; None without one."""
        if declared.name not in self._keys:
            manifest = read_manifest(self.out / declared.folder)
            self._keys[declared.name] = manifest.key if manifest else None
        return self._keys[declared.name]

    def _ready(self, declared: Stage, documents: str, run: Sequence[str] = ()) -> None:
        """Raise InputError where a stage that `declared` reads is missing or of another config.

        `run`: stages that this run brings up to date first, as `--stages` names them.
        """
        active = active_stages(self.config)
        earlier = active[1 : active.index(declared)]
        for needed in earlier:
            if needed.command in run:
                continue
            if not (declared.survivors_only or needed.name in declared.reads):
                continue
            key = self._key_of(needed)
            remedy = f"add {needed.command} to --stages"
            if key is None:
                raise InputError(
                    f"{self.out}: {declared.command} reads what {needed.command} writes, which "
                    f"is not done here; {remedy}"
                )
            if key != stage_key(needed, self.config, documents):
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
            "versions": _versions(),
            "code": {each.name: code_version(*each.code) for each in active_stages(self.config)},
            "steps": [result.as_record() for result in self.results],
        }
        history = json.loads(path.read_text("utf-8"))["runs"] if path.exists() else []
        write_text(path, json.dumps({"runs": [*history, record]}, indent=1) + "\n")

    def _up_to_date(self, folder: Path, name: str, key: str) -> Manifest | None:
        """Return the manifest in `folder` if it has `key` and its shards are whole, else None."""
        manifest = read_manifest(folder)
        if manifest is None or manifest.key != key:
            return None
        if not all(is_whole(folder, shard) for shard in manifest.shards):
            return None
        self.reporter.note(f"{name}: up to date")
        self.results.append(StageResult(name, len(manifest.shards), 0, 0.0))
        return manifest

    def _ingest(self, tasks: list[IngestTask]) -> None:
        from pipelines.ingest.run import finish_rejects, ingest_key, run_ingest

        key = ingest_key(tasks)
        folder = self.out / INGEST.folder
        if (done := self._up_to_date(folder, INGEST.name, key)) is not None:
            self._check_rejects(done.shards)
            return
        start = self._start()
        todo = begin(folder, key, tasks, keep=True)
        with self.reporter.stage(INGEST.name, len(tasks), counter(folder, {})):
            if todo:
                run_ingest(self.runner, Context(self.out, self.config, INGEST.name), todo)
        finish_rejects(self.out, key, tasks)
        self._check_rejects(read_receipts(folder).values())
        finish(folder, INGEST.name, key, tasks)
        self._done(INGEST.name, len(tasks), len(todo), start)

    def _stage(self, declared: Stage, documents: Manifest, digest: str) -> None:
        """Run a stage as far as needed. `digest`: that of `documents`."""
        folder = self.out / declared.folder
        self._ready(declared, digest)
        key = stage_key(declared, self.config, digest)
        self._keys[declared.name] = key  # what later stages find, unless this one raises
        if self._up_to_date(folder, declared.name, key) is not None:
            return
        from pipelines.wiring import run_of

        self._warm()
        start = self._start()
        tasks = self._tasks(declared, documents, shards_key(declared, self.config, digest))
        sizes = {shard.name: int(shard.stats.get("text_bytes", 0)) for shard in documents.shards}
        mixture = declared.output == "mixture"
        todo = begin(folder, key, tasks, keep=mixture or not declared.survivors_only)
        if todo and declared.whole:
            todo = tasks  # the remaining shards alone would miss duplicates of the others
        largest = sorted(todo, key=lambda task: (-sizes.get(task.name, 0), task.name))
        with self.reporter.stage(declared.name, len(tasks), counter(folder, sizes)):
            if todo or mixture:  # the mixture's manifest is written last
                run_of(declared)(
                    self.runner, Context(self.out, self.config, declared.name), largest
                )
        finish(folder, declared.name, key, tasks)
        self._done(declared.name, len(tasks), len(todo), start)

    def _tasks(self, declared: Stage, documents: Manifest, key: str) -> list[ShardTask]:
        """Return a task for each shard that the stage writes; `key`: that of all together."""
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
        """Have the kernels compiled before the first stage that needs them."""
        if stamp().exists():
            return
        start = time.monotonic()
        self.reporter.note("kernels: compiling, once for this version")
        precompile()
        self.reporter.note(f"kernels: ready in {time.monotonic() - start:.1f} s")

    def _start(self) -> tuple[float, float]:
        return time.monotonic(), self.memory.begin_stage()

    def _done(self, name: str, shards: int, ran: int, start: tuple[float, float]) -> None:
        seconds = round(time.monotonic() - start[0], 2)
        spent = round(self.memory.cpu_seconds() - start[1], 2)
        peak = self.memory.stage_peak
        self.results.append(StageResult(name, shards, ran, seconds, spent, peak))


def _ingested(config: Config) -> dict[str, Any]:
    """Return what of a config decides its documents: dotted key → value."""
    values = {
        f"sources.{name}.{key}": value
        for name, source in config.sources.items()
        for key, value in source.model_dump(mode="json").items()
    }
    limits = config.ingest.model_dump(mode="json", exclude={"max_reject_share"})
    return values | {f"ingest.{key}": value for key, value in limits.items()}


def pending_stages(config: Config, out: Path) -> list[tuple[str, bool]]:
    """Return for each stage whether it is done in `out` for this config. Touches nothing."""
    from pipelines.ingest.run import ingest_key, ingest_tasks

    key = ingest_key(ingest_tasks(config))
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
