"""Documents that changed rules move between kept, dropped and not known.

Rows are summed by (group, answers to the changed rules): a few sums stand for millions of rows.
Rows whose duplicates a change may alter are decided one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from audit.query.altered import Altered
from audit.query.columns import BLOCK, Bools, Ints, Masks, breaks_values, is_null
from audit.query.frame import LATE, Frame
from audit.query.groups import first_bit
from audit.query.resemantic import MAX_ROWS, Repeated
from filters.rules.evaluate import breaks
from pipelines.stages.catalog import position
from pipelines.stages.dedup import STAGE as DEDUP
from pipelines.stages.score import STAGE as SCORE
from pipelines.stages.semantic import STAGE as SEMANTIC
from pipelines.stages.tokenize import STAGE as TOKENIZE
from schemas.rules import Rule

if TYPE_CHECKING:
    from audit.query.recluster import Buckets, Labels

DEDUP_STEP, SEMANTIC_STEP, TOKENIZE_STEP = (
    position(each.name) for each in (DEDUP, SEMANTIC, TOKENIZE)
)


@dataclass(frozen=True)
class Entries:
    """All rows, summed: `mask` has bit i set where rule i is broken after the change.

    `open`: no rule is known to be broken, but one may be. `sums`, (4, entries): documents, bytes,
    tokens, and bytes of the documents that have tokens.
    """

    group: Ints
    mask: Masks
    open: Bools
    sums: Ints

    def first(self) -> Ints:
        """Return the number of the first rule broken, or -1."""
        return first_bit(self.mask)

    def plus(self, other: Entries) -> Entries:
        """Return both."""
        return Entries(
            np.concatenate([self.group, other.group]),
            np.concatenate([self.mask, other.mask]),
            np.concatenate([self.open, other.open]),
            np.concatenate([self.sums, other.sums], axis=1),
        )


@dataclass
class _Rows:
    """Rows that are decided one by one, sorted. `open`: whether they are duplicates is unknown."""

    rows: Ints
    group: Ints
    mask: Masks
    open: Bools


class Moves:
    """What the rules of `new` do to the rows of `frame`, `examples` of them by number.

    `buckets`: returns the run's buckets of possible duplicates, or None.
    """

    def __init__(
        self, frame: Frame, new: Altered, buckets: Callable[[], Buckets | None], examples: int
    ) -> None:
        self._frame, self._new, self._buckets, self._examples = frame, new, buckets, examples
        self.clusters: Literal["same", "computed", "assumed"] = "same"
        self.dropped: list[int] = []
        self.kept: list[int] = []
        self._steps = [frame.step_index(rule) for rule in new.rules]
        self._old_steps = [frame.step_index(rule) for rule in frame.rules]
        groups = frame.groups
        covers = [frame.scoped(rule, groups.source, groups.component) for rule in new.rules]
        seen = [frame.annotated(rule, groups.seen) for rule in new.rules]
        self._scope = [one & other for one, other in zip(covers, seen, strict=True)]
        self._unseen = [one & ~other for one, other in zip(covers, seen, strict=True)]
        self._covers = covers
        self._width = 1 << len(new.changes)
        self._still, self._masks = self._group_masks()
        self._alive_changed = False
        self._newcomers_open = False
        self._loose = 0
        """Rules, one bit each, of which no row's answer is known."""

    # Bits of rules

    def _below(self, step: int, old: bool = False) -> np.uint64:
        steps = self._old_steps if old else self._steps
        return np.uint64(sum(1 << index for index, own in enumerate(steps) if own < step))

    def _at(self, step: int) -> int:
        return sum(1 << index for index, own in enumerate(self._steps) if own == step)

    def _group_masks(self) -> tuple[Masks, Masks]:
        """Return the new masks: of each group's rows whose answers stay, and of (group, code).

        Bit b of a code is the answer to change b.
        """
        mask, new = self._frame.groups.mask, self._new
        changed = {index for _, index in new.changes}
        parts = [np.zeros(len(mask), np.uint64) for _ in range(2)]
        for index, old in enumerate(new.origin):
            if old is not None:
                bit = ((mask >> np.uint64(old)) & np.uint64(1)) << np.uint64(index)
                parts[index in changed] |= bit
        masks = np.repeat(parts[0][:, None], self._width, axis=1)
        codes = np.arange(self._width)
        for number, (_, changed_index) in enumerate(new.changes):
            if changed_index is not None:
                hit = self._scope[changed_index][:, None] & ((codes >> number) & 1).astype(bool)
                masks |= hit.astype(np.uint64) << np.uint64(changed_index)
        return parts[0] | parts[1], masks

    # Rows

    def _differing(self) -> Iterator[tuple[Ints, Ints]]:
        """Yield (rows, their codes) where an answer differs, block by block."""
        frame = self._frame
        streams = [
            [self._stream(frame.rules, old), self._stream(self._new.rules, index)]
            for old, index in self._new.changes
        ]
        for start in range(0, frame.rows if streams else 0, BLOCK):
            size = min(BLOCK, frame.rows - start)
            code = np.zeros(size, np.int64)
            differs = np.zeros(size, bool)
            for number, pair in enumerate(streams):
                old, now = (np.zeros(size, bool) if s is None else next(s)[1] for s in pair)
                code |= now.astype(np.int64) << number
                differs |= old ^ now
            rows = np.flatnonzero(differs)
            if len(rows):
                yield rows + start, code[rows]

    def _stream(
        self, rules: Sequence[Rule], index: int | None
    ) -> Iterator[tuple[slice, Bools]] | None:
        return None if index is None else self._frame.broken(rules[index])

    def _code(self, rows: Ints) -> Ints:
        """Return the codes of some rows."""
        frame = self._frame
        code = np.zeros(len(rows), np.int64)
        for number, (_, index) in enumerate(self._new.changes):
            if index is None:
                continue
            rule = self._new.rules[index]
            if frame.numeric(rule.column):
                broken = breaks_values(rule, frame.values(rule.column)[rows])
            else:
                broken = np.concatenate([part for _, part in frame.broken(rule)])[rows]
            code |= broken.astype(np.int64) << number
        return code

    def _alive(self) -> tuple[Bools, Bools]:
        """Return for each row whether it reaches `dedup`, before and after the change."""
        frame = self._frame
        early = self._below(DEDUP_STEP)
        before = ((frame.groups.mask & self._below(DEDUP_STEP, old=True)) == 0)[frame.group]
        after = ((self._still & early) == 0)[frame.group]
        good = ((self._masks & early) == 0).ravel()
        for rows, code in self._differing():
            after[rows] = good[frame.group[rows].astype(np.int64) * self._width + code]
        return before, after

    # Duplicates

    def _single(self) -> _Rows:
        """Return the rows that are decided one by one."""
        frame = self._frame
        labels, copies = self._reclustered()
        again = SEMANTIC.name in frame.steps and frame.rows <= MAX_ROWS and bool(self._new.changes)
        rows = copies if labels is None else labels.rows
        rows = np.arange(frame.rows) if again else rows
        group = frame.group[rows].astype(np.int64)
        mask = self._masks[group, self._code(rows)]
        single = _Rows(rows, group, mask, np.zeros(len(rows), bool))
        if labels is not None and labels.known:
            self._label(single, np.searchsorted(rows, labels.rows), labels.column)
        else:
            at = np.searchsorted(rows, copies if labels is None else labels.rows)
            single.open[at] = (mask[at] & self._below(DEDUP_STEP)) == 0
            single.mask[at] &= ~np.uint64(self._at(DEDUP_STEP))
        if again:
            self._again_semantic(single)
        return single

    def _reclustered(self) -> tuple[Labels | None, Ints]:
        """Return what `dedup` finds after the change, None where it is not known.

        Then the copies of survivors that are dropped are returned too, by row.
        """
        frame, none = self._frame, np.zeros(0, np.int64)
        late = all(
            (self._old_steps[old or 0] if index is None else self._steps[index]) >= DEDUP_STEP
            for old, index in self._new.changes
        )
        if late or DEDUP.name not in frame.steps:
            return None, none
        before, after = self._alive()
        self._alive_changed = bool((before != after).any())
        if not (self._alive_changed and frame.config.dedup.enabled):
            return None, none
        buckets = self._buckets()
        self._newcomers_open = buckets is None or bool(frame.config.dedup.against)
        self.clusters = "assumed" if buckets is None else "computed"
        if buckets is not None:
            return buckets.again(before, after), none
        copies = np.flatnonzero(frame.survivor >= 0)
        lost = (before & ~after)[frame.survivor[copies]]
        return None, copies[lost]

    def _label(self, single: _Rows, at: Ints, column: Callable[[Rule], pa.Array | None]) -> None:
        """Decide the rules on new columns again, for the rows at `at`."""
        for index, rule in enumerate(self._new.rules):
            if self._steps[index] not in (DEDUP_STEP, SEMANTIC_STEP):
                continue
            values = column(rule)
            if values is None:
                continue
            broken = breaks(rule, values) & self._scope[index][single.group[at]]
            cleared = single.mask[at] & ~np.uint64(1 << index)
            single.mask[at] = cleared | (broken.astype(np.uint64) << np.uint64(index))

    def _again_semantic(self, single: _Rows) -> None:
        """Find the duplicates in meaning again, where other documents reach the stage."""
        frame = self._frame
        below = self._below(SEMANTIC_STEP)
        was = (frame.groups.mask & self._below(SEMANTIC_STEP, old=True)) == 0
        now = (single.mask & below) == 0
        unseen = self._any(self._unseen, SEMANTIC_STEP)[single.group]
        scored = (frame.groups.seen >> LATE.index(SCORE)) & 1
        unsure = now & (single.open | unseen)
        if not unsure.any() and bool((was[single.group] == now).all()):
            return
        if (unsure | (now & (scored[single.group] == 0))).any():
            self._loose |= self._at(SEMANTIC_STEP)
            return
        repeated = Repeated(frame, now)

        def column(rule: Rule) -> pa.Array | None:
            return repeated.column(rule) if rule.column in SEMANTIC.schema.names else None

        self._label(single, np.arange(len(single.rows)), column)

    def _any(self, covers: Sequence[Bools], below: int) -> Bools:
        """Return for each group whether a rule of a step before `below` covers it."""
        found = np.zeros(len(self._frame.groups.mask), bool)
        for index, cover in enumerate(covers):
            if self._steps[index] < below:
                found |= cover
        return found

    # Sums

    def entries(self) -> Entries:
        """Return all rows, summed by what the changed rules make of them."""
        frame = self._frame
        single = self._single()
        apart = np.zeros(frame.rows, bool)
        apart[single.rows] = True
        moved = self._moved(apart)
        moved = moved.plus(self._entries_of(single))
        self._show(single)
        self._loosen(moved)
        rest = self._rest(moved)
        return self._closed(moved.plus(rest))

    def _moved(self, apart: Bools) -> Entries:
        """Return the rows, those `apart` left out, that the change moves."""
        frame, width = self._frame, self._width
        group: list[Ints] = [np.zeros(0, np.int64)]
        code: list[Ints] = [np.zeros(0, np.int64)]
        sums: list[Ints] = [np.zeros((4, 0), np.int64)]
        mask = self._masks.ravel()
        # Out of every changed rule's scope nothing moves.
        moves = (self._masks != self._still[:, None]).ravel()
        was = np.repeat(frame.groups.mask == 0, width)
        for differing, codes in self._differing():
            keys = frame.group[differing].astype(np.int64) * width + codes
            shift = moves[keys] & ~apart[differing]
            rows, key = differing[shift], keys[shift]
            if not len(rows):
                continue
            distinct, sizes = self._sizes(rows, key, len(mask))
            group.append(distinct // width)
            code.append(distinct % width)
            sums.append(sizes)
            self._example(rows, was[key], mask[key])
        groups, codes = np.concatenate(group), np.concatenate(code)
        early = self._below(DEDUP_STEP)
        found = self._masks[groups, codes]
        before = frame.groups.mask[groups] & self._below(DEDUP_STEP, old=True)
        newcomers = (before != 0) & ((found & early) == 0) & self._newcomers_open
        return Entries(groups, found, newcomers, np.concatenate(sums, axis=1))

    def _sizes(self, rows: Ints, key: Ints, keys: int) -> tuple[Ints, Ints]:
        """Return the distinct keys of `rows` and the sums of each: see `Entries.sums`."""
        frame = self._frame
        # Keys are few: counting them is faster than sorting the rows by them.
        count = np.bincount(key, minlength=keys)
        distinct = np.flatnonzero(count)
        sums = np.zeros((4, len(distinct)), np.int64)
        sums[0] = count[distinct]
        size = np.maximum(frame.sizes("bytes")[rows], 0).astype(np.float64)
        sums[1] = np.bincount(key, size, keys)[distinct]
        if TOKENIZE.name in frame.steps:
            tokens = frame.sizes("tokens")[rows]
            size[is_null(tokens)] = 0
            sums[2] = np.bincount(key, np.maximum(tokens, 0), keys)[distinct]
            sums[3] = np.bincount(key, size, keys)[distinct]
        return distinct, sums

    def _example(self, rows: Ints, was: Bools, mask: Masks) -> None:
        for shown, moved in ((self.dropped, was & (mask != 0)), (self.kept, ~was & (mask == 0))):
            room = max(self._examples - len(shown), 0)
            shown.extend(rows[np.flatnonzero(moved)[:room]].tolist())

    def _show(self, single: _Rows) -> None:
        """Add the rows of `single` to the examples, in the order of the rows."""
        others = self.dropped, self.kept
        self.dropped, self.kept = [], []
        self._example(single.rows, self._frame.groups.mask[single.group] == 0, single.mask)
        for shown, other in zip((self.dropped, self.kept), others, strict=True):
            shown[:] = sorted([*shown, *other])[: self._examples]

    def _entries_of(self, single: _Rows) -> Entries:
        key = np.arange(len(single.rows))
        _, sums = self._sizes(single.rows, key, len(key))
        newcomers = np.zeros(len(key), bool)
        if self._newcomers_open:
            before = self._frame.groups.mask[single.group] & self._below(DEDUP_STEP, old=True)
            newcomers = (before != 0) & ((single.mask & self._below(DEDUP_STEP)) == 0)
        return Entries(single.group, single.mask, single.open | newcomers, sums)

    def _rest(self, moved: Entries) -> Entries:
        """Return the rows of each group that do not move."""
        groups = self._frame.groups
        sums = np.stack([groups.documents, groups.bytes, groups.tokens, groups.bytes])
        for part, own in zip(sums, moved.sums, strict=True):
            np.subtract.at(part, moved.group, own)
        size = len(groups.mask)
        return Entries(np.arange(size), self._still, np.zeros(size, bool), sums)

    # What is not known

    def _reach_differs(self, moved: Entries, step: int) -> bool:
        """Return whether other documents reach the stage at `step`, or may."""
        before = self._frame.groups.mask[moved.group] & self._below(step, old=True)
        after = moved.mask & self._below(step)
        return bool((((before == 0) != (after == 0)) | (moved.open & (after == 0))).any())

    def _loosen(self, moved: Entries) -> None:
        """Note the rules on values that depend on all documents, where these differ."""
        frame, config = self._frame, self._frame.config
        large = SEMANTIC.name in frame.steps and frame.rows > MAX_ROWS
        if large and self._reach_differs(moved, SEMANTIC_STEP):
            self._loose |= self._at(SEMANTIC_STEP)
        lines = config.dedup.lines.enabled and self._alive_changed
        other = self._loose > 0 or self._reach_differs(moved, TOKENIZE_STEP)
        if lines or (other and not config.tokenizer.path):
            self._loose |= self._at(TOKENIZE_STEP)
        for index, rule in enumerate(self._new.rules):
            if rule.column == "repeated" and lines:
                self._loose |= 1 << index

    def _closed(self, entries: Entries) -> Entries:
        """Return the entries with what is open after every rule."""
        loose = [
            cover if self._loose >> index & 1 else np.zeros(len(cover), bool)
            for index, cover in enumerate(self._covers)
        ]
        last = TOKENIZE_STEP + 1
        unsure = self._any(self._unseen, last) | self._any(loose, last)
        mask = entries.mask & ~np.uint64(self._loose)
        return Entries(
            entries.group,
            mask,
            (mask == 0) & (entries.open | unsure[entries.group]),
            entries.sums,
        )
