"""A hashed n-gram linear classifier that reads Arrow's UTF-8 buffers, window by window.

A window is a line or a few sentences, about as long as the comments that such a model is
trained on. Its n-grams are hashed to buckets, the buckets' weights summed as integers,
and the sum, divided by sqrt(n-grams + DAMPING), becomes a probability by a logistic curve. Windows
in Hangul have weights and a curve of their own, and so have all others: words shared by two
languages do not mean the same in both. Training extracts its features with the same code
(`features`), so both see the same.

Three families of n-grams, each with its own hash seed:

- characters: 1 to 5 inside a word, the word's edges counting as a character;
- letters: 2 to 5 with everything else left out, which sees through "시.발", "시 1 발";
- words: whole words, and pairs of neighbours.

Before hashing, text is lower-cased (ASCII), full-width forms become ASCII, digits become 0, a
run of one character is cut to two, white space to one, zero-width characters go, and the
rest of a web address or a user name is dropped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.columnar.arrays import Bytes, Doubles, Floats, Ints, Longs
from filters.columnar.kernels import GOLDEN, kernel
from filters.columnar.npz import read_npz, write_npz
from schemas.errors import InputError

FORMAT = "bibim-ngram-1"
SHORT_BYTES = 320
"""A text of at most so many bytes is one window. Labelled comments: median 27 (ko) and 81 (en)
characters, 95 of 100 under 87 and 146."""
TARGET_CHARS = 160
"""In a longer one a window ends at the first white space after so many characters …"""
LINE_CHARS = 40
"""… or at a line's end after so many …"""
MAX_CHARS = 320
"""… or here, wherever that is."""
DAMPING = 200
"""Added to the number of n-grams before the square root, so that a window of few n-grams stays
near the prior. On held-out Korean comments: AUC 0.870 with 0, 0.872 with 100 to 300."""

_IDS_PER_CHAR = 12  # 5 character + 5 letter n-grams, 2 words: an upper bound
_FAMILY = (0x51ED270B3A1F4E5D, 0x2545F4914F6CDD1D, 0x6C62272E07BB0142)
_SPACE = 32


@dataclass(frozen=True)
class NgramModel:
    """Weights and calibration; `score` is what it is for.

    All by window kind, [Hangul, other]: `codes`, int8 (2, 2**bits), a weight being
    `scale` · code · |code| (fine steps for the many small ones); `scale`, `slope` and `offset`,
    float32 (2,), the latter two of the logistic curve. `card`: what the model is, as written
    by who trained it.
    """

    codes: npt.NDArray[np.int8]
    scale: Floats
    slope: Floats
    offset: Floats
    card: dict[str, object]

    @property
    def bits(self) -> int:
        return int(self.codes.shape[1]).bit_length() - 1

    def score(self, text: pa.Array) -> tuple[Floats, Floats]:
        """Return for each text its score and the share of its windows above 0.5.

        Both float32 in [0, 1], of the length of `text` (string or large_string). The score is
        the mean of the windows' probabilities weighted by their characters, white space not
        counted: of a text of one window just its probability, of a long one how *dense* the
        thing is. 0 for a text without any character, and for null.
        """
        data, offsets = utf8_buffers(text)
        score = np.zeros(len(text), np.float32)
        share = np.zeros(len(text), np.float32)
        _score(
            data,
            offsets,
            self.codes,
            self.scale.astype(np.float64) * self.slope.astype(np.float64),
            self.offset.astype(np.float64),
            score,
            share,
        )
        return score, share


def utf8_buffers(text: pa.Array) -> tuple[Bytes, Longs]:
    """Return the UTF-8 bytes and the int64 offsets (rows + 1) of a string array, uncopied.

    Nulls are empty. Raises TypeError if the array holds no strings.
    """
    if pa.types.is_string(text.type):
        text = text.cast(pa.large_string())
    if not pa.types.is_large_string(text.type):
        raise TypeError(f"a string column is needed, not {text.type}")
    if text.null_count:
        text = text.fill_null("")
    if len(text) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = text.buffers()
    positions = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
    empty = data is None or data.size == 0
    return (np.zeros(0, np.uint8) if empty else np.frombuffer(data, np.uint8)), positions


