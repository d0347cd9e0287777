"""The stages in order, the columns that each adds, and the rules that follow from the config.

Nothing here loads a model: a stage's columns are known before it runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import pyarrow as pa

from filters.pii.entities import drop_types
from filters.rules import mistyped
from pipelines.shards import Columns
from schemas.config import Config
from schemas.documents import DOCUMENT
from schemas.errors import InputError
from schemas.rules import ALL, Rule, parse_condition

STAGES = ("ingest", "identify", "measure", "dedup", "redact", "screen", "score", "tokenize", "mix")
"""What `--stages` takes, in order."""

STEPS = (
    "ingest",
    "identify",
    "measure",
    "sign",
    "dedup",
    "redact",
    "screen",
    "score",
    "semantic",
    "tokenize",
    "mix",
)
"""The pipelines that run: `sign` (signatures of all documents) is the first half of `dedup`,
`semantic` (where it is enabled) the second of `score`."""


def active_steps(config: Config) -> tuple[str, ...]:
    """Return the steps that a run of `config` takes, in order."""
    return STEPS if config.dedup.semantic.enabled else tuple(s for s in STEPS if s != "semantic")


@lru_cache
def step_schemas() -> dict[str, pa.Schema]:
    """Return the annotation schema of each step that adds columns, in order."""
    from filters.identify import Identify
    from filters.measure import Measure
    from filters.pii.annotator import Redact
    from filters.quality import Score
    from filters.signatures import Sign
    from filters.toxicity import Screen
    from pipelines.dedup import DEDUP
    from pipelines.dedup.semantic import SEMANTIC
    from pipelines.tokenize import TOKENS

    return {
        "identify": Identify.schema,
        "measure": Measure.schema,
        "sign": Sign.schema,
        "dedup": DEDUP,
        "redact": Redact.schema,
        "screen": Screen.schema,
        "score": Score.schema,
        "semantic": SEMANTIC,
        "tokenize": TOKENS,
    }


def columns_of(config: Config, before: str | None = None) -> Columns:
    """Return where each column lies, of the documents and of every step before `before`."""
    schemas = {}
    for step, schema in step_schemas().items():
        if before is not None and STEPS.index(step) >= STEPS.index(before):
            break
        if step in active_steps(config):
            schemas[step] = schema
    return folders(schemas)


def folders(schemas: Mapping[str, pa.Schema]) -> Columns:
    """Return where each column lies, of the documents and of the steps of `schemas`."""
    annotations = {f"annotations/{step}": schema for step, schema in schemas.items()}
    return Columns({"documents": DOCUMENT, **annotations})


DOCUMENT_RULES = "identify"
"""The step that drops documents by their own columns (`license`, `url`): the first that knows the
component, by which a rule's scope is decided."""


def step_of(column: str, schemas: Mapping[str, pa.Schema] | None = None) -> str:
    """Return the step to which rules on `column` belong: the one that adds it, DOCUMENT_RULES for
    columns of the document itself. KeyError if none."""
    if column in DOCUMENT.names:
        return DOCUMENT_RULES
    for step, schema in (step_schemas() if schemas is None else schemas).items():
        if column in schema.names:
            return step
    raise KeyError(column)


def cut_columns(config: Config) -> list[str]:
    """Return the columns of `filters.cuts.CUTS` that are cut from the text when it is encoded."""
    tails = ["tails"] if config.measure.cut_tails else []
    return [*tails, "repeats"] if config.dedup.lines.enabled else tails


def _all(column: str, condition: str, reason: str) -> list[Rule]:
    return [replace(rule, reason=reason) for rule in parse_condition(ALL, column, condition)]


