"""Words: the parts of a text that can be encoded separately, and a cache of their tokens.

If no piece of a vocabulary crosses a word boundary, encoding a text is encoding its words one by
one. A corpus repeats its words, so SentencePiece encodes each once; a kernel over the UTF-8 buffer
looks the others up.

A word is a run of white space (space, tab, line feed, carriage return) with the characters
after it, up to the next white space, ASCII digit or U+2581. A digit is a word of its own, or
with white space before it two words; U+2581 (the letter that SentencePiece uses for a space)
is a word of its own.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.kernels import GOLDEN, kernel

LONGEST: Final = 16_384
"""Bytes; a longer word is cut there at a character's edge (SentencePiece needs about 100 bytes
of memory for each byte of a word)."""

TEXT_END: Final = -1
"""Marks the end of a text among the word numbers."""

MARKER: Final = -2
"""Stands for U+2581 among the word numbers."""

SEPARATOR: Final = ord("0")
"""Follows each word in the arena: a digit is a token of its own, so consecutive words of the arena
can be encoded as one text."""

END, WORDS_FULL, MEMORY_FULL = 0, 1, 2
"""Why `scan` stopped: at the end, with its list of words full, or with its memory full."""


class WordMemory:
    """The words seen so far, by number. Bounded: `clear` makes it empty again.

    `slots` is an open-addressing table of word numbers plus one (0: free); word `i` has the bytes
    `arena[start[i]:start[i + 1] - 1]`, SEPARATOR after them, and the hash `hashes[i]`.
    """

    def __init__(self, words: int = 1 << 20, arena: int = 1 << 24) -> None:
        """Make room for `words` words of `arena` bytes in all."""
        self.limit = words
        self.slots = np.zeros(2 * words, dtype=np.int32)
        self.hashes = np.zeros(words, dtype=np.uint64)
        self.start = np.zeros(words + 1, dtype=np.int64)
        self.arena = np.zeros(arena, dtype=np.uint8)
        self.count = 0

    def clear(self) -> None:
        """Remove every word."""
        self.slots[:] = 0
        self.count = 0

    def joined(self, first: int, last: int) -> bytes:
        """Return the words from `first` to before `last`, SEPARATOR after each."""
        return self.arena[self.start[first] : self.start[last]].tobytes()


def scan(
    memory: WordMemory,
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    position: int,
    text: int,
    words: npt.NDArray[np.int32],
) -> tuple[int, int, int, int]:
    """Number the words from byte `position` of text `text` on, into `words`.

    `data` holds UTF-8 bytes, `offsets` (texts + 1) where each text begins. Returns (words
    written, next position, next text, END, WORDS_FULL or MEMORY_FULL). New words are added to
    `memory`.
    """
    written, position, text, count, why = _scan(
        data,
        offsets,
        position,
        text,
        words,
        memory.slots,
        memory.hashes,
        memory.start,
        memory.arena,
        memory.count,
        memory.limit,
    )
    memory.count = count
    return written, position, text, why


@kernel
def _white(byte: int) -> bool:
    return byte in (32, 9, 10, 13)


@kernel
def _marker(data: npt.NDArray[np.uint8], at: int, end: int) -> bool:
    return at + 2 < end and data[at] == 0xE2 and data[at + 1] == 0x96 and data[at + 2] == 0x81


@kernel
def _word_end(data: npt.NDArray[np.uint8], start: int, end: int) -> int:
    """Return where the word that begins at `start` ends; `end` is the text's end."""
    at = start
    limit = min(end, start + LONGEST)
    while at < limit and _white(data[at]):
        at += 1
    if at == start:
        if 48 <= data[at] <= 57:
            return at + 1
        if _marker(data, at, end):
            return at + 3
    while at < limit:
        byte = data[at]
        if _white(byte) or 48 <= byte <= 57 or (byte == 0xE2 and _marker(data, at, end)):
            return at
        at += 1
    if at < end:  # cut for its length: not inside a character
        while at > start + 1 and (data[at] & 0xC0) == 0x80:
            at -= 1
    return at


@kernel
def _hash(data: npt.NDArray[np.uint8], start: int, end: int) -> np.uint64:
    value = np.uint64(end - start) * GOLDEN
    for at in range(start, end):
        value = (value ^ np.uint64(data[at])) * GOLDEN
        value ^= value >> np.uint64(29)
    return value