@dataclass(frozen=True)
class Windows:
    """The windows of texts, in order: `row` of each, its bytes [`begin`, `end`) in the column's
    buffer, its characters without white space (`size`, never 0), and 0 for Hangul, 1 for other
    (`kind`)."""

    row: Longs
    begin: Longs
    end: Longs
    size: Longs
    kind: Ints

    def texts(self, text: pa.Array) -> pa.Array:
        """Return the windows of `text`, from which they were made, as large_string."""
        data, _ = utf8_buffers(text)
        return pa.array(
            [
                bytes(data[begin:end]).decode("utf-8", "replace")
                for begin, end in zip(self.begin, self.end, strict=True)
            ],
            pa.large_string(),
        )

    def density(self, chance: Floats, rows: int) -> tuple[Floats, Floats]:
        """Return what `NgramModel.score` does, of `rows` texts, from probabilities by window."""
        mass = np.bincount(self.row, chance.astype(np.float64) * self.size, rows)
        size = np.bincount(self.row, self.size, rows)
        above = np.bincount(self.row, chance > 0.5, rows)
        count = np.bincount(self.row, minlength=rows)
        score = (mass / np.maximum(size, 1)).astype(np.float32)
        return score, (above / np.maximum(count, 1)).astype(np.float32)


def windows(text: pa.Array) -> Windows:
    """Return the windows of `text` as `NgramModel.score` reads them."""
    data, offsets = utf8_buffers(text)
    room = int((np.diff(offsets) // LINE_CHARS + 2).sum())
    table = np.zeros((5, room), np.int64)
    used = _windows(data, offsets, table)
    row, begin, end, size, kind = table[:, :used]
    return Windows(row, begin, end, size, kind.astype(np.int32))


def features(text: pa.Array, bits: int) -> tuple[Ints, Longs, Ints]:
    """Return the buckets of each text's n-grams, for training.

    Result: bucket of every n-gram, repeats included (int32); where each text's begin
    (int64, rows + 1); whether the text's window counts as Hangul (0) or other (1). A text
    is one window here, cut at 4 × MAX_CHARS characters.
    """
    data, offsets = utf8_buffers(text)
    kinds = np.zeros(len(text), np.int32)
    chars = np.minimum(np.diff(offsets), 4 * MAX_CHARS)
    ids = np.zeros(int((chars + 3).sum()) * _IDS_PER_CHAR, np.int32)
    begins = np.zeros(len(text) + 1, np.int64)
    _extract(data, offsets, bits, ids, begins, kinds)
    return ids[: begins[-1]].copy(), begins, kinds


def save(model: NgramModel, path: Path) -> None:
    """Write the model as a compressed `.npz` whose bytes depend on the model alone."""
    write_npz(
        path,
        {
            "codes": model.codes,
            "scale": model.scale.astype(np.float32),
            "slope": model.slope.astype(np.float32),
            "offset": model.offset.astype(np.float32),
            "card": np.frombuffer(
                json.dumps(
                    {"format": FORMAT, **model.card}, ensure_ascii=False, sort_keys=True
                ).encode(),
                np.uint8,
            ),
        },
    )


def load(path: Path) -> NgramModel:
    """Read a model. Raises InputError where the file is missing or is no such model."""
    arrays = read_npz(path)
    try:
        card = json.loads(arrays["card"].tobytes())
        model = NgramModel(
            np.ascontiguousarray(arrays["codes"], np.int8),
            arrays["scale"].astype(np.float32),
            arrays["slope"].astype(np.float32),
            arrays["offset"].astype(np.float32),
            card,
        )
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(
            f"{path}: not an n-gram model ({error}); make one with `bibim fit toxicity`"
        ) from None
    if card.get("format") != FORMAT or model.codes.shape != (2, 1 << model.bits):
        raise InputError(
            f"{path}: format {card.get('format')!r} with codes {model.codes.shape}; "
            f"this version reads {FORMAT!r}. Make one with `bibim fit toxicity`"
        )
    return model


def compile_kernels() -> None:
    """Compile (or fetch from Numba's cache) the kernels, so that no batch waits for it."""
    text = pa.array(["가 a"], pa.large_string())
    tiny = NgramModel(
        np.zeros((2, 1024), np.int8),
        np.ones(2, np.float32),
        np.ones(2, np.float32),
        np.zeros(2, np.float32),
        {},
    )
    tiny.score(text)
    windows(text)


@kernel
def decode(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Return the code point at `at` and the position after it. Odd bytes stand for themselves."""
    byte = int(data[at])
    if byte < 0x80:
        return byte, at + 1
    if byte < 0xE0 and at + 1 < end:
        return ((byte & 0x1F) << 6) | (int(data[at + 1]) & 0x3F), at + 2
    if byte < 0xF0 and at + 2 < end:
        middle = int(data[at + 1]) & 0x3F
        return ((byte & 0x0F) << 12) | (middle << 6) | (int(data[at + 2]) & 0x3F), at + 3
    if at + 3 < end:
        high = (int(data[at + 1]) & 0x3F) << 12
        low = ((int(data[at + 2]) & 0x3F) << 6) | (int(data[at + 3]) & 0x3F)
        return ((byte & 0x07) << 18) | high | low, at + 4
    return byte, at + 1


@kernel
def fold(code: int) -> int:
    """Return the character that stands for `code`; 0 where it is to be left out."""
    if 0xFF01 <= code <= 0xFF5E:
        code -= 0xFEE0
    if code < 128:
        if 65 <= code <= 90:
            return code + 32
        if 48 <= code <= 57:
            return 48
        return _SPACE if code <= 32 else code
    if code in (0xA0, 0x3000) or 0x2000 <= code <= 0x200A or code in (0x2028, 0x2029):
        return _SPACE
    if 0x200B <= code <= 0x200F or code in (0xFEFF, 0xAD, 0x2060, 0x3164):
        return 0
    return code


@kernel
def is_hangul(code: int) -> bool:
    return 0xAC00 <= code <= 0xD7A3 or 0x3131 <= code <= 0x318E


@kernel
def is_letter(code: int) -> bool:
    """Return whether a folded character counts as a letter: punctuation and pictures do not."""
    if code < 0xC0:
        return 97 <= code <= 122
    return not 0x2000 <= code <= 0x2BFF and code < 0x1F000


@kernel
def read_window(
    data: Bytes, start: int, end: int, target: int, line: int, limit: int, chars: Ints
) -> tuple[int, int]:
    """Fold one window into `chars`; return the position after it and how many were written.

    `chars` begins and ends with a space. Its length must be at least `limit` + 2.
    """
    chars[0] = _SPACE
    count = 1
    seen = 0
    at = start
    previous = _SPACE
    before = 0
    skip = False
    while at < end:
        raw, at = decode(data, at, end)
        seen += 1
        code = fold(raw)
        if code == _SPACE:
            skip = False
            if previous != _SPACE:
                chars[count] = _SPACE
                count += 1
                before = previous
                previous = _SPACE
            if seen >= target or (raw == 10 and seen >= line):
                break
        elif code != 0 and not skip and not (code == previous and code == before):
            chars[count] = code
            count += 1
            is_name = previous == _SPACE and code == 64  # @
            slashes = code == 47 and previous == 47 and count > 4
            skip = is_name or (slashes and chars[count - 3] == 58)  # ://
            before = previous
            previous = code
        if seen >= limit:
            break
    if chars[count - 1] != _SPACE:
        chars[count] = _SPACE
        count += 1
    return at, count


@kernel
def _bucket(state: np.uint64, shift: int) -> int:
    mixed = (state ^ (state >> np.uint64(32))) * GOLDEN
    return int(mixed >> np.uint64(shift))


@kernel
def _hash(chars: Ints, count: int, bits: int, letters: Ints, ids: Ints, used: int) -> int:
    """Append the buckets of the window's n-grams to `ids` from `used` on; return the new end."""
    shift = 64 - bits
    letter_count = 0
    word = np.uint64(_FAMILY[2])
    last_word = np.uint64(0)
    for first in range(count):
        code = chars[first]
        if code == _SPACE:
            if first > 0:
                ids[used] = _bucket(word, shift)
                used += 1
                if last_word != 0:
                    ids[used] = _bucket(word * np.uint64(3) ^ last_word, shift)
                    used += 1
                last_word = word
                word = np.uint64(_FAMILY[2])
        else:
            word = (word ^ np.uint64(code)) * GOLDEN
            if is_letter(code):
                letters[letter_count] = code
                letter_count += 1
        state = np.uint64(_FAMILY[0])
        for at in range(first, min(first + 5, count)):
            state = (state ^ np.uint64(chars[at])) * GOLDEN
            if at == first:
                if code != _SPACE:
                    ids[used] = _bucket(state, shift)
                    used += 1
                continue
            ids[used] = _bucket(state, shift)
            used += 1
            if chars[at] == _SPACE:
                break
    for first in range(letter_count):
        state = np.uint64(_FAMILY[1])
        for at in range(first, min(first + 5, letter_count)):
            state = (state ^ np.uint64(letters[at])) * GOLDEN
            if at > first:
                ids[used] = _bucket(state, shift)
                used += 1
    return used


@kernel
def _kind(chars: Ints, count: int) -> int:
    """Return 0 where at least three letters in ten are Hangul, else 1."""
    letters = 0
    hangul = 0
    for index in range(count):
        if is_letter(chars[index]):
            letters += 1
            hangul += is_hangul(chars[index])
    return 0 if hangul > 0 and 10 * hangul >= 3 * letters else 1


@kernel
def _extract(
    data: Bytes,
    offsets: Longs,
    bits: int,
    ids: Ints,
    begins: Longs,
    kinds: Ints,
) -> None:
    limit = 4 * MAX_CHARS
    chars = np.zeros(limit + 3, np.int32)
    letters = np.zeros(limit + 3, np.int32)
    used = 0
    for row in range(offsets.size - 1):
        _, count = read_window(data, offsets[row], offsets[row + 1], limit, limit, limit, chars)
        if count > 1:
            used = _hash(chars, count, bits, letters, ids, used)
        kinds[row] = _kind(chars, count)
        begins[row + 1] = used


@kernel
def _score(
    data: Bytes,
    offsets: Longs,
    codes: npt.NDArray[np.int8],
    slope: Doubles,
    offset: Doubles,
    score: Floats,
    share: Floats,
) -> None:
    bits = 0
    while (1 << bits) < codes.shape[1]:
        bits += 1
    chars = np.zeros(MAX_CHARS + 3, np.int32)
    letters = np.zeros(MAX_CHARS + 3, np.int32)
    ids = np.zeros((MAX_CHARS + 3) * _IDS_PER_CHAR, np.int32)
    for row in range(offsets.size - 1):
        at = offsets[row]
        end = offsets[row + 1]
        short = end - at <= SHORT_BYTES
        target = MAX_CHARS if short else TARGET_CHARS
        line = MAX_CHARS if short else LINE_CHARS
        mass = 0.0
        total = 0.0
        windows = 0
        above = 0
        while at < end:
            at, count = read_window(data, at, end, target, line, MAX_CHARS, chars)
            size = 0
            for index in range(count):
                size += chars[index] != _SPACE
            if size == 0:
                continue
            used = _hash(chars, count, bits, letters, ids, 0)
            kind = _kind(chars, count)
            evidence = np.int64(0)
            for index in range(used):
                code = np.int64(codes[kind, ids[index]])
                evidence += code * abs(code)
            margin = slope[kind] * (evidence / np.sqrt(used + DAMPING)) + offset[kind]
            chance = 1.0 / (1.0 + np.exp(-margin))
            mass += size * chance
            total += size
            windows += 1
            above += chance > 0.5
        if windows > 0:
            score[row] = mass / total
            share[row] = above / windows


@kernel
def _windows(data: Bytes, offsets: Longs, table: Longs) -> int:
    chars = np.zeros(MAX_CHARS + 3, np.int32)
    used = 0
    for row in range(offsets.size - 1):
        at = offsets[row]
        end = offsets[row + 1]
        short = end - at <= SHORT_BYTES
        target = MAX_CHARS if short else TARGET_CHARS
        line = MAX_CHARS if short else LINE_CHARS
        while at < end:
            begin = at
            at, count = read_window(data, at, end, target, line, MAX_CHARS, chars)
            size = 0
            for index in range(count):
                size += chars[index] != _SPACE
            if size > 0:
                table[0, used] = row
                table[1, used] = begin
                table[2, used] = at
                table[3, used] = size
                table[4, used] = _kind(chars, count)
                used += 1
    return used
