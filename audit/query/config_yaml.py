"""The sections of a config that changed rules stand for, as YAML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import yaml

from audit.query.what_if import altered, asked, check_scopes
from schemas.config import Config
from schemas.rules import ALL, Rule, parse_condition, replaces

SECTIONS = {
    ("toxicity", "<="): ("toxicity", "drop_above"),
    ("spam", "<="): ("toxicity", "spam_above"),
    ("quality", ">="): ("quality", "drop_below"),
    ("pii_count", "<="): ("pii", "drop_above"),
}
"""Rules for all documents that have a key of their own: (column, operator) → section, key."""


def changed_yaml(config: Config, rules: Sequence[Rule], texts: Sequence[str]) -> str:
    """Return the config's `rules`, and other sections, with the rules of `texts` in place."""
    given = asked(texts)
    check_scopes(config, given)
    altered(rules, texts)  # refuses a column that no stage adds
    conditions = {scope: dict(columns) for scope, columns in config.rules.items()}
    sections: dict[str, Any] = {}
    for rule in given:
        place = SECTIONS.get((rule.column, rule.op)) if rule.scope == ALL else None
        if place is not None and rule.null == "keep" and rule.column not in conditions.get(ALL, {}):
            number = cast(float, rule.value)
            whole = place[0] == "pii"
            sections.setdefault(place[0], {})[place[1]] = math.floor(number) if whole else number
            continue
        old = conditions.get(rule.scope, {}).get(rule.column)
        standing = [] if old is None else parse_condition(rule.scope, rule.column, old)
        others = [one for one in standing if not replaces(rule, one)]
        joined = ", ".join(one.condition for one in [*others, rule])
        conditions.setdefault(rule.scope, {})[rule.column] = joined
    if conditions != {scope: dict(columns) for scope, columns in config.rules.items()}:
        sections = {"rules": conditions, **sections}
    return str(yaml.safe_dump(sections, allow_unicode=True, sort_keys=False))
