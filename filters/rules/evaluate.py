"""The one evaluator of rules: a mask over an Arrow column, and the same condition as SQL.

`OPERATORS` holds both forms of each operator side by side; the rest is shared. A rule is first
converted to the column's type (`_compared`), where every comparison is exact:

- floats: the value is rounded to the column's precision, so that a threshold means the decimal
  as written;
- whole numbers: the value becomes the nearest whole bound inside the type's range, or all rows have
  the same result;
- strings, booleans and lists of strings: the value unchanged, by bytes.

Null and NaN are decided before any comparison, as `schemas/rules.py` states.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.columnar.arrays import Mask
from schemas.rules import ORDERED, Rule, Scalar, is_number


@dataclass(frozen=True)
class Operator:
    """One comparison in both languages; neither form is applied to null.

    `arrow` takes a column and a scalar of its type (for `in`: an array of them) and returns a
    boolean array. `sql` is a format string of the column and the literal (for `in`: literals).
    """

    arrow: Callable[[pa.Array, Any], pa.Array]
    sql: str


def _lacks(column: pa.ListArray, value: pa.Scalar) -> pa.Array:
    rows = pc.list_parent_indices(column).filter(pc.equal(pc.list_flatten(column), value))
    lacking = np.ones(len(column), dtype=bool)
    lacking[np.asarray(rows)] = False
    return pa.array(lacking)


OPERATORS = {
    ">=": Operator(pc.greater_equal, "{} >= {}"),
    "<=": Operator(pc.less_equal, "{} <= {}"),
    ">": Operator(pc.greater, "{} > {}"),
    "<": Operator(pc.less, "{} < {}"),
    "==": Operator(pc.equal, "{} = {}"),
    "!=": Operator(pc.not_equal, "{} <> {}"),
    "in": Operator(lambda column, values: pc.is_in(column, value_set=values), "{} IN ({})"),
    "lacks": Operator(_lacks, "NOT list_contains({}, {})"),
}


def holds(rule: Rule, column: pa.Array) -> Mask:
    """Return, for each row of `column`, whether the rule's condition holds there."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    absent = _bools(pc.is_null(column, nan_is_null=True))
    test = _compared(rule, column.type)
    if isinstance(test, bool):
        return np.where(absent, rule.when_null == "keep", test)
    op, values, kind = test
    value = _array(values, kind) if op == "in" else _array(values, kind)[0]
    met = _bools(OPERATORS[op].arrow(column, value))
    return np.where(absent, rule.when_null == "keep", met)


def breaks(rule: Rule, column: pa.Array) -> Mask:
    """Return, for each row of `column`, whether the rule's condition does not hold there."""
    return ~holds(rule, column)


def holds_sql(rule: Rule, kind: pa.DataType) -> str:
    """Return `holds` as a DuckDB expression over a column of type `kind`; it is never NULL."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    column = '"' + rule.column.replace('"', '""') + '"'
    absent = f"{column} IS NULL" + (f" OR isnan({column})" if pa.types.is_floating(kind) else "")
    test = _compared(rule, kind)
    if isinstance(test, bool):
        met = str(test)
    else:
        op, values, item = test
        met = OPERATORS[op].sql.format(column, ", ".join(_literal(v, item) for v in values))
    return f"CASE WHEN {absent} THEN {rule.when_null == 'keep'} ELSE {met} END"


def breaks_sql(rule: Rule, kind: pa.DataType) -> str:
    """Return `breaks` as a DuckDB expression over a column of type `kind`; it is never NULL."""
    return f"NOT ({holds_sql(rule, kind)})"


def valued(column: pa.Array) -> Mask:
    """Return where a column has a value: neither null nor NaN."""
    return ~_bools(pc.is_null(column, nan_is_null=True))


# Between Arrow and NumPy. Arrow's own conversions, `pa.scalar` among them, import pandas, which
# takes a quarter of the time of `bibim what-if`: so numbers and masks are passed as buffers.


def numbers(values: npt.NDArray[Any], nulls: Mask | None = None) -> pa.Array:
    """Return an Arrow array over a contiguous NumPy array of numbers, null where `nulls` is set."""
    kind = pa.from_numpy_dtype(values.dtype)
    valid = None if nulls is None else pa.py_buffer(np.packbits(~nulls, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(values)])


def _array(values: list[Scalar], kind: pa.DataType) -> pa.Array:
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        form = "f" if pa.types.is_floating(kind) else "i" if _signed(kind) else "u"
        return numbers(np.array(values, f"{form}{kind.bit_width // 8}"))
    return pa.array(values, kind)


def _bools(answers: pa.Array) -> Mask:
    """Return a boolean array as NumPy's, null as false."""
    if not len(answers):
        return np.zeros(0, bool)
    octets = pc.cast(answers, pa.uint8())
    values: Mask = np.frombuffer(octets.buffers()[1], bool, len(octets), octets.offset)
    if not octets.null_count:
        return values
    valid = pc.cast(octets.is_valid(), pa.uint8())
    present: Mask = np.frombuffer(valid.buffers()[1], bool, len(valid), valid.offset)
    return values & present


