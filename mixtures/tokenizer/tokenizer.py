"""The tokenizer: columns of text to token ids, and back, without loss.

Encoding is SentencePiece's. Where a model is one of Bibim's own (byte fallback, identity
normalisation, no piece over a word's edge: see `mixtures.tokenizer.words`), each distinct word is
encoded once and cached, which gives the same ids several times as fast. Text never becomes a
control symbol: `<|user|>` in a document is ordinary characters. The one letter that
SentencePiece cannot distinguish from a space, U+2581, is encoded as its three bytes.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtures.tokenizer.modelfile import SPACE, ModelFile, PieceType, read_model
from mixtures.tokenizer.words import (
    END,
    LONGEST,
    MEMORY_FULL,
    WordMemory,
    emit,
    emitted,
    scan,
    share_out,
)
from schemas.errors import InputError, RunFault

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

PAD: Final = "<pad>"
UNKNOWN: Final = "<unk>"
END_OF_DOCUMENT: Final = "<|endofdoc|>"
CHAT: Final = ("<|user|>", "<|assistant|>", "<|endofturn|>")
FILL_IN_MIDDLE: Final = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
RESERVED: Final = tuple(f"<|reserved_{number}|>" for number in range(23))
SPECIAL: Final = (PAD, UNKNOWN, END_OF_DOCUMENT, *CHAT, *FILL_IN_MIDDLE, *RESERVED)
"""Control symbols in the order of their ids, 0 to 31. No text is ever encoded to them."""

WHITE: Final = " \t\n\r"
MODEL: Final = "tokenizer.model"
UINT16_BELOW: Final = 65_500
"""Megatron-Core's bound: smaller vocabularies are stored in 16 bits, others as int32."""

_WORDS_AT_ONCE: Final = 1 << 19
_LEARN_AT_ONCE: Final = 1 << 16
_FIRST_DOCUMENT_END: Final = (END_OF_DOCUMENT, "<|endoftext|>", "<|end_of_text|>", "</s>")

Tokens = npt.NDArray[Any]
"""uint16 or int32: see `token_dtype`."""


@dataclass(frozen=True)
class Encoded:
    """Tokens of several texts: text `i` has `tokens[offsets[i]:offsets[i + 1]]`."""

    tokens: Tokens
    offsets: npt.NDArray[np.int64]

    @property
    def counts(self) -> npt.NDArray[np.int32]:
        """Tokens of each text."""
        return np.diff(self.offsets).astype(np.int32)


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """Return the type in which tokens of a vocabulary are stored (Megatron-Core's rule)."""
    return np.dtype("<u2") if vocab_size < UINT16_BELOW else np.dtype("<i4")


