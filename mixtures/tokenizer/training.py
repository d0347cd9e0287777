"""Training a tokenizer: byte-pair encoding over words that Kiwi's morphemes cut.

The sample becomes segments (text between runs of white space), so that runs of white space are
pieces of their own and learned pieces have at most one space, in front. In Korean segments a
delimiter marks each boundary between morphemes inside a word; SentencePiece
(`pretokenization_delimiter`) then learns no piece over one. The trained pieces are put together
with the control symbols, the 256 bytes and the white-space pieces into the model that is written.

The same sample gives the same bytes: one thread, no path and no time in the file. (Kiwi's
scores are floats: another processor type could cut a rare word elsewhere.)
"""

from __future__ import annotations

import io
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from mixtures.tokenizer.modelfile import SPACE, Piece, PieceType, read_model, write_model
from mixtures.tokenizer.tokenizer import (
    END_OF_DOCUMENT,
    MODEL,
    PAD,
    SPECIAL,
    UNKNOWN,
    Tokenizer,
    words_are_separate,
)
from schemas.config import Tokenizer as Settings
from schemas.errors import InputError, RunFault
from schemas.manifest import content_key

CARD: Final = "card.json"
VOCABULARY: Final = "tokenizer.vocab"
ALGORITHM: Final = "SentencePiece BPE, byte fallback, identity normalisation"
DELIMITER: Final = "\x1f"
"""Marks morphemes in the sample. Segments that have it in their text are left out."""
COVERAGE: Final = 0.9999
"""Share of the sample's characters that are pieces; rarer ones are written as bytes. 0.9995 is
SentencePiece's advice for rich character sets; byte fallback costs three tokens a syllable, so
Bibim goes further."""
LONGEST_SEGMENT: Final = 2_000
"""Characters; longer segments (minified code, data) are cut, which bounds Kiwi's memory."""
MOST_WHITE: Final = 256
"""White-space pieces at the most; a 64th of a small vocabulary."""
LONGEST_WHITE: Final = 32

_RUN = re.compile(r"[\t\n\r][ \t\n\r]*| [ \t\n\r]+")
_HANGUL = re.compile("[가-힣]{2,40}")
_ALWAYS = ("\n", "\t", "  ", "\n\n", "    ", "\t\t", "        ", "\r\n", "\n    ", "\n        ")


class Card(BaseModel):
    """What a tokenizer is: its file, its symbols, and what it was trained on."""

    key: str = ""
    """Content key of the work that made it; empty where it was made by hand."""
    sha256: str
    vocab_size: int
    dtype: str
    lossless: bool
    """Whether decoding is known to give every text back."""
    end_of_document: int
    special: dict[str, int]
    algorithm: str = "unknown: the model was given as a file"
    morphemes: bool = False
    white_space_pieces: int = 0
    sample_documents: int = 0
    sample_bytes: int = 0
    sample_key: str = ""
    """Hash of the sample's texts; their order does not matter."""
    versions: dict[str, str] = {}


