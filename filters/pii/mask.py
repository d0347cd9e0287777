"""Spans applied to text: masks, pseudonyms and removed spans.

The mask depends on the type:

- e-mail keeps its domain, as in HyperCLOVA X: `****@naver.com`;
- a telephone keeps its dialling code and its marks: `010-****-****`;
- everything else becomes its type: `<KR_RRN>`, `<KR_ADDRESS>`. With `keep_demographics` a
  resident number keeps the decade of birth and the digit of century and sex: `9*****-1******`.

`pseudonymise` replaces a value by a made-up one of the same form, equal for equal values of a
document, derived with the config's key.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.columnar.kernels import buffers
from filters.pii.entities import EMAIL, FRN, PHONE, RRN, action_of, drop_types
from filters.pii.forms import dialling_code, digit_positions, mail_mark
from filters.pii.pseudonym import Pseudonyms
from filters.text.removed_spans import flat_spans, overlapped_by
from schemas.config import Action, Pii


def masked(value: str, entity: str, settings: Pii) -> str:
    """Return the masked form of a value; see the module for the forms."""
    if entity == EMAIL:
        mark = mail_mark(value)
        return "****" + value[mark:] if mark >= 0 else f"<{entity}>"
    if entity == PHONE:
        return _starred(value, digit_positions(value)[dialling_code(value) :])
    if entity in (RRN, FRN) and settings.keep_demographics:
        positions = digit_positions(value)
        return _starred(
            value, [position for i, position in enumerate(positions) if i not in (0, 6)]
        )
    return f"<{entity}>"


def _starred(value: str, positions: list[int]) -> str:
    hidden = set(positions)
    return "".join("*" if position in hidden else char for position, char in enumerate(value))


def apply_spans(
    text: pa.LargeStringArray,
    spans: pa.ListArray,
    settings: Pii,
    removed: Sequence[pa.ListArray] = (),
) -> pa.LargeStringArray:
    """Return `text` with `spans` (`annotator.SPANS`) masked by the config and `removed` left out.

    `removed` are columns of `filters.text.removed_spans.REMOVED_SPANS`; a value that overlaps one
    is removed as a whole, and no mask stays for it. Types with action `keep` or `drop` stay:
    documents with a type to drop do not get here (see `drops`). A null row changes nothing. Only
    documents with spans are rewritten; the text between is copied as a whole.
    """
    columns = [column for column in (spans, *removed) if len(pc.list_flatten(column))]
    if not columns:
        return text
    data, offsets = buffers(text)
    view = memoryview(data.data)
    rows, starts, ends = (
        np.concatenate(part) for part in zip(*map(flat_spans, columns), strict=True)
    )
    types: list[str | None] = [None] * len(rows)
    if columns[0] is spans:
        types[: len(pc.list_flatten(spans))] = pc.list_flatten(spans).field("type").to_pylist()
    order = np.lexsort((ends, starts, rows))
    starts, ends = starts + offsets[rows], ends + offsets[rows]
    cut = overlapped_by(starts, ends, np.array([entity is None for entity in types], np.bool_)) >= 0
    pieces: list[bytes | memoryview] = []
    grown = np.zeros(len(text) + 1, np.int64)
    at = int(offsets[0])
    pseudonyms: dict[int, Pseudonyms] = {}
    for index in order.tolist():
        row, start, end = int(rows[index]), int(starts[index]), int(ends[index])
        entity = types[index]
        action = None if entity is None else action_of(settings, entity)
        if action in ("keep", "drop") or end <= at:
            continue
        replaced = b""
        if entity is not None and not cut[index] and start >= at:
            value = str(view[start:end], "utf-8")
            if action == "pseudonymise":
                if row not in pseudonyms:
                    whole = view[int(offsets[row]) : int(offsets[row + 1])]
                    pseudonyms = {row: Pseudonyms(settings.key.value, whole)}
                replaced = pseudonyms[row].of(value, entity).encode()
            else:
                replaced = masked(value, entity, settings).encode()
        start = max(start, at)
        pieces += [view[at:start], replaced]
        grown[row + 1] += len(replaced) - (end - start)
        at = end
    pieces.append(view[at : int(offsets[-1])])
    ends = offsets - offsets[0] + np.cumsum(grown)
    result = pa.LargeStringArray.from_buffers(
        len(text), pa.py_buffer(ends.astype(np.int64).tobytes()), pa.py_buffer(b"".join(pieces))
    )
    if text.null_count:
        return pc.if_else(text.is_valid(), result, pa.scalar(None, pa.large_string()))
    return result


def showable(settings: Pii) -> Pii:
    """Return settings for display: pseudonyms whose key is unknown are shown as masks."""
    if settings.key.known:
        return settings

    def shown(action: Action) -> Action:
        return "mask" if action == "pseudonymise" else action

    entities = {entity: shown(action) for entity, action in settings.entities.items()}
    return settings.model_copy(update={"action": shown(settings.action), "entities": entities})


def drops(spans: pa.ListArray, settings: Pii) -> pa.BooleanArray:
    """Return for each row whether it has a span whose action is `drop`, or more than `drop_above`.

    Null rows are false.
    """
    rows = np.asarray(pc.list_parent_indices(spans)).astype(np.int64)
    dropped = np.zeros(len(spans), dtype=bool)
    wanted = drop_types(settings)
    if wanted and len(rows):
        hits = pc.is_in(pc.list_flatten(spans).field("type"), pa.array(wanted, pa.string()))
        dropped[rows[np.asarray(hits)]] = True
    if settings.drop_above is not None:
        dropped |= np.bincount(rows, minlength=len(spans)) > settings.drop_above
    return pa.array(dropped)
