"""Keys: where ids and seeds put documents. Uniform 64-bit numbers, the same on every machine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash


def id_matrix(column: pa.Array) -> npt.NDArray[np.uint8]:
    """Return a column of 16-byte values without nulls as a matrix (rows, 16)."""
    data = column.buffers()[1]
    if not len(column) or data is None:
        return np.zeros((0, 16), dtype=np.uint8)
    matrix = np.frombuffer(data, dtype=np.uint8)[: 16 * (column.offset + len(column))]
    return matrix.reshape(-1, 16)[column.offset :]


def base_keys(ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return the base key of each id: its first 8 bytes as a big-endian number.

    `ids` has at least 8 columns. Ids are xxh3-128 hashes, so keys are uniform.
    """
    head = np.ascontiguousarray(ids[:, :8])
    return head.view(">u8").reshape(-1).astype(np.uint64)


def named_key(*parts: object) -> np.uint64:
    """Return the key of a name: xxh3-64 of the parts, NUL between them."""
    return np.uint64(xxhash.xxh3_64_intdigest("\0".join(map(str, parts)).encode()))


def scramble(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return a well-mixed bijection of 64-bit numbers (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed
