"""Rules: a condition over a column, and what makes a document fail it.

A rule is written as the condition to be *kept*: `ko: {hangul_ratio: ">=0.2"}`. The first
rule that a document breaks is the reason for its drop. This module knows the syntax;
`filters.rules.evaluate` evaluates columns.

A condition is text, or the same as a mapping::

    ">=1, <=10"                           {">=": 1, "<=": 10}
    "==MIT, null: keep"                   {"==": MIT, null: keep}
    "in [CC0-1.0, MIT], null: drop"       {in: [CC0-1.0, MIT], null: drop}

A value in text is a number, `true`, `false`, or a string: bare, or in quotes where it looks like
something else (`"5"`), has a comma, a bracket, or a space at its edge. Double quotes are JSON's;
inside single quotes, '' is a quote. Whole numbers are exact, however large.

**What null means.** A null signal does not apply to the document, so a rule on it holds. A null
column of the document itself (`license`, `url`, `timestamp`, `meta`) is not what was asked for,
so a rule on it fails. `null: keep` and `null: drop` override either. NaN is null.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from schemas.documents import DOCUMENT

Op = Literal[">=", "<=", ">", "<", "==", "!=", "in", "null", "valid", "lacks"]
Null = Literal["keep", "drop"]
Scalar = int | float | str | bool
Value = Scalar | tuple[Scalar, ...] | None

ORDERED = (">=", "<=", ">", "<")
ALL = "all"

_STRING = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'"
_SCALAR = re.compile(rf"\s*(>=|<=|==|!=|>|<)\s*({_STRING}|[^\s,\"'][^,]*)\s*(?:,|\Z)")
_LIST = re.compile(rf"\s*in\s*\[((?:{_STRING}|[^\]\"'])*)\]\s*(?:,|\Z)")
_ITEM = re.compile(rf"\s*({_STRING}|[^\s,\"'][^,]*?)\s*(?:,|\Z)")
_NULL = re.compile(r"\s*null\s*:\s*([^\s,]*)\s*(?:,|\Z)")
_BARE = re.compile(r"[^\s,\[\]\"'=\\](?:[^,\[\]\"'\\\x00-\x1f\x7f]*[^\s,\[\]\"'\\])?")
_RULE = re.compile(r"\s*([\w*-]+)\.(\w+)(\s*(?:>=|<=|==|!=|>|<).+|\s+in\s*\[.+)", re.DOTALL)

_FORM = 'write what is kept, such as ">=0.2", ">=1, <=10", "==MIT" or "in [ko, en]"'


@dataclass(frozen=True)
class Rule:
    """Documents of `scope` are kept where `column op value` holds.

    `scope` is a component, a source or `all`. `reason` names the rule in ledgers and in
    `explain`. `null` says what happens to a document whose column is null or NaN. `value` of `in`
    is a tuple. Three operators come from the config's sections, not from its rules: `null`
    keeps where the column is null, `valid` where it is not, `lacks` where the list in the
    column does not hold `value`.
    """

    scope: str
    column: str
    op: Op
    value: Value
    reason: str
    null: Null = "keep"

    def __str__(self) -> str:
        """Return the rule in full: `parse_rule` reads the same rule back."""
        name = f"{self.scope}.{self.column}"
        if self.op in ("null", "valid"):
            return f"{name} is {self.op}"
        if self.op == "lacks":
            return f"{name} lacks {self.value}"
        return f"{name}{' ' if self.op == 'in' else ''}{self.condition}"

    @property
    def condition(self) -> str:
        """The rule as a condition of its column, with what null means where it may be null."""
        text = _written(self.op, self.value)
        given = self.column in DOCUMENT.names and DOCUMENT.field(self.column).nullable
        if given or self.null != null_default(self.column):
            text += f", null: {self.null}"
        return text

    def covers(self, component: str | None, source: str | None) -> bool:
        """Return whether the rule is about documents of this component and source."""
        return self.scope in (ALL, component, source)

    @property
    def threshold(self) -> float | None:
        """The number that an ordered rule compares with; None for every other rule."""
        return float(cast(float, self.value)) if self.op in ORDERED else None

    @property
    def when_null(self) -> Null:
        """What happens to a document whose column is null, under every operator."""
        return "drop" if self.op == "valid" else "keep" if self.op == "null" else self.null


def null_default(column: str) -> Null:
    """Return what null means in `column` where a rule does not say: see the module."""
    return "drop" if column in DOCUMENT.names else "keep"


def is_number(value: object) -> bool:
    """Return whether a rule's value is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def replaces(new: Rule, old: Rule) -> bool:
    """Return whether `new`, given for a run, stands in for `old`.

    It does on the same side of the same column and scope: a lower bound for a lower bound, `==`
    or `in` for either. Each `!=` excludes a value of its own, so it replaces only itself.
    """
    if (new.scope, new.column) != (old.scope, old.column):
        return False
    if new.op == "!=" or old.op == "!=":
        return (new.op, new.value) == (old.op, old.value)
    return _side(new.op) == _side(old.op)


