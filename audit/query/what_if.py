"""What changes if a rule is added or altered: answered from stored columns alone.

Exact wherever the annotations are there, and bounded where they are not:

- A document that the changed rules keep, but that a later stage never looked at, is *unknown*.
- Duplicates are judged by the clusters as they are. Where a changed rule decides before the
  duplicates are found and drops a cluster's survivor, its copies that pass may come back: they
  are unknown too.
- A newcomer may turn out to be a copy, or be preferred to one that is kept now: the count stays,
  the copy changes.

Tokens of documents that were never encoded are estimated from their bytes, as their source's and
component's kept documents have them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel

from audit.query.frame import Frame, breaks_values, first_bit, is_null
from pipelines.stages.catalog import STAGES, check_types, position, rule_stage
from pipelines.stages.dedup import STAGE as DEDUP
from pipelines.stages.tokenize import STAGE as TOKENIZE
from schemas.config import Config
from schemas.errors import InputError
from schemas.load import rule_scopes
from schemas.rules import Rule, parse_rules, replaces

MOST_CHANGES = 8
DEDUP_STEP = next(at for at, stage in enumerate(STAGES) if stage.whole)


class Change(BaseModel):
    """What moves in one source: documents, bytes of text and tokens."""

    kept_before: int = 0
    kept_before_bytes: int = 0
    kept_before_tokens: int = 0
    newly_dropped: int = 0
    newly_dropped_bytes: int = 0
    newly_dropped_tokens: int = 0
    newly_kept: int = 0
    newly_kept_bytes: int = 0
    newly_kept_tokens: int = 0
    """Counted where the document was encoded once, else estimated from its bytes."""
    unknown: int = 0
    """Would pass the changed rules, but later stages never looked at them."""
    unknown_bytes: int = 0


class Comparison(BaseModel):
    """Kept documents before and after, and the changes by source."""

    rules: list[str]
    replaced: list[str]
    kept_before: int
    kept_after: int
    kept_after_at_most: int
    """With every unknown document kept: the bound when a rule is loosened."""
    sources: dict[str, Change]
    reasons: dict[str, tuple[int, int]]
    """Reason → documents before and after, by the first rule that each breaks."""
    examples_dropped: list[str]
    examples_kept: list[str]


@dataclass(frozen=True)
class Altered:
    """A run's rules with others in place. `origin` has, for each, the number that it, or the rule
    that it replaces, has among the run's rules; None where it is new."""

    rules: list[Rule]
    origin: list[int | None]
    replaced: list[str]

    def changed(self, before: Sequence[Rule]) -> list[int]:
        """Return the numbers of those that the run does not have in the same place."""
        return [
            index
            for index, (rule, old) in enumerate(zip(self.rules, self.origin, strict=True))
            if old is None or rule != before[old]
        ]


def altered(
    rules: Sequence[Rule],
    texts: Sequence[str],
    schemas: Mapping[str, pa.Schema] | None = None,
) -> Altered:
    """Return `rules` with those of `texts` in place.

    A new rule replaces the first that `schemas.rules.replaces` names; otherwise it is added after
    the last rule of its stage. `schemas`: the columns of the run's steps.
    """
    changed = list(rules)
    origin: list[int | None] = list(range(len(rules)))
    replaced = []
    for rule in asked(texts):
        step = position(rule_stage(rule.scope, rule.column, schemas))
        same = [index for index, old in enumerate(changed) if replaces(rule, old)]
        if same:
            replaced.append(str(changed[same[0]]))
            changed[same[0]] = replace(rule, reason=changed[same[0]].reason)
            continue
        after = [
            i
            for i, old in enumerate(changed)
            if position(rule_stage("", old.column, schemas)) <= step
        ]
        at = after[-1] + 1 if after else 0
        changed.insert(at, rule)
        origin.insert(at, None)
    return Altered(changed, origin, replaced)


def asked(texts: Sequence[str]) -> list[Rule]:
    """Return the rules of `texts`. Raises InputError for what is none."""
    try:
        return [rule for text in texts for rule in parse_rules(text)]
    except ValueError as error:
        raise InputError(f"--rule: {error}") from None


