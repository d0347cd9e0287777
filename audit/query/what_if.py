"""What changes if a rule is added or altered: answered from stored columns alone.

The answer is what a run of the changed config keeps. It is exact where the run has all that the
stages need, and has bounds where not:

- A document that the changed rules keep, but that a later stage with rules did not annotate, is
  *unknown*.
- Clusters of duplicates are found again among the documents that a change can reach
  (`audit.query.recluster`), and so are duplicates in meaning (`audit.query.resemantic`). Where that
  is too much, or a document lacks an embedding, all documents concerned are unknown.
- Values that depend on all kept documents, `tokens` with a tokenizer trained in the run and
  `repeated`, may differ after any change: rules on them make documents unknown.

In runs of more documents than MAX_ROWS, clusters are taken as they are: see
`Comparison.clusters`.

Tokens of documents that were not encoded are estimated from their bytes, at the tokens per byte
of the kept documents of the same source and component.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from audit.query.altered import Altered, question
from audit.query.frame import Frame
from audit.query.moved import Entries, Moves
from pipelines.stages.sign import STAGE as SIGN
from schemas.config import Config

if TYPE_CHECKING:
    from audit.query.recluster import Buckets

MAX_ROWS = 500_000
"""Documents of a run whose buckets are held in memory: about 300 bytes each."""


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
    """Documents that the run drops and that may be kept."""
    unknown_bytes: int = 0
    at_risk: int = 0
    """Documents that the run keeps and that may be dropped."""
    at_risk_bytes: int = 0


class Comparison(BaseModel):
    """Kept documents before and after, and the changes by source."""

    rules: list[str]
    replaced: list[str]
    kept_before: int
    kept_after: int
    """Where every unknown document and every one at risk stays as it is."""
    kept_after_at_least: int
    """With every document at risk dropped."""
    kept_after_at_most: int
    """With every unknown document kept."""
    clusters: Literal["same", "computed", "assumed"]
    """`computed` where clusters of duplicates were found again; `assumed` where they may differ but
    are taken as they are, so that the real number may be outside of at least and at most."""
    sources: dict[str, Change]
    reasons: dict[str, tuple[int, int]]
    """Reason → documents before and after, by the first rule that each breaks."""
    examples_dropped: list[str]
    examples_kept: list[str]


def compare_rules(out: Path, config: Config, texts: Sequence[str], examples: int = 5) -> Comparison:
    """Return what the run in `out` would keep with the rules of `texts`."""
    return WhatIf(Frame(out, config)).compare(texts, examples)


class WhatIf:
    """Answers questions about one frame."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._buckets: Buckets | None = None

    def compare(self, texts: Sequence[str], examples: int = 5) -> Comparison:
        """Return the comparison for the rules of `texts`. Raises InputError for a bad rule."""
        frame = self.frame
        new = question(frame, texts)
        with frame.lock:
            moves = Moves(frame, new, self.buckets, examples)
            entries = moves.entries()
        return self._result(new, moves, entries)

    def buckets(self) -> Buckets | None:
        """Return the run's buckets of possible duplicates, read once.

        None where the run has no signatures or more than MAX_ROWS documents.
        """
        signed = self.frame.schemas.get(SIGN.name)
        known = signed is not None and {"signature", "url_key"} <= {*signed.names}
        if self._buckets is None and known and self.frame.rows <= MAX_ROWS:
            from audit.query.recluster import Buckets

            self._buckets = Buckets(self.frame)
        return self._buckets

    def _result(self, new: Altered, moves: Moves, entries: Entries) -> Comparison:
        frame = self.frame
        changes = self._changes(entries)
        before = np.zeros(len(frame.rules) + 1, np.int64)
        np.add.at(before, frame.groups.first(), frame.groups.documents)
        after = np.zeros(len(new.rules) + 1, np.int64)
        np.add.at(after, entries.first(), entries.sums[0])
        reasons: dict[str, tuple[int, int]] = {}
        for rules, figures, side in ((frame.rules, before, 0), (new.rules, after, 1)):
            for index, rule in enumerate(rules):
                pair = list(reasons.get(rule.reason, (0, 0)))
                pair[side] += int(figures[index])
                reasons[rule.reason] = (pair[0], pair[1])
        kept_before = sum(c.kept_before for c in changes.values())
        kept_after = kept_before + sum(c.newly_kept - c.newly_dropped for c in changes.values())
        shown = [*moves.dropped, *moves.kept]
        ids = [row["id"].hex() for row in frame.take(shown, ["id"])]
        return Comparison(
            rules=[str(new.rules[index]) for _, index in new.changes if index is not None],
            replaced=new.replaced,
            kept_before=kept_before,
            kept_after=kept_after,
            kept_after_at_least=kept_after - sum(c.at_risk for c in changes.values()),
            kept_after_at_most=kept_after + sum(c.unknown for c in changes.values()),
            clusters=moves.clusters,
            sources=changes,
            reasons=reasons,
            examples_dropped=ids[: len(moves.dropped)],
            examples_kept=ids[len(moves.dropped) :],
        )

    def _changes(self, entries: Entries) -> dict[str, Change]:
        """Return the change of each source."""
        groups = self.frame.groups
        was = groups.mask == 0
        here = was[entries.group]
        dropped, kept = entries.mask != 0, (entries.mask == 0) & ~entries.open
        documents, size, tokens, encoded = entries.sums
        rate = self._tokens_per_byte()[entries.group]
        estimated = tokens + (size - encoded) * rate
        source = groups.source[entries.group]
        changes = {}
        for name, code in self._sources():
            own, mine = source == code, was & (groups.source == code)
            gone, come = own & here & dropped, own & ~here & kept
            unknown, risk = own & ~here & entries.open, own & here & entries.open
            changes[name] = Change(
                kept_before=int(groups.documents[mine].sum()),
                kept_before_bytes=int(groups.bytes[mine].sum()),
                kept_before_tokens=int(groups.tokens[mine].sum()),
                newly_dropped=int(documents[gone].sum()),
                newly_dropped_bytes=int(size[gone].sum()),
                newly_dropped_tokens=int(tokens[gone].sum()),
                newly_kept=int(documents[come].sum()),
                newly_kept_bytes=int(size[come].sum()),
                newly_kept_tokens=int(np.rint(estimated[come].sum())),
                unknown=int(documents[unknown].sum()),
                unknown_bytes=int(size[unknown].sum()),
                at_risk=int(documents[risk].sum()),
                at_risk_bytes=int(size[risk].sum()),
            )
        return changes

    def _sources(self) -> list[tuple[str, int]]:
        """Return the names of the sources and their codes, by name."""
        names = self.frame.sources.names
        return sorted((name, code) for code, name in enumerate(names) if name is not None)

    def _tokens_per_byte(self) -> npt.NDArray[np.float64]:
        """Return for each group the tokens per byte of its source's kept documents."""
        groups = self.frame.groups
        was = groups.mask == 0
        pool = groups.source.astype(np.int64) * len(self.frame.components.names) + groups.component
        size = int(pool.max(initial=0)) + 1
        tokens = np.bincount(pool, groups.tokens * was, size)
        count = np.bincount(pool, groups.bytes * was, size)
        total = count.sum()
        usual = tokens.sum() / total if total else 0.0
        rate = np.divide(tokens, count, out=np.full(size, usual), where=count > 0)
        return np.asarray(rate[pool])