def _side(op: Op) -> str:
    return "is" if op in ("==", "in") else op.strip("=")


# Values


def _value(text: str) -> Scalar:
    """Return what the text of a value stands for. Raises ValueError where it is nothing."""
    if text[0] == '"':
        try:
            return str(json.loads(text, strict=False))
        except ValueError:
            raise ValueError(
                f"{text} is not a string; inside double quotes escape as JSON"
            ) from None
    if text[0] == "'":
        return text[1:-1].replace("''", "'")
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    number = _number(text)
    if isinstance(number, float) and math.isinf(number) and "inf" not in text.lower():
        raise ValueError(f"{text} is beyond what a number can hold; quote it if a string is meant")
    return text if number is None else number


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _bare(text: str) -> bool:
    """Return whether a string reads back as itself without quotes."""
    if _BARE.fullmatch(text) is None or not text.isprintable() or _number(text) is not None:
        return False
    return _value(text) == text


def _shown(value: Scalar) -> str:
    """Return the text of one value, in full."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 2**53
        return str(int(value)) if whole else repr(value)
    if isinstance(value, int):
        return str(value)
    return value if _bare(value) else json.dumps(value, ensure_ascii=False)


def _written(op: Op, value: Value) -> str:
    if isinstance(value, tuple):
        return f"{op} [{', '.join(map(_shown, value))}]"
    return f"{op}{_shown(cast(Scalar, value))}"


def _checked(op: Op, value: Any) -> Value:
    """Return a value that `op` can compare with. Raises ValueError with the remedy."""
    if op == "in":
        if not isinstance(value, list | tuple) or not value:
            raise ValueError("in wants a list of values; write for example in [ko, en]")
        items = tuple(cast(Scalar, _checked("==", item)) for item in value)
        if len({"number" if is_number(item) else type(item).__name__ for item in items}) > 1:
            shown = ", ".join(map(_shown, items))
            raise ValueError(
                f"in [{shown}] mixes kinds; give numbers or strings, quoted if need be"
            )
        return items
    if not isinstance(value, int | float | str):
        raise ValueError(f"{op} wants one value, not {value!r}; quote what is meant as a string")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"{value!r} holds half a surrogate pair; write the character"
            ) from None
    elif math.isnan(value):
        raise ValueError(f"{op} wants a number, not 'nan'; quote it if the string is meant")
    elif not isinstance(value, float) and abs(value) >= 10**308:
        raise ValueError(f"{op} wants a number of 308 digits or fewer")
    if op in ORDERED and not is_number(value):
        raise ValueError(f"{op} wants a number, not {value!r}")
    return value


# Conditions

Part = tuple[Op, Value, Null | None]
"""A comparison, and what null means there as far as the condition says."""


def _null(word: Any) -> Null:
    if word == "keep":
        return "keep"
    if word == "drop":
        return "drop"
    raise ValueError(f"null: must be keep or drop, got {word!r}")


def _parts_of_text(text: str) -> list[Part]:
    parts: list[Part] = []
    open_from = at = 0
    while at < len(text) or not parts:
        if match := _SCALAR.match(text, at):
            op, value = cast(Op, match.group(1)), _value(match.group(2))
            parts.append((op, _checked(op, value), None))
        elif match := _LIST.match(text, at):
            parts.append(("in", _checked("in", _items(match.group(1))), None))
        elif (match := _NULL.match(text, at)) and open_from < len(parts):
            null = _null(match.group(1))
            parts[open_from:] = [(op, value, null) for op, value, _ in parts[open_from:]]
            open_from = len(parts)
        else:
            raise ValueError(f"{text!r} is not a condition; {_FORM}")
        at = match.end()
    if text.rstrip().endswith(","):
        raise ValueError(f"{text!r} is not a condition: it ends in a comma; {_FORM}")
    return parts


def _items(text: str) -> list[Scalar]:
    items: list[Scalar] = []
    at = 0
    while at < len(text):
        match = _ITEM.match(text, at)
        if match is None:
            raise ValueError(f"in [{text}]: {text[at:]!r} is not a value; put strings in quotes")
        items.append(_value(match.group(1)))
        at = match.end()
    return items


def _parts_of_mapping(condition: Mapping[Any, Any]) -> list[Part]:
    parts: list[Part] = []
    null: Null | None = None
    for key, value in condition.items():
        if key in (None, "null"):  # YAML reads a bare `null` as a key of its own kind
            null = _null(value)
        elif key in (*ORDERED, "==", "!=", "in"):
            parts.append((key, _checked(key, value), None))
        else:
            raise ValueError(f"{key!r} is not an operator; known: >=, <=, >, <, ==, !=, in, null")
    if not parts:
        raise ValueError(f"{dict(condition)!r} compares nothing; {_FORM}")
    return [(op, value, null) for op, value, _ in parts]


def _parts(condition: Any) -> list[Part]:
    if isinstance(condition, Mapping):
        return _parts_of_mapping(condition)
    if isinstance(condition, bool):
        raise ValueError(f'{condition!r} is not a condition; write "=={str(condition).lower()}"')
    return _parts_of_text(str(condition))


def condition_text(condition: Any) -> str:
    """Return a condition, text or mapping, as text. Raises ValueError with the remedy."""
    parts = _parts(condition)
    if not isinstance(condition, Mapping):
        return str(condition)
    null = parts[-1][2]
    texts = [_written(op, value) for op, value, _ in parts]
    return ", ".join([*texts, *([f"null: {null}"] if null else [])])


def parse_condition(
    scope: str, column: str, condition: Any, null: Null | None = None
) -> list[Rule]:
    """Return the rules that `column: condition` stands for under `scope`.

    `condition` is text such as ">=0.2" or ">=1, <=10", or a mapping; see the module. `null`: what
    null means where the condition does not say, if not the column's own default. Raises
    ValueError with the remedy if it is neither.
    """
    default = null_default(column) if null is None else null
    return [
        Rule(scope, column, op, value, column, given or default)
        for op, value, given in _parts(condition)
    ]


def parse_rules(text: str, null: Null | None = None) -> list[Rule]:
    """Return the rules written as `ko.hangul_ratio>=0.3` or, on both sides, `ko.words>=1, <=10`.

    `null` as for `parse_condition`. Raises ValueError with the remedy.
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is not a rule; write for example "ko.hangul_ratio>=0.3"')
    scope, column, condition = match.groups()
    return parse_condition(scope, column, condition, null)


def parse_rule(text: str, null: Null | None = None) -> Rule:
    """Return the one rule written as `ko.hangul_ratio>=0.3`. Raises ValueError with the remedy."""
    rule, *others = parse_rules(text, null)
    if others:
        raise ValueError(f"{text!r} is {1 + len(others)} conditions; write one")
    return rule
