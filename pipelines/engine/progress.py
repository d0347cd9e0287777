"""Progress of a run: bars at a terminal, a plain log elsewhere.

Figures come from the receipts of shards, so they are right on any runner.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

POLL_SECONDS = 0.5
LOG_SECONDS = 10.0


@dataclass(frozen=True)
class Done:
    """What a stage has done so far: shards, documents, bytes of text."""

    shards: int
    documents: int
    bytes: int


class Reporter(Protocol):
    """Shows the user the progress of a run."""

    def note(self, text: str) -> None:
        """Print one line."""
        ...

    def stage(
        self, name: str, total: int, poll: Callable[[], Done]
    ) -> AbstractContextManager[None]:
        """Return a context manager that shows `poll()` against `total` shards until it ends."""
        ...


def _rate(done: Done, seconds: float) -> str:
    if seconds <= 0 or not done.documents:
        return ""
    size = f"{done.bytes / 1e6 / seconds:,.1f} MB/s, " if done.bytes else ""
    return f"{size}{done.documents / seconds:,.0f} documents/s"


@contextmanager
def _every(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Call `act` every `seconds` in a thread while the block runs, and once at its end."""
    stop = threading.Event()

    def loop() -> None:
        while not stop.wait(seconds):
            act()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        act()


class BarReporter:
    """Rich progress bars, one per stage, with rate and time left."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def note(self, text: str) -> None:
        self._console.print(text, highlight=False)

    @contextmanager
    def stage(self, name: str, total: int, poll: Callable[[], Done]) -> Iterator[None]:
        progress = Progress(
            SpinnerColumn(),
            TextColumn(f"[bold]{name:<9}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} shards"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        start = time.monotonic()
        with progress:
            bar = progress.add_task(name, total=max(total, 1), rate="")
            base = poll()

            def show() -> None:
                done = poll()
                fresh = Done(0, done.documents - base.documents, done.bytes - base.bytes)
                rate = _rate(fresh, time.monotonic() - start)
                progress.update(bar, completed=done.shards if total else 1, rate=rate)

            with _every(POLL_SECONDS, show):
                yield


class LogReporter:
    """One line at the start and the end of a stage, and every ten seconds between."""

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def stage(self, name: str, total: int, poll: Callable[[], Done]) -> Iterator[None]:
        start = time.monotonic()
        base = poll()

        def show() -> None:
            done = poll()
            fresh = Done(0, done.documents - base.documents, done.bytes - base.bytes)
            seconds = time.monotonic() - start
            left = ""
            if base.shards < done.shards < total:
                per_shard = seconds / (done.shards - base.shards)
                left = f", {per_shard * (total - done.shards):.0f} s left"
            rate = _rate(fresh, seconds)
            text = f"{name}: {done.shards}/{total} shards in {seconds:.1f} s"
            self.note(f"{text}{', ' + rate if rate else ''}{left}")

        with _every(LOG_SECONDS, show):
            yield


def reporter() -> Reporter:
    """Return bars where stderr is a terminal, a plain log elsewhere."""
    console = Console(stderr=True)
    return BarReporter(console) if console.is_terminal else LogReporter()


@dataclass
class MemoryWatch:
    """Samples memory and CPU time of this process and its children during a run."""

    seconds: float = 0.25
    peak: int = 0
    """Peak of resident bytes, summed over all processes (shared pages count twice)."""
    stage_peak: int = 0
    """The same since `begin_stage`."""
    _own: psutil.Process = field(default_factory=psutil.Process)
    _cpu: dict[psutil.Process, float] = field(default_factory=dict)

    def sample(self) -> None:
        """Take one sample; processes that end meanwhile are skipped."""
        total = 0
        for process in [self._own, *self._own.children(recursive=True)]:
            try:
                total += process.memory_info().rss
                times = process.cpu_times()
                self._cpu[process] = times.user + times.system
            except psutil.Error:
                continue
        self.peak = max(self.peak, total)
        self.stage_peak = max(self.stage_peak, total)

    def begin_stage(self) -> float:
        """Start a stage; return `cpu_seconds()`."""
        self.stage_peak = 0
        return self.cpu_seconds()

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes so far; where one ended, at its last sample."""
        self.sample()
        return sum(self._cpu.values())

    def watching(self) -> AbstractContextManager[None]:
        """Return a context manager that samples until it ends."""
        return _every(self.seconds, self.sample)
