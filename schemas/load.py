"""Read a configuration file; report its faults by line, key and remedy.

Everything that needs no data is checked here. The readers check that paths exist, since they know
the kinds of paths.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from schemas.config import Config
from schemas.documents import AUTO
from schemas.errors import InputError
from schemas.names import name_fault, same_names
from schemas.rules import ALL

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_KINDS = {
    "bool": "a boolean",
    "int": "a number",
    "float": "a number",
    "null": "null",
    "timestamp": "a date",
}
"""YAML's tags of what is not text → the kind, for messages."""
SECRET = ("pii", "key")
"""The key whose reference to the environment stays one, see `schemas.secret`."""

Path_ = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


def load_config(file: Path, overrides: Sequence[str] = (), secrets: bool = True) -> Config:
    """Return the validated configuration of `file`, with `--set key.path=value` overrides.

    `secrets`: whether the secrets that a run needs must be known; reading a finished run needs
    none. Raises InputError that lists every fault, one per line: file, line, key, remedy.
    """
    return parse_config(_text(file), str(file), overrides, secrets)


def load_section(file: Path, model: type[M], overrides: Sequence[str] = ()) -> M:
    """Return the content of a file as a `model`, read and checked as by `load_config`."""
    return _parse(_text(file), str(file), model, overrides)[0]


def parse_config(
    text: str, name: str, overrides: Sequence[str] = (), secrets: bool = True
) -> Config:
    """Return the validated configuration written in `text`; `name` is for messages.

    `secrets` as for `load_config`.
    """
    config, lines = _parse(text, name, Config, overrides)
    faults = list(_cross_check(config, lines, name))
    key = config.pii.key
    if secrets and not key.known and (key.variable or config.pii.pseudonymises()):
        faults.append(f"{_where(SECRET, lines, name)}: {key.remedy().removeprefix('pii.key: ')}")
    if faults:
        raise InputError("\n".join(faults))
    return config


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        raise InputError(f"{file}: there is no such file; the recipes are in mixtures/") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read: {error}") from None


def _parse(
    text: str, name: str, model: type[M], overrides: Sequence[str]
) -> tuple[M, dict[Path_, int]]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{name}: not YAML: {_yaml_problem(error)}") from None
    if not isinstance(data, dict):
        raise InputError(f"{name}: a configuration is a mapping that begins with `name:`")
    lines = _lines(node)
    if wrong := list(_wrong_keys(node, name)):
        raise InputError("\n".join(wrong))
    _check_repeated(node, name)
    for override in overrides:
        _override(data, override)
    data = _expand(data, data.get("data"), name, lines, ())
    try:
        return model.model_validate(data), lines
    except ValidationError as error:
        written = _written(node)
        faults = [_describe(fault, lines, name, model, written) for fault in error.errors()]
        raise InputError("\n".join(dict.fromkeys(faults))) from None


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {problem}" if mark else problem


def _lines(node: yaml.Node | None, path: Path_ = ()) -> dict[Path_, int]:
    """Return key path → line (from 1) of every key below `node`."""
    lines: dict[Path_, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, key.value)
            lines[here] = key.start_mark.line + 1
            lines.update(_lines(value, here))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[*path, index] = value.start_mark.line + 1
            lines.update(_lines(value, (*path, index)))
    return lines


