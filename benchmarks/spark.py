"""Spark beside a local run of the same recipe: processor time, step by step, and bytes.

    python benchmarks/spark.py cpu       [RECIPE] [--set KEY=VALUE …] [--workers 2]
    python benchmarks/spark.py executors [RECIPE] [--set KEY=VALUE …] [--stages ingest,identify,…]
                                         [--times 4]

`cpu` runs the recipe locally and on a standalone cluster of this machine, each with `--workers`
worker processes, compares all files, and prints user and system time of all processes, Java and
Python, of each step: it must be at most 1.5 times the local one. Processor time for the same work
drifts by a third on a machine that is shared, so the order is local, Spark, Spark, local, and each
figure the mean of two. `executors` runs the stages that
map over shards on one executor of one core, then on two, and prints wall time (at least 1.7 times
less; only a machine that is otherwise idle shows it) and how long Spark had tasks running, from
its log. `--times` gives each input so many times over, as links: what a run takes to start is the
same for any amount of text. Needs `make spark`. `OUT` of the runs is a temporary folder.
"""

from __future__ import annotations

import argparse
import ctypes
import glob
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipelines.runners.spark import cluster  # noqa: E402
from pipelines.stages.catalog import stage  # noqa: E402  (path above)

RESULTS = ROOT / "benchmarks" / "results"
STEPS = (
    *("ingest", "identify", "measure", "sign", "dedup"),
    *("redact", "screen", "score", "tokenize", "mix"),
)
MAPS = "ingest,identify,measure,dedup,redact,screen"
NOT_MAPS = ("dedup", "tokenize", "mix")
"""Steps with shuffles or work of the driver's."""
SUBREAPER = 36
LOOK_SECONDS = 0.1


def adopt_orphans() -> None:
    """Make processes that outlive their parents children of this one, so that they count."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, 1)


def spent(process: psutil.Process) -> float:
    """Return the processor seconds of a process and of its children that it has waited for."""
    try:
        return float(sum(process.cpu_times()[:4]))
    except psutil.Error:
        return 0.0


def everyone() -> float:
    """Return the processor seconds of all that this process has started, ended or not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    live = psutil.Process().children(recursive=True)
    return used.ru_utime + used.ru_stime + sum(spent(process) for process in live)


class Watch:
    """Notes what was spent whenever a step's manifest appears in `out`."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.cpu: dict[str, float] = {}
        self._ended = threading.Event()

    def _manifest(self, step: str) -> Path:
        name = "manifest.json" if step == "mix" else "_manifest.json"
        return self.out / stage(step).folder / name

    def _look(self) -> None:
        before = everyone()
        for step in STEPS:
            while not self._manifest(step).exists():
                if self._ended.wait(LOOK_SECONDS):
                    return
            after = everyone()
            self.cpu[step] = after - before
            before = after

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch until the context ends."""
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()


def run(out: Path, given: argparse.Namespace, workers: int, master: str | None) -> dict[str, Any]:
    """Run the recipe; return seconds and processor seconds by step."""
    command = [sys.executable, "-m", "bibim", "run", given.recipe, "--out", str(out)]
    command += [part for text in given.set for part in ("--set", text)]
    command += ["--workers", str(workers)]
    if given.stages:
        command += ["--stages", given.stages]
    if master:
        command += ["--runner", "spark", "--", f"--spark_master_url={master}"]
    watch = Watch(out)
    with watch.watching():
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    record = json.loads((out / "run.json").read_text("utf-8"))["runs"][-1]
    seconds = {step["step"]: step["seconds"] for step in record["steps"]}
    return {
        "seconds": seconds,
        "cpu": {step: watch.cpu[step] for step in seconds if step in watch.cpu},
        "load": os.getloadavg()[0],
    }


@contextmanager
def standalone(folder: Path, cores: int) -> Iterator[str]:
    """Start a cluster, and stop it in the end."""
    master = cluster.up(folder, cores)
    try:
        yield master
    finally:
        cluster.down(folder)


def in_tasks(log: Path) -> dict[str, float]:
    """Return for each step how long Spark had tasks running, in whole seconds of its log."""
    step, spans = "", dict[tuple[str, str], list[datetime]]()
    for line in log.read_text("utf-8", "replace").splitlines():
        if begun := re.search(r"Running job bibim-(\w+?)[-_]", line):
            step = begun[1]
        elif task := re.match(r"(\S+ \S+) INFO TaskSetManager: \w+ task \S+ in stage (\S+)", line):
            at = datetime.strptime(task[1], "%y/%m/%d %H:%M:%S")
            spans.setdefault((step, task[2]), []).append(at)
    found: dict[str, float] = {}
    for (step, _), times in spans.items():
        found[step] = found.get(step, 0.0) + (max(times) - min(times)).total_seconds()
    return found


