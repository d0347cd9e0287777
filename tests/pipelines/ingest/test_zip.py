"""Zip archives: each fault is its member's, a lost directory costs nothing, names are readable."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from pipelines.ingest.readers.base import Item, Record, Reject
from tests.support import ROOT
from tests.support.contents import KOREAN, zipped
from tests.support.reading import read, rejects, texts

FILES = {f"p/f{n}.py": b"x = %d\n" % n * 40 for n in range(8)}


def items_of(path: Path, data: bytes, **source: object) -> list[Item]:
    path.write_bytes(data)
    return read(path, **source)[0]


def positions(items: list[Item]) -> list[str]:
    return [item.position for item in items if isinstance(item, Record)]


def entry(name: bytes, data: bytes, flags: int = 0, method: int = 0) -> bytes:
    """Return a zip of one stored member, as other programs write it, with any flags."""
    head = struct.pack("<HHHHHIII", 20, flags, method, 0, 0, zlib.crc32(data), len(data), len(data))
    local = b"PK\3\4" + head + struct.pack("<HH", len(name), 0) + name + data
    central = b"PK\1\2\x14\0" + head + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


@pytest.mark.parametrize(
    ("name", "flags", "expected"),
    [
        ("한글/글.txt".encode("cp949"), 0, "한글/글.txt"),
        ("한글/글.txt".encode(), 0, "한글/글.txt"),
        ("한글/글.txt".encode(), 0x800, "한글/글.txt"),
        ("café.txt".encode("cp437"), 0, "café.txt"),
        (b"p\\q\\a.txt", 0, "p/q/a.txt"),
        (b"./a.txt", 0, "a.txt"),
        (b"../../a.txt", 0, "../../a.txt"),
        (b"/etc/a.txt", 0, "etc/a.txt"),
    ],
)
def test_names_come_out_as_they_were_meant(tmp_path: Path, name: bytes, flags: int, expected: str):
    assert positions(items_of(tmp_path / "a.zip", entry(name, b"text\n", flags))) == [expected]


@pytest.mark.parametrize(
    ("flags", "method", "reason", "detail"),
    [
        (1, 0, "encrypted", "password"),
        (0, 9, "corrupt_stream", "deflate64"),
        (0, 77, "corrupt_stream", "method 77"),
    ],
)
def test_a_member_that_cannot_be_unpacked_is_its_own_fault(
    tmp_path: Path, flags: int, method: int, reason: str, detail: str
):
    (item,) = items_of(tmp_path / "a.zip", entry(b"a.txt", b"text\n", flags, method))
    assert isinstance(item, Reject)
    assert (item.reason, item.position, item.fault) == (reason, "a.txt", True)
    assert detail in item.detail


def test_flipped_bits_cost_the_members_that_they_hit(tmp_path: Path):
    rng = random.Random(2)
    whole = zipped(FILES)
    for number in range(80):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        items = items_of(tmp_path / f"{number}.zip", bytes(data), format="tree")
        missing = len(FILES) - len(texts(items))
        faults = [item for item in items if isinstance(item, Reject)]
        assert missing <= len(faults) <= 2
        assert set(texts(items)) <= {data.decode() for data in FILES.values()}


@pytest.mark.parametrize("cut", [20, 30, 60, 90, 99])
def test_a_cut_zip_gives_the_members_before_the_cut(tmp_path: Path, cut: int):
    whole = zipped(FILES)
    data = whole[: len(whole) * cut // 100]
    items = items_of(tmp_path / "a.zip", data)
    begun = data.count(b"PK\3\4")
    assert len(texts(items)) >= begun - 1
    assert ("truncated_stream", "end") in rejects(items)
    assert len(texts(read(tmp_path / "a.zip", limit=1)[0])) == 1


def test_a_streamed_zip_without_a_directory_is_read(tmp_path: Path):
    class Pipe:
        """Cannot be sought in, so sizes follow the members' data."""

        def __init__(self) -> None:
            self.data = b""

        def write(self, data: bytes) -> int:
            self.data += data
            return len(data)

        def flush(self) -> None: ...

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as made:  # type: ignore[arg-type]
        for name, data in FILES.items():
            made.writestr(name, data)
    data = pipe.data[: pipe.data.index(b"PK\1\2")]
    items = items_of(tmp_path / "a.zip", data)
    assert texts(items) == [data.decode() for data in FILES.values()]
    assert rejects(items) == [("truncated_stream", "end")]


