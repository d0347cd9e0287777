"""A tokenizer's figures on a corpus: tokens per document, bytes per token, morphemes kept whole."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from mixtures.tokenizer.tokenizer import Tokenizer

_WORD = re.compile("[가-힣]{2,}")


class Fertility(BaseModel):
    """One tokenizer on one component."""

    component: str
    tokenizer: str
    vocab_size: int
    documents: int
    bytes: int
    characters: int
    tokens: int
    morpheme_alignment: float | None = None
    """Share of the token boundaries inside Korean words that are boundaries of morphemes; None
    without Korean."""

    @property
    def bytes_per_token(self) -> float:
        return self.bytes / self.tokens if self.tokens else 0.0

    @property
    def tokens_per_document(self) -> float:
        return self.tokens / self.documents if self.documents else 0.0


def compare(
    texts: Mapping[str, Sequence[str]],
    tokenizers: Mapping[str, Tokenizer],
    *,
    alignment_lines: int = 2000,
    workers: int = 1,
) -> list[Fertility]:
    """Measure each of `tokenizers` on each component of `texts`.

    Kiwi analyses up to `alignment_lines` Korean lines of a component, whole, so that words have
    their context; `workers` are its threads.
    """
    rows = []
    for component, documents in texts.items():
        lines = [line for text in documents for line in text.split("\n") if _WORD.search(line)]
        lines = lines[:: max(1, len(lines) // alignment_lines)][:alignment_lines]
        truth = morpheme_boundaries(lines, workers)
        column = pa.array(documents, pa.large_string())
        for name, tokenizer in tokenizers.items():
            rows.append(
                Fertility(
                    component=component,
                    tokenizer=name,
                    vocab_size=tokenizer.vocab_size,
                    documents=len(documents),
                    bytes=sum(len(text.encode()) for text in documents),
                    characters=sum(map(len, documents)),
                    tokens=len(tokenizer.encode_batch(column).tokens),
                    morpheme_alignment=alignment(tokenizer, lines, truth),
                )
            )
    return rows


def morpheme_boundaries(lines: Sequence[str], workers: int = 1) -> list[set[int]]:
    """Return for each line the byte positions of Kiwi's boundaries inside Korean words."""
    if not lines:
        return []
    from kiwipiepy import Kiwi

    found = []
    for line, tokens in zip(lines, Kiwi(num_workers=workers).tokenize(iter(lines)), strict=True):
        inside = word_insides(line)
        starts = {token.start for token in tokens}
        found.append({place for index, place in inside.items() if index in starts})
    return found


def word_insides(line: str) -> dict[int, int]:
    """Return, for each character that is not the first of its Korean word, its byte position."""
    places = list(itertools.accumulate((len(char.encode()) for char in line), initial=0))
    return {
        index: places[index]
        for word in _WORD.finditer(line)
        for index in range(word.start() + 1, word.end())
    }


def alignment(
    tokenizer: Tokenizer, lines: Sequence[str], truth: Sequence[set[int]]
) -> float | None:
    """Return the share of token boundaries inside Korean words that `truth` has too.

    A boundary inside a character counts as not in `truth`. None if there are no boundaries.
    """
    sizes = np.array([len(data) for data in tokenizer.piece_bytes])
    kept = total = 0
    encoded = tokenizer.encode_batch(pa.array(lines, pa.large_string()))
    for number, (line, boundaries) in enumerate(zip(lines, truth, strict=True)):
        ids = encoded.tokens[encoded.offsets[number] : encoded.offsets[number + 1]]
        edges = np.cumsum(sizes[ids])[:-1]
        places = np.array([0, *itertools.accumulate(len(char.encode()) for char in line)])
        words = [word.span() for word in _WORD.finditer(line)]
        starts, ends = (places[[word[side] for word in words]] for side in (0, 1))
        word = np.searchsorted(starts, edges, side="left") - 1  # the last that starts before
        here = edges[(word >= 0) & (edges < ends[word])]
        total += len(here)
        kept += len(boundaries.intersection(here.tolist()))
    return kept / total if total else None
