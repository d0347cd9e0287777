"""A process that has imported what workers need, and forks them.

Each pipeline of a run starts its workers anew, and importing Beam takes seconds of a core. The
first launcher of a keeper (the local driver, an executor of Spark) leaves a nursery behind; every
worker of that keeper, and of others of its family, is a fork of it. Linux only; elsewhere a
launcher becomes the worker itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

SECONDS = 120.0
"""How long a launcher waits for a nursery that is being made."""
LOOK_SECONDS = 0.2
"""How often a nursery looks for its keepers."""
IDLE_SECONDS = 600.0
"""A nursery without workers for so long ends: its keeper may have gone before it was asked."""
HEAD = struct.Struct("!QQQ")
"""What a launcher says first: the keeper, when that started, bytes of what else it says."""
TALK_SECONDS = 10.0
TRIES = 5
"""How often a launcher asks: a nursery may be gone by the time that it opens."""

Serve = Callable[[list[str]], None]
"""Serves the runner that arguments name until it ends."""


def started(pid: int) -> str | None:
    """Return when a process started, in ticks since boot; None if it is not there or has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    state, *rest = text.rpartition(")")[2].split()
    # One that has ended is listed until its parent asks, who may wait for us to close its output.
    return None if state in "ZX" else rest[18]


def hatch(keeper: int, module: str, arguments: list[str], family: str = "") -> None:
    """Call `module`'s function `serve` in a fork of the nursery of `keeper`, made if need be.

    The nursery imports the module and calls its function `preload`. Keepers of one `family` share
    it; without one it is the keeper's own. Returns when the worker has ended; the worker ends when
    this process does, the nursery when all keepers that have asked it do.
    """
    born = started(keeper)
    if born is None:
        importlib.import_module(module).serve(arguments)
        return
    name = f"{os.getuid()}-{family or f'{keeper}-{born}'}"
    told = json.dumps([dict(os.environ), os.getcwd(), arguments]).encode()
    for _ in range(TRIES):
        with (
            # an ending nursery hangs up, and takes its folder away
            contextlib.suppress(ConnectionError, FileNotFoundError),
            _connect(_folder(name), keeper, born, module) as line,
        ):
            socket.send_fds(line, [HEAD.pack(keeper, int(born), len(told))], [1, 2])
            line.sendall(told)
            if line.recv(1):  # the worker's first breath
                line.recv(1)  # nothing more is ever said: this is its end
                return
    raise TimeoutError(f"bibim-{name}: the nursery started no worker")


def _folder(name: str) -> Path:
    """Return a folder that only this user can open. Raises PermissionError if it is another's."""
    folder = Path(tempfile.gettempdir()) / f"bibim-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder}: is not this user's alone; remove it")
    return folder


def _connect(folder: Path, keeper: int, born: str, module: str) -> socket.socket:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two first launchers one makes the nursery
        if not os.path.samestat((folder / "lock").stat(), os.fstat(lock.fileno())):
            raise FileNotFoundError(f"{folder}: was taken away by a nursery that ended")
        line = _open(folder)
        if line is None:
            (folder / "door").unlink(missing_ok=True)
            # It outlives this process and ends with the keeper.
            subprocess.Popen(
                [sys.executable, "-m", __name__, str(folder), str(keeper), born, module],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + SECONDS
        while line is None and time.monotonic() < deadline:
            time.sleep(0.05)
            line = _open(folder)
    if line is None:
        raise TimeoutError(f"{folder}: no nursery of workers came up")
    return line


def _open(folder: Path) -> socket.socket | None:
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(str(folder / "door"))
    except OSError:
        line.close()
        return None
    return line


def _tend(folder: Path, keeper: int, born: str, serve: Serve) -> None:
    """Fork a worker for each connection until all keepers are gone, or none is asked for."""
    keepers = {keeper: born}
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(folder / "door"))
        door.listen(64)
        door.settimeout(LOOK_SECONDS)
        busy = time.monotonic()
        while True:
            keepers = {pid: born for pid, born in keepers.items() if started(pid) == born}
            idle = time.monotonic() - busy > IDLE_SECONDS
            if (idle or not keepers) and _remove(folder):
                return
            with contextlib.suppress(ChildProcessError):  # raised where there are none
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
                busy = time.monotonic()
            try:
                line, _ = door.accept()
            except TimeoutError:
                continue
            with line, contextlib.suppress(OSError):  # a launcher may end before it has spoken
                line.settimeout(TALK_SECONDS)
                head, fds, _, _ = socket.recv_fds(line, HEAD.size, 2)
                try:
                    if len(head) == HEAD.size and len(fds) == 2:
                        asking, since, size = HEAD.unpack(head)
                        keepers[asking] = str(since)
                        if os.fork() == 0:
                            door.close()
                            _live(line, fds, size, serve)
                finally:
                    for fd in fds:
                        os.close(fd)


def _remove(folder: Path) -> bool:
    """Remove the folder, unless a launcher is looking for its nursery; return whether it is gone.

    Who waits for the lock then finds that its folder was taken away, and asks again.
    """
    try:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        pass  # somebody tidied the temporary folder
    return True


def _live(line: socket.socket, fds: list[int], size: int, serve: Serve) -> None:
    """Be a worker for the launcher at the other end; end with it."""
    status = 1
    try:
        line.settimeout(None)
        told = b""
        while len(told) < size:
            piece = line.recv(size - len(told))
            if not piece:
                os._exit(1)
            told += piece
        for number, fd in zip((1, 2), fds, strict=True):
            os.dup2(fd, number)
            os.close(fd)
        line.sendall(b"\1")
        environment, folder, arguments = json.loads(told)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        # As a process of its own would have read it.
        added = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:0] = [path for path in added if path and path not in sys.path]
        threading.Thread(target=_end_with, args=(line,), daemon=True).start()
        serve(arguments)
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(status)


def _end_with(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.recv(1)
    os._exit(1)  # what was being written keeps its temporary name


def main() -> None:
    """Import what workers need, then fork them until all keepers are gone."""
    folder, keeper, born, module = Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
    try:
        worker = importlib.import_module(module)
        worker.preload()
        # Workers write where their launchers do; this process would hold the first one's open.
        with open(os.devnull, "wb") as nowhere:
            for number in (1, 2):
                os.dup2(nowhere.fileno(), number)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    _tend(folder, keeper, born, worker.serve)


if __name__ == "__main__":
    main()
