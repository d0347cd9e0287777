"""Rules: a condition over an annotation column, and what makes a document fail it.

A rule is written as the condition to be *kept*: `ko: {hangul_ratio: ">=0.2"}`. The first
rule that a document breaks is the reason for its drop. This module knows the syntax; the
columns are evaluated by `filters.decide`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

Op = Literal[">=", "<=", ">", "<", "==", "!=", "null", "valid", "lacks"]

_CONDITION = re.compile(r"^\s*(>=|<=|==|!=|>|<)\s*(.+?)\s*$")
_RULE = re.compile(r"^\s*([\w*-]+)\.(\w+)\s*((?:>=|<=|==|!=|>|<).+)$")
ALL = "all"


@dataclass(frozen=True)
class Rule:
    """Documents of `scope` are kept where `column op value` holds or the column is null.

    `scope` is a component, a source or `all`. `reason` names the rule in ledgers and in
    `explain`. Three operators come from the config's sections, not from its rules: `null`
    keeps where the column is null, `valid` where it is not, `lacks` where the list in the
    column does not hold `value`.
    """

    scope: str
    column: str
    op: Op
    value: float | str | bool | None
    reason: str

    def __str__(self) -> str:
        if self.op in ("null", "valid"):
            return f"{self.scope}.{self.column} is {self.op}"
        if self.op == "lacks":
            return f"{self.scope}.{self.column} lacks {self.value}"
        value = f"{self.value:g}" if isinstance(self.value, float) else str(self.value)
        return f"{self.scope}.{self.column}{self.op}{value}"


def _value(text: str) -> float | str | bool:
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return text.strip("'\"")


def parse_condition(scope: str, column: str, condition: Any) -> list[Rule]:
    """Return the rules that `column: condition` stands for under `scope`.

    `condition` is a string such as ">=0.2", or several joined by commas: ">=1, <=10". Raises
    ValueError with the remedy if it is neither.
    """
    rules = []
    for part in str(condition).split(","):
        match = _CONDITION.match(part)
        if match is None or isinstance(condition, bool):
            raise ValueError(
                f'{condition!r} is no condition; write what is kept, such as ">=0.2" or ">=1, <=10"'
            )
        op, text = match.groups()
        value = _value(text)
        number = isinstance(value, float)
        if (number and math.isnan(float(value))) or (op not in ("==", "!=") and not number):
            raise ValueError(f"{op} wants a number, not {text!r}")
        rules.append(Rule(scope, column, op, value, column))  # type: ignore[arg-type]  # op is one of Op by the pattern
    return rules


def parse_rules(text: str) -> list[Rule]:
    """Return the rules written as `ko.hangul_ratio>=0.3` or, on both sides, `ko.words>=1, <=10`.

    Raises ValueError with the remedy.
    """
    match = _RULE.match(text)
    if match is None:
        raise ValueError(f'{text!r} is no rule; write for example "ko.hangul_ratio>=0.3"')
    scope, column, condition = match.groups()
    return parse_condition(scope, column, condition)


def parse_rule(text: str) -> Rule:
    """Return the one rule written as `ko.hangul_ratio>=0.3`. Raises ValueError with the remedy."""
    rule, *others = parse_rules(text)
    if others:
        raise ValueError(f"{text!r} is {1 + len(others)} conditions; write one")
    return rule