def _written(node: yaml.Node | None, path: Path_ = ()) -> dict[Path_, str]:
    """Return key path → value as it is written, of every scalar below `node`."""
    if isinstance(node, yaml.MappingNode):
        parts: list[tuple[str | int, yaml.Node]] = [(key.value, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        parts = list(enumerate(node.value))
    else:
        return {path: node.value} if isinstance(node, yaml.ScalarNode) else {}
    return {k: v for key, value in parts for k, v in _written(value, (*path, key)).items()}


def _wrong_keys(node: yaml.Node | None, name: str, path: Path_ = ()) -> Iterator[str]:
    """Yield the fault of each key that YAML reads as a boolean, a number or null."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            kind = _KINDS.get(str(key.tag).rpartition(":")[2])
            here = (*path, key.value)
            # `null: drop` is a part of a rule.
            if kind is not None and not (kind == "null" and path[:1] == ("rules",)):
                yield (
                    f"{name}: line {key.start_mark.line + 1}: {'.'.join(map(str, here))}: "
                    f"YAML reads this key as {kind}; write '{key.value}' in quotes"
                )
            yield from _wrong_keys(value, name, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _wrong_keys(value, name, (*path, index))


def _check_repeated(node: yaml.Node | None, name: str) -> None:
    """Raise InputError for a key given twice, of which YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise InputError(
                    f"{name}: line {line}: {key.value}: given twice "
                    f"(first on line {seen[key.value]}); keep one"
                )
            seen[key.value] = line
            _check_repeated(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check_repeated(value, name)


def _override(data: dict[str, Any], override: str) -> None:
    """Apply `a.b.c=value` (the value is YAML) to `data`."""
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {override}: write key=value, such as mixture.tokens=10M")
    *parents, last = key.strip().split(".")
    place = data
    for parent in parents:
        child = place.get(parent)
        if child is None:
            child = place[parent] = {}
        if not isinstance(child, dict):
            raise InputError(f"--set {override}: {parent} is not a section")
        place = child
    try:
        place[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"--set {override}: {_yaml_problem(error)}") from None


def _expand(value: Any, data: Any, name: str, lines: Mapping[Path_, int], path: Path_) -> Any:
    """Replace `${data}` and `${ENVIRONMENT}` in every string below `value`."""
    if isinstance(value, dict):
        return {k: _expand(v, data, name, lines, (*path, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_expand(v, data, name, lines, (*path, i)) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value
    if path == SECRET and _VARIABLE.fullmatch(value) and value != "${data}":
        return value

    def found(match: re.Match[str]) -> str:
        variable = match.group(1)
        if variable == "data" and path != ("data",):
            if isinstance(data, str):
                return _VARIABLE.sub(found, data) if "${data}" not in data else data
            where = _where(path, lines, name)
            raise InputError(f"{where}: ${{data}} is not set; add `data: FOLDER` at the top")
        if variable in os.environ:
            return os.environ[variable]
        where = _where(path, lines, name)
        raise InputError(f"{where}: the environment has no variable {variable}; set it")

    return _VARIABLE.sub(found, value)


def _where(path: Path_, lines: Mapping[Path_, int], name: str) -> str:
    """Return `FILE: line N: key.path` for the deepest key of `path` in the file."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return f"{name}: line {lines[path[:end]]}: {'.'.join(map(str, path))}"
    return f"{name}: {'.'.join(map(str, path))}" if path else name


def _unquoted(path: Path_, value: Any, written: Mapping[Path_, str]) -> str:
    """Return the message about a value that is not text where text is needed."""
    kind = {bool: "a boolean", int: "a number", float: "a number", type(None): "null"}.get(
        type(value), "a date"
    )
    shown = written.get(path, "")
    if not shown or yaml.safe_load(shown) != value:
        return f"YAML reads this as {kind}, not as text; write it in quotes"
    return f"YAML reads {shown} as {kind}, not as text; write '{shown}' in quotes"


def _describe(
    fault: Mapping[str, Any],
    lines: Mapping[Path_, int],
    name: str,
    root: type[BaseModel],
    written: Mapping[Path_, str],
) -> str:
    """Return one of Pydantic's faults as a message."""
    path: Path_ = tuple(part for part in fault["loc"] if part not in ("function-before",))
    kind = fault["type"]
    message = str(fault["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1], root)
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
        message = f"unknown key; {hint}"
    elif kind == "missing":
        message = "is missing; add it"
        if path == ("sources",):
            message = "is missing; name where documents come from"
    elif kind == "string_type" and not isinstance(fault["input"], dict | list):
        if path[-1] == "[key]":
            path = (*path[:-2], str(fault["input"]))
        message = _unquoted(path, fault["input"], written)
    elif kind.startswith("literal_error"):
        message = f"must be {fault['ctx']['expected']}, got {fault['input']!r}"
    elif "input" in fault and not isinstance(fault["input"], dict | list) and "not" not in message:
        message = f"{message} (got {fault['input']!r})"
    return f"{_where(path, lines, name)}: {message}"


def _known_keys(path: Path_, root: type[BaseModel]) -> list[str]:
    """Return the keys of the section at `path`."""
    model: Any = root
    for part in path:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            model = fields[part].annotation
        model = next(iter(_models(model)), model)
    return sorted(getattr(model, "model_fields", {}))


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the section models that a field's annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]


def fed_components(config: Config) -> set[str]:
    """Return the components that the sources may feed."""
    fed = {source.component for source in config.sources.values()}
    if AUTO in fed:
        fed |= {*config.identify.components.values(), "code"}
    return fed - {AUTO}


def rule_scopes(config: Config) -> set[str]:
    """Return the scopes that a rule may have: sources, components and `all`."""
    return {*config.sources, *fed_components(config), *config.mixture.weights, ALL}


def _check_names(config: Config) -> Iterator[tuple[Path_, str]]:
    """Yield (key, message) of sources and components whose names cannot be those of files."""
    weights: list[tuple[Path_, str]] = [
        (("mixture", "weights", name), name) for name in config.mixture.weights
    ]
    sources: list[tuple[Path_, str]] = [(("sources", name), name) for name in config.sources]
    fed: list[tuple[Path_, str]] = [
        (("sources", name, "component"), source.component)
        for name, source in config.sources.items()
    ]
    by_language: list[tuple[Path_, str]] = [
        (("identify", "components", lang), name)
        for lang, name in config.identify.components.items()
    ]
    for kind, named in (("source", sources), ("component", [*fed, *by_language, *weights])):
        places: dict[str, Path_] = {}
        for path, name in named:
            places.setdefault(name, path)
        for name, path in places.items():
            if reason := name_fault(name):
                yield path, f"{name!r} cannot name a {kind}: {reason}"
        for name, other in same_names(places):
            yield (
                places[name],
                f"{name!r} and {other!r} differ in case or Unicode form only, which many file "
                f"systems do not distinguish; give the {kind} another name",
            )


def _cross_check(config: Config, lines: Mapping[Path_, int], name: str) -> list[str]:
    """Return the faults between sections: names that are undefined or unused."""
    faults = [f"{_where(path, lines, name)}: {message}" for path, message in _check_names(config)]
    fed = fed_components(config)
    wanted = set(config.mixture.weights) or fed

    def fault(path: Path_, message: str) -> None:
        faults.append(f"{_where(path, lines, name)}: {message}")

    for component, weight in config.mixture.weights.items():
        if component not in fed:
            fault(
                ("mixture", "weights", component),
                f"no source feeds {component!r}; give a source `component: {component}` "
                f"(fed: {', '.join(sorted(fed))})",
            )
        for source in weight.sources:
            path: Path_ = ("mixture", "weights", component, "sources", source)
            if source not in config.sources:
                fault(path, f"no such source; known: {', '.join(config.sources)}")
            elif config.sources[source].component not in (component, AUTO):
                fault(path, f"feeds {config.sources[source].component!r}, not {component!r}")
    for key, source_config in config.sources.items():
        if source_config.component not in {*wanted, AUTO}:
            fault(
                ("sources", key, "component"),
                f"no weight takes component {source_config.component!r}; add it to "
                f"mixture.weights or change it (weights: {', '.join(sorted(wanted))})",
            )
    scopes = rule_scopes(config)
    for scope in config.rules:
        if scope not in scopes:
            fault(
                ("rules", scope),
                f"no component or source has this name; known: {', '.join(sorted(scopes))}",
            )
    for index, preferred in enumerate(config.dedup.prefer):
        if preferred not in config.sources:
            fault(
                ("dedup", "prefer", index),
                f"no source {preferred!r}; known: {', '.join(config.sources)}",
            )
    return faults