def train_tokenizer(
    texts: Iterable[str], settings: Settings, out: Path, *, key: str = "", workers: int = 1
) -> Card:
    """Train on `texts` and write tokenizer.model, tokenizer.vocab and card.json into `out`.

    The order of `texts` does not alter the model. `workers` are Kiwi's threads; their number
    alters nothing either. Raises InputError if `vocab_size` is too small to hold the symbols, or
    the sample is empty.
    """
    documents, size, digest = 0, 0, 0
    segments: Counter[str] = Counter()
    white: Counter[str] = Counter()
    for text in texts:
        documents += 1
        size += len(text.encode())
        digest += int(content_key(text), 16)  # a sum: the order does not matter
        white.update(run[:LONGEST_WHITE] for run in _RUN.findall(text))
        segments.update(_segments(text))
    if not segments:
        raise InputError(
            "the tokenizer's sample is empty; check that sources feed the mixture's components, "
            "or name a trained model as tokenizer.path"
        )
    white_pieces = choose_white(white, min(MOST_WHITE, settings.vocab_size // 64))
    base = [
        *(
            Piece(text, PieceType.UNKNOWN if text == UNKNOWN else PieceType.CONTROL)
            for text in SPECIAL
        ),
        *(Piece(f"<0x{byte:02X}>", PieceType.BYTE) for byte in range(256)),
        *(Piece(text.replace(" ", SPACE), PieceType.USER_DEFINED) for text in white_pieces),
    ]
    room = settings.vocab_size - len(base)
    if room < 1:
        raise InputError(
            f"tokenizer.vocab_size: {settings.vocab_size} leaves no room for learned pieces; "
            f"symbols, bytes and white space take {len(base)}"
        )
    ordered = sorted(segments.items())
    lines = _cut_morphemes(ordered, workers) if settings.morphemes else iter(ordered)
    taken = {piece.text for piece in base}
    pieces = [*base, *(piece for piece in _learn(lines, room) if piece.text not in taken)]
    data = write_model(pieces, unk=UNKNOWN, eos=END_OF_DOCUMENT, pad=PAD)
    return _write(
        out, data, white_pieces, settings, documents, size, f"{digest % 2**128:032x}", key
    )


def choose_white(counts: Counter[str], most: int) -> list[str]:
    """Return the white-space runs that become pieces: a fixed few, then by tokens saved."""
    saved = sorted(counts, key=lambda run: (-counts[run] * (len(run) - 1), run))
    learned = [run for run in saved if len(run) > 1 and counts[run] > 1]
    return list(dict.fromkeys([*_ALWAYS, *learned]))[:most]


def _segments(text: str) -> Iterator[str]:
    """Yield the text between runs of white space, cut where it is very long."""
    for segment in _RUN.split(text):
        if segment and SPACE not in segment and DELIMITER not in segment:
            for start in range(0, len(segment), LONGEST_SEGMENT):
                yield segment[start : start + LONGEST_SEGMENT]


def _cut_morphemes(segments: list[tuple[str, int]], workers: int) -> Iterator[tuple[str, int]]:
    """Yield the segments with DELIMITER at the morphemes' boundaries inside Korean words.

    Each distinct word is analysed once, alone: on a third of the sample's Korean that took a
    quarter of the time of whole lines, and 87.1 % of token boundaries inside Korean words fell on
    morpheme boundaries of held-out lines, against 87.2 % (68.7 % without morphemes).
    """
    words = sorted({word for segment, _ in segments for word in _HANGUL.findall(segment)})
    cut: dict[str, str] = {}
    if words:
        from kiwipiepy import Kiwi

        analysed = Kiwi(num_workers=workers).tokenize(iter(words))
        for word, tokens in zip(words, analysed, strict=True):
            cut[word] = mark_boundaries(word, ((token.start, token.len) for token in tokens))
    for segment, count in segments:
        yield _HANGUL.sub(lambda match: cut[match[0]], segment), count


def mark_boundaries(word: str, spans: Iterable[tuple[int, int]]) -> str:
    """Return `word` with DELIMITER before each span that begins inside it.

    `spans` are (start, length) in characters. Morphemes that share a syllable (했 = 하 + 었)
    begin at the same place and give one boundary.
    """
    cuts = sorted({start for start, _ in spans if 0 < start < len(word)})
    edges = [0, *cuts, len(word)]
    return DELIMITER.join(word[a:b] for a, b in itertools.pairwise(edges))


def _learn(lines: Iterable[tuple[str, int]], room: int) -> list[Piece]:
    """Return the learned pieces, `room` at the most: letters and merges with their scores.

    Raises InputError where `room` does not hold the letters.
    """
    written = io.BytesIO()
    try:
        _train_bpe(lines, room, written)
    except RuntimeError as error:
        if found := re.search(r"(\d+) vs (\d+)\. Increase vocab_size", str(error)):
            given, needed = map(int, found.groups())
            raise InputError(
                f"tokenizer.vocab_size: too small for the letters of the sample; make it "
                f"{needed - given:,} larger, and more for pieces beyond letters"
            ) from None
        raise
    model = read_model(written.getvalue())
    learned = [piece for piece in model.pieces if piece.type == PieceType.NORMAL]
    return learned[:room]


def _train_bpe(lines: Iterable[tuple[str, int]], room: int, written: io.BytesIO) -> None:
    from sentencepiece import SentencePieceTrainer

    SentencePieceTrainer.train(
        sentence_iterator=(line for line, count in lines for _ in range(count)),
        model_writer=written,
        model_type="bpe",
        vocab_size=room + 257,
        hard_vocab_limit=False,
        byte_fallback=True,
        character_coverage=COVERAGE,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_digits=True,
        pretokenization_delimiter=DELIMITER,
        max_sentence_length=1 << 20,
        unk_id=0,
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )


def _write(
    out: Path,
    data: bytes,
    white: list[str],
    settings: Settings,
    documents: int,
    size: int,
    sample_key: str,
    key: str,
) -> Card:
    tokenizer = Tokenizer(data)
    if not words_are_separate(tokenizer.file):
        raise RunFault(
            "the trained vocabulary has a piece over a word's edge; "
            f"sentencepiece {version('sentencepiece')} splits words otherwise than expected"
        )
    card = describe(tokenizer, key).model_copy(
        update={
            "algorithm": ALGORITHM,
            "morphemes": settings.morphemes,
            "white_space_pieces": len(white),
            "sample_documents": documents,
            "sample_bytes": size,
            "sample_key": sample_key,
            "versions": {name: version(name) for name in ("sentencepiece", "kiwipiepy")},
        }
    )
    write_tokenizer(out, data, tokenizer, card)
    return card


def describe(tokenizer: Tokenizer, key: str = "") -> Card:
    """Return the card of a model whose training is unknown."""
    return Card(
        key=key,
        sha256=tokenizer.sha256,
        vocab_size=tokenizer.vocab_size,
        dtype=tokenizer.dtype.name,
        lossless=tokenizer.by_words,
        end_of_document=tokenizer.eod_id,
        special={text: tokenizer.ids[text] for text in SPECIAL if text in tokenizer.ids},
    )


def write_tokenizer(out: Path, data: bytes, tokenizer: Tokenizer, card: Card) -> None:
    """Write tokenizer.model, tokenizer.vocab and, last, card.json into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    lines = (
        f"{json.dumps(piece.text, ensure_ascii=False)[1:-1]}\t{piece.score:g}\n"
        for piece in tokenizer.file.pieces
    )
    (out / MODEL).write_bytes(data)
    (out / VOCABULARY).write_text("".join(lines), "utf-8")
    (out / CARD).write_text(card.model_dump_json(indent=1) + "\n", "utf-8")