def check_scopes(config: Config, rules: Sequence[Rule]) -> None:
    """Raise InputError where a rule's scope is no component and no source of the config."""
    known = rule_scopes(config)
    for rule in rules:
        if rule.scope not in known:
            raise InputError(
                f"--rule {rule}: no component or source is named {rule.scope!r}; "
                f"known: {', '.join(sorted(known))}"
            )


def compare_rules(out: Path, config: Config, texts: Sequence[str], examples: int = 5) -> Comparison:
    """Return what the run in `out` would keep with the rules of `texts`."""
    return WhatIf(Frame(out, config)).compare(texts, examples)


@dataclass
class _Moved:
    """Rows whose answer to a changed rule differs, summed by group and new answers."""

    group: list[npt.NDArray[np.int64]] = field(default_factory=list)
    code: list[npt.NDArray[np.int64]] = field(default_factory=list)
    sums: list[npt.NDArray[np.int64]] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    lost: list[npt.NDArray[np.int64]] = field(default_factory=list)


class WhatIf:
    """Answers for one frame. What the clusters need is read at the first question and kept."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        groups = frame.groups
        early = sum(
            1 << i for i, rule in enumerate(frame.rules) if frame.step_index(rule) < DEDUP_STEP
        )
        self._missed = groups.unseen.copy()
        if DEDUP.name in frame.steps:
            self._missed |= (groups.mask & np.uint64(early)) > 0
        self._was = groups.mask == 0

    def compare(self, texts: Sequence[str], examples: int = 5) -> Comparison:
        """Return the comparison for the rules of `texts`. Raises InputError for a bad rule."""
        frame = self.frame
        before = frame.rules
        check_scopes(frame.config, asked(texts))
        new = altered(before, texts, frame.schemas)
        changed = new.changed(before)
        if len(changed) > MOST_CHANGES:
            raise InputError(f"--rule: {len(changed)} changes; give {MOST_CHANGES} at most at once")
        for index in changed:
            rule = new.rules[index]
            frame.folder_of(rule.column)
            check_types([rule], f"--rule {rule}", frame.schemas)
        masks = self._masks(new, changed)
        moved = self._moved(new, changed, masks, examples)
        return self._result(new, changed, masks, moved)

    def _masks(self, new: Altered, changed: Sequence[int]) -> npt.NDArray[np.uint64]:
        """Return the new mask of (group, code): bit b of the code is the answer to change b."""
        groups = self.frame.groups
        kept = self._renumbered(new, [i for i in range(len(new.rules)) if i not in changed])
        masks = np.repeat(kept[:, None], 1 << len(changed), axis=1)
        codes = np.arange(1 << len(changed))
        for number, index in enumerate(changed):
            scope = self.frame.scoped(new.rules[index], groups.source, groups.component)
            hit = scope[:, None] & ((codes >> number) & 1).astype(bool)[None, :]
            masks |= hit.astype(np.uint64) << np.uint64(index)
        return masks

    def _renumbered(self, new: Altered, numbers: Iterable[int]) -> npt.NDArray[np.uint64]:
        """Return the old mask of each group, with new numbers: the rules of `numbers` alone."""
        mask = self.frame.groups.mask
        found = np.zeros(len(mask), np.uint64)
        for index in numbers:
            old = new.origin[index]
            if old is not None:
                bit = (mask >> np.uint64(old)) & np.uint64(1)
                found |= bit << np.uint64(index)
        return found

    def _moved(
        self,
        new: Altered,
        changed: Sequence[int],
        masks: npt.NDArray[np.uint64],
        examples: int,
    ) -> _Moved:
        frame = self.frame
        after = new.rules
        moved = _Moved()
        if not changed:
            return moved
        width = 1 << len(changed)
        early = [index for index in changed if frame.step_index(after[index]) < DEDUP_STEP]
        tokens = frame.sizes("tokens") if TOKENIZE.name in frame.steps else None
        sizes = frame.sizes("bytes")
        streams = [frame.broken(after[index]) for index in changed]
        origins = [new.origin[index] for index in changed]
        olds = [frame.broken(frame.rules[o]) if o is not None else None for o in origins]
        # By (group, code) as one number: whether rows move at all, and between what.
        mask = masks.ravel()
        moves = (masks != self._renumbered(new, range(len(after)))[:, None]).ravel()
        was, now = np.repeat(self._was, width), mask == 0
        drops, keeps = was & ~now, now & ~was
        with frame.lock:
            for answers in zip(*streams, strict=True):
                part = answers[0][0]
                code = np.zeros(len(answers[0][1]), np.int64)
                differs = np.zeros(len(code), bool)
                for number, (_, broken) in enumerate(answers):
                    code |= broken.astype(np.int64) << number
                    stream = olds[number]
                    differs |= broken ^ next(stream)[1] if stream is not None else broken
                rows = np.flatnonzero(differs)
                if not len(rows):
                    continue
                key = frame.group[part][rows].astype(np.int64) * width + code[rows]
                shift = moves[key]  # out of every changed rule's scope nothing moves
                rows, key = rows[shift], key[shift]
                if not len(rows):
                    continue
                # Keys are few: counting them is faster than sorting the rows by them.
                count = np.bincount(key, minlength=len(moves))
                distinct = np.flatnonzero(count)
                sums = np.zeros((4, len(distinct)), np.int64)
                sums[0] = count[distinct]
                size = np.maximum(sizes[part][rows], 0).astype(np.float64)
                sums[1] = np.bincount(key, size, len(moves))[distinct]
                if tokens is not None:
                    encoded = tokens[part][rows]
                    size[is_null(encoded)] = 0
                    sums[2] = np.bincount(key, np.maximum(encoded, 0), len(moves))[distinct]
                    sums[3] = np.bincount(key, size, len(moves))[distinct]
                moved.group.append(distinct // width)
                moved.code.append(distinct % width)
                moved.sums.append(sums)
                for found, where in ((moved.dropped, drops), (moved.kept, keeps)):
                    room = max(examples - len(found), 0)
                    if room:
                        found.extend(
                            (rows[np.flatnonzero(where[key])[:room]] + part.start).tolist()
                        )
                if early and DEDUP.name in frame.steps:
                    bits = np.uint64(sum(1 << index for index in early))
                    moved.lost.append(rows[(mask[key] & bits) > 0] + part.start)
        return moved

    def _result(
        self,
        new: Altered,
        changed: Sequence[int],
        masks: npt.NDArray[np.uint64],
        moved: _Moved,
    ) -> Comparison:
        frame, groups = self.frame, self.frame.groups
        before, after = frame.rules, new.rules
        sources = [str(name) for name in frame.sources.names[1:]]
        changes = {name: Change() for name in sorted(sources)}
        for source, name in enumerate(frame.sources.names):
            if name is None:
                continue
            here = self._was & (groups.source == source)
            changes[name].kept_before = int(groups.documents[here].sum())
            changes[name].kept_before_bytes = int(groups.bytes[here].sum())
            changes[name].kept_before_tokens = int(groups.tokens[here].sum())
        counts = np.zeros(len(after) + 1, np.int64)
        old_counts = np.zeros(len(before) + 1, np.int64)
        first_old = groups.first()
        np.add.at(old_counts, first_old, groups.documents)
        # Each group's rows stay, less those that moved.
        place = np.array([*map(new.origin.index, range(len(before))), -1])
        np.add.at(counts, place[first_old], groups.documents)
        if moved.group:
            group = np.concatenate(moved.group)
            code = np.concatenate(moved.code)
            sums = np.concatenate(moved.sums, axis=1)
            mask = masks[group, code]
            np.add.at(counts, place[first_old[group]], -sums[0])
            np.add.at(counts, first_bit(mask), sums[0])
            was, now = self._was[group], mask == 0
            gone, come = was & ~now, now & ~was & ~self._missed[group]
            unknown = now & ~was & self._missed[group]
            rate = self._tokens_per_byte()[group]
            estimated = np.rint(sums[2] + (sums[1] - sums[3]) * rate).astype(np.int64)
            for source, name in enumerate(frame.sources.names):
                if name is None:
                    continue
                here = groups.source[group] == source
                change = changes[name]
                change.newly_dropped = int(sums[0][here & gone].sum())
                change.newly_dropped_bytes = int(sums[1][here & gone].sum())
                change.newly_dropped_tokens = int(sums[2][here & gone].sum())
                change.newly_kept = int(sums[0][here & come].sum())
                change.newly_kept_bytes = int(sums[1][here & come].sum())
                change.newly_kept_tokens = int(estimated[here & come].sum())
                change.unknown = int(sums[0][here & unknown].sum())
                change.unknown_bytes = int(sums[1][here & unknown].sum())
        self._add_copies(after, moved, changes)
        kept_before = sum(c.kept_before for c in changes.values())
        kept_after = kept_before + sum(c.newly_kept - c.newly_dropped for c in changes.values())
        reasons: dict[str, tuple[int, int]] = {}
        for rules, figures, side in ((before, old_counts, 0), (after, counts, 1)):
            for index, rule in enumerate(rules):
                pair = list(reasons.get(rule.reason, (0, 0)))
                pair[side] += int(figures[index])
                reasons[rule.reason] = (pair[0], pair[1])
        ids = [row["id"].hex() for row in frame.take(moved.dropped + moved.kept, ["id"])]
        return Comparison(
            rules=[str(after[index]) for index in changed],
            replaced=new.replaced,
            kept_before=kept_before,
            kept_after=kept_after,
            kept_after_at_most=kept_after + sum(c.unknown for c in changes.values()),
            sources=changes,
            reasons=reasons,
            examples_dropped=ids[: len(moved.dropped)],
            examples_kept=ids[len(moved.dropped) :],
        )

    def _tokens_per_byte(self) -> npt.NDArray[np.float64]:
        """Return for each group how many tokens a byte of its source's kept documents makes."""
        groups = self.frame.groups
        pool = groups.source.astype(np.int64) * len(self.frame.components.names) + groups.component
        size = int(pool.max(initial=0)) + 1
        tokens = np.bincount(pool, groups.tokens * self._was, size)
        count = np.bincount(pool, groups.bytes * self._was, size)
        total = count.sum()
        usual = tokens.sum() / total if total else 0.0
        rate = np.divide(tokens, count, out=np.full(size, usual), where=count > 0)
        return np.asarray(rate[pool])

    # Copies of dropped survivors

    def _add_copies(self, after: Sequence[Rule], moved: _Moved, changes: dict[str, Change]) -> None:
        """Count as unknown the copies, passing the rules before, whose survivor is dropped."""
        lost = np.concatenate(moved.lost) if moved.lost else np.zeros(0, np.int64)
        if not len(lost):
            return
        frame = self.frame
        rows = np.flatnonzero(frame.survivor >= 0)
        rows = rows[np.isin(frame.survivor[rows], lost)]
        passing = np.ones(len(rows), bool)
        source = frame.groups.source[frame.group[rows]]
        component = frame.groups.component[frame.group[rows]]
        for rule in after:  # of the others each copy passed those that decide before
            if rule in frame.rules or frame.step_index(rule) >= DEDUP_STEP:
                continue
            if frame.numeric(rule.column):
                broken = breaks_values(rule, frame.values(rule.column)[rows])
            else:
                broken = np.concatenate([part for _, part in frame.broken(rule)])[rows]
            passing &= ~(broken & frame.scoped(rule, source, component))
        sizes = frame.sizes("bytes")[rows]
        for code, name in enumerate(frame.sources.names):
            here = passing & (source == code)
            if name is not None and here.any():
                changes[name].unknown += int(here.sum())
                changes[name].unknown_bytes += int(sizes[here].sum())
