"""The contract between a filter and the stage that runs it."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa


class Annotator(Protocol):
    """Annotates a batch. Made once per worker process, called once per batch.

    `schema` names the columns that it adds, in order. On a row that was annotated the first
    column is never null, so a stage knows which rows it still has to do. Making one may load
    a model; importing its module may not.
    """

    schema: pa.Schema
    reads: tuple[str, ...]
    """Columns that it asks for, of the documents or of earlier stages."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return `schema`'s columns for the rows of `batch`, in their order.

        Pure: a batch of N rows gives what N batches of one row give. Never raises for odd
        text; such rows get the signal's neutral value, which its docstring states.
        """
        ...
