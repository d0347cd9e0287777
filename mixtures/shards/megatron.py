"""Token shards: Megatron `.bin`/`.idx` files with a Parquet side-car, written and read.

The format is that of Megatron-Core's indexed dataset (`megatron/core/datasets/
indexed_dataset.py`, version 1). `.bin` holds the tokens; `.idx` the magic `MMIDIDX`, the version
(8 bytes), the type's code (1 byte), the numbers of sequences and of document indices (8 bytes
each), then for each sequence its length (int32) and its place in bytes (int64), then the
document indices (int64): all little-endian. A sequence is one document with its end symbol, so
document index `i` is `i`. The side-car names the document of each sequence, in order.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mixtures.mixing.balance import Balance, measure, worst
from schemas.errors import InputError, RunFault
from schemas.manifest import sha256_file

MANIFEST: Final = "manifest.json"
VERSION: Final = 1
"""Version of the manifest's keys and of the shards' format."""
MAGIC: Final = b"MMIDIDX\x00\x00"
CODES: Final[dict[np.dtype[Any], int]] = {np.dtype("<i4"): 4, np.dtype("<u2"): 8}
"""Megatron's code of each type that tokens are stored in."""

SEQUENCES: Final = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("source", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("component", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("epoch", pa.int16(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
    ]
)
"""Columns of a shard's side-car: one row per sequence, in order; `tokens` counts the end too."""

_HEADER = struct.Struct("<9sQBQQ")
_ROWS_AT_ONCE: Final = 1 << 17


def shard_stem(index: int, shards: int) -> str:
    """Return `shard-00007-of-00008`."""
    return f"shard-{index:05d}-of-{shards:05d}"


def write_index(path: Path, counts: npt.NDArray[np.integer], dtype: np.dtype[Any]) -> None:
    """Write the `.idx` file of sequences of `counts` tokens. The caller makes that atomic."""
    lengths = counts.astype("<i4")
    places = np.zeros(len(counts), dtype="<i8")
    np.cumsum(lengths[:-1].astype(np.int64) * dtype.itemsize, out=places[1:])
    with path.open("wb") as file:
        file.write(_HEADER.pack(MAGIC, 1, CODES[dtype], len(counts), len(counts) + 1))
        lengths.tofile(file)
        places.tofile(file)
        np.arange(len(counts) + 1, dtype="<i8").tofile(file)


def write_sequences(path: Path, table: pa.Table) -> None:
    """Write the side-car. The caller makes that atomic; the bytes follow from `table` alone."""
    pq.write_table(table.cast(SEQUENCES), path, compression="zstd", row_group_size=_ROWS_AT_ONCE)


@dataclass(frozen=True)
class Shard:
    """A shard, memory-mapped. Sequence `i` is `tokens[starts[i]:starts[i + 1]]`."""

    tokens: npt.NDArray[Any]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> npt.NDArray[Any]:
        """Return the tokens of one sequence; nothing is copied."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sequence {index} of {len(self)}")
        index %= len(self)
        return self.tokens[self.starts[index] : self.starts[index + 1]]


def read_shard(path: Path) -> Shard:
    """Open a shard by the path of its `.bin`, `.idx` or both without the ending.

    Raises RunFault if the files are not whole or do not belong together.
    """
    starts, dtype = read_starts(path)
    data = _stem(path).with_suffix(".bin")
    tokens = np.memmap(data, dtype=dtype, mode="r") if starts[-1] else np.zeros(0, dtype=dtype)
    # a plain view, because slicing a memmap takes six times as long
    return Shard(np.asarray(tokens), starts)


def read_starts(path: Path) -> tuple[npt.NDArray[np.int64], np.dtype[Any]]:
    """Return where each sequence of a shard begins and the last ends, and the tokens' type.

    The tokens are not opened: the shard may be in remote storage. Raises RunFault as `read_shard`.
    """
    index, data = _stem(path).with_suffix(".idx"), _stem(path).with_suffix(".bin")
    try:
        head = index.read_bytes()
        size = data.stat().st_size
    except FileNotFoundError as error:
        raise RunFault(f"{error.filename}: a shard is a .bin and an .idx file; run `mix`") from None
    types = {code: dtype for dtype, code in CODES.items()}
    if len(head) < _HEADER.size:
        raise RunFault(f"{index}: {len(head)} bytes are not an index; run `mix` again")
    magic, version, code, sequences, documents = _HEADER.unpack_from(head)
    whole = _HEADER.size + 12 * sequences + 8 * documents
    if magic != MAGIC or version != 1 or code not in types or len(head) != whole:
        raise RunFault(f"{index}: not an index of Megatron tokens; run `mix` again")
    lengths = np.frombuffer(head, dtype="<i4", count=sequences, offset=_HEADER.size)
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    dtype = types[code]
    if int(starts[-1]) * dtype.itemsize != size:
        raise RunFault(
            f"{data}: {size} bytes, the index expects {int(starts[-1]) * dtype.itemsize}; "
            "run `mix` again"
        )
    return starts, dtype


def _stem(path: Path) -> Path:
    return path.with_suffix("") if path.suffix in (".bin", ".idx", ".parquet") else path


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return `manifest.json` of a mixture.

    Raises RunFault if it is missing or of another version; a manifest without a version is of
    the first.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise RunFault(f"{path} is missing: the mixture is not complete; run `mix`") from None
    except ValueError as error:
        raise RunFault(f"{path}: not JSON ({error}); run `mix` again") from None
    version = manifest.get("version", 1)
    if version != VERSION:
        raise RunFault(
            f"{path}: `version` is {version}, this Bibim reads {VERSION}; run `mix` again, or read "
            "it with the Bibim that wrote it"
        )
    return manifest


def verify_files(folder: Path) -> Iterator[str]:
    """Yield the faults of a mixture's files: missing, changed, or not in the manifest."""
    manifest = read_manifest(folder)
    known = {MANIFEST}
    listed = [file for shard in manifest["shards"] for file in shard["files"]]
    for file in [*listed, *manifest["files"]]:
        known.add(file["name"])
        path = folder / file["name"]
        if not path.exists():
            yield f"{file['name']} is missing"
        elif path.stat().st_size != file["bytes"] or sha256_file(path) != file["sha256"]:
            yield f"{file['name']} differs from its manifest"
    for path in sorted([*folder.glob("shard-*"), *folder.glob("[!_]*/shard-*")]):
        name = str(path.relative_to(folder))
        if name not in known:
            yield f"{name} is in no manifest"


def balance(folder: Path, window: int | None = None) -> Balance:
    """Measure the mixture in `folder` from its side-cars, against its targets; stage by stage.

    `window`: tokens; the manifest's own where None.
    """
    manifest = read_manifest(folder)
    window = window or int(manifest["balance"]["window_tokens"])
    found = []
    first = 0
    for stage in manifest["stages"]:
        last = first + stage["shards"]
        found.append(_measured(folder, manifest["shards"][first:last], stage["components"], window))
        first = last
    return worst(found)


def _measured(
    folder: Path, shards: Sequence[dict[str, Any]], targets: dict[str, float], window: int
) -> Balance:
    names = list(targets)
    parts: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
    for shard in shards:
        path = folder / f"{shard['name']}.parquet"
        with path.open("rb") as file:
            table = _read_table(file, ["component", "tokens"])
        parts.append((_numbers(table.column("component"), names), table["tokens"].to_numpy()))
    return measure(
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([[0], np.cumsum([len(part[0]) for part in parts])]).astype(np.int64),
        names,
        list(targets.values()),
        window,
    )


def _read_table(file: BinaryIO, columns: list[str] | None = None) -> pa.Table:
    """Return a side-car, read by this thread alone: `file` may be a Python object of a store."""
    return pq.ParquetFile(file, pre_buffer=False).read(columns, use_threads=False)


def locate(folder: Path, shard: int, token: int) -> dict[str, Any]:
    """Return the side-car's row of the sequence that holds a token, with its number and start.

    `shard` counts from 0, `token` from the shard's beginning. Raises InputError if there is none.
    """
    manifest = read_manifest(folder)
    if not 0 <= shard < len(manifest["shards"]):
        raise InputError(f"shard {shard}: the mixture has 0 to {len(manifest['shards']) - 1}")
    name = manifest["shards"][shard]["name"]
    with (folder / f"{name}.parquet").open("rb") as file:
        table = _read_table(file)
    ends = np.cumsum(table["tokens"].to_numpy(), dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    if not 0 <= token < total:
        raise InputError(f"token {token}: {name} has 0 to {total - 1}")
    sequence = int(np.searchsorted(ends, token, side="right"))
    row: dict[str, Any] = table.slice(sequence, 1).to_pylist()[0]
    start = int(ends[sequence]) - int(row["tokens"])
    return {"shard": name, "sequence": sequence, "first_token": start, **row}


def _numbers(column: pa.ChunkedArray, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the place in `names` of each value of a column."""
    encoded = column.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], column.type)
    known = {name: number for number, name in enumerate(names)}
    place = np.array(
        [known.get(name, -1) for name in encoded.dictionary.to_pylist()], dtype=np.int64
    )
    indices = encoded.indices.to_numpy()
    return place[indices] if len(indices) else np.zeros(0, dtype=np.int64)
