"""Counts of letters and characters by language, for `filters.text.charset.evidence`.

    python -m filters.fit.charsets OUT.npz TNC_FREQ.txt FILE.jsonl.zst …

Bits per letter after a letter for the languages of 8-bit charsets, and bits per character for
Korean, Chinese and Japanese. Words and their frequencies are those of the package wordfreq, for
Thai those of the Thai National Corpus (`tnc_freq.txt` of the package pythainlp); traditional
Chinese is the simplified list by opencc. FILE holds Korean texts, whose characters are added to
wordfreq's; documents of the held-out fifth are not read.
"""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from filters.fit.labelled import is_held_out, read_texts
from filters.text.charset.evidence import ABSENT, LANGUAGES, STEPS

BITS = 16
"""No letter costs more."""
SMOOTHING = 30.0
"""Occurrences per million words of a letter's neighbours, shared out as the language's letters."""
RARE = 2e-5
"""A letter of the alphabet is at least this share of all letters."""
CHARACTERS = 3_000_000
"""Of each Korean file, at most."""

Frequencies = Iterable[tuple[str, float]]


def alphabet(words: Frequencies) -> str:
    """Return the letters that are RARE or more of the letters of `words`, in code order."""
    counts: dict[str, float] = defaultdict(float)
    for word, frequency in words:
        for char in word:
            counts[char] += frequency
    total = sum(counts.values())
    marks = {"Ll", "Lo", "Mn", "Mc", "Lm"}
    return "".join(
        sorted(
            c for c, n in counts.items() if n >= RARE * total and unicodedata.category(c) in marks
        )
    )


def letter_bits(words: list[tuple[str, float]], letters: str) -> npt.NDArray[np.uint8]:
    """Return uint8 [n + 1, n + 1]: the cost of a letter (column) after another, 1 / STEPS bits.

    Number 0 stands for everything but letters: the edge of a word.
    """
    number = {letter: at for at, letter in enumerate(letters, 1)}
    counts = np.zeros((len(letters) + 1, len(letters) + 1))
    for word, frequency in words:
        path = [0, *(number.get(char, 0) for char in word), 0]
        for before, after in pairwise(path):
            counts[before, after] += frequency * 1e6
    single = counts.sum(0) + 1.0
    single /= single.sum()
    share = (counts + SMOOTHING * single) / (counts.sum(1, keepdims=True) + SMOOTHING)
    return _steps(share)


def character_bits(texts: Frequencies) -> npt.NDArray[np.uint8]:
    """Return uint8 [65536]: the cost of each character beyond ASCII, 1 / STEPS bits, or ABSENT."""
    counts = np.zeros(65_536)
    for text, frequency in texts:
        for char, count in Counter(text).items():
            if "\x7f" < char < "\ud800" or "\uf900" <= char <= "\uffef":
                counts[ord(char)] += frequency * count
    share = counts / counts.sum()
    return np.where(share > 1e-6, _steps(np.maximum(share, 1e-9)), ABSENT).astype(np.uint8)


def _steps(share: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    return np.round(np.clip(-np.log2(share), 0, BITS) * STEPS).astype(np.uint8)


def words_of(lang: str, thai: Path) -> list[tuple[str, float]]:
    """Return (word, share of all words) of a language, lower case."""
    if lang == "th":
        rows = [line.split("\t") for line in thai.read_text("utf-8").splitlines()]
        total = sum(int(row[1]) for row in rows)
        words = [(row[0].strip(), int(row[1]) / total) for row in rows]
        return [(word, share) for word, share in words if not _has_ascii_letter(word)]
    import wordfreq  # type: ignore[import-not-found]

    if lang == "sr":
        return [(_cyrillic(word), share) for word, share in words_of("sh", thai)]
    words = [
        (unicodedata.normalize("NFC", word).replace("i\u0307", "i"), share)
        for word, share in wordfreq.get_frequency_dict(lang, "best").items()
    ]
    if LANGUAGES[lang].latin:
        return [(_marked(word) if lang == "vi" else word, share) for word, share in words]
    return [(word, share) for word, share in words if not _has_ascii_letter(word)]


def _has_ascii_letter(word: str) -> bool:
    return any(char.isascii() and char.isalpha() for char in word)


_SERBIAN = {"lj": "љ", "nj": "њ", "dž": "џ"} | dict(
    zip("abvgdđežzijklmnoprstćufhcčš", "абвгдђежзијклмнопрстћуфхцчш", strict=True)
)


def _cyrillic(word: str) -> str:
    """Return a Serbian word, which wordfreq lists in Latin letters, in Cyrillic ones."""
    for latin in sorted(_SERBIAN, key=len, reverse=True):
        word = word.replace(latin, _SERBIAN[latin])
    return word


def _marked(word: str) -> str:
    """Return a Vietnamese word as windows-1258 holds it: tones as marks behind their letter."""
    out = []
    for char in word:
        parts = unicodedata.normalize("NFD", char)
        tones = "".join(c for c in parts if c in "\u0300\u0301\u0303\u0309\u0323")
        letter = unicodedata.normalize("NFC", "".join(c for c in parts if c not in tones))
        out.append(letter + tones)
    return "".join(out)


def written(lang: str) -> list[tuple[str, float]]:
    """Return the words of a language and their frequencies, per word of text (wordfreq)."""
    import wordfreq

    return list(wordfreq.get_frequency_dict(lang, "best").items())


def korean(files: Iterable[Path]) -> Iterator[tuple[str, float]]:
    """Yield (text, 1e-6) of the files' documents that are not held out."""
    for file in files:
        left = CHARACTERS
        for row in read_texts(file):
            if left > 0 and not is_held_out(row.id):
                left -= len(row.text)
                yield row.text, 1e-6


def main(out: str, thai: str, *files: str) -> None:
    """Write the model to `out`. `thai`: words and counts; `files`: records of Korean texts."""
    import opencc  # type: ignore[import-not-found]

    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for lang in LANGUAGES:
        words = words_of(lang, Path(thai))
        letters = alphabet(words)
        arrays[f"letters_{lang}"] = np.array(list(letters))
        arrays[f"bits_{lang}"] = letter_bits(words, letters)
        print(f"{lang}: {letters}", flush=True)
    traditional = opencc.OpenCC("s2t").convert
    chinese = written("zh")
    arrays["ko"] = character_bits([*written("ko"), *korean(map(Path, files))])
    arrays["ja"] = character_bits(written("ja"))
    arrays["zh_hans"] = character_bits(chinese)
    arrays["zh_hant"] = character_bits([(traditional(word), share) for word, share in chinese])
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]  # names, not allow_pickle


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
