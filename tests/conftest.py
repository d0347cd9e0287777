"""What all tests share: no deadline for an example, since the first one may load machine code.

`make dev-light` leaves out torch, the peers and the cloud clients. Tests that need one of them are
skipped there; files and folders that cannot even be imported are left out, and named at the end.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("bibim", deadline=None)
settings.load_profile("bibim")

HERE = Path(__file__).parent
REMEDY = "`make dev` installs it"
PACKAGES = {
    "boto3", "datasets", "huggingface_hub", "lm_eval", "matplotlib", "megatron", "moto", "playwright",
    "safetensors", "sklearn", "streaming", "tokenizers", "torch", "transformers",
}  # fmt: skip
"""What the development lock brings and the light one does not, as it is imported."""
NEEDS = {
    "trainer": ("torch",),
    "e2e/test_audit_page.py": ("playwright",),
    "e2e/test_card.py": ("huggingface_hub",),
    "pipelines/test_dataflow.py": ("google.auth",),
}
"""Packages without which a folder or file of tests cannot be imported."""
LEFT_OUT: dict[str, list[str]] = {}


def absent(package: str) -> bool:
    return importlib.util.find_spec(package) is None


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out a folder or file that lacks a package."""
    if not collection_path.is_relative_to(HERE):
        return None
    name = collection_path.relative_to(HERE).as_posix()
    missing = [package for package in NEEDS.get(name, ()) if absent(package)]
    if missing:
        LEFT_OUT[name] = missing
    return bool(missing) or None


def _skip_if_absent() -> Iterator[None]:
    """Skip what stops because one of PACKAGES is not installed, and nothing else."""
    try:
        return (yield)
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            name = (getattr(cause, "name", None) or "").partition(".")[0]
            if isinstance(cause, ModuleNotFoundError) and name in PACKAGES and absent(name):
                pytest.skip(f"{name} is not installed; {REMEDY}")
            cause = cause.__cause__ or cause.__context__
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    return (yield from _skip_if_absent())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    return (yield from _skip_if_absent())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out, and the remedy."""
    for name, missing in sorted(LEFT_OUT.items()):
        what = ", ".join(missing)
        terminalreporter.line(f"NOT RUN tests/{name}: {what} is not installed; {REMEDY}", red=True)
