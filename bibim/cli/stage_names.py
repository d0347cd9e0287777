"""The names that `--stages` takes, for its help: read from source, since importing loads Arrow."""

from __future__ import annotations

import ast
from pathlib import Path

import pipelines.stages

FOLDER = Path(pipelines.stages.__path__[0])


def stage_names() -> tuple[str, ...]:
    """Return `pipelines.stages.catalog.COMMANDS`, without importing it.

    The modules come from the catalog's tuple `STAGES`, each command from the declaration there.
    """
    stages = _assigned(FOLDER / "catalog.py", "STAGES")
    modules = [
        node.value.id
        for node in ast.walk(stages)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    ]
    return tuple(dict.fromkeys(_command(module) for module in modules))


def _command(module: str) -> str:
    """Return the command of the stage that `pipelines.stages.MODULE` declares."""
    call = _assigned(FOLDER / f"{module}.py", "STAGE")
    fields = {
        keyword.arg: keyword.value.value
        for keyword in (call.keywords if isinstance(call, ast.Call) else ())
        if isinstance(keyword.value, ast.Constant)
    }
    return str(fields.get("command") or fields["name"])


def _assigned(file: Path, name: str) -> ast.expr:
    """Return the expression that a module assigns to `name`. KeyError where there is none."""
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return node.value
    raise KeyError(f"{file}: {name}")
