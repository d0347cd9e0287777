"""Write what the documentation takes from the code: docs/config.md, and the README's demo output.

    make docs                               both; runs the demo in a fresh folder
    python docs/refresh.py config           docs/config.md alone

Keys, defaults and meanings come from `schemas/config.py`: the meaning is the string below a field.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from schemas import config  # noqa: E402  (the path is set above)
from schemas.secret import Secret  # noqa: E402

OPENING = "<!-- demo-output -->"
CLOSING = "<!-- /demo-output -->"
OUT = "out/demo"
DEMO = (("run", "mixtures/demo.yaml", "--out", OUT), ("audit", "show", OUT))
KINDS = {
    config.Count: "count (`60M`)",
    config.Bytes: "size (`64MB`)",
    config.Share: "share (`1/3`)",
    config.Unit: "0 to 1",
    config.Condition: "condition (`>=0.2`) or mapping",
}
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
MEANINGS = {
    "name": "What the run is called, in `run.json` and in the report.",
    "sources": "Where documents come from, by a name of your own.",
    "sources.NAME.format": "How to read it; `auto` goes by the file's name.",
    "ingest.max_reject_share": "Share of a source that may be unreadable; above it the run stops.",
    "ingest.max_document_bytes": "Longer records are rejected, never cut.",
    "dedup.enabled": "Whether duplicates are looked for and dropped.",
    "dedup.ngram": "Units a shingle.",
    "dedup.permutations": "Hashes a signature: more are surer and slower.",
    "dedup.bands": "Bands of the signature; two documents that share one are compared.",
    "dedup.seed": "Of the hash functions.",
    "dedup.lines.enabled": "Whether such lines are counted and cut.",
    "dedup.semantic.enabled": "Whether `score` keeps its embeddings and documents are compared.",
    "decontaminate.action": "`keep` marks contaminated documents and leaves them in.",
    "pii.action": (
        "`mask` puts the entity's name in place of a span, `pseudonymise` a made-up value of its "
        "shape; `drop` leaves the document out, `keep` changes nothing."
    ),
    "pii.score_threshold": "Least confidence at which a span counts.",
    "toxicity.batch": "Windows that a transformer sees at once.",
    "toxicity.device": "`cpu`, `cuda`, or `auto`: a GPU where there is one.",
    "toxicity.drop_above": "Documents above this toxicity are dropped; nothing: none.",
    "toxicity.spam_above": "Documents above this spam score are dropped; nothing: none.",
    "quality.drop_below": "Documents below this quality are dropped; nothing: none.",
    "quality.batch": "Documents embedded at a time.",
    "quality.device": "Of a model: `cpu`, `cuda`, or `auto`: a GPU where there is one. "
    "`default` runs on the CPU.",
    "tokenizer.path": "A SentencePiece model to use instead of training one.",
    "tokenizer.vocab_size": "Pieces, control symbols and the 256 bytes included.",
    "tokenizer.seed": "Of the sample.",
    "mixture.strategy": "How shares follow from sizes; `fixed` takes `weights` as they are.",
    "mixture.weights": "Share of the tokens by component; the shares sum to one.",
    "mixture.weights.NAME.share": "The component's share; `ko: 1/3` is short for it.",
    "mixture.temperature": "For `temperature`: shares go by size to the power of one over this.",
    "mixture.allow_short": "Whether fewer tokens than asked for are no error.",
    "mixture.shards": "Files of about the same number of tokens.",
    "mixture.seed": "Of every order. The same seed and data give the same bytes.",
}
"""Meanings of keys whose field has no string of its own; the field's wins."""

EPILOGUE = """## Variables and overrides

`${data}` is the value of the key `data`; any other `${NAME}` is the environment's, and
`${BIBIM_STDLIB}` is always there: the standard library of the Python that runs `bibim`. Paths
count from the folder in which `bibim` is run. `--set mixture.tokens=10M` changes one key for
one run; the value is YAML. Rule columns are those of the annotations: `bibim explain OUT ID`
shows all of them for a document.
"""


@dataclass(frozen=True)
class Key:
    """A key of the config: its path, what it takes, its default (None: it must be given)."""

    path: str
    takes: str
    default: str | None
    meaning: str


def config_keys() -> list[Key]:
    """Return every key of the config, in the order of the file."""
    return list(_keys(config.Config, ""))


