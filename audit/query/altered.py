"""A config with rules added or altered, and the rules that a run of it would decide by.

`what-if` answers for the config that *Rules as YAML* shows: both take it from here. A rule with the
side of one that the config has replaces it; otherwise it is the last of its column, a new column
the last of its scope, a new scope the last of `rules`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa
from pydantic import ValidationError

from audit.query.frame import MAX_RULES, Frame
from pipelines.stages.catalog import check_types, effective_rules, stage
from pipelines.storage.layout import DOCUMENTS
from schemas.config import Config
from schemas.errors import InputError
from schemas.load import rule_scopes
from schemas.rules import ALL, Rule, parse_condition, parse_rules, replaces

MAX_CHANGES = 8
"""Changed rules of one question."""
LIMITS = {
    "toxicity": ("toxicity", "drop_above", "<="),
    "spam": ("toxicity", "spam_above", "<="),
    "quality": ("quality", "drop_below", ">="),
    "pii_count": ("pii", "drop_above", "<="),
}
"""Columns with a key of their own for all documents: section, key, and the key's operator."""


@dataclass(frozen=True)
class Altered:
    """A config with changed rules, and how they follow from those of the run.

    `limits`: section and key → value, of the keys outside `rules` that changed. `origin`: for each
    rule the number that it, or the rule that it replaces, has among the run's; None where it is
    new. `changes`: (number among the run's rules, number among these) of what differs, None where
    there is none. `replaced`: the rules that those given stand in for.
    """

    config: Config
    limits: Mapping[tuple[str, str], float | None]
    rules: list[Rule]
    origin: list[int | None]
    changes: list[tuple[int | None, int | None]]
    replaced: list[str]


def asked(texts: Sequence[str]) -> list[Rule]:
    """Return the rules of `texts`. Raises InputError for a text that is not a rule."""
    try:
        rules = [rule for text in texts for rule in parse_rules(text)]
    except ValueError as error:
        raise InputError(f"--rule: {error}") from None
    for rule in rules:
        if rule.threshold is not None and not math.isfinite(rule.threshold):
            raise InputError(f"--rule {rule}: an infinite threshold; give a finite number")
    return rules


def check_scopes(config: Config, rules: Sequence[Rule]) -> None:
    """Raise InputError where a rule's scope is neither a component nor a source of the config."""
    known = rule_scopes(config)
    for rule in rules:
        if rule.scope not in known:
            raise InputError(
                f"--rule {rule}: no component or source is named {rule.scope!r}; "
                f"known: {', '.join(sorted(known))}"
            )


def question(frame: Frame, texts: Sequence[str]) -> Altered:
    """Return the config of a run with the rules of `texts` in place, and its rules.

    Raises InputError for what a run of that config would refuse, and for a column of a stage that
    has not run.
    """
    given = asked(texts)
    check_scopes(frame.config, given)
    for rule in given:
        key = f"--rule {rule}"
        check_types([rule], key, frame.schemas)
        step = frame.folder_of(rule.column)
        if step != DOCUMENTS and rule.column in (
            remedies := stage(step).not_computed(frame.config)
        ):
            raise InputError(f"{key}: the column is not computed; set {remedies[rule.column]}")
    new = altered(frame.config, frame.rules, given, frame.schemas, frame.next_step)
    if len(new.changes) > MAX_CHANGES:
        raise InputError(f"--rule: {len(new.changes)} changes; give {MAX_CHANGES} at most at once")
    if len(new.rules) > MAX_RULES:
        raise InputError(f"--rule: {len(new.rules)} rules with these; {MAX_RULES} at most")
    return new


def altered(
    config: Config,
    rules: Sequence[Rule],
    given: Sequence[Rule],
    schemas: Mapping[str, pa.Schema],
    before: str | None = None,
) -> Altered:
    """Return the config with the rules of `given` in place, and its rules.

    `rules`: those of the run, decided by the stages before `before`; `schemas`: their columns.
    """
    changed, limits = _changed(config, given)
    new = effective_rules(changed, before, schemas)
    origin, left = _origins(new, rules)
    changes: list[tuple[int | None, int | None]] = [
        (old, index)
        for index, (rule, old) in enumerate(zip(new, origin, strict=True))
        if old is None or rule != rules[old]
    ]
    changes += [(old, None) for old in left]
    return Altered(changed, limits, new, origin, changes, _replaced(rules, given))


def _origins(new: Sequence[Rule], old: Sequence[Rule]) -> tuple[list[int | None], list[int]]:
    """Return for each new rule the number of its old one, and the old ones that are gone."""
    left = list(range(len(old)))
    origin: list[int | None] = [None] * len(new)
    for same in (Rule.__eq__, replaces):
        for index, rule in enumerate(new):
            found = next((o for o in left if origin[index] is None and same(rule, old[o])), None)
            if found is not None:
                origin[index] = found
                left.remove(found)
    return origin, left


def _replaced(rules: Sequence[Rule], given: Sequence[Rule]) -> list[str]:
    standing, replaced = list(rules), []
    for rule in given:
        same = [index for index, old in enumerate(standing) if replaces(rule, old)]
        if same:
            replaced.append(str(standing[same[0]]))
            standing[same[0]] = rule
        else:
            standing.append(rule)
    return replaced


def _changed(
    config: Config, given: Sequence[Rule]
) -> tuple[Config, dict[tuple[str, str], float | None]]:
    conditions = {scope: dict(columns) for scope, columns in config.rules.items()}
    limits: dict[tuple[str, str], float | None] = {}
    for rule in given:
        standing = conditions.get(rule.scope, {}).get(rule.column)
        if rule.scope == ALL and rule.column in LIMITS:
            section, key, op = LIMITS[rule.column]
            value = _limit(config, rule) if standing is None else None
            now = limits.get((section, key), getattr(getattr(config, section), key))
            own = [] if now is None else parse_condition(ALL, rule.column, f"{op}{now!r}")
            if value is not None or any(replaces(rule, old) for old in own):
                limits[section, key] = value
            if value is not None:
                continue
        old = [] if standing is None else parse_condition(rule.scope, rule.column, standing)
        parts = [*(one for one in old if not replaces(rule, one)), rule]
        joined = ", ".join(one.condition for one in parts)
        conditions.setdefault(rule.scope, {})[rule.column] = joined
    update: dict[str, Any] = {"rules": conditions}
    for (section, key), value in limits.items():
        model = update.get(section, getattr(config, section))
        update[section] = model.model_copy(update={key: value})
    return config.model_copy(update=update), limits


def _limit(config: Config, rule: Rule) -> float | None:
    """Return the value of the key that stands for `rule`, None where the key cannot hold it."""
    section, key, op = LIMITS[rule.column]
    if rule.op != op or rule.null != "keep":
        return None
    value = cast(float, rule.value)
    whole = math.floor(value) if section == "pii" else value
    try:
        checked = type(getattr(config, section)).model_validate({key: whole})
    except ValidationError:
        return None
    return cast(float, getattr(checked, key))
