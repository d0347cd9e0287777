"""Imports point one way, in no circle, and importing anything is cheap: no model library loads."""

from __future__ import annotations

import ast
import importlib.util

import pytest

from tests.support import ROOT
from tests.support.imports import (
    PACKAGES,
    circles,
    dotted,
    graph,
    imports,
    loaded_by,
    loaded_with,
    modules,
    own,
    parse,
    reachable,
)

MAY_IMPORT = {
    "schemas": set(),
    "filters": {"schemas"},
    "mixtures": {"schemas"},
    "pipelines": {"schemas", "filters", "mixtures"},
    "audit": {"schemas", "filters", "mixtures", "pipelines"},
    "trainer": {"schemas", "mixtures"},
    "bibim": {"schemas", "filters", "mixtures", "pipelines", "audit", "trainer"},
}
"""What a package may import besides itself. Nobody may import `bibim`, the command line."""

FLOORS = {
    "pipelines": (
        {"storage", "code_version"},
        {"stages", "runners"},
        {"engine"},
        {"ingest", "dedup", "inference", "tokenize"},
        {"mix", "forecast"},
        {"wiring"},
        {"driver"},
    ),
    "filters": (
        {"columnar", "annotator"},
        {"rules", "text", "language", "toxicity"},
        {"signals", "dedup", "pii", "quality"},
        {"measure", "fit"},
    ),
    "audit": ({"query"}, {"accounting"}, {"report"}),
    "mixtures": ({"keys", "tokenizer"}, {"mixing"}, {"shards"}),
}
"""The folders (and files) of a package from the lowest floor up. One may import those on floors
below its own, not those beside it, so no circle between them can be written down."""

HEAVY = ("torch", "presidio_analyzer", "spacy", "kiwipiepy", "fasttext", "sentencepiece")
TORCH = importlib.util.find_spec("torch") is not None
"""Without it the trainer cannot be imported."""
BEAM_FREE = ("schemas", "filters", "mixtures", "audit", "trainer")
BEAM_FREE_COMMANDS = ("bibim.cli.audit", "bibim.cli.measure")
"""`audit`, `explain`, `what-if`, `card` and `measure`, with all that their functions import."""
STORES = "pipelines.storage.store"
"""Opens `s3://`, `gs://` and `hdfs://` with Beam's file systems, inside the function that does."""

OF_PIPELINES = {
    "pipelines.dedup.clusters",
    "pipelines.dedup.numbers",
    "pipelines.engine.context",
}
"""What `audit` imports of `pipelines` besides stages and storage: decision 23."""

LATE = {
    "filters/language/annotator.py": "fastText",
    "filters/pii/annotator.py": "Presidio",
    "filters/quality/annotator.py": "sentence-transformers",
    "pipelines/driver.py": "Beam, for `plan` and what-if",
    "pipelines/runners/local/worker.py": "kernels, and their compiler",
    "pipelines/runners/precompile.py": "the prefilter of personal data",
    "pipelines/runners/runner.py": "options of Spark and Dataflow",
    "pipelines/runners/spark/harness.py": "kernels, and their compiler",
    "pipelines/wiring.py": "Beam's model handlers",
    "audit/query/explain.py": "masking, where no span is shown",
    "audit/query/texts.py": "Presidio",
    "audit/query/what_if.py": "kernels, and their compiler",
}
"""Files that import this project's modules inside functions, and what must not load before.

`bibim/` is left out: each of its commands imports what it runs, so that `--help` stays fast.
"""
MAX_LATE = 30
"""Imports inside functions outside of `bibim/`."""


def wrong_imports(name: str, source: str) -> list[str]:
    """Return what `source`, the module at `name`, imports against the direction."""
    package = name.partition("/")[0]
    allowed = {package, *MAY_IMPORT[package]}
    return [
        f"{name}:{each.line} imports {each.name}"
        for each in own(ast.parse(source))
        if each.name.split(".")[0] not in allowed
    ]


def upward(edges: dict[str, set[str]], package: str) -> list[str]:
    """Return the imports inside `package` that do not lead to a lower floor, and rooms on none."""
    floor = {room: level for level, rooms in enumerate(FLOORS[package]) for room in rooms}
    wrong = []
    for module, targets in sorted(edges.items()):
        for target in sorted({module, *targets}):
            here, there = (f"{name}..".split(".")[:2] for name in (module, target))
            if here[0] != package or there[0] != package or not here[1] or not there[1]:
                continue
            if here[1] not in floor or there[1] not in floor:
                wrong.append(f"{module}: name its floor in FLOORS")
            elif here != there and floor[there[1]] >= floor[here[1]]:
                wrong.append(f"{module} imports {target}")
    return wrong


def late_imports() -> dict[str, int]:
    """Return file → import statements of this project's packages inside functions."""
    counts = {}
    for path in modules():
        lines = {each.line for each in own(parse(path)) if each.late}
        if lines:
            counts[path.relative_to(ROOT).as_posix()] = len(lines)
    return counts


