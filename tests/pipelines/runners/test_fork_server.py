"""The fork server: one per parent or group of parents, and it ends with them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from pipelines.runners.local.fork_server import _remove, spawn, started

WORKER = """
import json, os, sys, time
from pathlib import Path

loaded = []

def preload():
    loaded.append(os.getpid())

def serve(arguments):
    at = Path(arguments[1])
    values = [os.getpid(), *loaded, os.getcwd(), os.environ["VALUE"], sys.path[0]]
    at.with_suffix(".new").write_text(json.dumps(values))
    at.with_suffix(".new").rename(at)
    while at.exists():
        time.sleep(0.02)
"""
LAUNCHER = """
import os, sys
from pipelines.runners.spark.harness import end_with_parent
from pipelines.runners.local.fork_server import spawn
end_with_parent()
spawn(os.getppid(), "writing_worker", sys.argv)
"""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder for fork servers, whose workers only write what they were given."""
    (tmp_path / "writing_worker.py").write_text(WORKER)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.getcwd()]))
    return tmp_path


def launched(at: Path, value: str) -> tuple[subprocess.Popen[bytes], list[object]]:
    """Start a launcher with an environment of its own; return what its worker wrote."""
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(at)],
        env={
            **os.environ,
            "VALUE": value,
            "PYTHONPATH": value + os.pathsep + os.environ["PYTHONPATH"],
        },
        cwd=at.parent,
    )
    while not at.exists():
        assert launcher.poll() is None
        time.sleep(0.02)
    return launcher, json.loads(at.read_text())


def test_workers_of_a_parent_are_forks_of_one_process_that_has_loaded_all(
    base: Path,
) -> None:
    first, one = launched(base / "one", "eins")
    second, two = launched(base / "two", "둘")
    assert one[0] != two[0] and one[1] == two[1]  # one process has loaded for both
    assert (one[2], one[3], two[3]) == (str(base), "eins", "둘")
    assert (one[4], two[4]) == ("eins", "둘")  # each has the path that it was given
    (base / "one").unlink()
    assert first.wait(60) == 0  # its worker has ended, and so does the launcher
    worker = psutil.Process(int(str(two[0])))
    second.kill()  # as a parent does it: the worker ends with its launcher
    second.wait()
    gone, _ = psutil.wait_procs([worker], timeout=60)
    assert gone
    psutil.Process(int(str(one[1]))).terminate()


def test_a_fork_server_ends_with_its_parent(base: Path) -> None:
    launch = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    parent = subprocess.Popen(
        [sys.executable, "-c", launch, LAUNCHER, str(base / "one")],
        env={**os.environ, "VALUE": ""},
    )
    while not (base / "one").exists():
        assert parent.poll() is None
        time.sleep(0.02)
    worker, server, *_ = json.loads((base / "one").read_text())
    left = [psutil.Process(worker), psutil.Process(server)]
    parent.kill()
    parent.wait()
    gone, _ = psutil.wait_procs(left, timeout=60)
    assert len(gone) == 2
    assert list((base / "tmp").iterdir()) == []


def test_parents_of_one_group_share_a_fork_server_until_the_last_has_ended(base: Path) -> None:
    launcher = LAUNCHER.replace("sys.argv)", "sys.argv, 'group')")
    launch = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    parents, written = [], []
    for name in ("one", "two"):
        at = base / name
        parent = subprocess.Popen(
            [sys.executable, "-c", launch, launcher, str(at)], env={**os.environ, "VALUE": name}
        )
        while not at.exists():
            assert parent.poll() is None
            time.sleep(0.02)
        parents.append(parent)
        written.append(json.loads(at.read_text()))
    (first, server, *_), (second, other, *_) = written
    assert server == other
    shared, worker = psutil.Process(server), psutil.Process(second)
    parents[0].kill()
    parents[0].wait()
    gone, _ = psutil.wait_procs([psutil.Process(first)], timeout=60)
    assert gone  # its own worker only
    time.sleep(1.0)  # five checks of its parents
    assert shared.is_running() and worker.is_running()
    parents[1].kill()
    parents[1].wait()
    gone, _ = psutil.wait_procs([shared, worker], timeout=60)
    assert len(gone) == 2
    assert list((base / "tmp").iterdir()) == []


