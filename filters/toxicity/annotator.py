"""The `screen` stage: toxicity and spam, both by density over a document.

`toxicity` is the mean of the classifier's probabilities over the windows (a line, a few sentences),
weighted by length. A comment is one window and gets its own probability. In a long document an
abusive line counts only for its share of the text: a page that quotes abuse, a statute that forbids
it or a long thread with some swearing stays low, and a document above 0.9 is abuse nearly
throughout. `toxic_share` is the share of windows above 0.5.

Code is scored with its comments and strings: one of 7,121 source files exceeds 0.9, so separating
them is not worth a parser per language.
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

    Text without a visible character scores 0 with an empty `lexicon`.
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
        """Load the model. Raises InputError where `settings.model` is not a model file."""
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
    """Return the model file that the settings name. Raises InputError if it does not exist."""
    path = DEFAULT_MODEL if settings.model == "default" else Path(settings.model)
    if not path.is_file():
        raise InputError(
            f"toxicity.model: {path}: no such file; write `default`, or make one with "
            "`bibim fit toxicity --data FILE --out PATH.npz`"
        )
    return path


def model_files(settings: Toxicity) -> list[Path]:
    """Return the local files whose content decides the scores.

    For a transformer these are the files of its folder, or none for a model id of the Hub. Raises
    InputError where a path does not exist.
    """
    if not is_transformer(settings):
        return [model_path(settings)]
    path = Path(settings.model)
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    if path.is_absolute() or settings.model.startswith((".", "~")) or len(path.parts) > 2:
        raise InputError(
            f"toxicity.model: {path}: no such folder; name one that `bibim fit toxicity "
            "--transformer` wrote, a sequence classifier's, or a model id of the Hub"
        )
    return []


def compile_kernels() -> None:
    """Compile (or load from the cache) the kernels of the n-gram model and of spam."""
    ngram_model.compile_kernels()
    spam.compile_kernels()
