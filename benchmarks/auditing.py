"""The audit of a large run: opening it, dragging a threshold, memory; and the report as one file.

    python benchmarks/auditing.py large RUN [--rows 10M]
    python benchmarks/auditing.py report RUN
    python benchmarks/auditing.py rerun RUN RECIPE --rule "all.toxicity<=0.5" [--set …]

`large` repeats a finished run's documents and annotations (links: no bytes are copied), serves
that to a real browser and drags a threshold there. Its answers must be the run's own, times the
repeats. `report` opens the report as a file. `rerun` holds the answer of `what-if` against a run
of the recipe with the rule changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote
from urllib.request import urlopen

import typer

from audit.accounting.stats import write_stats
from bibim.cli.options import load_run

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = "_manifest.json"
DRAGS = 12
"""Changes of a threshold that are timed, one after the other."""
BIBIM = (sys.executable, "-m", "bibim")

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode=None)


def number(text: str) -> int:
    """Return the whole number that `text` writes: 10M is ten million."""
    units = {"k": 10**3, "m": 10**6}
    unit = units.get(text[-1:].lower())
    return int(float(text[:-1]) * unit) if unit else int(text)


def repeat(run: Path, to: Path, rows: int) -> int:
    """Make a run at `to` whose shards are those of `run`, until it has `rows`; return how often.

    Every shard of a copy is a link under the next free number of its source.
    """
    manifest = json.loads((run / "documents" / MANIFEST).read_text("utf-8"))
    times = -(-rows // sum(shard["rows"] for shard in manifest["shards"]))
    for path in run.iterdir():
        if path.name not in ("documents", "annotations", "audit"):
            (to / path.name).symlink_to(path.resolve())
    for folder in (run / "documents", *sorted((run / "annotations").iterdir())):
        place = to / folder.relative_to(run)
        place.mkdir(parents=True)
        listed = json.loads((folder / MANIFEST).read_text("utf-8"))
        shards = {shard["name"]: shard for shard in listed["shards"]}
        for path in folder.iterdir():
            if path.name != MANIFEST and path.name not in shards:
                (place / path.name).symlink_to(path.resolve())
        found = []
        for name, shard in shards.items():
            source, rest = name.rsplit("-", 1)
            first, suffix = rest.split(".", 1)
            of_source = sum(other.rsplit("-", 1)[0] == source for other in shards)
            for copy in range(times):
                other = f"{source}-{int(first) + copy * of_source:05d}.{suffix}"
                (place / other).symlink_to((folder / name).resolve())
                found.append({**shard, "name": other})
        listed["shards"] = sorted(found, key=lambda shard: shard["name"])
        (place / MANIFEST).write_text(json.dumps(listed), "utf-8")
    return times


@contextlib.contextmanager
def served(out: Path) -> Iterator[tuple[str, int, float]]:
    """Serve the run in `out`; gives the address, the process and the seconds until it listened."""
    begun = time.perf_counter()
    server = subprocess.Popen(
        [*BIBIM, "audit", "serve", str(out), "--port", "0"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    try:
        lines = []
        for line in server.stdout or ():
            lines.append(line)
            if address := re.search(r"http://[\d.:]+/", line):
                yield address[0], server.pid, time.perf_counter() - begun
                return
        raise SystemExit("the server ended:\n" + "".join(lines))
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def browser() -> Iterator[Page]:
    """Give an empty page of a real browser."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("no chromium on the PATH; the browser's part needs one")
    with sync_playwright() as play:
        one = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield one.new_page(locale="en")
        one.close()


def opened(page: Page, address: str) -> float:
    """Open `address`; return the seconds until its first view stands."""
    begun = time.perf_counter()
    page.goto(address)
    page.wait_for_selector("body[data-ready=true] #funnel .flow")
    return time.perf_counter() - begun


def peak(pid: int) -> float:
    """Return the most memory that a process has held, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else float("nan")


def asked(address: str, rule: str) -> tuple[dict[str, Any], float]:
    """Return the server's answer to a changed rule and its seconds."""
    begun = time.perf_counter()
    with urlopen(f"{address}api/what-if?rule={quote(rule)}") as answer:
        return json.loads(answer.read()), time.perf_counter() - begun


