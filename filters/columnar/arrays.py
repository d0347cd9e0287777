"""Names of array types, and rows of arrays as Arrow's fixed-size binary."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Offsets = Longs
"""Where each row of a column begins in its bytes, and where the last one ends: rows + 1."""
Keys = npt.NDArray[np.uint64]
"""64-bit hashes."""
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def fixed_binary(values: npt.NDArray[np.generic], width: int) -> pa.FixedSizeBinaryArray:
    """Return the rows of a contiguous array as fixed-size binary of `width` bytes."""
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(values), [None, data])


def fixed_matrix(column: pa.Array, width: int, dtype: str) -> npt.NDArray[Any]:
    """Return the rows of a binary column whose values all have `width` bytes, as a matrix."""
    fixed = column.cast(pa.binary(width))
    data = np.frombuffer(fixed.buffers()[1], np.uint8)
    begin = fixed.offset * width
    flat = data[begin : begin + len(fixed) * width].view(dtype)
    return flat.reshape(len(fixed), width // np.dtype(dtype).itemsize)  # 0 rows have a width too