def test_imports_point_one_way():
    wrong = [
        fault
        for path in modules()
        for fault in wrong_imports(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("filters/x.py", "from pipelines.engine.annotate import Stage"),
        ("filters/x.py", "def f():\n    import mixtures.mixing.solver"),
        ("schemas/x.py", "import filters"),
        ("mixtures/x.py", "if True:\n    from filters.clean import clean"),
        ("pipelines/driver.py", "def f():\n    from audit.accounting.check import check_run"),
        ("pipelines/driver.py", "def f():\n    from trainer.sft import tune"),
        ("pipelines/driver.py", "from bibim.finish import guard"),
        ("audit/x.py", "def f():\n    from bibim.cli.options import load_run"),
    ],
)
def test_an_import_against_the_direction_is_found(name: str, source: str):
    assert len(wrong_imports(name, source)) == 1


def test_the_command_line_may_import_everything():
    source = "\n".join(f"import {package}" for package in PACKAGES)
    assert not wrong_imports("bibim/cli/app.py", source)


def test_files_import_each_other_in_no_circle():
    assert circles(graph()) == []


def test_a_circle_is_found_through_functions_and_not_through_type_checking():
    source = "def f():\n    import b\nif TYPE_CHECKING:\n    import c\nelse:\n    import d"
    named = [(each.name, each.late) for each in imports(ast.parse(source))]
    assert named == [("b", True), ("d", False)]
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": set()}
    assert circles(edges) == [["a", "b", "c"]]


@pytest.mark.parametrize("package", FLOORS)
def test_inside_a_package_imports_lead_to_lower_floors(package: str):
    wrong = upward(graph(), package)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "edge",
    [
        ("pipelines.storage.files", "pipelines.stages.catalog"),
        ("pipelines.dedup.run", "pipelines.tokenize.run"),
        ("pipelines.wiring", "pipelines.driver"),
        ("pipelines.new.file", "pipelines.storage.files"),
    ],
)
def test_an_upward_import_a_sideward_one_and_a_room_on_no_floor_are_found(edge: tuple[str, str]):
    assert upward({edge[0]: {edge[1]}, edge[1]: set()}, "pipelines")


def test_every_folder_of_the_floors_exists():
    missing = [
        f"{package}/{room}"
        for package, floors in FLOORS.items()
        for rooms in floors
        for room in rooms
        if not (ROOT / package / room).is_dir() and not (ROOT / package / f"{room}.py").is_file()
    ]
    assert not missing


def test_imports_inside_functions_are_few_and_each_file_has_a_reason():
    counts = {name: n for name, n in late_imports().items() if not name.startswith("bibim/")}
    assert sorted(counts.keys() - LATE.keys()) == []
    assert sum(counts.values()) <= MAX_LATE, counts


def test_importing_everything_loads_no_model_library():
    names = [dotted(path) for path in modules() if not path.is_relative_to(ROOT / "trainer")]
    assert len(names) > 40
    assert loaded_with(names, HEAVY) == set()


def test_only_pipelines_and_the_summary_of_a_run_load_beam():
    packages = [name for name in BEAM_FREE if TORCH or name != "trainer"]
    names = [dotted(path) for path in modules() if path.relative_to(ROOT).parts[0] in packages]
    names += ["pipelines.stages.catalog", "bibim.cli.plan"]
    assert loaded_with(names, ("apache_beam",)) == set()


def test_the_help_loads_no_library_for_data():
    program = "from bibim.cli.app import app\napp(['--help'], standalone_mode=False)"
    assert loaded_by(program, ("numpy", "pyarrow", "pydantic", "apache_beam")) == set()


def test_a_plan_that_opens_no_source_loads_no_beam():
    program = (
        "from bibim.cli.app import app\n"
        "app(['plan', 'mixtures/demo.yaml', '--offline'], standalone_mode=False)"
    )
    assert loaded_by(program, ("apache_beam", "pipelines.stages.catalog")) == {
        "pipelines.stages.catalog"
    }


def test_nothing_that_the_audit_or_what_if_can_import_names_beam():
    edges, files = graph(), {dotted(path): path for path in modules()}
    roots = [name for name in edges if name.startswith("audit.")] + list(BEAM_FREE_COMMANDS)
    asked = set(roots).union(*(reachable(edges, root) for root in roots)) - {STORES}
    found = [
        name
        for name in sorted(asked)
        if any(each.name.startswith("apache_beam") for each in imports(parse(files[name])))
    ]
    assert "pipelines.stages.catalog" in asked and found == []


def test_the_audit_takes_stages_storage_and_three_named_modules_of_pipelines():
    wanted = {
        target
        for name, targets in graph().items()
        if name.startswith("audit.")
        for target in targets
        if target.startswith("pipelines.")
        and not target.startswith(("pipelines.stages", "pipelines.storage"))
    }
    assert wanted == OF_PIPELINES


def test_importing_what_the_audit_imports_loads_no_numba():
    packages = ("schemas", "filters", "mixtures", "audit")
    names = [dotted(path) for path in modules() if path.relative_to(ROOT).parts[0] in packages]
    assert loaded_with(names, ("numba", "llvmlite")) == set()


def test_a_library_that_is_imported_would_be_seen():
    assert loaded_with(["json", "decimal"], ("decimal", "torch")) == {"decimal"}
