"""Write what the documentation takes from the code, and the README's demo output.

    make docs                               all; runs the demo in a fresh folder
    python docs/refresh.py config           docs/config.md and docs/config.schema.json alone
    python docs/refresh.py korean-web       docs/korean-web.md alone: about a minute, needs torch

Keys, defaults and meanings come from `schemas/config.py` and `schemas/mixture.py`: the meaning is
the string below a field.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from schemas import config, values  # noqa: E402  (the path is set above)
from schemas.secret import Secret  # noqa: E402

OPENING = "<!-- demo-output -->"
CLOSING = "<!-- /demo-output -->"
OUT = "out/demo"
DEMO = (("run", "mixtures/demo.yaml", "--out", OUT), ("audit", "show", OUT))
STORY = ROOT / "examples" / "korean-web.sh"
STORY_OUT = "out/korean-web"
STORY_LINES = 14
STORY_INTRODUCTION = """# From Korean pages to a trained model

`examples/korean-web.sh` runs these commands in order, over data in this repository. Written by
`python docs/refresh.py korean-web`; long outputs are shortened."""
KINDS = {
    values.Count: "count (`60M`)",
    values.Bytes: "size (`64MB`)",
    values.Share: "share (`1/3`)",
    values.Unit: "0 to 1",
    config.Condition: "condition (`>=0.2`) or mapping",
}
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
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
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        meaning = " ".join((field.description or "").split())
        nested = _section(field)
        if nested is None or nested.several:
            yield Key(path, nested.several if nested else _takes(field), _default(field), meaning)
        if nested is not None:
            yield from _keys(nested.model, f"{path}{nested.inside}.")


@dataclass(frozen=True)
class Nested:
    """A section inside a section: how the page calls several of them, and what is in a path."""

    model: type[BaseModel]
    several: str = ""
    inside: str = ""


def _section(field: FieldInfo) -> Nested | None:
    """Return the section that a field holds, or that each of its values is."""
    annotation = field.annotation
    if _is_section(annotation):
        return Nested(annotation)
    origin = get_origin(annotation)
    if origin in (dict, list):
        value = _bare(get_args(annotation)[-1])
        if _is_section(value):
            if origin is dict:
                return Nested(value, "section by name", ".NAME")
            return Nested(value, "list of sections", "[]")
    return None


def _is_section(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _takes(field: FieldInfo) -> str:
    functions = {getattr(part, "func", None) for part in field.metadata}
    bounds = _bounds(field)
    if field.annotation is Secret:
        return "text"
    if values.parse_count in functions:
        return KINDS[values.Count]
    if values.parse_bytes in functions:
        return KINDS[values.Bytes]
    if values.parse_share in functions:
        return KINDS[values.Share]
    if bounds == {"ge": 0, "le": 1}:
        return KINDS[values.Unit]
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
        "This page is made from `schemas/config.py` by `make docs`, and so is",
        "[config.schema.json](config.schema.json), the same as a JSON schema: with the first line",
        "`# yaml-language-server: $schema=PATH/TO/docs/config.schema.json` an editor completes",
        "keys and shows their meanings.",
        "",
    ]
    section = None
    for key in config_keys():
        head = re.split(r"[.\[]", key.path)[0] if "." in key.path else _heading(key.path)
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


def config_schema() -> str:
    """Return docs/config.schema.json: the JSON schema of the file, for editors."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Bibim recipe"}
    schema = {**config.Config.model_json_schema(), **head}
    return json.dumps(_one_line(schema), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _one_line(value: Any) -> Any:
    """Return a schema whose descriptions have no line breaks of the source."""
    if isinstance(value, dict):
        return {
            key: " ".join(part.split())
            if key == "description" and isinstance(part, str)
            else _one_line(part)
            for key, part in value.items()
        }
    return [_one_line(part) for part in value] if isinstance(value, list) else value


def _heading(name: str) -> str:
    """Return the heading of a key of the top level: its own name, or the file's."""
    own = name == "rules" or _section(config.Config.model_fields[name])
    return name if own else "the file"


def _section_meaning(name: str) -> str:
    field = config.Config.model_fields.get(name)
    nested = _section(field) if field else None
    return inspect.cleandoc(nested.model.__doc__ or "") if nested else ""


def demo_output() -> str:
    """Run the demo's commands in a fresh folder and return what a reader sees of them."""
    shown = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        for command in DEMO:
            arguments = [str(out) if part == OUT else part for part in command]
            printed = _printed([sys.executable, "-m", "bibim", *arguments])
            printed = printed.replace(str(out), OUT).rstrip()
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


def story_page() -> str:
    """Run examples/korean-web.sh, one command after the other, and return what each prints."""
    head, *parts = STORY.read_text("utf-8").split("\n\n")
    page = [STORY_INTRODUCTION]
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            comments = [line.lstrip("# ") for line in part.splitlines() if line.startswith("#")]
            command = "\n".join(line for line in part.splitlines() if not line.startswith("#"))
            printed = _printed(["bash", "-c", f"{head}\n{command}", str(STORY), folder])
            page.append(f"## {' '.join(comments)}\n\n```sh\n{command}\n```")
            if printed := printed.replace(folder, STORY_OUT).rstrip():
                page.append(f"```text\n{_shortened(printed)}\n```")
    return "\n\n".join(page) + "\n"


def _printed(command: list[str]) -> str:
    """Run `command` at a width of 100 columns, return its output. SystemExit where it fails."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={**os.environ, "COLUMNS": "100"},
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def _shortened(printed: str) -> str:
    """Return the first and last lines of an output, and how many lines are left out."""
    lines = [line.rstrip() for line in printed.splitlines()]
    left_out = len(lines) - 2 * STORY_LINES
    if left_out > 1:
        lines[STORY_LINES:-STORY_LINES] = [f"… {left_out} lines …"]
    return "\n".join(lines)


def main(what: list[str]) -> None:
    """Write the pages that `what` names; all of them for none."""
    if not what or "config" in what:
        (ROOT / "docs" / "config.md").write_text(config_page(), "utf-8")
        (ROOT / "docs" / "config.schema.json").write_text(config_schema(), "utf-8")
    if not what or "demo" in what:
        readme = ROOT / "README.md"
        readme.write_text(with_output(readme.read_text("utf-8"), demo_output()), "utf-8")
    if not what or "korean-web" in what:
        (ROOT / "docs" / "korean-web.md").write_text(story_page(), "utf-8")
    if not what or "signals" in what:
        page = ROOT / "docs" / "signals.md"
        page.write_text(with_table(page.read_text("utf-8"), signals_table()), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
