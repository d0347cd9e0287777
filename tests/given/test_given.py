"""Each input comes out of the command as its case writes.

Three cases run later stages, whose kernels a new version compiles first; the others take seconds.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.given import cases_files, cases_records, cases_texts
from tests.given.expect import CASES, DATA
from tests.oracles.readers.rig import differences, invoke

MODULES = (cases_files, cases_records, cases_texts)
NUMBERS = (
    1, 5, 6, 9, 10, 11, 13, 15, 16, 18, 21, 22, 28, 30, 32, 33, 37, 38, 40, 43, 44, 48, 49, 53, 54,
    55, 56, 62, 68, 70, 71,
)  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_given_input_is_read_right(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder, _, config = name.partition("/")
    shutil.copytree(DATA / folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    right = CASES[name](tmp_path)
    if (tmp_path / "home").is_dir():
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
    got = invoke(tmp_path, f"{config or 'config'}.yaml", right.stages)
    assert not (wrong := differences(right, got)), "\n".join([*wrong[:6], got.brief()])


def test_every_number_and_every_config_has_a_case():
    assert sorted({int(name[:2]) for name in CASES}) == list(NUMBERS)
    configs = {
        path.relative_to(DATA).with_suffix("").as_posix().removesuffix("/config")
        for path in DATA.glob("*/*.yaml")
    }
    assert configs == set(CASES)
