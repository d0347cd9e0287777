"""Archives: old and new headers, links, holes, names in other charsets, damage, odd members."""

from __future__ import annotations

import io
import random
import struct
import tarfile
import unicodedata
import zipfile
from pathlib import Path

from tests.oracles.readers.cases_streams import put
from tests.oracles.readers.pack import gz, tar, zip_file
from tests.oracles.readers.prose import code
from tests.oracles.readers.rig import Outcome, Right

CODES = [code(n) for n in range(8)]
MEMBERS = [(f"proj/m{n}.py", text.encode()) for n, text in enumerate(CODES)]
CODE = {
    "config": {
        "ingest": {"max_reject_share": 1},
        "mixture": {"weights": {"code": "1/1"}, "allow_short": True},
    }
}


def of(name: str, **keys: object) -> dict[str, dict[str, object]]:
    return {"s": {"component": "code", "path": name, **keys}}


def right(
    name: str, texts: list[str] | None = CODES, faults: int | tuple[int, int] = 0, **more: object
) -> Right:
    return Right(of(name), texts, faults=faults, **CODE, **more)


def places(data: bytes | bytearray, number: int) -> tuple[int, int]:
    """Return where a member of a zip and its entry of the directory start."""
    return tuple(
        [n for n in range(len(data) - 4) if data[n : n + 4] == mark][number]
        for mark in (b"PK\x03\x04", b"PK\x01\x02")
    )


def tars_of_four_formats(folder: Path) -> Right:
    (folder / "in").mkdir()
    for number, kind in enumerate((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT)):
        put(folder, f"in/{number}.tar", tar(MEMBERS[2 * number : 2 * number + 2], kind))
    old = bytearray(tar(MEMBERS[6:8], tarfile.USTAR_FORMAT))
    for at in (0, 1024):  # the header of Unix v7 has no mark after its first 257 bytes
        old[at + 257 : at + 512] = bytes(255)
        old[at + 148 : at + 156] = b" " * 8
        old[at + 148 : at + 156] = b"%06o\0 " % sum(old[at : at + 512])
    put(folder, "in/3.tar", bytes(old))
    return right("in")


def pax_headers_with_long_names(folder: Path) -> Right:
    long = [(f"{'긴 이름의 폴더/' * 30}m{n}.py", text.encode()) for n, text in enumerate(CODES)]

    def check(got: Outcome) -> str | None:
        return (
            None
            if all("긴 이름의 폴더" in doc["origin"] for doc in got.docs)
            else "names were lost"
        )

    return right(put(folder, "a.tar", tar(long, tarfile.PAX_FORMAT)), check=check)


