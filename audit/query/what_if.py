"""What changes if a rule is added or altered: answered from stored columns alone.

Exact wherever the annotations are there, and bounded where they are not:

- A document that the changed rules keep, but that a later stage did not annotate, is *unknown*.
- Clusters of duplicates stay as they are. Where a changed rule decides before `dedup` and drops
  a cluster's survivor, its copies that pass may be kept: they are unknown too.
- A newly kept document may be a copy, or replace the survivor of a cluster: the count stays,
  the copy changes.

Tokens of documents that were not encoded are estimated from their bytes, at the tokens per byte
of the kept documents of the same source and component.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel

from audit.query.columns import Bools, Ints, Masks, breaks_values, is_null
from audit.query.frame import Frame
from audit.query.groups import first_bit
from pipelines.stages.catalog import STAGES, check_types, position, rule_stage
from pipelines.stages.dedup import STAGE as DEDUP
from schemas.config import Config
from schemas.errors import InputError
from schemas.load import rule_scopes
from schemas.rules import Rule, parse_rules, replaces

MAX_CHANGES = 8
DEDUP_STEP = next(at for at, stage in enumerate(STAGES) if stage.whole)


class Change(BaseModel):
    """Changes of one source: documents, bytes of text and tokens."""

    kept_before: int = 0
    kept_before_bytes: int = 0
    kept_before_tokens: int = 0
    newly_dropped: int = 0
    newly_dropped_bytes: int = 0
    newly_dropped_tokens: int = 0
    newly_kept: int = 0
    newly_kept_bytes: int = 0
    newly_kept_tokens: int = 0
    """Counted where the document has been encoded, else estimated from its bytes."""
    unknown: int = 0
    """Documents that pass the changed rules but have no annotation of a later stage."""
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
    """Return the rules of `texts`. Raises InputError for a text that is not a rule."""
    try:
        return [rule for text in texts for rule in parse_rules(text)]
    except ValueError as error:
        raise InputError(f"--rule: {error}") from None


def check_scopes(config: Config, rules: Sequence[Rule]) -> None:
    """Raise InputError where a rule's scope is neither a component nor a source of the config."""
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
    """Rows whose answer to a changed rule differs, summed by group and new answers.

    `code`: bit b is the new answer to change b. `sums`: documents, bytes, tokens, and bytes of
    the documents that have tokens. `lost`: rows that a change before dedup drops.
    """

    group: list[Ints] = field(default_factory=list)
    code: list[Ints] = field(default_factory=list)
    sums: list[Ints] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    lost: list[Ints] = field(default_factory=list)


@dataclass(frozen=True)
class _Transitions:
    """What each (group, code) as one number means: whether rows move, and between which sides."""

    width: int
    mask: Masks
    moves: Bools
    drops: Bools
    keeps: Bools