def test_a_name_that_comes_twice_makes_two_positions(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made, pytest.warns(UserWarning):
        for number in range(3):
            made.writestr("a.txt", f"{number}\n")
    items = read(tmp_path / "a.zip")[0]
    assert positions(items) == ["a.txt", "a.txt#2", "a.txt#3"]
    assert texts(items) == ["0\n", "1\n", "2\n"]


def test_links_and_what_macos_adds_are_passed_over(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        made.writestr(link, "/etc/passwd")
        made.writestr("__MACOSX/._a.txt", b"\0\5\x16\7")
        made.writestr("a.txt", KOREAN)
    items = read(tmp_path / "a.zip")[0]
    assert texts(items) == [KOREAN]
    assert [(i.position, i.reason, i.fault) for i in items if isinstance(i, Reject)] == [
        ("link", "not_a_file", False),
        ("helper_file", "helper_file", False),
    ]


def test_a_bomb_is_never_in_memory(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.txt", "one\n")
        with made.open("bomb.txt", "w", force_zip64=True) as file:
            for _ in range(1 << 8):
                file.write(bytes(1 << 22))
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "b.zip").write_bytes(data[: data.rindex(b"PK\1\2")])
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.support.reading import read, rejects, texts\n"
        "for name in sys.argv[1:]:\n"
        "    items, _ = read(Path(name))\n"
        "    print(texts(items), rejects(items)[:1])\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.zip"), str(tmp_path / "b.zip")],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    *shown, peak = done.stdout.splitlines()
    assert shown == ["['one\\n'] [('too_long', 'bomb.txt')]"] * 2
    assert int(peak) < 400_000


@pytest.mark.parametrize("name", ["a.zip", "a"])
def test_what_stands_before_a_zip_is_passed(tmp_path: Path, name: str):
    items = items_of(tmp_path / name, b"#!/bin/sh\nexit\n" * 9 + zipped(FILES))
    assert len(texts(items)) == len(items) == len(FILES)


def test_members_behind_a_damaged_header_are_found(tmp_path: Path):
    data = bytearray(zipped(FILES))
    third = [at for at in range(len(data)) if data[at : at + 4] == b"PK\3\4"][2]
    data[third + 27] = 0x7F  # its name has 32 KB more
    items = items_of(tmp_path / "a.zip", bytes(data[: data.index(b"PK\1\2")]))
    assert positions(items) == [name for name in FILES if name != "p/f2.py"]
    assert rejects(items) == [("truncated_stream", f"byte {third}"), ("truncated_stream", "end")]
    assert next(item for item in items if isinstance(item, Reject)).lost_bytes > 40


def test_members_that_are_not_where_the_directory_says_are_found(tmp_path: Path):
    data = zipped(FILES)
    fourth = [at for at in range(len(data)) if data[at : at + 4] == b"PK\3\4"][3]
    items = items_of(tmp_path / "a.zip", data[: fourth + 40] + data[fourth + 45 :])
    assert set(positions(items)) == set(FILES) - {"p/f3.py"}
    assert rejects(items) == [("corrupt_stream", "p/f3.py")]


def test_a_zip_whose_first_bytes_are_damaged_is_read(tmp_path: Path):
    items = items_of(tmp_path / "a.zip", bytes(20) + zipped(FILES)[20:-40])
    assert positions(items) == list(FILES)[1:]


def test_a_member_without_a_name_stops_nothing(tmp_path: Path):
    assert len(items_of(tmp_path / "a.zip", entry(b"", b"text\n"))) == 1


def test_a_long_name_of_controls_is_escaped_and_cut(tmp_path: Path):
    (one,) = positions(items_of(tmp_path / "a.zip", entry(b"a\n\x1b" * 600 + b".txt", b"text\n")))
    assert one.startswith("a\\x0a\\x1ba")
    assert one.isprintable()
    assert len(one) == 1024


def test_a_directory_of_a_later_version_costs_no_member(tmp_path: Path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "하나")
        archive.writestr("b.txt", "둘")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    data[at + 6 : at + 8] = (99).to_bytes(2, "little")  # "version needed" of the first member
    path.write_bytes(data)
    with pytest.raises(RuntimeError, match="zip file version"):
        zipfile.ZipFile(path)
    items, _ = read(path)
    assert texts(items) == ["하나", "둘"]
    assert len(rejects(items)) == 1
