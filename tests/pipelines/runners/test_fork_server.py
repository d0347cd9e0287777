"""The process that forks workers: one for each keeper, and gone with it."""

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

from pipelines.runners.local.fork_server import _remove, hatch, started

WORKER = """
import json, os, sys, time
from pathlib import Path

loaded = []

def preload():
    loaded.append(os.getpid())

def serve(arguments):
    at = Path(arguments[1])
    found = [os.getpid(), *loaded, os.getcwd(), os.environ["TOLD"], sys.path[0]]
    at.with_suffix(".new").write_text(json.dumps(found))
    at.with_suffix(".new").rename(at)
    while at.exists():
        time.sleep(0.02)
"""
LAUNCHER = """
import os, sys
from pipelines.runners.spark.harness import end_with_parent
from pipelines.runners.local.fork_server import hatch
end_with_parent()
hatch(os.getppid(), "noting_worker", sys.argv)
"""


@pytest.fixture
def nursery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for nurseries, whose workers only note what they were told."""
    (tmp_path / "noting_worker.py").write_text(WORKER)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.getcwd()]))
    return tmp_path


def launched(at: Path, told: str) -> tuple[subprocess.Popen[bytes], list[object]]:
    """Start a launcher with an environment of its own; return what its worker noted."""
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(at)],
        env={
            **os.environ,
            "TOLD": told,
            "PYTHONPATH": told + os.pathsep + os.environ["PYTHONPATH"],
        },
        cwd=at.parent,
    )
    while not at.exists():
        assert launcher.poll() is None
        time.sleep(0.02)
    return launcher, json.loads(at.read_text())


def test_workers_of_a_keeper_are_forks_of_one_process_that_has_loaded_all(
    nursery: Path,
) -> None:
    first, one = launched(nursery / "one", "eins")
    second, two = launched(nursery / "two", "둘")
    assert one[0] != two[0] and one[1] == two[1]  # one process has loaded for both
    assert (one[2], one[3], two[3]) == (str(nursery), "eins", "둘")
    assert (one[4], two[4]) == ("eins", "둘")  # each has the path that it was told
    (nursery / "one").unlink()
    assert first.wait(60) == 0  # its worker has ended, and so does the launcher
    worker = psutil.Process(int(str(two[0])))
    second.kill()  # as a keeper does it: the worker ends with its launcher
    second.wait()
    gone, _ = psutil.wait_procs([worker], timeout=60)
    assert gone
    psutil.Process(int(str(one[1]))).terminate()


def test_a_nursery_ends_with_its_keeper(nursery: Path) -> None:
    launch = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    keeper = subprocess.Popen(
        [sys.executable, "-c", launch, LAUNCHER, str(nursery / "one")],
        env={**os.environ, "TOLD": ""},
    )
    while not (nursery / "one").exists():
        assert keeper.poll() is None
        time.sleep(0.02)
    worker, parent, *_ = json.loads((nursery / "one").read_text())
    left = [psutil.Process(worker), psutil.Process(parent)]
    keeper.kill()
    keeper.wait()
    gone, _ = psutil.wait_procs(left, timeout=60)
    assert len(gone) == 2
    assert list((nursery / "tmp").iterdir()) == []


def test_keepers_of_one_family_share_a_nursery_until_the_last_is_gone(nursery: Path) -> None:
    launcher = LAUNCHER.replace("sys.argv)", "sys.argv, 'kin')")
    launch = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    keepers, noted = [], []
    for name in ("one", "two"):
        at = nursery / name
        keeper = subprocess.Popen(
            [sys.executable, "-c", launch, launcher, str(at)], env={**os.environ, "TOLD": name}
        )
        while not at.exists():
            assert keeper.poll() is None
            time.sleep(0.02)
        keepers.append(keeper)
        noted.append(json.loads(at.read_text()))
    (first, parent, *_), (second, other, *_) = noted
    assert parent == other
    shared, worker = psutil.Process(parent), psutil.Process(second)
    keepers[0].kill()
    keepers[0].wait()
    gone, _ = psutil.wait_procs([psutil.Process(first)], timeout=60)
    assert gone  # its own worker only
    time.sleep(1.0)  # five looks at its keepers
    assert shared.is_running() and worker.is_running()
    keepers[1].kill()
    keepers[1].wait()
    gone, _ = psutil.wait_procs([shared, worker], timeout=60)
    assert len(gone) == 2
    assert list((nursery / "tmp").iterdir()) == []


def of_kin(at: Path) -> subprocess.Popen[bytes]:
    """Start a launcher of a family."""
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCHER.replace("sys.argv)", "sys.argv, 'kin')"), str(at)],
        env={**os.environ, "TOLD": ""},
    )


def lives_and_ends(launcher: subprocess.Popen[bytes], at: Path) -> None:
    """See its worker come, and let it go."""
    while not at.exists():
        assert launcher.poll() is None
        time.sleep(0.02)
    at.unlink()
    assert launcher.wait(60) == 0


def test_a_launcher_whose_nursery_goes_as_it_asks_makes_another(
    nursery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A door that opens and says nothing: what a nursery leaves that ends at that moment."""
    monkeypatch.setattr(tempfile, "tempdir", str(nursery / "tmp"))
    folder = nursery / "tmp" / f"bibim-{os.getuid()}-kin"
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(folder / "door"))
        door.listen(1)
        at = nursery / "one"
        launcher = of_kin(at)
        line, _ = door.accept()
        line.close()
    lives_and_ends(launcher, at)


