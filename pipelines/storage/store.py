"""Run folders on object stores and HDFS: a path whose files Beam's FileSystems hold.

`as_path("s3://bucket/run")` is a `pathlib.Path`: joining, listing, opening and removing work on the
store. It is not a local path. Passing it to `open`, NumPy's memory maps or DuckDB raises
immediately, from `__fspath__`. Writing goes through `pipelines.storage.files.atomic_path`: a file
is made whole on this machine first, then uploaded under a temporary name, measured, and renamed by
the store.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import InputError, RunFault
from schemas.files import TEMPORARY

SCHEMES = ("gs", "s3", "hdfs")
PIECE = 1 << 26
"""Bytes sent to the store at a time: the size of a part of an S3 upload (at most 10,000 parts)."""

_ADDRESS = re.compile(rf"({'|'.join(SCHEMES)}):/+(.*)", re.DOTALL)


def as_path(path: str | Path) -> Path:
    """Return `path` as a Path: a local one, or of a store (`s3://`, `gs://`, `hdfs://`)."""
    return StorePath(path) if _ADDRESS.match(str(path)) else Path(path)


class StorePath(type(Path())):  # type: ignore[misc]  # PosixPath, or whatever is Path here
    """A path on an object store. A folder exists there as long as something is below it."""

    def __str__(self) -> str:
        return _ADDRESS.sub(r"\1://\2", super().__str__())

    def __fspath__(self) -> str:
        raise InputError(
            f"{self}: this command reads local files only; copy the folder to a disk and name that "
            "(stages and `bibim audit` read stores directly)"
        )

    def exists(self, **_: Any) -> bool:
        return bool(_systems().exists(str(self))) or self.is_dir()

    def is_dir(self, **_: Any) -> bool:
        return bool(self._children())

    def stat(self, **_: Any) -> os.stat_result:
        """Return size and time. Raises FileNotFoundError."""
        try:
            metadata = _system(self).metadata(str(self))
        except Exception as error:
            raise self._missing(error) from None
        time = float(metadata.last_updated_in_seconds or 0)
        return os.stat_result(
            (0, 0, 0, 0, 0, 0, metadata.size_in_bytes, time, time, time),
            {"st_mtime_ns": int(time * 1e9)},
        )

    def open(self, mode: str = "r", buffering: int = -1, *_: Any, **__: Any) -> Any:
        """Open for reading bytes. `buffering=0`: each read requests its range only."""
        if mode != "rb":
            raise RunFault(f"{self}: files on a store are written whole; use atomic_path")
        _system(self)
        try:
            file = _systems().open(str(self), compression_type="uncompressed")
        except Exception as error:
            raise self._missing(error) from None
        return file.detach() if buffering == 0 and hasattr(file, "detach") else file

    def read_bytes(self) -> bytes:
        try:
            with self.open("rb") as file:
                return cast(bytes, file.read())
        except FileNotFoundError:
            raise
        except Exception as error:
            raise self._missing(error) from None

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            _systems().delete([str(self)])
        except Exception as error:
            if not missing_ok or _systems().exists(str(self)):
                raise self._missing(error) from None

    def mkdir(self, *_: Any, **__: Any) -> None:
        """Do nothing: a store has no folders without files."""

    def iterdir(self) -> Iterator[Path]:
        for name in sorted(self._children()):
            yield self / name

    def glob(self, pattern: str, **_: Any) -> Iterator[Path]:
        """Yield what matches, level by level; `**` is not supported."""
        first, *rest = pattern.split("/", 1)
        if re.search(r"[*?[]", first):
            found = [self / name for name in self._children() if fnmatch.fnmatchcase(name, first)]
        else:
            found = [self / first] if rest or (self / first).exists() else []
        for path in sorted(found):
            yield from path.glob(rest[0]) if rest else [path]

    def below(self) -> list[str]:
        """Return the full names of the objects below this one, or what HDFS lists in it."""
        try:
            return [str(found.path) for found in listed(f"{self}/**")]
        except RunFault:
            if _system(self).has_dirs():
                return []  # no folder there
            raise

    def _children(self) -> set[str]:
        prefix = f"{self}/"
        return {path.removeprefix(prefix).split("/")[0] for path in self.below()} - {""}

    def _missing(self, error: Exception) -> Exception:
        """Return FileNotFoundError if nothing is here, else a RunFault with the text of `error`."""
        if isinstance(error, FileNotFoundError):
            return error
        try:
            there = bool(_systems().exists(str(self)))
        except Exception:
            there = True
        if there:
            return _unreachable(self, error)
        return FileNotFoundError(2, "No such object", str(self))


def listed(pattern: str) -> list[Any]:
    """Return path, size_in_bytes and last_updated_in_seconds of what matches, by path.

    `*` does not match a slash, `**` does. Raises InputError, RunFault.
    """
    _system(pattern)
    try:
        (match,) = _systems().match([pattern])
    except Exception as error:
        raise _unreachable(pattern, error) from None
    return sorted(match.metadata_list, key=lambda found: str(found.path))


def _unreachable(path: Path | str, error: Exception) -> RunFault:
    return RunFault(
        f"{path}: the store did not answer ({str(error).strip()}). Check its address, credentials "
        "and region, then run the same command again: it resumes from what is finished"
    )


def upload(file: Path, path: StorePath) -> None:
    """Put a whole local file at `path`: uploaded under a temporary name, then renamed.

    So `path` is whole or unchanged on every store, also where closing a writer after a fault
    leaves a partial file. Raises RunFault.
    """
    temporary = path.parent / f"{TEMPORARY}{path.name}-{uuid.uuid4().hex}"
    size = file.stat().st_size
    target: Any = None
    try:
        with file.open("rb") as source:
            target = _systems().create(str(temporary), compression_type="uncompressed")
            while piece := source.read(PIECE):
                target.write(piece)
            if not size:
                _send_empty_part(target)
            target.close()
        there = temporary.stat().st_size
        if there != size:
            raise OSError(f"{there} of {size} bytes arrived")
        if _system(path).has_dirs():
            path.unlink(missing_ok=True)  # HDFS renames onto nothing only
        _systems().rename([str(temporary)], [str(path)])
    except Exception as error:
        if target is not None:
            _abandon(target)
            with contextlib.suppress(Exception):
                temporary.unlink(missing_ok=True)
        raise RunFault(
            f"{path}: its upload failed ({str(error).strip()}); the store has no part of it. "
            "Run the same command again: it resumes from what is finished"
        ) from error


def _send_empty_part(target: Any) -> None:
    """Send an empty part: S3 completes no upload without a part, and Beam sends none by itself."""
    send = getattr(getattr(getattr(target, "raw", None), "_uploader", None), "_write_to_s3", None)
    if send is not None:
        send(b"")


def _abandon(target: Any) -> None:
    """Close a writer without completing its upload.

    Closed again, or collected, Beam's writer would send its buffer once more and complete the
    upload. S3 stores (and bills) the parts of an upload until it is completed or aborted.
    """
    uploader = getattr(getattr(target, "raw", None), "_uploader", None)
    if uploader is not None:
        target.raw._uploader = _Nowhere()
        with contextlib.suppress(Exception):
            uploader._client.client.abort_multipart_upload(
                Bucket=uploader._bucket, Key=uploader._name, UploadId=uploader.upload_id
            )
    with contextlib.suppress(Exception):
        target.close()


class _Nowhere:
    """An uploader that discards what it is sent."""

    def put(self, data: memoryview) -> None:
        pass

    def finish(self) -> None:
        pass


def remove_tree(folder: Path) -> None:
    """Remove a folder and all below it, if it exists."""
    if not isinstance(folder, StorePath):
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
    elif _system(folder).has_dirs():
        folder.unlink(missing_ok=True)
    elif found := folder.below():
        _systems().delete(found)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file here or on a store; close it with `close(force=True)`.

    Nothing is read ahead from a store: Arrow's threads would still call Python when the process
    ends, which aborts it.
    """
    if not isinstance(path, StorePath):
        return pq.ParquetFile(path)
    return pq.ParquetFile(path.open("rb", buffering=0), pre_buffer=False)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return `columns` (None: all) of a Parquet file here or on a store."""
    file = open_parquet(path)
    try:
        return file.read(None if columns is None else list(columns), use_threads=False)
    finally:
        file.close(force=True)


def configure(options: Sequence[str]) -> None:
    """Apply the stores' settings among the Beam options (`--s3_endpoint_url=…`) in this process.

    Workers get them from the runner.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    if options:
        _systems().set_options(PipelineOptions(list(options)))


@functools.cache
def _systems() -> Any:
    """Return Beam's FileSystems, with one S3 client per process.

    Beam makes a client per call, for which botocore parses its JSON each time: 0.3 s, where the
    call itself takes 5 ms.
    """
    with contextlib.suppress(ImportError):
        import boto3
        from apache_beam.io.aws.clients.s3 import boto3_client

        client = functools.cache(boto3.session.Session().client)
        session = SimpleNamespace(Session=lambda: SimpleNamespace(client=client))
        boto3_client.boto3 = SimpleNamespace(session=session)
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.options.value_provider import RuntimeValueProvider

    if FileSystems._pipeline_options is None and not RuntimeValueProvider.runtime_options:
        FileSystems.set_options(PipelineOptions([]))
    return FileSystems


def _system(path: Path | str) -> Any:
    try:
        return _systems().get_filesystem(str(path))
    except ValueError as error:
        extra = {"gs": "gcp", "s3": "aws"}.get(str(path).split(":", 1)[0])
        hint = f"; try `pip install 'bibim[{extra}]'`" if extra else ""
        raise InputError(f"{path}: {error}{hint}") from None
