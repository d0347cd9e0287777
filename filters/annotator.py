"""The contract between a filter and the stage that runs it."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa


class Annotator(Protocol):
    """Annotates batches. A worker process makes it once and calls it once per batch.

    Making it may load a model; importing its module must not, since the driver imports the modules
    of all annotators for their schemas.
    """

    schema: pa.Schema
    """The columns that it adds, in order. The first is never null on an annotated row: where it is
    null, a stage has not annotated the row yet."""
    reads: tuple[str, ...]
    """The columns that it reads, of the documents or of earlier stages."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return `schema`'s columns for the rows of `batch`, in their order.

        The result depends on the row alone: a batch of N rows gives what N batches of one row give.
        Unusual text does not raise; such a row gets the neutral value that the annotator's
        docstring states.
        """
        ...
