"""Texts for display: personal data masked, the passages that decide marked.

Documents that `redact` did not annotate are searched for personal data before they are shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from audit.query.frame import Frame
from audit.query.passages import SCANNED, Span, passages
from schemas.config import Pii

if TYPE_CHECKING:
    from filters.pii.annotator import Redact
    from filters.toxicity.annotator import Screen

SHOWN_COLUMNS = ("id", "source", "assigned", "lang", "url", "origin")
"""What a page shows of a document besides its text."""
MARKED_SENTENCES = 3
_SENTENCE = re.compile(r"[^\n.!?。]+[.!?。]*")
_MASKED = re.compile(
    r"<(?:EMAIL_ADDRESS|URL_CREDENTIALS|PHONE_NUMBER|KR_[A-Z_]+|CREDIT_CARD|IBAN_CODE|CRYPTO|"
    r"IP_ADDRESS|API_KEY|PRIVATE_KEY|PERSON)>|\*{4}@|\d{2,4}[-.) ]{1,2}\*{3,4}[-. ]\*{4}"
)


@dataclass(frozen=True)
class Shown:
    """A document's text for display, and the requested columns."""

    text: str
    values: dict[str, Any]


def text_batch(texts: Sequence[str], components: Sequence[str | None]) -> pa.RecordBatch:
    """Return texts with their components as the batch in which `Redact` finds personal data."""
    return pa.RecordBatch.from_arrays(
        [pa.array(texts, pa.large_string()), pa.array(components, pa.string())],
        names=["text", "assigned"],
    )


def masking(settings: Pii) -> Pii:
    """Return settings that mask every kind of personal data, whatever the tokens have."""
    return settings.model_copy(update={"action": "mask", "entities": {}})


def masked(texts: Sequence[str], component: str | None, settings: Pii) -> list[str]:
    """Return `texts` of one document, such as its address, with personal data masked."""
    from filters.pii.prefilter import ALL_KINDS, has_candidates

    batch = text_batch(texts, [component] * len(texts))
    if not any(has_candidates(batch.column("text"), ALL_KINDS).to_pylist()):
        return list(texts)  # most hold none, and the recognisers take a second to load
    from filters.pii.annotator import Redact
    from filters.pii.mask import apply_spans

    spans = Redact(settings)(batch).column("pii_spans")
    return [
        str(text)
        for text in apply_spans(batch.column("text"), spans, masking(settings)).to_pylist()
    ]


class Texts:
    """Reads documents of a frame for display. `show_pii` leaves personal data unmasked."""

    def __init__(self, frame: Frame, show_pii: bool = False) -> None:
        self.frame = frame
        self.show_pii = show_pii
        self._redact: Redact | None = None
        self._screen: Screen | None = None
        self._loading = Lock()

    def read(self, rows: Sequence[int], columns: Sequence[str] = ()) -> list[Shown]:
        """Return the documents at `rows`; `url` and `meta` are masked as the text is."""
        wanted = ["text", "assigned", "pii_spans", *columns]
        found = self.frame.take(rows, list(dict.fromkeys(wanted)))
        texts = [row["text"] for row in found]
        if not self.show_pii:
            texts = self._masked(texts, found, "pii_spans")
            for name in ("url", "meta", "origin"):
                if name in columns:
                    held = [str(row.get(name) or "") for row in found]
                    for row, value in zip(found, self._masked(held, found, ""), strict=True):
                        row[name] = value or None
        return [
            Shown(text, {name: row.get(name) for name in columns})
            for text, row in zip(texts, found, strict=True)
        ]

    def _masked(
        self, texts: Sequence[str], rows: Sequence[dict[str, Any]], spans: str
    ) -> list[str]:
        """Mask `texts`, by the stored spans where the column `spans` has them."""
        from filters.pii.annotator import SPANS
        from filters.pii.mask import apply_spans

        column = pa.array(texts, pa.large_string())
        stored = [row.get(spans) if spans else None for row in rows]
        unseen = [at for at, value in enumerate(stored) if value is None and texts[at]]
        if unseen:
            components = [rows[at].get("assigned") for at in unseen]
            found = self._find(text_batch([texts[at] for at in unseen], components))
            for at, value in zip(unseen, found, strict=True):
                stored[at] = value
        held = pa.array([value or [] for value in stored], SPANS)
        settings = masking(self.frame.config.pii)
        return [str(text) for text in apply_spans(column, held, settings).to_pylist()]

    def prepare(self) -> None:
        """Load what masks and marks texts, so that the first request does not wait."""
        if not self.show_pii:
            with self._loading:
                self._load()
        if "screen" in self.frame.steps:
            self.marks("toxicity", "A sentence.")

    def _load(self) -> Redact:
        from filters.pii.annotator import Redact

        if self._redact is None:
            self._redact = Redact(self.frame.config.pii)
        return self._redact

    def _find(self, batch: pa.RecordBatch) -> list[Any]:
        with self._loading:
            found: list[Any] = self._load()(batch).column("pii_spans").to_pylist()
        return found

    def marks(self, column: str, text: str) -> list[Span]:
        """Return the passages of a shown text that `column` comes from."""
        if column in ("toxicity", "toxic_share", "spam"):
            return self._sentences(column, text)
        if column in ("pii_count", "pii_types"):
            return [match.span() for match in _MASKED.finditer(text)]
        return passages(column, text)

    def _sentences(self, column: str, text: str) -> list[Span]:
        """Return the sentences with the classifier's highest scores."""
        from filters.toxicity.annotator import Screen

        spans = [match.span() for match in _SENTENCE.finditer(text[:SCANNED])]
        spans = [(a, b) for a, b in spans if text[a:b].strip()][:400]
        if not spans:
            return []
        with self._loading:
            if self._screen is None:
                self._screen = Screen(self.frame.config.toxicity)
            batch = pa.RecordBatch.from_arrays(
                [pa.array([text[a:b] for a, b in spans], pa.large_string())], names=["text"]
            )
            scores = self._screen(batch).column("toxicity" if column != "spam" else "spam")
        ranked = sorted(zip(scores.to_pylist(), spans, strict=True), key=lambda e: -(e[0] or 0))
        worst = [span for score, span in ranked[:MARKED_SENTENCES] if score and score >= 0.5]
        return sorted(worst or [ranked[0][1]])
