"""SentencePiece model files, read and written as protocol-buffer bytes.

A model file is one `ModelProto` message: pieces (field 1), trainer specification (2) and
normaliser specification (3); numbers of fields as in `sentencepiece_model.proto`. The message
class that the sentencepiece package carries requires a newer protobuf than Apache Beam allows, so
the few fields that Bibim needs are parsed here. Written bytes depend on nothing but the arguments:
no path, no thread count, no time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from schemas.errors import InputError

SPACE = "\u2581"
"""SentencePiece's letter for a space inside pieces."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class PieceType(IntEnum):
    """`ModelProto.SentencePiece.Type`."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Piece:
    """One entry of the vocabulary; its id is its place in the list."""

    text: str
    type: PieceType = PieceType.NORMAL
    score: float = 0.0


@dataclass(frozen=True)
class ModelFile:
    """The fields of a model file that Bibim uses."""

    pieces: tuple[Piece, ...]
    normalizer: str
    """Name of the normalisation rule; `identity` changes nothing."""
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool
    escape_whitespaces: bool


def read_model(data: bytes) -> ModelFile:
    """Read a model file's bytes. Raises InputError if they are not a SentencePiece model."""
    pieces: list[Piece] = []
    normalizer: dict[int, int | bytes] = {}
    try:
        for field, value in _fields(data):
            if field == 1 and isinstance(value, bytes):
                parts = dict(_fields(value))
                score = parts.get(2)
                pieces.append(
                    Piece(
                        bytes_of(parts.get(1)).decode("utf-8"),
                        PieceType(int_of(parts.get(3), PieceType.NORMAL)),
                        struct.unpack("<f", score)[0] if isinstance(score, bytes) else 0.0,
                    )
                )
            elif field == 3 and isinstance(value, bytes):
                normalizer = dict(_fields(value))
    except (IndexError, ValueError, struct.error) as error:
        raise InputError(f"not a SentencePiece model ({error}); name a .model file") from None
    if not pieces:
        raise InputError("not a SentencePiece model (it has no pieces); name a .model file")
    return ModelFile(
        pieces=tuple(pieces),
        normalizer=bytes_of(normalizer.get(1)).decode("utf-8", "replace"),
        add_dummy_prefix=bool(int_of(normalizer.get(3), 1)),
        remove_extra_whitespaces=bool(int_of(normalizer.get(4), 1)),
        escape_whitespaces=bool(int_of(normalizer.get(5), 1)),
    )


def write_model(pieces: Sequence[Piece], *, unk: str, eos: str, pad: str) -> bytes:
    """Return the bytes of a BPE model with byte fallback and identity normalisation.

    `unk`, `eos` and `pad` name pieces of the list; there is no beginning-of-text piece.
    """
    ids = {piece.text: index for index, piece in enumerate(pieces)}
    trainer = b"".join(
        (
            _number(3, 2),  # model_type: BPE
            _number(4, len(pieces)),  # vocab_size
            _number(25, 1),  # split_digits
            _number(35, 1),  # byte_fallback
            _number(40, ids[unk]),
            _number(41, -1),  # bos_id
            _number(42, ids[eos]),
            _number(43, ids[pad]),
            _bytes(45, unk.encode()),
            _bytes(47, eos.encode()),
            _bytes(48, pad.encode()),
        )
    )
    normalizer = _bytes(1, b"identity") + _number(3, 0) + _number(4, 0) + _number(5, 1)
    body = b"".join(_bytes(1, _piece(piece)) for piece in pieces)
    return body + _bytes(2, trainer) + _bytes(3, normalizer)


def bytes_of(value: int | bytes | None) -> bytes:
    """Return a length-delimited field's value, empty where it is absent."""
    return value if isinstance(value, bytes) else b""


def int_of(value: int | bytes | None, default: int) -> int:
    """Return a number field's value, `default` where it is absent."""
    return value if isinstance(value, int) else default


def _piece(piece: Piece) -> bytes:
    score = _key(2, _FIXED32) + struct.pack("<f", piece.score)
    return _bytes(1, piece.text.encode()) + score + _number(3, int(piece.type))


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) of a message; varints as int, all else as bytes."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            number, position = _varint(data, position)
            yield field, number
            continue
        if wire == _BYTES:
            size, position = _varint(data, position)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire} at byte {position}")
        if position + size > len(data):
            raise ValueError(f"field {field} ends after the file, at byte {position + size}")
        yield field, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7
        if shift > 63:
            raise ValueError(f"number too long at byte {position}")


def _encode_varint(number: int) -> bytes:
    number &= (1 << 64) - 1  # negative numbers are ten bytes long, as protobuf's int32
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _key(field: int, wire: int) -> bytes:
    return _encode_varint(field << 3 | wire)


def _number(field: int, value: int) -> bytes:
    return _key(field, _VARINT) + _encode_varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, _BYTES) + _encode_varint(len(value)) + value
