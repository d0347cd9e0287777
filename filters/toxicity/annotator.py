"""The `screen` stage: toxicity and spam, both by density over a document.

`toxicity` is the mean, weighted by length, of what the classifier says of each window (a line,
a few sentences). A comment is one window and gets its own probability. In a long document
one abusive line counts for its share of the text only, so a page that quotes abuse, a
statute that forbids it or a long thread with some swearing stays low, and what exceeds a threshold
of 0.9 is abuse nearly throughout. `toxic_share` counts windows instead: above 0.5, of all.

Code is scored as it is, comments and strings with it: one of 7,121 source files exceeds 0.9, and
a syntax for every language would gain nothing.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from filters.toxicity import ngram_model, spam
from schemas.config import Toxicity
from schemas.errors import InputError

DEFAULT_MODEL = Path(__file__).parents[1] / "models" / "toxicity.npz"


class Screen:
    """Adds `toxicity`, `toxic_share`, `spam` (float32 in [0, 1]) and `lexicon` (list<string>).

    Text without a character scores 0 with an empty `lexicon`.
    """

    reads: tuple[str, ...] = ("text",)
    schema = pa.schema(
        [
            pa.field("toxicity", pa.float32()),
            pa.field("toxic_share", pa.float32()),
            pa.field("spam", pa.float32()),
            pa.field("lexicon", pa.list_(pa.string())),
        ]
    )

    def __init__(self, settings: Toxicity) -> None:
        """Load the model. Raises InputError where `settings.model` is no model file."""
        self._model = ngram_model.load(model_path(settings))

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the four columns for the rows of `batch`."""
        text = batch.column("text")
        toxicity, share = self._model.score(text)
        density, classes = spam.spam(text)
        return pa.RecordBatch.from_arrays(
            [pa.array(toxicity), pa.array(share), pa.array(density), classes], schema=self.schema
        )


def is_transformer(settings: Toxicity) -> bool:
    """Return whether the settings name a transformer: neither `default` nor a file."""
    name = settings.model
    return name != "default" and not name.endswith(".npz") and not Path(name).is_file()


def model_path(settings: Toxicity) -> Path:
    """Return the model file that the settings name. Raises InputError if there is none."""
    path = DEFAULT_MODEL if settings.model == "default" else Path(settings.model)
    if not path.is_file():
        raise InputError(
            f"toxicity.model: {path} is no file; write `default`, or make one with "
            "`bibim fit toxicity --data FILE --out PATH.npz`"
        )
    return path


def model_files(settings: Toxicity) -> list[Path]:
    """Return the files on this machine whose content decides the scores.

    Of a transformer those of its folder, and none if it is named as a hub has it. Raises
    InputError where a path leads nowhere.
    """
    if not is_transformer(settings):
        return [model_path(settings)]
    path = Path(settings.model)
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    if path.is_absolute() or settings.model.startswith((".", "~")) or len(path.parts) > 2:
        raise InputError(
            f"toxicity.model: {path} is no folder; name one that `bibim fit toxicity "
            "--transformer` wrote, a sequence classifier's, or a hub's name for one"
        )
    return []


def compile_kernels() -> None:
    """Compile (or fetch from Numba's cache) the kernels, so that no batch waits for it."""
    ngram_model.compile_kernels()
    spam.compile_kernels()