def test_a_launcher_whose_folder_goes_as_it_waits_makes_another(nursery: Path) -> None:
    folder = nursery / "tmp" / f"bibim-{os.getuid()}-kin"
    folder.mkdir(mode=0o700)
    at = nursery / "one"
    with (folder / "lock").open("w") as lock:  # as a nursery that ends holds it
        fcntl.flock(lock, fcntl.LOCK_EX)
        launcher = of_kin(at)
        while len([f for f in psutil.Process(launcher.pid).open_files() if "lock" in f.path]) < 1:
            time.sleep(0.02)
        shutil.rmtree(folder)
    lives_and_ends(launcher, at)


def test_a_nursery_stays_while_a_launcher_looks_for_it(nursery: Path) -> None:
    first, one = launched(nursery / "one", "eins")
    (folder,) = (nursery / "tmp").iterdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not _remove(folder)
        assert (folder / "door").exists()
    assert _remove(folder) and not folder.exists()
    assert _remove(folder)  # gone already
    (nursery / "one").unlink()
    assert first.wait(60) == 0
    psutil.Process(int(str(one[1]))).terminate()


def test_a_launcher_that_says_nothing_harms_no_nursery(nursery: Path) -> None:
    first, one = launched(nursery / "one", "eins")
    (door,) = (nursery / "tmp").glob("*/door")
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(door))
    second, two = launched(nursery / "two", "zwei")
    assert one[1] == two[1]
    for at, launcher in ((nursery / "one", first), (nursery / "two", second)):
        at.unlink()
        assert launcher.wait(60) == 0
    psutil.Process(int(str(one[1]))).terminate()


def test_a_nursery_ends_before_its_keepers_end_is_asked_for(nursery: Path) -> None:
    launch = (
        "import subprocess, sys; from pathlib import Path; "
        "subprocess.Popen([sys.executable, '-c', *sys.argv[1:]])\n"
        "while not Path(sys.argv[2]).exists(): pass"
    )
    done = subprocess.run(  # waits for the end of what all that it started may still say
        [sys.executable, "-c", launch, LAUNCHER, str(nursery / "one")],
        env={**os.environ, "TOLD": ""},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == b""
    assert list((nursery / "tmp").iterdir()) == []


def test_a_nursery_that_nobody_asks_ends(nursery: Path) -> None:
    made = (
        "from pipelines.runners.local import fork_server as nursery\n"
        "nursery.IDLE_SECONDS = nursery.LOOK_SECONDS = 0.2\n"
        "nursery.main()\n"
    )
    folder = nursery / "tmp" / "left"
    folder.mkdir()
    told = [str(folder), "1", str(started(1)), "noting_worker"]
    subprocess.run([sys.executable, "-c", made, *told], check=True, timeout=60)
    assert not folder.exists()


def test_a_folder_of_another_user_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"bibim-{os.getuid()}-1-{started(1)}").mkdir(mode=0o777)
    (tmp_path / f"bibim-{os.getuid()}-1-{started(1)}").chmod(0o777)
    with pytest.raises(PermissionError, match="not this user's alone"):
        hatch(1, "noting_worker", [])