def of_group(at: Path) -> subprocess.Popen[bytes]:
    """Start a launcher of a group."""
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCHER.replace("sys.argv)", "sys.argv, 'group')"), str(at)],
        env={**os.environ, "VALUE": ""},
    )


def works_and_ends(launcher: subprocess.Popen[bytes], at: Path) -> None:
    """Wait for its worker, then let it end."""
    while not at.exists():
        assert launcher.poll() is None
        time.sleep(0.02)
    at.unlink()
    assert launcher.wait(60) == 0


def test_a_launcher_whose_fork_server_ends_at_the_request_starts_another(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that accepts and closes: what a fork server leaves that ends at that moment."""
    monkeypatch.setattr(tempfile, "tempdir", str(base / "tmp"))
    folder = base / "tmp" / f"bibim-{os.getuid()}-group"
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen(1)
        at = base / "one"
        launcher = of_group(at)
        line, _ = listener.accept()
        line.close()
    works_and_ends(launcher, at)


def test_a_launcher_whose_folder_is_removed_as_it_waits_starts_another(base: Path) -> None:
    folder = base / "tmp" / f"bibim-{os.getuid()}-group"
    folder.mkdir(mode=0o700)
    at = base / "one"
    with (folder / "lock").open("w") as lock:  # as a fork server that ends holds it
        fcntl.flock(lock, fcntl.LOCK_EX)
        launcher = of_group(at)
        while len([f for f in psutil.Process(launcher.pid).open_files() if "lock" in f.path]) < 1:
            time.sleep(0.02)
        shutil.rmtree(folder)
    works_and_ends(launcher, at)


def test_a_fork_server_stays_while_a_launcher_has_its_lock(base: Path) -> None:
    first, one = launched(base / "one", "eins")
    (folder,) = (base / "tmp").iterdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not _remove(folder)
        assert (folder / "socket").exists()
    assert _remove(folder) and not folder.exists()
    assert _remove(folder)  # gone already
    (base / "one").unlink()
    assert first.wait(60) == 0
    psutil.Process(int(str(one[1]))).terminate()


def test_a_launcher_without_a_request_does_not_harm_the_fork_server(base: Path) -> None:
    first, one = launched(base / "one", "eins")
    (path,) = (base / "tmp").glob("*/socket")
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
    second, two = launched(base / "two", "zwei")
    assert one[1] == two[1]
    for at, launcher in ((base / "one", first), (base / "two", second)):
        at.unlink()
        assert launcher.wait(60) == 0
    psutil.Process(int(str(one[1]))).terminate()


def test_a_fork_server_ends_before_its_parent_is_reaped(base: Path) -> None:
    launch = (
        "import subprocess, sys; from pathlib import Path; "
        "subprocess.Popen([sys.executable, '-c', *sys.argv[1:]])\n"
        "while not Path(sys.argv[2]).exists(): pass"
    )
    done = subprocess.run(  # returns when all processes that it started have closed their output
        [sys.executable, "-c", launch, LAUNCHER, str(base / "one")],
        env={**os.environ, "VALUE": ""},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == b""
    assert list((base / "tmp").iterdir()) == []


def test_a_fork_server_without_requests_ends(base: Path) -> None:
    made = (
        "from pipelines.runners.local import fork_server\n"
        "fork_server.IDLE_SECONDS = fork_server.POLL_SECONDS = 0.2\n"
        "fork_server.main()\n"
    )
    folder = base / "tmp" / "left"
    folder.mkdir()
    arguments = [str(folder), "1", str(started(1)), "writing_worker"]
    subprocess.run([sys.executable, "-c", made, *arguments], check=True, timeout=60)
    assert not folder.exists()


def test_a_folder_of_another_user_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"bibim-{os.getuid()}-1-{started(1)}").mkdir(mode=0o777)
    (tmp_path / f"bibim-{os.getuid()}-1-{started(1)}").chmod(0o777)
    with pytest.raises(PermissionError, match="others can open this folder"):
        spawn(1, "writing_worker", [])