class WhatIf:
    """Answers questions about one frame."""

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
        if len(changed) > MAX_CHANGES:
            raise InputError(f"--rule: {len(changed)} changes; give {MAX_CHANGES} at most at once")
        for index in changed:
            rule = new.rules[index]
            frame.folder_of(rule.column)
            check_types([rule], f"--rule {rule}", frame.schemas)
        masks = self._masks(new, changed)
        moved = self._moved(new, changed, masks, examples)
        return self._result(new, changed, masks, moved)

    def _masks(self, new: Altered, changed: Sequence[int]) -> Masks:
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

    def _renumbered(self, new: Altered, numbers: Iterable[int]) -> Masks:
        """Return the old mask of each group, with new numbers: the rules of `numbers` alone."""
        mask = self.frame.groups.mask
        found = np.zeros(len(mask), np.uint64)
        for index in numbers:
            old = new.origin[index]
            if old is not None:
                bit = (mask >> np.uint64(old)) & np.uint64(1)
                found |= bit << np.uint64(index)
        return found

    def _moved(self, new: Altered, changed: Sequence[int], masks: Masks, examples: int) -> _Moved:
        """Return the rows that the rules `changed` move, summed, with a few of them by number."""
        frame = self.frame
        moved = _Moved()
        if not changed:
            return moved
        width = 1 << len(changed)
        mask = masks.ravel()
        # Out of every changed rule's scope nothing moves.
        moves = (masks != self._renumbered(new, range(len(new.rules)))[:, None]).ravel()
        was, now = np.repeat(self._was, width), mask == 0
        meaning = _Transitions(width, mask, moves, was & ~now, now & ~was)
        early = [index for index in changed if frame.step_index(new.rules[index]) < DEDUP_STEP]
        bits = np.uint64(sum(1 << index for index in early))
        with frame.lock:
            for differing, code in self._differing(new, changed):
                keys = frame.group[differing].astype(np.int64) * width + code
                shift = meaning.moves[keys]
                rows, key = differing[shift], keys[shift]
                if not len(rows):
                    continue
                self._sum(moved, meaning, rows, key)
                for examples_of, where in (
                    (moved.dropped, meaning.drops),
                    (moved.kept, meaning.keeps),
                ):
                    room = max(examples - len(examples_of), 0)
                    examples_of.extend(rows[np.flatnonzero(where[key])[:room]].tolist())
                if early and "dedup" in frame.steps:
                    moved.lost.append(rows[(meaning.mask[key] & bits) > 0])
        return moved

    def _differing(self, new: Altered, changed: Sequence[int]) -> Iterator[tuple[Ints, Ints]]:
        """Yield (rows, their codes) where an answer differs, block by block."""
        frame = self.frame
        streams = [frame.broken(new.rules[index]) for index in changed]
        origins = [new.origin[index] for index in changed]
        olds = [frame.broken(frame.rules[o]) if o is not None else None for o in origins]
        for answers in zip(*streams, strict=True):
            part = answers[0][0]
            code = np.zeros(len(answers[0][1]), np.int64)
            differs = np.zeros(len(code), bool)
            for number, (_, broken) in enumerate(answers):
                code |= broken.astype(np.int64) << number
                stream = olds[number]
                differs |= broken ^ next(stream)[1] if stream is not None else broken
            rows = np.flatnonzero(differs)
            if len(rows):
                yield rows + part.start, code[rows]

    def _sum(self, moved: _Moved, meaning: _Transitions, rows: Ints, key: Ints) -> None:
        """Add the sizes of `rows` to `moved`, by their keys (group and code as one number)."""
        frame = self.frame
        # Keys are few: counting them is faster than sorting the rows by them.
        count = np.bincount(key, minlength=len(meaning.moves))
        distinct = np.flatnonzero(count)
        sums = np.zeros((4, len(distinct)), np.int64)
        sums[0] = count[distinct]
        size = np.maximum(frame.sizes("bytes")[rows], 0).astype(np.float64)
        sums[1] = np.bincount(key, size, len(count))[distinct]
        if "tokenize" in frame.steps:
            tokens = frame.sizes("tokens")[rows]
            size[is_null(tokens)] = 0
            sums[2] = np.bincount(key, np.maximum(tokens, 0), len(count))[distinct]
            sums[3] = np.bincount(key, size, len(count))[distinct]
        moved.group.append(distinct // meaning.width)
        moved.code.append(distinct % meaning.width)
        moved.sums.append(sums)

    def _result(
        self, new: Altered, changed: Sequence[int], masks: Masks, moved: _Moved
    ) -> Comparison:
        frame = self.frame
        changes = self._kept_before()
        counts = self._first_reasons(new, masks, moved, changes)
        self._add_copies(new.rules, moved, changes)
        kept_before = sum(c.kept_before for c in changes.values())
        kept_after = kept_before + sum(c.newly_kept - c.newly_dropped for c in changes.values())
        before = np.zeros(len(frame.rules) + 1, np.int64)
        np.add.at(before, frame.groups.first(), frame.groups.documents)
        reasons: dict[str, tuple[int, int]] = {}
        for rules, figures, side in ((frame.rules, before, 0), (new.rules, counts, 1)):
            for index, rule in enumerate(rules):
                pair = list(reasons.get(rule.reason, (0, 0)))
                pair[side] += int(figures[index])
                reasons[rule.reason] = (pair[0], pair[1])
        ids = [row["id"].hex() for row in frame.take(moved.dropped + moved.kept, ["id"])]
        return Comparison(
            rules=[str(new.rules[index]) for index in changed],
            replaced=new.replaced,
            kept_before=kept_before,
            kept_after=kept_after,
            kept_after_at_most=kept_after + sum(c.unknown for c in changes.values()),
            sources=changes,
            reasons=reasons,
            examples_dropped=ids[: len(moved.dropped)],
            examples_kept=ids[len(moved.dropped) :],
        )

    def _kept_before(self) -> dict[str, Change]:
        """Return a change per source that holds what the run keeps now."""
        groups = self.frame.groups
        changes = {}
        for name, source in self._sources():
            here = self._was & (groups.source == source)
            changes[name] = Change(
                kept_before=int(groups.documents[here].sum()),
                kept_before_bytes=int(groups.bytes[here].sum()),
                kept_before_tokens=int(groups.tokens[here].sum()),
            )
        return changes

    def _sources(self) -> list[tuple[str, int]]:
        """Return the names of the sources and their codes, by name."""
        names = self.frame.sources.names
        return sorted((name, code) for code, name in enumerate(names) if name is not None)

    def _first_reasons(
        self, new: Altered, masks: Masks, moved: _Moved, changes: dict[str, Change]
    ) -> Ints:
        """Return the documents by the first of the new rules that each breaks, kept ones last.

        Adds to `changes`, by source, what moves between dropped and kept.
        """
        groups = self.frame.groups
        counts = np.zeros(len(new.rules) + 1, np.int64)
        first = groups.first()
        # The rows of each group stay where its rule is now, less those that moved.
        now_at = np.array([*map(new.origin.index, range(len(self.frame.rules))), -1])
        np.add.at(counts, now_at[first], groups.documents)
        if not moved.group:
            return counts
        group = np.concatenate(moved.group)
        sums = np.concatenate(moved.sums, axis=1)
        mask = masks[group, np.concatenate(moved.code)]
        np.add.at(counts, now_at[first[group]], -sums[0])
        np.add.at(counts, first_bit(mask), sums[0])
        was, now = self._was[group], mask == 0
        gone, come = was & ~now, now & ~was & ~self._missed[group]
        unknown = now & ~was & self._missed[group]
        rate = self._tokens_per_byte()[group]
        estimated = np.rint(sums[2] + (sums[1] - sums[3]) * rate).astype(np.int64)
        for name, source in self._sources():
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
        return counts

    def _tokens_per_byte(self) -> npt.NDArray[np.float64]:
        """Return for each group the tokens per byte of its source's kept documents."""
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
        for rule in after:  # each copy passed the other rules that decide before
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
