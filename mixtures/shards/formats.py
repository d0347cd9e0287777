"""Other forms of a token shard: Parquet lists of tokens, and MosaicML Streaming's MDS.

Both hold one row per sequence: the side-car's columns and its tokens. They are written beside
Megatron's files from the same slices of tokens, so memory is bounded.

MDS (`streaming/base/format/mds` of mosaicml-streaming, version 2): a file holds the number of its
samples and where each begins (uint32), the description of the columns as JSON, then the samples; a
sample holds the sizes of the columns without a fixed size (uint32), then the columns' bytes by
name. `index.json` names the files of the data set.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mixtures.shards.megatron import SEQUENCES

PARQUET: Final = "parquet"
MDS: Final = "mds"
MDS_INDEX: Final = "index.json"
MDS_BYTES: Final = 1 << 26
"""Size at which a new MDS file begins: streaming's own default."""

_COLUMNS: Final = ("component", "epoch", "id", "source", "tokens")


class ParquetTokens:
    """Writes `parquet/STEM.parquet`: the side-car's columns, with `tokens` as a list column."""

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        """`path`: a temporary name; the caller makes it final."""
        fields = [field for field in SEQUENCES if field.name != "tokens"]
        self._tokens = pa.list_(pa.uint16() if dtype.itemsize == 2 else pa.int32())
        self._schema = pa.schema([*fields, pa.field("tokens", self._tokens, nullable=False)])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: pa.Table, tokens: npt.NDArray[Any]) -> None:
        """Write sequences: `rows` with the side-car's columns, and all of their tokens in order."""
        counts = rows.column("tokens").to_numpy()
        places = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        lists = pa.ListArray.from_arrays(pa.array(places), pa.array(tokens))
        columns = [rows.column(name) for name in self._schema.names[:-1]]
        table = pa.Table.from_arrays([*columns, lists.cast(self._tokens)], schema=self._schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Write the end of the file."""
        self._writer.close()


def mds_files(
    slices: Iterator[tuple[pa.Table, npt.NDArray[Any]]], dtype: np.dtype[Any]
) -> Iterator[tuple[bytes, int]]:
    """Yield the bytes and the number of samples of each MDS file of a shard, in order.

    `slices`: side-car rows with their tokens, as `ParquetTokens.write` takes them.
    """
    config = _config(dtype)
    samples: list[bytes] = []
    size = 0
    for rows, tokens in slices:
        for sample in _samples(rows, tokens):
            if samples and size + len(sample) + 4 > MDS_BYTES:
                yield _joined(samples, config), len(samples)
                samples, size = [], 0
            samples.append(sample)
            size += len(sample) + 4
    if samples:
        yield _joined(samples, config), len(samples)


def mds_index(files: Sequence[dict[str, Any]], dtype: np.dtype[Any]) -> str:
    """Return `index.json` of files given as {basename, bytes, samples}, in order."""
    shards = [
        {
            **_described(dtype),
            "raw_data": {"basename": file["basename"], "bytes": file["bytes"], "hashes": {}},
            "samples": file["samples"],
            "zip_data": None,
        }
        for file in files
    ]
    return json.dumps({"shards": shards, "version": 2}, sort_keys=True) + "\n"


def _described(dtype: np.dtype[Any]) -> dict[str, Any]:
    encodings = {"epoch": "int", "tokens": f"ndarray:{dtype.name}"}
    return {
        "column_encodings": [encodings.get(name, "str") for name in _COLUMNS],
        "column_names": list(_COLUMNS),
        "column_sizes": [8 if name == "epoch" else None for name in _COLUMNS],
        "compression": None,
        "format": "mds",
        "hashes": [],
        "size_limit": MDS_BYTES,
        "version": 2,
    }


def _config(dtype: np.dtype[Any]) -> bytes:
    return json.dumps(_described(dtype), sort_keys=True).encode()


def _samples(rows: pa.Table, tokens: npt.NDArray[Any]) -> Iterator[bytes]:
    ends = np.cumsum(rows.column("tokens").to_numpy(), dtype=np.int64)
    columns = [rows.column(name).to_pylist() for name in ("component", "epoch", "id", "source")]
    for number, (component, epoch, document, source) in enumerate(zip(*columns, strict=True)):
        own = tokens[ends[number - 1] if number else 0 : ends[number]]
        parts = [component.encode(), document.hex().encode(), source.encode(), _array(own)]
        sizes = np.array([len(part) for part in parts], "<u4").tobytes()
        yield sizes + parts[0] + np.int64(epoch).tobytes() + b"".join(parts[1:])


def _array(tokens: npt.NDArray[Any]) -> bytes:
    """Return MDS's encoding of an array: axes and the shape's type, the shape, the tokens."""
    kinds = ("<u1", "<u2", "<u4", "<u8")
    kind = next(i for i, name in enumerate(kinds) if len(tokens) < 1 << 8 * int(name[2]))
    return (
        bytes([1 << 2 | kind]) + np.array([len(tokens)], kinds[kind]).tobytes() + tokens.tobytes()
    )


def _joined(samples: Sequence[bytes], config: bytes) -> bytes:
    sizes = np.array([0, *map(len, samples)], dtype=np.int64)
    begins = np.cumsum(sizes) + 4 + 4 * len(sizes) + len(config)
    count = np.array([len(samples)], "<u4").tobytes()
    return count + begins.astype("<u4").tobytes() + config + b"".join(samples)
