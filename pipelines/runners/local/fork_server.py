"""A fork server: a process that has imported what workers need, and forks them.

Each pipeline of a run starts new workers, and importing Beam takes seconds of a core. The first
launcher of a parent (the local driver, an executor of Spark) starts a fork server; every later
worker of that parent, and of other parents in its group, is a fork of it. Linux only; elsewhere
a launcher becomes the worker itself.
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

START_SECONDS = 120.0
"""Timeout of a launcher for a fork server that starts."""
POLL_SECONDS = 0.2
"""Interval at which a fork server checks that its parents are alive."""
IDLE_SECONDS = 600.0
"""Idle timeout: a parent may end before its first request arrives."""
REQUEST = struct.Struct("!QQQ")
"""Request header: parent pid, parent start time, payload length in bytes."""
REQUEST_SECONDS = 10.0
"""Timeout of a fork server for the header of a request."""
ATTEMPTS = 5
"""Requests of a launcher: a fork server may end between its connection and its request."""
SOCKET, LOCK = "socket", "lock"
"""Names of files in a fork server's folder."""

Serve = Callable[[list[str]], None]
"""Serves the runner that the arguments name until it ends."""


def started(pid: int) -> str | None:
    """Return when a process started, in ticks since boot; None if it is not there or has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    state, *rest = text.rpartition(")")[2].split()
    # A zombie is listed until its parent reaps it, and that may wait for us to close its output.
    return None if state in "ZX" else rest[18]


def spawn(parent: int, module: str, arguments: list[str], group: str = "") -> None:
    """Call `module`'s function `serve` in a fork of the fork server of `parent`.

    The fork server is started if there is none; it imports the module and calls its function
    `preload`. Parents of one `group` share it; without a group it serves `parent` alone. Returns
    when the worker has ended. The worker ends when this process does, the fork server when all
    parents for which it was asked do. Raises PermissionError where its folder is another user's,
    TimeoutError where it does not start.
    """
    parent_started = started(parent)
    if parent_started is None:
        importlib.import_module(module).serve(arguments)
        return
    name = f"{os.getuid()}-{group or f'{parent}-{parent_started}'}"
    payload = json.dumps([dict(os.environ), os.getcwd(), arguments]).encode()
    for _ in range(ATTEMPTS):
        with (
            # A fork server that ends closes its connections and removes its folder.
            contextlib.suppress(ConnectionError, FileNotFoundError),
            _connect(_folder(name), parent, parent_started, module) as connection,
        ):
            header = REQUEST.pack(parent, int(parent_started), len(payload))
            socket.send_fds(connection, [header], [1, 2])
            connection.sendall(payload)
            if connection.recv(1):  # the worker has started
                connection.recv(1)  # it sends nothing more: this returns when it has ended
                return
    raise TimeoutError(f"bibim-{name}: the fork server did not start a worker")


def _folder(name: str) -> Path:
    """Return a folder that only this user can open. Raises PermissionError if it is another's."""
    folder = Path(tempfile.gettempdir()) / f"bibim-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder}: others can open this folder; remove it")
    return folder


def _connect(folder: Path, parent: int, parent_started: str, module: str) -> socket.socket:
    """Return a connection to the fork server of `folder`, started if it does not answer."""
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two first launchers one starts the fork server
        if not os.path.samestat((folder / LOCK).stat(), os.fstat(lock.fileno())):
            raise FileNotFoundError(f"{folder}: removed by a fork server that ended")
        connection = _open(folder)
        if connection is None:
            (folder / SOCKET).unlink(missing_ok=True)
            # It outlives this process and ends with the parent.
            subprocess.Popen(
                [sys.executable, "-m", __name__, str(folder), str(parent), parent_started, module],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while connection is None and time.monotonic() < deadline:
            time.sleep(0.05)
            connection = _open(folder)
    if connection is None:
        raise TimeoutError(f"{folder}: the fork server did not start in {START_SECONDS:.0f} s")
    return connection


def _open(folder: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(folder / SOCKET))
    except OSError:
        connection.close()
        return None
    return connection


def _accept(folder: Path, parent: int, parent_started: str, serve: Serve) -> None:
    """Fork a worker per connection until all parents have ended, or the idle timeout has passed."""
    parents = {parent: parent_started}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / SOCKET))
        listener.listen(64)
        listener.settimeout(POLL_SECONDS)
        busy = time.monotonic()
        while True:
            parents = {pid: start for pid, start in parents.items() if started(pid) == start}
            idle = time.monotonic() - busy > IDLE_SECONDS
            if (idle or not parents) and _remove(folder):
                return
            with contextlib.suppress(ChildProcessError):  # raised where there are no workers
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
                busy = time.monotonic()
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection, contextlib.suppress(OSError):  # a launcher may end before its request
                connection.settimeout(REQUEST_SECONDS)
                header, fds, _, _ = socket.recv_fds(connection, REQUEST.size, 2)
                try:
                    if len(header) == REQUEST.size and len(fds) == 2:
                        pid, start, size = REQUEST.unpack(header)
                        parents[pid] = str(start)
                        if os.fork() == 0:
                            listener.close()
                            _work(connection, fds, size, serve)
                finally:
                    for fd in fds:
                        os.close(fd)


def _remove(folder: Path) -> bool:
    """Remove the folder, unless a launcher has its lock; return whether the folder is gone.

    A launcher that waits for the lock then finds that its folder was removed, and tries again.
    """
    try:
        with (folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        pass  # the temporary folder was cleaned
    return True


def _work(connection: socket.socket, fds: list[int], size: int, serve: Serve) -> None:
    """Be a worker for the launcher at the other end of `connection`; end with it."""
    status = 1
    try:
        connection.settimeout(None)
        payload = b""
        while len(payload) < size:
            piece = connection.recv(size - len(payload))
            if not piece:
                os._exit(1)
            payload += piece
        for number, fd in zip((1, 2), fds, strict=True):
            os.dup2(fd, number)
            os.close(fd)
        connection.sendall(b"\1")
        environment, folder, arguments = json.loads(payload)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        # As a process of its own would have read it.
        added = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:0] = [path for path in added if path and path not in sys.path]
        threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
        serve(arguments)
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(status)


def _end_with(connection: socket.socket) -> None:
    """End this process when the other end of `connection` does."""
    with contextlib.suppress(OSError):
        connection.recv(1)
    os._exit(1)  # files that were being written keep their temporary names


def main() -> None:
    """Import what workers need, then fork them until all parents have ended."""
    folder, parent, parent_started, module = Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
    try:
        worker = importlib.import_module(module)
        worker.preload()
        # Workers write where their launchers do; this process would keep the first one's open.
        with open(os.devnull, "wb") as devnull:
            for number in (1, 2):
                os.dup2(devnull.fileno(), number)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    _accept(folder, parent, parent_started, worker.serve)


if __name__ == "__main__":
    main()