def _signed(kind: pa.DataType) -> bool:
    return bool(pa.types.is_signed_integer(kind))


# A rule in the type of its column

Test = tuple[str, list[Scalar], pa.DataType]
"""Operator, values, and their type."""


def _compared(rule: Rule, kind: pa.DataType) -> Test | bool:
    """Return the comparison of the rule with values of type `kind`, or the result for all rows."""
    if rule.op in ("null", "valid"):
        return rule.op == "valid"
    if rule.op == "lacks":
        return "lacks", [str(rule.value)], kind.value_type
    values = list(rule.value) if isinstance(rule.value, tuple) else [cast(Scalar, rule.value)]
    if pa.types.is_integer(kind):
        return _whole(rule.op, cast(list[float], values), kind)
    if pa.types.is_floating(kind):
        with np.errstate(over="ignore"):  # beyond the type's range it is infinite
            precise = np.array([float(value) for value in values], f"f{kind.bit_width // 8}")
        rounded = precise.astype(float).tolist()
        if 0.0 in rounded and rule.op == "in":  # Arrow's `is_in` compares bits: there are two zeros
            rounded += [0.0, -0.0]
        return rule.op, cast(list[Scalar], rounded), kind
    return rule.op, values, kind


def _whole(op: str, values: list[float], kind: pa.DataType) -> Test | bool:
    """Return a comparison of whole numbers with `values`, which may have fractions or be huge."""
    bits = kind.bit_width - _signed(kind)
    low, high = -(1 << bits) if _signed(kind) else 0, (1 << bits) - 1
    if op in ("==", "!=", "in"):
        whole = [int(v) for v in values if math.isfinite(v) and v == int(v) and low <= v <= high]
        return (op, cast(list[Scalar], whole), kind) if whole else op == "!="
    value = values[0]
    if math.isinf(value):
        return (value > 0) == op.startswith("<")
    if op.startswith(">"):
        bound = math.ceil(value) if op == ">=" else math.floor(value) + 1
        return bound <= low if bound <= low or bound > high else (">=", [bound], kind)
    bound = math.floor(value) if op == "<=" else math.ceil(value) - 1
    return bound >= high if bound >= high or bound < low else ("<=", [bound], kind)


def _literal(value: Scalar, kind: pa.DataType) -> str:
    """Return a value as DuckDB writes it."""
    if pa.types.is_floating(kind):
        return f"CAST('{value!r}' AS {'FLOAT' if kind.bit_width == 32 else 'DOUBLE'})"
    if isinstance(value, str):
        quoted = ("'" + part.replace("'", "''") + "'" for part in value.split("\0"))
        return "(" + " || chr(0) || ".join(quoted) + ")"
    return str(value)


# Types


def mistyped(rule: Rule, kind: pa.DataType) -> str | None:
    """Return why the rule cannot apply to a column of type `kind`, with the remedy, or None."""
    if rule.op in ("null", "valid"):
        return None
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    values = rule.value if isinstance(rule.value, tuple) else (rule.value,)
    name, shown = rule.column, f"{rule.column} is of type {kind}"
    if rule.op == "lacks":
        of_strings = pa.types.is_list(kind) and pa.types.is_string(kind.value_type)
        return None if of_strings else f"{shown}; `lacks` applies to lists of strings"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        wrong = [value for value in values if not is_number(value)]
        return (
            f'{shown}: {wrong[0]!r} is not a number; write for example "{name}>=1"'
            if wrong
            else None
        )
    if pa.types.is_boolean(kind):
        if rule.op in ORDERED or not all(isinstance(value, bool) for value in values):
            return f'{shown}: values are true or false; write "{name}==true" or "{name}==false"'
        return None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        if rule.op in ORDERED:
            return f'{shown}: {rule.op} compares numbers; use ==, != or in, such as "{name}==…"'
        wrong = [value for value in values if not isinstance(value, str)]
        return (
            f"""{shown}: put the string in quotes, such as '{name}=="{wrong[0]}"'"""
            if wrong
            else None
        )
    return (
        f"{shown}: rules apply to numbers, strings and booleans; docs/signals.md lists the columns"
    )
