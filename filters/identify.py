"""Language, script shares, code or prose, and the component of every document.

A vectorised script test decides what Hangul alone tells; fastText sees only the rest, in
windows from start, middle and end.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from filters.codelang import code_features, code_language, code_score
from filters.kernels import buffers, everywhere
from filters.scripts import hangul_of_letters, script_counts, shares
from schemas.config import Identify as Settings
from schemas.documents import AUTO

UNDETERMINED = "und"
KOREAN = "ko"
CODE = "code"
CLEAR_HANGUL = 0.18
"""Share of Hangul in the letters above which a document is Korean whatever else it holds: no
other language is written in Hangul, technical Korean is full of English terms, and a syllable
says as much as two to three Latin letters, so 0.18 is about a third of what is said."""
WINDOW = 600
"""Characters of each of the three windows that the model sees."""
CODE_ABOVE = 0.5

_NOISE = re.compile(
    r"https?://\S{1,500}|<[^<>]{1,300}>|`[^`\n]{1,200}`|&[a-z]{2,8};|[\w.+-]{1,64}@[\w.-]{1,64}"
)
_FRONT = re.compile(r"\A---\n.{0,3000}?\n---\n", re.S)
_MARKS = re.compile(r"[^\w\s'’.,?!-]+|_+|\d+")
_SPACE = re.compile(r"\s+")


def windows(text: str) -> list[str]:
    """Return up to three cleaned windows of a text: start, middle, end.

    Addresses, tags, code spans and digits are left out; what is left is on one line, as
    fastText wants it.
    """
    text = _FRONT.sub("", text, count=1)
    if len(text) <= 3 * WINDOW:
        parts = [text]
    else:
        middle = (len(text) - WINDOW) // 2
        parts = [text[:WINDOW], text[middle : middle + WINDOW], text[-WINDOW:]]
    cleaned = (_SPACE.sub(" ", _MARKS.sub(" ", _NOISE.sub(" ", part))).strip() for part in parts)
    return [part for part in cleaned if part]


class Identify:
    """Annotates language and component. See `schema`; shares are of non-space characters."""

    reads = ("text", "component", "meta")
    schema = pa.schema(
        [
            ("lang", pa.string()),  # "und" below the language's threshold
            ("lang_score", pa.float32()),  # 0 to 1
            ("lang_other", pa.string()),  # the next language, if it has a tenth or more
            ("assigned", pa.string()),  # component; null where no component takes it
            ("code_lang", pa.string()),  # null for prose
            ("code_score", pa.float32()),  # probability that it is source code
            ("hangul_share", pa.float32()),
            ("latin_share", pa.float32()),
            ("han_share", pa.float32()),
            ("kana_share", pa.float32()),
            ("digit_share", pa.float32()),
        ]
    )

    def __init__(self, settings: Settings) -> None:
        from filters.lid import load_model, model_path

        self._settings = settings
        self._model = load_model(model_path(settings.model))

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the columns of `schema` for `batch` (text, component, meta)."""
        text = batch.column("text")
        component = batch.column("component")
        data, offsets = buffers(text)
        counts = script_counts(text)
        score = code_score(code_features(data, offsets, everywhere(offsets)))
        declared = np.asarray(pc.equal(component, CODE))
        auto = np.asarray(pc.equal(component, AUTO))
        is_code = declared | (auto & (score > CODE_ABOVE))
        hangul = hangul_of_letters(counts)
        lang, lang_score, other = self._languages(text, hangul, is_code)
        assigned = [
            (CODE if code else self._settings.components.get(language)) if own == AUTO else own
            for own, code, language in zip(component.to_pylist(), is_code, lang, strict=True)
        ]
        languages = [
            code_language(text[row].as_py(), _object(batch.column("meta")[row].as_py()))
            if is_code[row]
            else None
            for row in range(len(text))
        ]
        columns: dict[str, Any] = {
            "lang": pa.array(lang, pa.string()),
            "lang_score": pa.array(lang_score, pa.float32()),
            "lang_other": pa.array(other, pa.string()),
            "assigned": pa.array(assigned, pa.string()),
            "code_lang": pa.array(languages, pa.string()),
            "code_score": pa.array(score, pa.float32()),
            **{name: pa.array(share) for name, share in shares(counts).items()},
        }
        return pa.RecordBatch.from_arrays(
            [columns[n] for n in self.schema.names], schema=self.schema
        )

    def _languages(
        self,
        text: pa.LargeStringArray,
        hangul: npt.NDArray[np.float64],
        is_code: npt.NDArray[np.bool_],
    ) -> tuple[list[str], npt.NDArray[np.float32], list[str | None]]:
        """Return language, score and next language of each row; the model sees unclear rows."""
        rows = len(text)
        lang = [KOREAN] * rows
        other: list[str | None] = [None] * rows
        score = np.minimum(1.0, 0.9 + hangul / 10).astype(np.float32)
        unclear = np.flatnonzero((hangul < CLEAR_HANGUL) & ~is_code)
        parts: list[str] = []
        owners: list[int] = []
        for unseen in unclear:
            row = int(unseen)
            found = windows(text[row].as_py())
            parts += found
            owners += [row] * len(found)
        votes: dict[int, dict[str, float]] = {int(row): {} for row in unclear}
        if parts:
            labels, probabilities = self._model.predict(parts, k=3, threshold=0.02)
            for owner, part, names, values in zip(
                owners, parts, labels, probabilities, strict=True
            ):
                for name, value in zip(names, values, strict=True):
                    code = name.removeprefix("__label__")
                    tally = votes[owner]
                    tally[code] = tally.get(code, 0.0) + min(float(value), 1.0) * len(part)
        weights = np.bincount(owners, [len(part) for part in parts], rows) if parts else None
        for row, tally in votes.items():
            ranked = sorted(tally.items(), key=lambda pair: (-pair[1], pair[0]))
            total = float(weights[row]) if weights is not None else 0.0
            lang[row], score[row] = self._verdict(ranked, total)
            if len(ranked) > 1 and ranked[1][1] >= 0.1 * total:
                other[row] = ranked[1][0]
        for index in np.flatnonzero(is_code):
            lang[int(index)], score[int(index)] = UNDETERMINED, 0.0
        return lang, score, other

    def _verdict(self, ranked: list[tuple[str, float]], total: float) -> tuple[str, float]:
        if not ranked or not total:
            return UNDETERMINED, 0.0
        name, value = ranked[0]
        least = self._settings.thresholds.get(name, self._settings.default_threshold)
        share = value / total
        return (name if share >= least else UNDETERMINED), share


def _object(meta: str | None) -> dict[str, Any]:
    value = orjson.loads(meta) if meta else {}
    return value if isinstance(value, dict) else {}