def what_if(out: Path, rule: str) -> dict[str, Any]:
    """Return the output of `bibim what-if` for a changed rule."""
    command = [*BIBIM, "what-if", str(out), "--rule", rule, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def counted(answer: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Return the figures of an answer by source."""
    return dict(answer["sources"])


@app.command()
def large(run: Path, rows: str = "10M", rule: str = "all.toxicity<=0.5") -> None:
    """Serve a run of `rows` documents and drag thresholds; print seconds and memory."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        out.mkdir()
        times = repeat(run.resolve(), out, number(rows))
        begun = time.perf_counter()
        write_stats(out, load_run(out))
        print(f"books counted in {time.perf_counter() - begun:.1f} s, as a run does at its end")
        with served(out) as (_, server, listening):
            print(f"served after {listening:.1f} s the first time, peak {peak(server):,.0f} MiB")
        with served(out) as (address, server, listening), browser() as page:
            print(f"served after {listening:.1f} s from then on, by the index")
            first = opened(page, address)
            drags = dragged(page, rule)
            cold = {}
            for text in (rule, *others(page, rule)):
                cold[text] = asked(address, text)[1]
            answer, _ = asked(address, rule)
            own = counted(what_if(run, rule))
            for source, figures in counted(answer).items():
                for name, value in figures.items():
                    if value != own[source][name] * times:
                        raise SystemExit(
                            f"{source}.{name}: {value}, not {own[source][name]} × {times}"
                        )
            kept = sum(change["kept_before"] for change in counted(answer).values())
            print(f"{times} × the documents of {run.name}, {kept:,} of them kept")
            print(f"first view {first:.2f} s after opening the page")
            print(
                f"drag of {rule}: median {statistics.median(drags):.2f} s, worst {max(drags):.2f} s"
            )
            for text, seconds in cold.items():
                print(f"  answer to {text}: {seconds:.2f} s")
            print(f"server's peak memory {peak(server):,.0f} MiB")
            print(f"answers equal to {times} × those of the run")


def dragged(page: Page, rule: str) -> list[float]:
    """Move the slider of the rule that `rule` changes; return the seconds until each answer."""
    column = re.split(r"[<>=]", rule.split(".", 1)[1])[0]
    box = page.locator("details.rule", has_text=column).first
    box.locator("summary").first.click()
    slider = box.locator("input[type=range]")
    slider.wait_for()
    places = int(float(slider.get_attribute("max") or "48"))
    seconds = []
    for step in range(DRAGS):
        place = 1 + (step * 7) % (places - 1)
        before = page.evaluate("document.getElementById('what-if').dataset.rules || ''")
        begun = time.perf_counter()
        slider.evaluate(
            "(node, v) => { node.value = v; node.dispatchEvent(new Event('input')); }", place
        )
        page.wait_for_function(
            "before => (document.getElementById('what-if').dataset.rules || '') !== before",
            arg=before,
        )
        seconds.append(time.perf_counter() - begun)
    return seconds


def others(page: Page, rule: str) -> list[str]:
    """Return a changed rule of every other threshold that can be moved."""
    rules = page.evaluate("fetch('/api/overview').then(a => a.json()).then(o => o.rules)")
    texts = []
    for one in rules:
        if one["movable"] and not rule.startswith(f"{one['scope']}.{one['column']}"):
            texts.append(f"{one['scope']}.{one['column']}{one['op']}{one['value'] * 1.1:g}")
    return texts


@app.command()
def report(run: Path) -> None:
    """Write the report of a run and open it as a file; print its size and seconds."""
    with tempfile.TemporaryDirectory() as folder, browser() as page:
        path = Path(folder) / "report.html"
        begun = time.perf_counter()
        subprocess.run(
            [*BIBIM, "audit", "report", str(run), "--html", str(path)], cwd=ROOT, check=True
        )
        print(f"written in {time.perf_counter() - begun:.1f} s, {path.stat().st_size:,} bytes")
        seconds = [opened(page, path.as_uri()) for _ in range(3)]
        print(f"opens in {seconds[0]:.2f} s, again in {min(seconds[1:]):.2f} s")


@app.command()
def rerun(
    run: Path,
    recipe: str,
    rule: Annotated[str, typer.Option("--rule", help="The rule as what-if takes it.")],
    sets: Annotated[list[str], typer.Option("--set", help="The same change, as a config key.")],
    workers: int = 1,
) -> None:
    """Hold the answer of `what-if` against a run of `recipe` with `--set`; exit 1 if it differs."""
    steps = "ingest,identify,measure,dedup,redact,screen,score"
    begun = time.perf_counter()
    answer = what_if(run, rule)
    seconds = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        options = [option for text in sets for option in ("--set", text)]
        command = [*BIBIM, "run", recipe, "--out", folder, "--stages", steps, *options]
        subprocess.run([*command, "--workers", str(workers)], cwd=ROOT, check=True)
        books = subprocess.run(
            [*BIBIM, "audit", "show", folder, "--json"], cwd=ROOT, check=True, capture_output=True
        )
        sources = json.loads(books.stdout)["sources"]
    print(f"what-if {rule}: {seconds:.2f} s in the terminal, with Python's start")
    wrong = False
    for source, change in counted(answer).items():
        kept = [
            change[f"kept_before{unit}"]
            - change[f"newly_dropped{unit}"]
            + change[f"newly_kept{unit}"]
            for unit in ("", "_bytes")
        ]
        real = [sources[source]["kept"][name] for name in ("documents", "text_bytes")]
        wrong = wrong or kept != real or bool(change["unknown"])
        print(f"{source}: what-if {kept}, run again {real}, unknown {change['unknown']}")
    raise typer.Exit(int(wrong))


if __name__ == "__main__":
    app()
