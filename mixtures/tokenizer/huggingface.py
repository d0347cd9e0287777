"""A tokenizer as Hugging Face's `tokenizer.json`, which encodes every text to the same ids.

Pieces keep real spaces, so that no normaliser is needed and U+2581 in a text falls back to its
bytes as it does here. Runs of white space are added tokens, found before all else as SentencePiece
does; merges are all pairs of pieces that make a piece, in the order of the pieces' scores.
Control symbols are in the vocabulary and nowhere else: no text becomes one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from mixtures.tokenizer.modelfile import SPACE, PieceType
from mixtures.tokenizer.tokenizer import PAD, UNKNOWN, Tokenizer
from schemas.errors import InputError

TOKENIZER_JSON: Final = "tokenizer.json"
TOKENIZER_CONFIG: Final = "tokenizer_config.json"
_WORDS: Final = f"[ \\t\\n\\r]*[^ \\t\\n\\r0-9{SPACE}]+|[ \\t\\n\\r]+|[0-9]|{SPACE}"
"""Words of `mixtures.tokenizer.words`: no piece crosses their boundaries, so splitting there
changes nothing and lets the library cache words."""


def export_tokenizer(tokenizer: Tokenizer, out: Path) -> list[Path]:
    """Write `tokenizer.json` and `tokenizer_config.json` into `out`; return their paths.

    Raises InputError for a model that is not of Bibim's kind (see `words_are_separate`).
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / TOKENIZER_JSON, out / TOKENIZER_CONFIG]
    for path, value in zip(paths, (tokenizer_json(tokenizer), _config(tokenizer)), strict=True):
        path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return paths


def tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the content of `tokenizer.json`. Raises InputError as `export_tokenizer`."""
    if not tokenizer.by_words:
        raise InputError(
            "only a tokenizer that Bibim trained can be exported: this model changes texts, or has "
            "pieces that cross word boundaries; export it with the tool that trained it"
        )
    vocabulary = _vocabulary(tokenizer)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added_tokens(tokenizer),
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": _WORDS},
            "behavior": "Isolated",
            "invert": False,
        },
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": UNKNOWN,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": _merges(_learned(tokenizer), vocabulary),
        },
    }


def _added_tokens(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return the white-space pieces, which are matched before all others."""
    return [
        {
            "id": number,
            "content": _text(piece.text, piece.type),
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": False,
        }
        for number, piece in enumerate(tokenizer.file.pieces)
        if piece.type == PieceType.USER_DEFINED
    ]


def _vocabulary(tokenizer: Tokenizer) -> dict[str, int]:
    """Return piece → id. Raises InputError for a piece that occurs twice."""
    vocabulary: dict[str, int] = {}
    for number, piece in enumerate(tokenizer.file.pieces):
        text = _text(piece.text, piece.type)
        if text in vocabulary:
            raise InputError(f"piece {number}, {text!r}, occurs twice; the model is damaged")
        vocabulary[text] = number
    return vocabulary


def _learned(tokenizer: Tokenizer) -> dict[str, float]:
    """Return learned piece → score. Raises InputError if a letter of one is not a piece."""
    learned = {
        _text(piece.text, piece.type): piece.score
        for piece in tokenizer.file.pieces
        if piece.type == PieceType.NORMAL
    }
    lacking = sorted({letter for text in learned for letter in text} - set(learned))
    if lacking:
        raise InputError(
            f"pieces contain letters that are not pieces themselves: "
            f"{lacking[:5]}; the model is damaged"
        )
    return learned


def _text(piece: str, kind: PieceType) -> str:
    spaced = kind in (PieceType.NORMAL, PieceType.USER_DEFINED)
    return piece.replace(SPACE, " ") if spaced else piece


def _merges(learned: dict[str, float], vocabulary: dict[str, int]) -> list[list[str]]:
    found = []
    for text in sorted(learned, key=lambda t: (-learned[t], vocabulary[t])):
        pairs = [
            (text[:cut], text[cut:])
            for cut in range(1, len(text))
            if text[:cut] in learned and text[cut:] in learned
        ]
        found += [list(pair) for pair in pairs]
    return found


def _config(tokenizer: Tokenizer) -> dict[str, Any]:
    names = {number: piece.text for number, piece in enumerate(tokenizer.file.pieces)}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": names[tokenizer.eod_id],
        "pad_token": PAD if PAD in tokenizer.ids else names[tokenizer.eod_id],
        "unk_token": UNKNOWN,
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,  # "<|user|>" in a text is text
    }
