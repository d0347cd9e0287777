"""What all tests share: no deadline for an example, since the first one may load machine code.

Tests whose packages are not installed (`make dev-light` leaves torch and the peers out) are not
collected; the end of the output names them and what they lack.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("bibim", deadline=None)
settings.load_profile("bibim")

HERE = Path(__file__).parent
NEEDS = {
    "trainer": ("torch",),
    "e2e/test_audit_page.py": ("playwright", "axe_playwright_python"),
    "e2e/test_card.py": ("huggingface_hub",),
}
"""Packages without which a folder or file of tests cannot be imported."""
LACKING: dict[str, list[str]] = {}
"""Those that were left out, and what is missing."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out a folder or file that lacks a package."""
    if not collection_path.is_relative_to(HERE):
        return None
    name = collection_path.relative_to(HERE).as_posix()
    missing = [one for one in NEEDS.get(name, ()) if importlib.util.find_spec(one) is None]
    if missing:
        LACKING[name] = missing
    return bool(missing) or None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out, and the remedy."""
    for name, missing in sorted(LACKING.items()):
        terminalreporter.line(
            f"NOT RUN tests/{name}: {', '.join(missing)} not installed; `make dev` installs it",
            yellow=True,
        )
