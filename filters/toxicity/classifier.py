"""Transformers in place of the n-gram model of `screen`: the same windows, the same columns.

Either the folder that `bibim fit toxicity --transformer` wrote
(`filters/toxicity/small_transformer.py`),
or a Hugging Face sequence classifier by name or path. The windows of a document batch are sorted by
length and scored `batch` at a time, which needs little padding. Probabilities are rounded to four
decimals, so that the last bits, which depend on hardware and batch, hardly ever cross a threshold.
torch and transformers are imported when a model is made, not before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.columnar.arrays import Floats, Ints
from filters.columnar.windows import split_windows
from filters.toxicity import small_transformer, spam
from filters.toxicity.annotator import Screen, is_transformer
from filters.toxicity.ngram_model import density
from schemas.config import Toxicity
from schemas.errors import InputError
from schemas.extras import TORCH, needs


class Classifier(Protocol):
    """Windows in, probabilities out."""

    def __call__(self, windows: pa.Array, kind: Ints) -> Floats:
        """Return float32 (rows,). `kind`: 0 where a window is in Hangul, else 1."""
        ...


class ScreenByTransformer:
    """Adds the columns of `filters.toxicity.annotator.Screen`, toxicity by a transformer."""

    reads = Screen.reads
    schema = Screen.schema

    def __init__(self, settings: Toxicity) -> None:
        """Load the model. Raises InputError with the remedy where that fails."""
        self._classify = load_classifier(settings)
        self._batch = settings.batch

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the four columns for the rows of `batch`."""
        text = batch.column("text")
        windows = split_windows(text)
        probability = np.zeros(len(windows.row), np.float32)
        texts = windows.texts(text)
        order = np.argsort(np.asarray(pc.binary_length(texts)), kind="stable")
        for at in range(0, len(order), self._batch):
            part = order[at : at + self._batch]
            probability[part] = self._classify(texts.take(pa.array(part)), windows.kind[part])
        toxicity, share = density(windows, np.round(probability, 4), len(text))
        adverts, classes = spam.spam(text)
        return pa.RecordBatch.from_arrays(
            [pa.array(toxicity), pa.array(share), pa.array(adverts), classes],
            schema=self.schema,
        )


def load_classifier(settings: Toxicity) -> Classifier:
    """Return the classifier that `toxicity.model` names. Raises InputError with the remedy."""
    if not is_transformer(settings):
        raise InputError(f"toxicity.model: {settings.model!r} names an n-gram model")
    if (Path(settings.model) / small_transformer.WEIGHTS).is_file():
        return small_transformer.load(Path(settings.model), settings.device)
    return SequenceClassifier(settings)


class SequenceClassifier:
    """A Hugging Face sequence classifier. Long windows are truncated to the model's maximum."""

    def __init__(self, settings: Toxicity) -> None:
        name = settings.model
        with needs(TORCH, f"toxicity.model: {name!r}", "write `model: default`"):
            import torch
            from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(name)
            model: Any = AutoModelForSequenceClassification.from_pretrained(name)
        except (OSError, ValueError, KeyError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"toxicity.model: {name!r} cannot be loaded ({reason}); name a folder that "
                "`bibim fit toxicity --transformer` wrote, or a sequence classifier"
            ) from None
        self._tokenizer, self._model = tokenizer, model.eval()
        self._label = _label(model.config, settings.label)
        self._independent = (
            model.config.num_labels == 1
            or model.config.problem_type == "multi_label_classification"
        )
        device = settings.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = device
        self._model.to(device)
        limits = (tokenizer.model_max_length, model.config.to_dict().get("max_position_embeddings"))
        self._max_tokens = min([512, *(int(limit) for limit in limits if limit)])

    def __call__(self, windows: pa.Array, kind: Ints) -> Floats:
        """Return the probability of the label, float32 (rows,)."""
        import torch

        inputs = self._tokenizer(
            windows.to_pylist(),
            padding=True,
            truncation=True,
            max_length=self._max_tokens,
            return_tensors="pt",
        ).to(self._device)
        with torch.inference_mode():
            logits = self._model(**inputs).logits.float()
        probability = logits.sigmoid() if self._independent else logits.softmax(1)
        return np.asarray(probability[:, self._label].cpu().numpy(), np.float32)


def _label(config: Any, wanted: str | None) -> int:
    """Return the index of the label that means toxic."""
    names = [str(config.id2label[index]) for index in range(config.num_labels)]
    if wanted is None and len(names) <= 2:
        return len(names) - 1
    if wanted not in names:
        raise InputError(
            f"toxicity.label: must be one of the model's labels "
            f"{', '.join(map(repr, names))}, got {wanted!r}; name the one that means toxic"
        )
    return names.index(wanted)