class Tokenizer:
    """A SentencePiece model. Make one with `Tokenizer.load`."""

    def __init__(self, model: bytes, name: str = MODEL) -> None:
        """`model`: the bytes of a model file. `name` stands in messages."""
        from sentencepiece import SentencePieceProcessor

        self.sha256 = hashlib.sha256(model).hexdigest()
        try:
            self.file: ModelFile = read_model(model)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        self.processor: SentencePieceProcessor = SentencePieceProcessor(model_proto=model)
        self.vocab_size = len(self.file.pieces)
        self.dtype = token_dtype(self.vocab_size)
        self.ids = {piece.text: number for number, piece in enumerate(self.file.pieces)}
        self.eod_id = self._document_end(name)
        self.pad_id = self.ids.get(PAD, self.eod_id)
        self.byte_ids = self._byte_ids()
        self.by_words = self.byte_ids is not None and words_are_separate(self.file)
        """Whether words are encoded one by one. Only then is decoding known to be exact."""
        self._sizes = np.array([len(data) for data in self.piece_bytes], dtype=np.int32)
        self._marker = (
            self.byte_ids[np.frombuffer(SPACE.encode(), dtype=np.uint8)]
            if self.byte_ids is not None
            else np.zeros(0, dtype=np.int32)
        )
        self._memory: WordMemory | None = None
        self._token_start = np.zeros(1, dtype=np.int64)
        self._token_arena = np.zeros(0, dtype=np.int32)
        self._known = 0

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Load a model file, or the one in a folder. Raises InputError if there is none."""
        file = path / MODEL if path.is_dir() else path
        try:
            return cls(file.read_bytes(), str(file))
        except OSError as error:
            raise InputError(
                f"{file}: {error.strerror}; name a SentencePiece .model file"
            ) from None

    def encode_batch(self, texts: pa.Array) -> Encoded:
        """Encode each text of a (large) string array; null is empty.

        No token is added: `decode` of a text's tokens is the text.
        """
        return self._encode(texts, tail=-1)

    def encode_documents(self, texts: pa.Array) -> Encoded:
        """Encode each text and end it with `eod_id`, as documents stand in a mixture."""
        return self._encode(texts, tail=self.eod_id)

    def encode(self, text: str) -> list[int]:
        """Return the ids of one text."""
        return [int(token) for token in self.encode_batch(pa.array([text])).tokens]

    def decode(self, ids: Sequence[int] | npt.NDArray[Any]) -> str:
        """Return the text of `ids`; control symbols are left out.

        Bytes that are not UTF-8 (a character cut in the middle) become U+FFFD.
        Raises InputError for an id that the vocabulary does not have.
        """
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def decode_bytes(self, ids: Sequence[int] | npt.NDArray[Any]) -> bytes:
        """Return the UTF-8 bytes of `ids`; control symbols are left out."""
        array = np.asarray(ids, dtype=np.int64)
        if len(array) and not 0 <= int(array.min()) <= int(array.max()) < self.vocab_size:
            raise InputError(
                f"ids from {array.min()} to {array.max()}: the vocabulary has 0 to "
                f"{self.vocab_size - 1}; use the tokenizer that wrote them"
            )
        if not self.by_words and self.file.add_dummy_prefix:
            return str(self.processor.decode(array.tolist())).encode()
        table = self.piece_bytes
        return b"".join([table[number] for number in array.tolist()])

    @cached_property
    def piece_bytes(self) -> list[bytes]:
        """The bytes that each id stands for; none for control symbols."""
        return [piece_bytes(piece.text, piece.type) for piece in self.file.pieces]

    def _document_end(self, name: str) -> int:
        for text in _FIRST_DOCUMENT_END:
            if text in self.ids:
                return self.ids[text]
        if self.processor.eos_id() >= 0:
            return int(self.processor.eos_id())
        raise InputError(
            f"{name}: the model has no end-of-document symbol; add one of "
            f"{', '.join(_FIRST_DOCUMENT_END)} to it as a control symbol"
        )

    def _byte_ids(self) -> npt.NDArray[np.int32] | None:
        names = [f"<0x{byte:02X}>" for byte in range(256)]
        known = [self.ids.get(name, -1) for name in names]
        return None if min(known) < 0 else np.array(known, dtype=np.int32)

    def _encode(self, texts: pa.Array, tail: int) -> Encoded:
        array = texts.cast(pa.large_string()) if texts.type != pa.large_string() else texts
        if array.null_count:
            array = array.fill_null("")
        if not self.by_words:
            return self._encode_whole(array, tail)
        return self._encode_words(array, tail)

    def _encode_whole(self, texts: pa.Array, tail: int) -> Encoded:
        """Encode every text whole by SentencePiece."""
        parts: list[npt.NDArray[np.int32]] = []
        end = np.array([] if tail < 0 else [tail], dtype=np.int32)
        for scalar in texts:
            data = scalar.as_buffer()
            ids = self.processor.encode([bytes(data or b"")], return_type="numpy", num_threads=1)
            parts.append(np.concatenate([ids[0], end]))
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        flat = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
        return Encoded(self._stored(flat), offsets)

    def _encode_words(self, texts: pa.Array, tail: int) -> Encoded:
        data, offsets = _buffers(texts)
        if self._memory is None:
            self._memory = WordMemory()
        memory = self._memory
        words = np.empty(min(_WORDS_AT_ONCE, len(data) + len(texts) + 1), dtype=np.int32)
        parts: list[Tokens] = []
        ends = np.zeros(len(texts) + 1, dtype=np.int64)
        position, text, done, total, why = int(offsets[0]), 0, 0, 0, -1
        while why != END:
            written, position, text, why = scan(memory, data, offsets, position, text, words)
            self._learn(memory)
            chunk = words[:written]
            size = emitted(chunk, self._token_start, self._marker, tail)
            out = np.empty(size, dtype=np.int32)
            here = ends[done + 1 :]
            ended = emit(chunk, self._token_start, self._token_arena, self._marker, tail, out, here)
            here[:ended] += total
            done += ended
            total += len(out)
            parts.append(self._stored(out))
            if why == MEMORY_FULL:
                self._forget(memory)
        return Encoded(np.concatenate(parts), ends)

    def _stored(self, ids: npt.NDArray[np.int32]) -> Tokens:
        return ids.astype(np.uint16) if self.dtype.itemsize == 2 else ids

    def _forget(self, memory: WordMemory) -> None:
        memory.clear()
        self._known = 0

    def _learn(self, memory: WordMemory) -> None:
        """Encode the words that were added to `memory` since the last call."""
        first, last = self._known, memory.count
        if first == last:
            return
        # Texts of 64 KiB: SentencePiece's queue of merges stays in the processor's cache.
        span = np.arange(memory.start[first], memory.start[last], _LEARN_AT_ONCE)
        cuts = np.unique(np.searchsorted(memory.start[: last + 1], span, side="right") - 1)
        edges = [*cuts.tolist(), last]
        joined = [memory.joined(a, b) for a, b in itertools.pairwise(edges)]
        encoded = self.processor.encode(joined, return_type="numpy", num_threads=1)
        tokens = np.concatenate(encoded).astype(np.int32, copy=False)
        self._token_start = _grown(self._token_start, last + 1)
        room = int(self._token_start[first]) + len(tokens)
        self._token_arena = _grown(self._token_arena, room)
        end = share_out(
            tokens,
            self._sizes,
            memory.start,
            first,
            last,
            self._token_start,
            self._token_arena,
        )
        if end < 0:
            raise RunFault(
                f"tokenizer {self.sha256[:12]}: its tokens do not add up to the text; "
                "use the model file as it was trained"
            )
        self._known = last


def piece_bytes(text: str, kind: PieceType) -> bytes:
    """Return the bytes that a piece stands for in a text."""
    if kind in (PieceType.CONTROL, PieceType.UNKNOWN, PieceType.UNUSED):
        return b""
    if kind == PieceType.BYTE:
        return bytes([int(text[3:5], 16)])
    return text.replace(SPACE, " ").encode()


def words_are_separate(model: ModelFile) -> bool:
    """Return whether no piece of `model` can reach over the edge of a word
    (mixtures.tokenizer.words).

    That is so when normalisation changes nothing, ordinary pieces have white space as their
    first letter only and no ASCII digit beside another letter, and user-defined pieces are
    white space.
    """
    if model.normalizer != "identity" or model.add_dummy_prefix or not model.escape_whitespaces:
        return False
    if model.remove_extra_whitespaces:
        return False
    for piece in model.pieces:
        text = piece.text
        if piece.type == PieceType.USER_DEFINED:
            if text.strip(WHITE + SPACE):
                return False
        elif piece.type == PieceType.NORMAL and (
            SPACE in text[1:]
            or any(letter in text for letter in WHITE)
            or (len(text) > 1 and any(letter in text for letter in "0123456789"))
        ):
            return False
    return True


def _buffers(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the UTF-8 bytes and the offsets of a large string array without nulls."""
    _, offset_buffer, data_buffer = texts.buffers()
    if offset_buffer is None:
        return np.zeros(0, dtype=np.uint8), np.zeros(1, dtype=np.int64)
    offsets = np.frombuffer(offset_buffer, dtype=np.int64, count=texts.offset + len(texts) + 1)
    size = data_buffer.size if data_buffer is not None else 0
    data = np.frombuffer(data_buffer, dtype=np.uint8) if size else np.zeros(0, dtype=np.uint8)
    return data, offsets[texts.offset :]


def _grown(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Return `array` with room for at least `size` items, its items kept."""
    if len(array) >= size:
        return array
    larger = np.zeros(max(size, 2 * len(array)), dtype=array.dtype)
    larger[: len(array)] = array
    return larger


__all__ = [
    "CHAT",
    "END_OF_DOCUMENT",
    "FILL_IN_MIDDLE",
    "LONGEST",
    "PAD",
    "RESERVED",
    "SPECIAL",
    "UNKNOWN",
    "Encoded",
    "Tokenizer",
    "token_dtype",
    "words_are_separate",
]