def digest(out: Path) -> str:
    """Return a hash of all files of a run but its diary."""
    whole = hashlib.sha256()
    for path in sorted(out.rglob("*")):
        if path.is_file() and path.name not in ("run.json", "spark.log", ".lock"):
            whole.update(f"{path.relative_to(out)}\n".encode())
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def text_bytes(out: Path) -> int:
    """Return the bytes of text that were read in a run."""
    shards = json.loads((out / "documents/_manifest.json").read_text("utf-8"))["shards"]
    return sum(int(shard["stats"]["text_bytes"]) for shard in shards)


def cpu(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Compare processor time, and every byte that was written."""
    runs: dict[str, list[dict[str, Any]]] = {"local": [], "spark": []}
    digests = set()
    for number, kind in enumerate(("local", "spark", "spark", "local")):
        out = folder / f"{kind}-{number}"
        begin = everyone()
        if kind == "local":
            found = run(out, given, given.workers, None)
        else:
            with standalone(folder / f"cluster-{number}", given.workers) as master:
                found = run(out, given, given.workers, master)
        runs[kind].append({**found, "whole": everyone() - begin})
        digests.add(digest(out))
        size = text_bytes(out)
        shutil.rmtree(out)
    print(f"{given.recipe}: {size / 1e6:.1f} MB of text", end="; ")
    print(f"all files {'equal' if len(digests) == 1 else 'DIFFER'}; CPU s of each run: ", end="")
    print("; ".join(f"{k} " + ", ".join(f"{r['whole']:.0f}" for r in v) for k, v in runs.items()))
    print(f"{'step':<12}{'local CPU s':>12}{'Spark CPU s':>12}{'ratio':>8}")
    rows = [
        (step, *(fmean(one["cpu"][step] for one in found) for found in runs.values()))
        for step in runs["spark"][0]["cpu"]
    ]
    whole = [fmean(one["whole"] for one in found) for found in runs.values()]
    rest = [total - sum(row[at] for row in rows) for at, total in enumerate(whole, 1)]
    for name, one, other in [*rows, ("start, end", *rest), ("all", *whole)]:
        print(f"{name:<12}{one:>12.1f}{other:>12.1f}{other / max(one, 0.01):>8.2f}")
    return {
        "recipe": given.recipe,
        "text_bytes": size,
        "equal": len(digests) == 1,
        **runs,
        "cpu": whole,
        "ratio": whole[1] / whole[0],
    }


def multiplied(recipe: str, overrides: list[str], times: int, folder: Path) -> list[str]:
    """Link each input `times` times into `folder`; return the `--set` that reads the links."""
    from schemas.load import load_config

    settings = []
    for name, source in load_config(Path(recipe), overrides).sources.items():
        for file in sorted(glob.glob(source.path)):
            for number in range(times):
                place = folder / name / f"{number}-{Path(file).name}"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(Path(file).resolve())
        settings.append(f"sources.{name}.path={folder / name}/*")
    return settings


def scaling(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Compare one executor of one core with two."""
    given.stages = given.stages or MAPS
    if given.times > 1:
        given.set += multiplied(given.recipe, given.set, given.times, folder / "inputs")
    runs = {}
    for count in (1, 2):
        with standalone(folder / f"cluster-{count}", count) as master:
            runs[count] = run(folder / f"spark-{count}", given, count, master)
            runs[count]["in_tasks"] = in_tasks(folder / f"spark-{count}" / "spark.log")
    one, two = runs[1], runs[2]
    steps = [step for step in two["seconds"] if step not in NOT_MAPS and step in two["cpu"]]
    print(f"{given.recipe}: {text_bytes(folder / 'spark-2') / 1e6:.1f} MB of text; ", end="")
    print(f"load {one['load']:.1f}, {two['load']:.1f}")
    print(f"{'':<10}{'all: s':>18}{'in tasks: s':>26}")
    print(f"{'step':<10}" + f"{'1':>9}{'2':>9}{'ratio':>8}" * 2)
    kinds = ("seconds", "in_tasks")
    rows = {step: [(one[kind][step], two[kind][step]) for kind in kinds] for step in steps}
    sums = [
        (sum(pairs[at][0] for pairs in rows.values()), sum(pairs[at][1] for pairs in rows.values()))
        for at in range(len(kinds))
    ]
    for name, pairs in [*rows.items(), ("all maps", sums)]:
        cells = (f"{a:>9.1f}{b:>9.1f}{a / max(b, 0.01):>8.2f}" for a, b in pairs)
        print(f"{name:<10}" + "".join(cells))
    return {"recipe": given.recipe, "text_bytes": text_bytes(folder / "spark-2"), "runs": runs}


def main() -> None:
    """Measure, print a table, add to results/spark.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("act", choices=("cpu", "executors"))
    parser.add_argument("recipe", nargs="?", default="mixtures/ko-en-code.yaml")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--stages", help="as of bibim run")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--times", type=int, default=1, help="of each input; for executors")
    given = parser.parse_args()
    adopt_orphans()
    with tempfile.TemporaryDirectory() as folder:
        made = (cpu if given.act == "cpu" else scaling)(given, Path(folder))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "spark.json"
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**known, given.act: made}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