def _keys(model: type[BaseModel], prefix: str) -> Iterator[Key]:
    meanings = _meanings(model)
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        nested = _section(field)
        if nested is None:
            yield Key(
                path, _takes(field), _default(field), meanings.get(name) or MEANINGS.get(path, "")
            )
            continue
        section, by_name = nested
        if by_name:
            yield Key(
                path,
                "section by name",
                _default(field),
                meanings.get(name) or MEANINGS.get(path, ""),
            )
        yield from _keys(section, f"{path}.NAME." if by_name else f"{path}.")


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return field → the string that stands below it in the class."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(before, ast.AnnAssign)
            and isinstance(before.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[before.target.id] = " ".join(str(after.value.value).split())
    return found


def _section(field: FieldInfo) -> tuple[type[BaseModel], bool] | None:
    """Return the section a field holds, and whether it holds several by name."""
    annotation = field.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if get_origin(annotation) is dict:
        value = _bare(get_args(annotation)[1])
        if isinstance(value, type) and issubclass(value, BaseModel):
            return value, True
    return None


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _takes(field: FieldInfo) -> str:
    functions = {getattr(part, "func", None) for part in field.metadata}
    bounds = _bounds(field)
    if field.annotation is Secret:
        return "text"
    if config.parse_count in functions:
        return KINDS[config.Count]
    if config.parse_bytes in functions:
        return KINDS[config.Bytes]
    if config.parse_share in functions:
        return KINDS[config.Share]
    if bounds == {"ge": 0, "le": 1}:
        return KINDS[config.Unit]
    shown = "".join(f", {SIGNS[name]} {_number(value)}" for name, value in bounds.items())
    return _kind(field.annotation) + shown


def _number(value: float) -> str:
    power = int(value).bit_length() - 1
    return f"2^{power}" if power >= 30 and value == 2**power else f"{value:,}"


def _bounds(field: FieldInfo) -> dict[str, float]:
    return {
        name: value
        for part in field.metadata
        for name in SIGNS
        if (value := getattr(part, name, None)) is not None
    }


def _kind(annotation: Any) -> str:
    """Return what values an annotation takes, in words."""
    for alias, text in KINDS.items():
        if annotation == alias:
            return text
    bare = _bare(annotation)
    origin, arguments = get_origin(bare), get_args(bare)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join("nothing" if part is type(None) else _kind(part) for part in arguments)
    if origin is dict:
        return f"name → {_kind(arguments[1])}"
    if origin is list:
        return f"list of {_kind(arguments[0])}"
    names = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}
    names[Fraction] = "share (`1/3`)"
    return names.get(bare, getattr(bare, "__name__", str(bare)))


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int):
        return f"`{value:,}`"
    if value in ("", [], {}, Secret()):
        return "empty"
    if isinstance(value, dict):
        return "`{" + ", ".join(f"{k}: {v}" for k, v in value.items()) + "}`"
    if isinstance(value, list):
        return "`[" + ", ".join(map(str, value)) + "]`"
    return f"`{value}`"


def config_page() -> str:
    """Return docs/config.md."""
    lines = [
        "# Configuration",
        "",
        "One YAML file. An unknown key, a wrong type or a missing file is an error that names the",
        "line, the key and what would be right. The recipes in `mixtures/` are examples.",
        "This page is made from `schemas/config.py` by `make docs`.",
        "",
    ]
    section = None
    for key in config_keys():
        head = key.path.split(".")[0] if "." in key.path else _heading(key.path)
        if head != section:
            lines += [*([""] if section is not None else []), f"## {head}", ""]
            meaning = _section_meaning(head)
            lines += [meaning, ""] if meaning else []
            lines += ["| key | takes | default | meaning |", "|---|---|---|---|"]
            section = head
        default = "**required**" if key.default is None else key.default
        cells = (f"`{key.path}`", key.takes, default, key.meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", EPILOGUE])


def _heading(name: str) -> str:
    """Return the heading of a key of the top level: its own name, or the file's."""
    own = name == "rules" or _section(config.Config.model_fields[name])
    return name if own else "the file"


def _section_meaning(name: str) -> str:
    field = config.Config.model_fields.get(name)
    nested = _section(field) if field else None
    return inspect.cleandoc(nested[0].__doc__ or "") if nested else ""


def demo_output() -> str:
    """Run the demo's commands in a fresh folder and return what a reader sees of them."""
    shown = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        for command in DEMO:
            arguments = [str(out) if part == OUT else part for part in command]
            done = subprocess.run(
                [sys.executable, "-m", "bibim", *arguments],
                capture_output=True,
                text=True,
                cwd=ROOT,
                check=False,
                env={**os.environ, "COLUMNS": "100"},
            )
            if done.returncode:
                raise SystemExit(f"bibim {' '.join(command)} failed:\n{done.stderr}")
            printed = done.stdout.replace(str(out), OUT).rstrip()
            shown.append(f"$ bibim {' '.join(command)}\n{printed}")
    lines = "\n\n".join(shown).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def with_output(readme: str, output: str) -> str:
    """Return `readme` with `output` between its markers. SystemExit if they are not there."""
    pattern = re.compile(re.escape(OPENING) + ".*?" + re.escape(CLOSING), re.DOTALL)
    block = f"{OPENING}\n```text\n{output}\n```\n{CLOSING}"
    text, count = pattern.subn(lambda _: block, readme)
    if count != 1:
        raise SystemExit(f"README.md: {count} places between {OPENING} and {CLOSING}, not one")
    return text


def signals_table() -> str:
    """Return the table of the columns of `measure` in docs/signals.md."""
    from filters.measure.annotator import applies_to, meanings

    kinds = applies_to()
    rows = [f"| `{name}` | {kinds[name]} | {meaning} |" for name, meaning in meanings().items()]
    return "\n".join(["| column | for | meaning |", "|---|---|---|", *rows])


def with_table(page: str, table: str) -> str:
    """Return `page` with `table` in place of the one with the same head. SystemExit without it."""
    head = "\n".join(table.split("\n")[:2])
    parts = page.split(head)
    if len(parts) != 2:
        raise SystemExit(f"docs/signals.md: {len(parts) - 1} tables with the head of `measure`")
    return parts[0] + table + "\n\n" + parts[1].split("\n\n", 1)[1]


def main(what: list[str]) -> None:
    """Write the pages that `what` names; all of them for none."""
    if not what or "config" in what:
        (ROOT / "docs" / "config.md").write_text(config_page(), "utf-8")
    if not what or "demo" in what:
        readme = ROOT / "README.md"
        readme.write_text(with_output(readme.read_text("utf-8"), demo_output()), "utf-8")
    if not what or "signals" in what:
        page = ROOT / "docs" / "signals.md"
        page.write_text(with_table(page.read_text("utf-8"), signals_table()), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
