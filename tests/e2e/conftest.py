"""The demo recipe, run once for all end-to-end tests, and a browser to look at it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from tests.support.commandline import ROOT, bibim, run_demo
from tests.support.hostile import HOSTILE
from tests.support.serving import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from audit.report.views import Views

CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder that the processes of one test run share."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def demo(common: Path) -> Path:
    """The output folder of a finished run with two workers; its output is in `../output.txt`.

    Processes of one test run share it.
    """
    folder = common / "demo"
    out, output = folder / "out", folder / "output.txt"
    with FileLock(folder.with_suffix(".lock")):
        if not output.exists():
            done = run_demo(out, "--workers", 2)
            assert done.returncode == 0, done.stderr[-4000:]
            output.write_text(done.stdout + done.stderr, "utf-8")
    return out


@pytest.fixture(scope="session")
def demo_views(demo: Path) -> Views:
    """The demo's views, made ready as `serve` makes them."""
    from audit.query.frame import Frame
    from audit.report.views import Views
    from bibim.cli.options import load_run

    views = Views(Frame(demo, load_run(demo)))
    views.texts.prepare()
    return views


@pytest.fixture(scope="session")
def demo_report(demo_views: Views, common: Path) -> Path:
    """The demo's report; processes of one test run share it."""
    from audit.report.page import write_report

    path = common / "report.html"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            write_report(demo_views, path)
    return path


@pytest.fixture(scope="session")
def demo_server(demo_views: Views) -> Iterator[str]:
    with served(demo_views) as address:
        yield address


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over documents that attack whoever shows them, as far as their duplicates."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = [{"text": text, "url": f"https://example.org/?{text[:60]}"} for text in HOSTILE]
    lines = "\n".join(json.dumps(row) for row in rows)
    (folder / "x.jsonl").write_text(lines, "utf-8")
    (folder / "c.yaml").write_text(
        f"name: '</script><img src=x onerror=alert(1)>'\n"
        f"sources: {{x: {{component: en, path: '{folder / 'x.jsonl'}'}}}}\n"
        "ingest: {repair: []}\n"
        "rules: {en: {words: '>=6', max_line_length: '<=1000'}}\n"
        "mixture: {weights: {en: 1}}\n"
    )
    stages = "ingest,identify,measure,dedup"
    done = bibim(
        "run", folder / "c.yaml", "--out", folder / "out", "--stages", stages, "--workers", 1
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "out"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium on the PATH (Debian: apt-get install chromium fonts-noto-cjk)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    folder = ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
