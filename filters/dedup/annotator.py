"""The `sign` stage: what deduplication and decontamination need of every document.

The columns depend on the document alone, so a changed rule does not recompute them.
"""

from __future__ import annotations

import re

import pyarrow as pa

from filters.columnar.arrays import fixed_binary
from filters.dedup.contamination import MIN_CHARS, MIN_WORDS, build_index, contamination
from filters.dedup.items import read_items
from filters.dedup.minhash import content_hashes, sign
from filters.dedup.urls import url_key
from schemas.config import Decontaminate, Dedup
from schemas.errors import InputError

LONGEST_RUN = 1000
"""Characters without white space that Kiwi gets at once: its time grows with their square. Longer
runs are not language."""
_LONG_RUN = re.compile(rf"\S{{{LONGEST_RUN}}}(?=\S)")


def morphemes(text: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return each text as Kiwi's morphemes joined by spaces (about 0.2 million characters per
    second)."""
    from kiwipiepy import Kiwi

    kiwi = Kiwi(num_workers=1)
    texts = kiwi.tokenize(_LONG_RUN.sub(r"\g<0>\n", one) for one in text.to_pylist())
    return pa.array([" ".join(t.form for t in tokens) for tokens in texts], pa.large_string())


class Sign:
    """Annotates content hash, URL key, MinHash signature and contamination."""

    reads = ("text", "url", "assigned")
    schema = pa.schema(
        [
            ("exact_hash", pa.binary(16)),  # of the text, white space and case aside
            ("url_key", pa.binary(16)),  # of the canonical address; null without one
            ("signature", pa.binary()),  # uint32 little-endian, one per permutation
            ("contamination", pa.float32()),  # share of windows found in a benchmark item
            ("contamination_run", pa.int32()),  # units in the longest run of matches
            ("contaminated_by", pa.string()),  # id of the item; null where clean
        ]
    )

    def __init__(self, dedup: Dedup, decontaminate: Decontaminate) -> None:
        self._dedup = dedup
        items = [item for path in decontaminate.against for item in read_items(path)]
        self._index = build_index(items, decontaminate.ngram)
        if items and not self._index.can_match():
            raise InputError(
                f"decontaminate.against: {', '.join(decontaminate.against)}: no item has "
                f"{MIN_WORDS} words, or {MIN_CHARS} characters of Korean, so none can be found; "
                "give longer items"
            )

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the columns of `schema` for `batch` (text, url, assigned)."""
        text = batch.column("text")
        settings = self._dedup
        shingled = morphemes(text) if settings.unit == "morphemes" else text
        signatures = sign(
            shingled, settings.unit, settings.ngram, settings.permutations, settings.seed
        )
        share, run, item = contamination(text, self._index)
        width = 4 * settings.permutations
        keys = [url_key(url) for url in batch.column("url").to_pylist()]
        return pa.RecordBatch.from_arrays(
            [
                fixed_binary(content_hashes(text), 16),
                pa.array(keys, pa.binary(16)),
                fixed_binary(signatures.astype("<u4"), width).cast(pa.binary()),
                pa.array(share),
                pa.array(run),
                pa.array(item, pa.string()),
            ],
            schema=self.schema,
        )
