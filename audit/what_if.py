"""What changes if a rule is added or altered: answered from stored columns alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from audit.reading import decided, finished_steps, next_step, rules_of
from filters.decide import KEPT, decide
from pipelines.catalog import STEPS, rule_columns, rule_step
from schemas.config import Config
from schemas.errors import InputError
from schemas.rules import Rule, parse_rule


class Change(BaseModel):
    """What moves in one source: documents, bytes of text and tokens."""

    newly_dropped: int = 0
    newly_dropped_bytes: int = 0
    newly_dropped_tokens: int = 0
    newly_kept: int = 0
    newly_kept_bytes: int = 0
    unknown: int = 0
    """Would pass the changed rule, but later stages never looked at them."""


class Comparison(BaseModel):
    """Kept documents before and after, and the changes by source."""

    rules: list[str]
    replaced: list[str]
    kept_before: int
    kept_after: int
    kept_after_at_most: int
    """With every unknown document kept: the bound when a rule is loosened."""
    sources: dict[str, Change]
    examples_dropped: list[str]
    examples_kept: list[str]


def altered(rules: Sequence[Rule], texts: Sequence[str]) -> tuple[list[Rule], list[str]]:
    """Return `rules` with those of `texts` in place, and which of them were replaced.

    A new rule replaces one with its scope, column and direction; otherwise it is added after
    the last rule of its stage.
    """
    changed = list(rules)
    replaced = []
    for text in texts:
        try:
            rule = parse_rule(text)
        except ValueError as error:
            raise InputError(f"--rule: {error}") from None
        step = STEPS.index(rule_step(rule.scope, rule.column))
        same = [
            index
            for index, old in enumerate(changed)
            if (old.scope, old.column) == (rule.scope, rule.column)
            and old.op.strip("=") == rule.op.strip("=")
        ]
        if same:
            replaced.append(str(changed[same[0]]))
            changed[same[0]] = replace(rule, reason=changed[same[0]].reason)
            continue
        after = [
            i for i, old in enumerate(changed) if STEPS.index(rule_step("", old.column)) <= step
        ]
        changed.insert(after[-1] + 1 if after else 0, rule)
    return changed, replaced


def compare_rules(out: Path, config: Config, texts: Sequence[str], examples: int = 5) -> Comparison:
    """Return what the run in `out` would keep with the rules of `texts`.

    Exact wherever the annotations are there. A document that the changed rules keep and that
    a later stage has not annotated is counted as unknown. Duplicates are judged by the
    clusters as they are: a survivor that a tighter rule drops does not bring its copies back
    before the next run rebuilds them.
    """
    before = rules_of(out, config)
    after, replaced = altered(before, texts)
    for rule in after:
        step = rule_step(rule.scope, rule.column)
        limit = next_step(out, config)
        if limit is not None and STEPS.index(step) >= STEPS.index(limit):
            raise InputError(f"--rule {rule}: {step} has not run yet; run it first")
    steps = finished_steps(out, config)
    late = [
        (step, column)
        for step, column in (
            ("redact", "pii_count"),
            ("screen", "toxicity"),
            ("score", "quality"),
        )
        if step in steps
    ]
    extra = ["source", "id", "bytes"] + (["tokens"] if "tokenize" in steps else [])
    columns = list(dict.fromkeys([*extra, *rule_columns(after), *(column for _, column in late)]))
    changes: dict[str, Change] = defaultdict(Change)
    kept_before = kept_after = unknown_total = 0
    dropped_ids: list[str] = []
    kept_ids: list[str] = []
    for group in decided(out, config, before, columns):
        values = {name: group.columns.column(name) for name in columns}
        now = decide(values, after) == KEPT
        was = group.kept
        unseen = np.zeros(len(was), dtype=bool)
        for _, column in late:
            unseen |= np.asarray(values[column].is_null())
        unknown = now & ~was & unseen
        kept_before += int(was.sum())
        kept_after += int((now & ~unknown).sum())
        unknown_total += int(unknown.sum())
        sizes = np.asarray(values["bytes"].fill_null(0))
        tokens = np.asarray(values["tokens"].fill_null(0)) if "tokens" in values else sizes * 0
        sources = np.asarray(values["source"].to_pylist(), dtype=object)
        ids = values["id"]
        for source in np.unique(sources):
            here = sources == source
            gone, back = here & was & ~now, here & now & ~was & ~unseen
            change = changes[str(source)]
            change.newly_dropped += int(gone.sum())
            change.newly_dropped_bytes += int(sizes[gone].sum())
            change.newly_dropped_tokens += int(tokens[gone].sum())
            change.newly_kept += int(back.sum())
            change.newly_kept_bytes += int(sizes[back].sum())
            change.unknown += int((here & unknown).sum())
        for found, mask in ((dropped_ids, was & ~now), (kept_ids, now & ~was)):
            room = examples - len(found)
            found += [ids[int(i)].as_py().hex() for i in np.flatnonzero(mask)[: max(room, 0)]]
    return Comparison(
        rules=[str(rule) for rule in after if rule not in before],
        replaced=replaced,
        kept_before=kept_before,
        kept_after=kept_after,
        kept_after_at_most=kept_after + unknown_total,
        sources=dict(sorted(changes.items())),
        examples_dropped=dropped_ids,
        examples_kept=kept_ids,
    )
