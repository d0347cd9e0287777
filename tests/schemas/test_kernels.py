"""Kernels are compiled at their first call, and their machine code is never stale."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numba

from schemas import kernels


def test_machine_code_is_new_when_an_imported_kernel_changes(tmp_path: Path, monkeypatch):
    package = tmp_path / "bakery"
    package.mkdir()
    (package / "outer.py").write_text(
        "from bakery.inner import inner\nfrom schemas.kernels import kernel\n\n\n"
        "@kernel\ndef outer(x):\n    return inner(x)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(kernels, "_ROOT", tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))

    def outer_with(factor: int) -> int:
        (package / "inner.py").write_text(
            "from schemas.kernels import kernel\n\n\n"
            f"@kernel\ndef inner(x):\n    return x * {factor}\n"
        )
        for name in [name for name in sys.modules if name.startswith("bakery")]:
            del sys.modules[name]
        kernels._sources.cache_clear()
        importlib.invalidate_caches()
        return int(importlib.import_module("bakery.outer").outer(1))

    assert outer_with(2) == 2
    assert outer_with(2) == 2
    assert outer_with(33) == 33
