"""Formats that are not text, by their first bytes: what messages call them."""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Iterable
from typing import BinaryIO

PARQUET = "a Parquet file"
ENCRYPTED_PARQUET = "an encrypted Parquet file"
TAR = "a tar archive"
ZIP = "a zip archive"
DIRECTORY_FAULTS = (
    zipfile.BadZipFile,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
)
"""What zipfile raises for a central directory that is damaged, or (RuntimeError) that asks for a
later version of the format than it knows."""

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", PARQUET),
    (b"PARE", ENCRYPTED_PARQUET),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x04\x22\x4d\x18", "an lz4 file"),
    (b"\x1f\x9d", "a compress (.Z) file"),
    (b"LZIP", "an lzip file"),
    (b"\xff\x06\0\0sNaPpY", "a snappy file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"ALZ\x01", "an ALZ archive"),
    (b"EGGA", "an EGG archive"),
    (b"MSCF\0\0\0\0", "a cabinet archive"),
    (b"!<arch>\n", "an ar archive"),
    (b"\xed\xab\xee\xdb", "an RPM package"),
    (b"xar!", "a xar archive"),
    (b"HWP Document File V", "a HWP document"),
    (b"{\\rtf", "an RTF document"),
    (b"AT&TFORM", "a DjVu document"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"\0\0\1\0", "an icon"),
    (b"\0\0\2\0", "an icon"),
    (b"8BPS", "a Photoshop image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"gimp xcf", "a GIMP image"),
    (b"ID3", "an MP3 file"),
    (b"OggS", "an Ogg file"),
    (b"fLaC", "a FLAC file"),
    (b"MThd", "a MIDI file"),
    (b"#!AMR", "an AMR file"),
    (b"\x1aE\xdf\xa3", "a Matroska video"),
    (b"FLV\1", "a Flash video"),
    (b"\0\0\1\xba", "an MPEG video"),
    (b"\0\0\1\xb3", "an MPEG video"),
    (b"0&\xb2u\x8ef\xcf\x11", "a Windows Media file"),
    (b"\x7fELF", "an executable"),
    (b"\xfe\xed\xfa\xce", "an executable"),
    (b"\xfe\xed\xfa\xcf", "an executable"),
    (b"\xce\xfa\xed\xfe", "an executable"),
    (b"\xcf\xfa\xed\xfe", "an executable"),
    (b"\xca\xfe\xba\xbe", "a Java class"),
    (b"\0asm", "a WebAssembly module"),
    (b"BC\xc0\xde", "LLVM bitcode"),
    (b"dex\n", "a Dalvik executable"),
    (b"OTTO\0", "a font"),
    (b"\0\1\0\0\0", "a font"),
    (b"true\0", "a font"),
    (b"ttcf\0", "a font"),
    (b"wOFF", "a font"),
    (b"wOF2", "a font"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"CDF\1", "a NetCDF file"),
    (b"CDF\2", "a NetCDF file"),
    (b"ARROW1\0\0", "an Arrow file"),
    (b"FEA1", "a Feather file"),
    (b"Obj\1", "an Avro file"),
    (b"ORC", "an ORC file"),
    (b"SEQ\6", "a Hadoop sequence file"),
    (b"GGUF", "a GGUF model"),
    (b"PACK\0\0\0", "a Git pack"),
    (b"DUCK", "a DuckDB database"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture"),
    (b"\xa1\xb2\xc3\xd4", "a packet capture"),
    (b"Salted__", "an encrypted file"),
    (b"FWS", "a Flash file"),
    (b"CWS", "a Flash file"),
)
_RTF = b"{\\rtf"
ASSETS = (
    "image", "icon", "font", "executable", "video", "Ogg", "MP3", "FLAC", "MIDI", "AMR", "WAVE",
    "audio", "Java", "WebAssembly", "bitcode", "bytecode", "Git pack", "Flash", "Media",
    "object code", "binary", "encrypted file", "packet", "ar archive",
)  # fmt: skip
"""Words of the formats that stand in source trees and hold no text: passed over there."""


def binary_kind(head: bytes, binary: bool) -> str | None:
    """Return what a file is that begins with `head`, or None for text and unknown content.

    `binary`: whether the bytes cannot be text, so that a signature of plain letters holds too.
    """
    if b"%PDF-" in head[:1024] and (binary or head.startswith(b"%PDF-")):
        return "a PDF document"
    for signature, kind in _SIGNATURES:
        if head.startswith(signature) and (binary or not _may_be_prose(head, signature)):
            return kind
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _compound(head)
    if head.startswith((b"PK\3\4", b"PK\5\6\0\0", b"PK\7\b")):
        return zip_kind(head)
    if is_tar(head):
        return TAR
    return _by_parts(head) if binary else None


def _may_be_prose(head: bytes, signature: bytes) -> bool:
    """Return whether a text may begin so too: with printable characters, and more behind them."""
    follows = head[len(signature) : len(signature) + 1]
    letters = all(31 < byte < 127 or byte == 10 for byte in signature)
    return letters and signature != _RTF and (follows >= b" " or follows in (b"\t", b"\n", b"\r"))


def _by_parts(head: bytes) -> str | None:
    """Return the kind of binary content whose signature stands in several places."""
    if head.startswith(b"RIFF"):
        form = {b"WEBP": "a WebP image", b"WAVE": "a WAVE file", b"AVI ": "an AVI video"}
        return form.get(head[8:12], "a RIFF file")
    if head[4:8] == b"ftyp":
        picture = head[8:11] in (b"hei", b"avi", b"mif", b"hev")
        return "a HEIF image" if picture else "an MP4 video"
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "a BMP image"
    if head.startswith(b"MZ"):
        return "an executable"
    if re.match(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]", head):
        return "an MP3 file"
    if re.match(rb"\x80[\x02-\x05].", head, re.DOTALL):
        return "a pickle"
    if head[2:4] == b"\r\n" and len(head) > 16:
        return "Python bytecode"
    if head.startswith(b"\xff\xff\xff\xff") and head[4:8] > b"\0":
        return "an Arrow stream"
    if len(head) > 10 and head[8:10] == b'{"' and head[5:8] == b"\0\0\0":
        return "a safetensors file"
    return None


def _compound(head: bytes) -> str:
    """Return the kind of a compound file of OLE, by the names of its streams."""
    for name, kind in (
        ("FileHeader", "a HWP document"),
        ("HwpSummaryInformation", "a HWP document"),
        ("WordDocument", "a Word document (.doc)"),
        ("Workbook", "an Excel sheet (.xls)"),
        ("PowerPoint Document", "a PowerPoint file (.ppt)"),
    ):
        if name.encode("utf-16-le") in head:
            return kind
    return "a HWP document" if b"HWP Document File" in head else "an Office document (.doc, .hwp)"


_BY_TYPE = {
    "application/epub+zip": "an EPUB book",
    "application/hwp+zip": "a HWPX document",
    "application/vnd.oasis.opendocument": "an OpenDocument file (.odt)",
}
_BY_MEMBER = (
    ("word/", "a Word document (.docx)"),
    ("xl/", "an Excel sheet (.xlsx)"),
    ("ppt/", "a PowerPoint file (.pptx)"),
    ("Contents/section", "a HWPX document"),
    ("META-INF/container.xml", "an EPUB book"),
    ("AndroidManifest.xml", "an Android package: an executable"),
    ("META-INF/MANIFEST.MF", "a Java archive"),
)


def zip_kind(head: bytes, names: Iterable[str] = ()) -> str:
    """Return what a zip is, by its mimetype and the names of its members: documents are zips too.

    `names`: those of all its members, where they are known; else those in `head` count.
    """
    found = list(names) or local_names(head)
    kind = re.match(rb"PK\x03\x04.{22}\x08\x00..mimetype([\x20-\x7e]{8,100})", head, re.DOTALL)
    if kind:
        for start, what in _BY_TYPE.items():
            if kind.group(1).decode("ascii").startswith(start):
                return what
    for member, what in _BY_MEMBER:
        if any(name.startswith(member) for name in found):
            if member.islower() and "[Content_Types].xml" not in found:
                continue
            return what
    if "[Content_Types].xml" in found:
        return "an Office document"
    if found and all(name.endswith(".npy") for name in found):
        return "a NumPy archive"
    if any(re.fullmatch(r"[^/]+/data\.pkl", name) for name in found):
        return "a PyTorch file"
    return ZIP


def local_names(head: bytes) -> list[str]:
    """Return the names in the local headers of a zip's first bytes."""
    names = []
    for match in re.finditer(rb"PK\x03\x04", head):
        at = match.start()
        if at + 30 <= len(head):
            (length,) = struct.unpack_from("<H", head, at + 26)
            names.append(head[at + 30 : at + 30 + length].decode("utf-8", "replace"))
    return names


def central_names(raw: BinaryIO) -> list[str]:
    """Return the names in a zip's central directory, none where that is damaged."""
    try:
        with zipfile.ZipFile(raw) as archive:
            return archive.namelist()
    except DIRECTORY_FAULTS:
        return []


def is_tar(head: bytes) -> bool:
    """Return whether a block of a tar's header stands at the start of `head`, undamaged."""
    return valid_header(head[:512])


def valid_header(block: bytes) -> bool:
    """Return whether 512 bytes are the header of a tar's member: its checksum decides."""
    if len(block) < 512 or not block[0]:
        return False
    field = block[148:156]
    if not re.fullmatch(rb" *[0-7]{1,7}[\x00 ]*", field):
        return False
    wanted = int(field.strip(b" \0"), 8)
    unsigned = sum(block) - sum(field) + 8 * 32
    signed = unsigned - 256 * sum(byte > 127 for byte in block[:148] + block[156:])
    return wanted in (unsigned, signed)