@kernel
def _scan(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    position: int,
    text: int,
    words: npt.NDArray[np.int32],
    slots: npt.NDArray[np.int32],
    hashes: npt.NDArray[np.uint64],
    start: npt.NDArray[np.int64],
    arena: npt.NDArray[np.uint8],
    count: int,
    limit: int,
) -> tuple[int, int, int, int, int]:
    written = 0
    mask = np.uint64(len(slots) - 1)
    texts = len(offsets) - 1
    while text < texts:
        end = offsets[text + 1]
        while position < end:
            if written == len(words):
                return written, position, text, count, WORDS_FULL
            stop = _word_end(data, position, end)
            length = stop - position
            if length == 3 and _marker(data, position, end):
                words[written] = MARKER
                written += 1
                position = stop
                continue
            key = _hash(data, position, stop)
            slot = key & mask
            number = -1
            while slots[slot] != 0:
                other = slots[slot] - 1
                if hashes[other] == key and start[other + 1] - start[other] == length + 1:
                    base = start[other]
                    same = True
                    for at in range(length):
                        if arena[base + at] != data[position + at]:
                            same = False
                            break
                    if same:
                        number = other
                        break
                slot = (slot + np.uint64(1)) & mask
            if number < 0:
                base = start[count]
                if count == limit or base + length + 1 > len(arena):
                    return written, position, text, count, MEMORY_FULL
                for at in range(length):
                    arena[base + at] = data[position + at]
                arena[base + length] = SEPARATOR
                number = count
                hashes[number] = key
                start[number + 1] = base + length + 1
                slots[slot] = number + 1
                count += 1
            words[written] = number
            written += 1
            position = stop
        if written == len(words):
            return written, position, text, count, WORDS_FULL
        words[written] = TEXT_END
        written += 1
        text += 1
    return written, position, text, count, END


@kernel
def emitted(
    words: npt.NDArray[np.int32],
    token_start: npt.NDArray[np.int64],
    marker: npt.NDArray[np.int32],
    tail: int,
) -> int:
    """Return how many tokens `emit` will write."""
    total = 0
    for word in words:
        if word >= 0:
            total += token_start[word + 1] - token_start[word]
        elif word == MARKER:
            total += len(marker)
        elif tail >= 0:
            total += 1
    return total


@kernel
def emit(
    words: npt.NDArray[np.int32],
    token_start: npt.NDArray[np.int64],
    token_arena: npt.NDArray[np.int32],
    marker: npt.NDArray[np.int32],
    tail: int,
    out: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int64],
) -> int:
    """Write the tokens of `words` to `out`, `tail` (if not negative) at each text's end.

    Word `i` has the tokens `token_arena[token_start[i]:token_start[i + 1]]`, U+2581 those of
    `marker`. `ends` gets the place in `out` after each text that ended; returns how many did.
    """
    at = 0
    texts = 0
    for word in words:
        if word >= 0:
            for place in range(token_start[word], token_start[word + 1]):
                out[at] = token_arena[place]
                at += 1
        elif word == MARKER:
            for token in marker:
                out[at] = token
                at += 1
        else:
            if tail >= 0:
                out[at] = tail
                at += 1
            ends[texts] = at
            texts += 1
    return texts


@kernel
def share_out(
    tokens: npt.NDArray[np.int32],
    sizes: npt.NDArray[np.int32],
    start: npt.NDArray[np.int64],
    first: int,
    last: int,
    token_start: npt.NDArray[np.int64],
    token_arena: npt.NDArray[np.int32],
) -> int:
    """Assign the tokens of the words `first` to before `last`; return where they end.

    `tokens` are those of the words joined by SEPARATOR, `sizes` the bytes that each id stands
    for, `start` where each word begins. Token starts and arena are filled from word `first` on.
    Returns -1 if the tokens do not match the words, which no SentencePiece model causes.
    """
    out = token_start[first]
    at = start[first]
    word = first
    for token in tokens:
        if at == start[word + 1] - 1:  # the separator
            at += sizes[token]
            if at != start[word + 1]:
                return -1
            word += 1
            token_start[word] = out
            continue
        token_arena[out] = token
        out += 1
        at += sizes[token]
    return out if word == last else -1