def effective_rules(
    config: Config,
    before: str | None = None,
    schemas: Mapping[str, pa.Schema] | None = None,
) -> list[Rule]:
    """Return every rule in the order in which it decides, those of steps before `before`.

    The order is that of the steps; inside a step the config's. `schemas`: the columns of every
    step before `before`, where they are known without importing the annotators. Raises InputError
    for a column that no stage adds.
    """
    by_step: dict[str, list[Rule]] = {step: [] for step in STEPS}
    by_step["identify"].append(Rule(ALL, "assigned", "valid", None, "no_component"))
    if config.decontaminate.against and config.decontaminate.action == "drop":
        by_step["sign"].append(Rule(ALL, "contaminated_by", "null", None, "contaminated"))
    if config.dedup.enabled:
        by_step["dedup"].append(Rule(ALL, "duplicate_of", "null", None, "duplicate"))
    if config.pii.drop_above is not None:
        by_step["redact"] += _all("pii_count", f"<={config.pii.drop_above}", "pii_count")
    by_step["redact"] += [
        Rule(ALL, "pii_types", "lacks", entity, f"pii_{entity.lower()}")
        for entity in drop_types(config.pii)
    ]
    if config.toxicity.drop_above is not None:
        by_step["screen"] += _all("toxicity", f"<={config.toxicity.drop_above}", "toxicity")
    if config.toxicity.spam_above is not None:
        by_step["screen"] += _all("spam", f"<={config.toxicity.spam_above}", "spam")
    if config.quality.drop_below is not None:
        by_step["score"] += _all("quality", f">={config.quality.drop_below}", "quality")
    if config.dedup.semantic.enabled:
        by_step["semantic"].append(Rule(ALL, "semantic_of", "null", None, "semantic_duplicate"))
    for scope, conditions in config.rules.items():
        for column, condition in conditions.items():
            rules = parse_condition(scope, column, condition)
            if schemas is not None:
                with contextlib.suppress(KeyError):  # else of a step from `before` on
                    by_step[step_of(column, schemas)] += rules
                continue
            by_step[rule_step(scope, column)] += rules
            check_types(rules, f"rules.{scope}.{column}")
            if rule_step(scope, column) not in active_steps(config):
                raise InputError(
                    f"rules.{scope}.{column} reads what is not measured; "
                    "set dedup.semantic.enabled: true"
                )
            if column == "syntax_ok" and not config.measure.check_syntax:
                raise InputError(
                    f"rules.{scope}.syntax_ok reads what is not measured; "
                    "set measure.check_syntax: true"
                )
    last = len(STEPS) if before is None else STEPS.index(before)
    return [rule for step in STEPS[:last] for rule in by_step[step]]


def upsample_rules(config: Config) -> list[tuple[Rule, Fraction]]:
    """Return conditions and factors of `mixture.upsample`. Raises InputError as `check_types`."""
    found = [(entry.rule, entry.factor) for entry in config.mixture.upsample]
    for number, (rule, _) in enumerate(found):
        check_types([rule], f"mixture.upsample[{number}].when")
    return found


def only_rules(config: Config) -> list[list[Rule]]:
    """Return the conditions of each stage of the mixture. Raises InputError as `check_types`."""
    found = [stage.rules for stage in config.mixture.stages] or [[]]
    for number, rules in enumerate(found):
        check_types(rules, f"mixture.stages[{number}].only")
    return found


def rule_step(
    scope: str,
    column: str,
    schemas: Mapping[str, pa.Schema] | None = None,
    key: str | None = None,
) -> str:
    """Return the step whose column a rule reads, looked for in `schemas` first.

    `key`: where the rule stands, if not in `rules`. Raises InputError with near names.
    """
    if schemas is not None:
        with contextlib.suppress(KeyError):
            return step_of(column, schemas)
    try:
        return step_of(column)
    except KeyError:
        import difflib

        known = [name for schema in step_schemas().values() for name in schema.names]
        near = difflib.get_close_matches(column, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "docs/signals.md lists them."
        raise InputError(
            f"{key or f'rules.{scope}.{column}'}: no stage adds a column {column!r}; {hint}"
        ) from None


def check_types(
    rules: Sequence[Rule], key: str, schemas: Mapping[str, pa.Schema] | None = None
) -> None:
    """Raise InputError, naming `key`, where a rule does not fit the type of its column.

    Also where no step adds the column. `schemas`: the steps' columns, looked for there first.
    """
    for rule in rules:
        rule_step(rule.scope, rule.column, schemas, key)
        known = [DOCUMENT, *(schemas or {}).values()]
        schema = next((one for one in known if rule.column in one.names), None)
        if schema is None:
            schema = next(one for one in step_schemas().values() if rule.column in one.names)
        if fault := mistyped(rule, schema.field(rule.column).type):
            raise InputError(f"{key}: {fault}")


def rule_columns(rules: Sequence[Rule]) -> list[str]:
    """Return the columns that `decide` needs for `rules`, without repeats."""
    return list(dict.fromkeys(["source", "assigned", *(rule.column for rule in rules)]))