def links_pipes_and_devices_are_not_documents(folder: Path) -> Right:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in MEMBERS:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, kind, target in (
            ("proj/hard.py", tarfile.LNKTYPE, "proj/m0.py"),
            ("proj/soft.py", tarfile.SYMTYPE, "m1.py"),
            ("proj/gone.py", tarfile.SYMTYPE, "../../nowhere/x.py"),
            ("proj/self.py", tarfile.LNKTYPE, "proj/self.py"),
            ("proj/pipe.py", tarfile.FIFOTYPE, ""),
            ("proj/null.py", tarfile.CHRTYPE, ""),
            ("proj/folder.py", tarfile.DIRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    return right(put(folder, "a.tar", sink.getvalue()))


def sparse_member_is_whole_or_named(folder: Path) -> Right:
    """GNU's old sparse format: 512 bytes of data at 4096 of 8192."""
    data = (b"# hole\n" * 80)[:512]
    info = tarfile.TarInfo("proj/sparse.py")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"%011o\0" % 512
    header[156:157] = b"S"
    header[386:410] = b"%011o\0" % 4096 + b"%011o\0" % 512
    header[483:495] = b"%011o\0" % 8192
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    body = tar(MEMBERS)
    end = len(b"".join(bytes(512 + -(-len(d) // 512) * 512) for _, d in MEMBERS))

    def check(got: Outcome) -> str | None:
        rest = [doc for doc in got.docs if doc["text"] not in CODES]
        if len(got.docs) - len(rest) != 8:
            return f"{len(got.docs) - len(rest)} of 8 other members"
        named = any("sparse.py" in reject["origin"] for reject in got.rejects)
        return None if named or rest else "the sparse member went without a word"

    return right(
        put(folder, "a.tar", body[:end] + bytes(header) + data + body[end:]),
        None,
        (0, 1),
        check=check,
    )


def two_tars_joined(folder: Path) -> Right:
    """`cat a.tar b.tar`: tar reads the second with -i only; it must not vanish."""
    data = tar(MEMBERS[:4]) + tar(MEMBERS[4:])

    def check(got: Outcome) -> str | None:
        return None if len(got.docs) == 8 or got.faults else "the second tar went without a word"

    return right(put(folder, "a.tar", data), None, (0, 1), check=check)


def a_damaged_size_in_a_header(folder: Path) -> Right:
    data = bytearray(tar(MEMBERS))
    size = -(-len(MEMBERS[0][1]) // 512) * 512 + 512
    data[3 * size + 124 : 3 * size + 136] = b"77777777777\0"

    def check(got: Outcome) -> str | None:
        lost = {t for n, t in enumerate(CODES) if n != 3} - {doc["text"] for doc in got.docs}
        return f"{len(lost)} sound members are lost" if lost else None

    return right(put(folder, "a.tar", bytes(data)), None, (1, 2), check=check)


def a_tar_without_its_end(folder: Path) -> Right:
    data = tar(MEMBERS)
    end = sum(512 + -(-len(d) // 512) * 512 for _, d in MEMBERS)
    return right(put(folder, "a.tar", data[:end]), faults=(0, 1))


def empty_members_are_not_faults(folder: Path) -> Right:
    empty = [
        (f"proj/{name}", b"")
        for name in ("__init__.py", "a.js", "README.md", ".gitkeep", "b.css", "c.rs")
    ]
    return right(put(folder, "a.tar.gz", gz(tar(empty + MEMBERS))))


def names_with_dots_and_roots(folder: Path) -> Right:
    names = [
        "./a.py",
        "b/../b.py",
        "/etc/c.py",
        "../../d.py",
        "e//e.py",
        "f\\f.py",
        "./././g.py",
        "h .py",
    ]
    members = [(name, text.encode()) for name, text in zip(names, CODES, strict=True)]
    return right(put(folder, "a.tar", tar(members)), None, (0, 2), check=lambda got: None
                 if len(got.docs) + len(got.rejects) == 8 and len(got.docs) >= 6 else f"{len(got.docs)} documents")  # fmt: skip


def names_in_nfd_are_chosen_by_nfc(folder: Path) -> Right:
    name = unicodedata.normalize("NFD", "한글.py")
    members = [(f"proj/{n}/{name}", text.encode()) for n, text in enumerate(CODES)] + [
        ("proj/other.py", b"x = 1\n")
    ]
    path = put(folder, "a.tar", tar(members))
    return Right(of(path, include=["한글.py"]), CODES, **CODE)


def names_in_cp949_in_a_zip(folder: Path) -> Right:
    members = [
        (f"프로젝트/파일{n}.py".encode("cp949"), text.encode()) for n, text in enumerate(CODES)
    ]

    def check(got: Outcome) -> str | None:
        return None if len({doc["origin"] for doc in got.docs}) == 8 else "origins are not unique"

    return right(put(folder, "a.zip", zip_file(members)), check=check)


def names_that_are_not_utf8_in_a_tar(folder: Path) -> Right:
    data = bytearray(tar(MEMBERS, tarfile.USTAR_FORMAT))
    size = -(-len(MEMBERS[0][1]) // 512) * 512 + 512
    for number in range(8):
        at = number * size
        data[at : at + 12] = (b"\xb0\xa1\xff/m%d.py" % number).ljust(12, b"\0")
        data[at + 148 : at + 156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return right(put(folder, "a.tar", bytes(data)))


def a_zip_whose_directory_is_damaged(folder: Path) -> Right:
    data = bytearray(zip_file([(name.encode(), body) for name, body in MEMBERS]))
    at = data.index(b"PK\x01\x02")
    data[at : at + 120] = bytes(120)
    return right(put(folder, "a.zip", bytes(data)), None, (1, 9),
                 code=(0, 2), check=lambda got: None if got.faults and "a.zip" in str(got.faults) else "silent")  # fmt: skip


def a_zip_with_text_before_it(folder: Path) -> Right:
    data = b"#!/bin/sh\nexec unzip\n" + zip_file([(name.encode(), body) for name, body in MEMBERS])
    return right(put(folder, "a.zip", data))


def a_zip_of_every_method(folder: Path) -> Right:
    sink = io.BytesIO()
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA) * 2
    with zipfile.ZipFile(sink, "w") as archive:
        for (name, data), kind in zip(MEMBERS, kinds, strict=True):
            archive.writestr(name, data, kind)
    return right(put(folder, "a.zip", sink.getvalue()))


def a_member_under_a_password(folder: Path) -> Right:
    data = bytearray(zip_file([(name.encode(), body) for name, body in MEMBERS]))
    local, entry = places(data, 3)
    data[local + 6] |= 1
    data[entry + 8] |= 1
    return right(put(folder, "a.zip", bytes(data)), [*CODES[:3], *CODES[4:]], 1)


def a_member_with_a_wrong_checksum(folder: Path) -> Right:
    data = bytearray(zip_file([(name.encode(), body) for name, body in MEMBERS], method=0))
    at = data.index(b"step_3_0")
    data[at] ^= 1
    return right(put(folder, "a.zip", bytes(data)), [*CODES[:3], *CODES[4:]], 1)


def a_member_of_an_unknown_method(folder: Path) -> Right:
    members = [(name.encode(), body) for name, body in MEMBERS]
    data = bytearray(zip_file(members))
    local, entry = places(data, 3)
    data[local + 8 : local + 10] = data[entry + 10 : entry + 12] = struct.pack("<H", 97)
    return right(put(folder, "a.zip", bytes(data)), [*CODES[:3], *CODES[4:]], 1)


def a_zip_that_claims_too_much(folder: Path) -> Right:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in MEMBERS:
            archive.writestr(name, data)
        archive.writestr("proj/large.py", b"# " + b"a" * 80_000_000)
    config = {**CODE["config"], "ingest": {"max_reject_share": 1, "max_document_bytes": "1MB"}}
    return Right(of(put(folder, "a.zip", sink.getvalue())), CODES, faults=(0, 1), config=config)


def archives_inside_an_archive_are_named(folder: Path) -> Right:
    inner = zip_file([(b"inner.py", code(90).encode())])
    members = [*MEMBERS, ("proj/inner.zip", inner), ("proj/inner.tar.gz", gz(tar(MEMBERS[:1])))]

    def check(got: Outcome) -> str | None:
        named = sum("inner." in reject["origin"] for reject in got.rejects)
        found = sum("inner." in doc["origin"] for doc in got.docs)
        return None if named + found >= 2 else "an inner archive went without a word"

    return right(put(folder, "a.tar", tar(members)), None, (0, 2), check=check)


def pictures_and_programs_inside_a_tar(folder: Path) -> Right:
    noise = random.Random(5).randbytes(3000)
    members = [
        *MEMBERS,
        ("proj/a.png", b"\x89PNG\r\n\x1a\n" + noise),
        ("proj/program", b"\x7fELF\x02\x01\x01" + noise),
        ("proj/fake.py", b"\xca\xfe\xba\xbe\0\0\0\x34" + noise),
    ]

    def check(got: Outcome) -> str | None:
        return (
            None
            if any("fake.py" in reject["origin"] for reject in got.rejects)
            else "fake.py is not named"
        )

    return right(put(folder, "a.tar", tar(members)), faults=(0, 3), check=check)


def a_limit_on_a_zip(folder: Path) -> Right:
    path = put(folder, "a.zip", zip_file([(name.encode(), body) for name, body in MEMBERS]))
    return Right(of(path, limit=3), docs=3, **CODE)


def a_member_twice_in_a_zip(folder: Path) -> Right:
    twice = [
        (b"proj/a.py", CODES[0].encode()),
        (b"proj/a.py", CODES[1].encode()),
        (b"proj/b.py", CODES[2].encode()),
    ]

    def check(got: Outcome) -> str | None:
        texts = [doc["text"] for doc in got.docs]
        return (
            None
            if CODES[1] in texts and CODES[2] in texts
            else f"{len(texts)} documents, the last is missing"
        )

    return right(put(folder, "a.zip", zip_file(twice)), None, check=check)


CASES = [
    tars_of_four_formats,
    pax_headers_with_long_names,
    links_pipes_and_devices_are_not_documents,
    sparse_member_is_whole_or_named,
    two_tars_joined,
    a_damaged_size_in_a_header,
    a_tar_without_its_end,
    empty_members_are_not_faults,
    names_with_dots_and_roots,
    names_in_nfd_are_chosen_by_nfc,
    names_in_cp949_in_a_zip,
    names_that_are_not_utf8_in_a_tar,
    a_zip_whose_directory_is_damaged,
    a_zip_with_text_before_it,
    a_zip_of_every_method,
    a_member_under_a_password,
    a_member_with_a_wrong_checksum,
    a_member_of_an_unknown_method,
    a_zip_that_claims_too_much,
    archives_inside_an_archive_are_named,
    pictures_and_programs_inside_a_tar,
    a_limit_on_a_zip,
    a_member_twice_in_a_zip,
]
