"""Tar archives: damage costs what it hits, sizes are not believed, names are unique."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
import unicodedata
from pathlib import Path

import pytest
import zstandard

from pipelines.ingest.readers.base import Item, Record, Reject
from schemas.config import Ingest
from tests.support import ROOT
from tests.support.contents import KOREAN, LINES, PAGE, PNG, notebook, tarred, zipped
from tests.support.reading import read, rejects, texts

FILES = {f"p/f{n}.py": b"x = %d\n" % n for n in range(8)}


def of_infos(*infos: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as made:
        for info, data in infos:
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


def info(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def items_of(path: Path, data: bytes, **source: object) -> list[Item]:
    path.write_bytes(data)
    return read(path, **source)[0]


def positions(items: list[Item]) -> list[str]:
    return [item.position for item in items if isinstance(item, Record)]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
@pytest.mark.parametrize("damage", [b"\0" * 512, b"\xff" * 512, b"\0" * 1024, b"ustar" * 200])
def test_members_around_a_damaged_place_are_read(tmp_path: Path, name: str, damage: bytes):
    data = bytearray(tarred(FILES, tarfile.GNU_FORMAT))
    at = data.index(b"p/f3.py")
    data[at : at + len(damage)] = damage[:1024]
    packed = gzip.compress(data) if name.endswith("gz") else bytes(data)
    items = items_of(tmp_path / name, packed)
    assert len(texts(items)) == 7
    (reject,) = [item for item in items if isinstance(item, Reject)]
    assert (reject.reason, reject.position) == ("corrupt_stream", f"byte {at}")
    assert 0 < reject.lost_bytes <= 1024


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_every_format_of_tar_is_read(tmp_path: Path, form: int):
    long = "d" * 60 + "/" + "e" * 60 + "/a.txt"
    items = items_of(tmp_path / "a", tarred({long: KOREAN.encode(), "b": b"text\n"}, form))
    assert positions(items) == [long, "b"]
    assert texts(items) == [KOREAN, "text\n"]


def test_the_oldest_headers_are_read(tmp_path: Path):
    data = bytearray(tarred({"a.txt": b"text\n"}, tarfile.USTAR_FORMAT))
    data[257:265] = bytes(8)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    assert texts(items_of(tmp_path / "a.tar", bytes(data))) == ["text\n"]


def test_what_is_not_a_file_is_named_without_a_fault(tmp_path: Path):
    data = of_infos(
        (info("a.txt"), b"text\n"),
        (info("link", tarfile.SYMTYPE, "../../etc/passwd"), b""),
        (info("hard", tarfile.LNKTYPE, "a.txt"), b""),
        (info("pipe", tarfile.FIFOTYPE), b""),
        (info("tty", tarfile.CHRTYPE), b""),
        (info("folder", tarfile.DIRTYPE), b""),
    )
    items = items_of(tmp_path / "a.tar", data)
    assert texts(items) == ["text\n"]
    special = [item for item in items if isinstance(item, Reject)]
    assert [(item.position, item.reason, item.fault) for item in special] == [
        (name, "not_a_file", False) for name in ("link", "hard", "pipe", "tty")
    ]
    assert "../../etc/passwd" in special[0].detail


def test_names_are_normalised_and_unique(tmp_path: Path):
    decomposed = unicodedata.normalize("NFD", "가.txt")
    names = ["./a.txt", "a.txt", "/a.txt", "a.txt#2", "b//c.txt", decomposed, "가.txt"]
    data = of_infos(*((info(name), b"%d\n" % n) for n, name in enumerate(names)))
    items = items_of(tmp_path / "a.tar", data)
    found = positions(items)
    assert found == [
        "a.txt", "a.txt#2", "a.txt#3", "a.txt#2#2", "b/c.txt", "가.txt", "가.txt#2",
    ]  # fmt: skip
    some = read(tmp_path / "a.tar", limit=3)[0]
    assert len(some) == len(texts(some)) == 3


def test_a_name_that_is_not_utf_8_is_escaped(tmp_path: Path):
    data = bytearray(tarred({"xx.txt": b"text\n"}, tarfile.GNU_FORMAT))
    data[0:2] = b"\xb0\xa1"
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    assert positions(items_of(tmp_path / "a.tar", bytes(data))) == ["\\xb0\\xa1.txt"]


def test_an_archive_appended_to_another_is_read(tmp_path: Path):
    data = tarred({"a.txt": b"one\n"}) + tarred({"b.txt": b"two\n"})
    items = items_of(tmp_path / "a.tar", data + b"\n")
    assert texts(items) == ["one\n", "two\n"]
    assert rejects(items) == []


@pytest.mark.parametrize("cut", range(512, 8192, 509))
def test_a_cut_archive_is_a_fault_after_the_members_before_it(tmp_path: Path, cut: int):
    data = tarred(FILES, tarfile.GNU_FORMAT)
    items = items_of(tmp_path / "a.tar", data[:cut])
    whole = (cut - 512 - len(FILES["p/f0.py"])) // 1024 + 1
    assert len(texts(items)) == whole
    assert [reason for reason, _ in rejects(items)] == ["truncated_stream"]


def test_members_behind_a_damaged_gzip_member_are_found_again(tmp_path: Path):
    import random

    rng = random.Random(3)
    files = {f"f{n:03}.txt": f"{n} {rng.getrandbits(4000):x}\n".encode() for n in range(400)}
    data = tarred(files, tarfile.GNU_FORMAT)
    third = len(data) // 3 + 77
    parts = [gzip.compress(data[at : at + third]) for at in range(0, len(data), third)]
    broken = bytearray(parts[1])
    broken[len(broken) // 2 : len(broken) // 2 + 40] = b"\xff" * 40
    items = items_of(tmp_path / "a.tar.gz", parts[0] + bytes(broken) + parts[2])
    read_names = set(positions(items))
    assert {"f000.txt", "f100.txt", "f399.txt"} <= read_names
    assert 230 < len(read_names) < 360
    assert sum(item.lost_bytes for item in items if isinstance(item, Reject)) > 50_000


def test_every_flipped_bit_of_a_packed_tar_is_found(tmp_path: Path):
    import random

    rng = random.Random(1)
    whole = gzip.compress(tarred(FILES))
    expected = sorted(data.decode() for data in FILES.values())
    for number in range(60):
        data = bytearray(whole)
        data[rng.randrange(10, len(data))] ^= 1 << rng.randrange(8)
        items = items_of(tmp_path / f"{number}.tar.gz", bytes(data))
        assert rejects(items) or sorted(texts(items)) == expected


def test_a_sparse_file_is_read_with_its_holes(tmp_path: Path):
    source = tmp_path / "s.txt"
    with source.open("wb") as file:
        file.write(b"text at the start\n" * 10)
        file.truncate(1 << 20)
    subprocess.run(
        ["tar", "--sparse", "-cf", str(tmp_path / "a.tar"), "-C", str(tmp_path), "s.txt"],
        check=True,
    )
    if (tmp_path / "a.tar").stat().st_size > 100_000:
        pytest.skip("this file system has no holes")
    (item,) = read(tmp_path / "a.tar", format="tree")[0]
    assert isinstance(item, Reject)
    assert (item.raw_bytes, item.reason) == (1 << 20, "binary")


def test_a_member_is_what_its_bytes_say(tmp_path: Path):
    files = {
        "a.txt": KOREAN.encode(),
        "b.html": PAGE,
        "c.ipynb": notebook(("markdown", "# Title")),
        "d.png": PNG,
        "e.zip": zipped({"x.txt": b"x"}),
        "f.jsonl": LINES,
        "g.pdf": b"%PDF-1.4\n",
        "__pycache__/h.pyc": b"x",
        ".git/config": b"x",
        "empty.txt": b"",
        "i.dat": "\ufeff글\n".encode("utf-16"),
    }
    items = items_of(tmp_path / "a.tar", tarred(files))
    assert positions(items) == ["a.txt", "b.html", "c.ipynb", "i.dat"]
    assert all("<" not in text for text in texts(items))
    found = {item.position: (item.reason, item.fault) for item in items if isinstance(item, Reject)}
    assert found == {
        "empty.txt": ("empty_file", False),
        "hidden_file": ("hidden_file", False),
        "helper_file": ("helper_file", False),
        **dict.fromkeys(("d.png", "e.zip", "f.jsonl", "g.pdf"), ("unknown_format", True)),
    }
    raw = read(tmp_path / "a.tar", format="tree")[0]
    assert {"b.html", "f.jsonl"} <= set(positions(raw))
    assert ("binary", "d.png") in rejects(raw)
    pages = read(tmp_path / "a.tar", format="html")[0]
    assert positions(pages) == ["b.html"]


def test_a_member_of_a_gigabyte_is_passed_in_bounded_memory(tmp_path: Path):
    big = info("big.txt")
    big.size = 1 << 30
    with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=1) as file:
        file.write(tarred({"a.txt": b"one\n"})[:1024] + big.tobuf(tarfile.GNU_FORMAT))
        for _ in range(1 << 8):
            file.write(b"x" * (1 << 22))
        file.write(tarred({"b.txt": b"two\n"}))
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.support.reading import read, rejects, texts\n"
        "items, _ = read(Path(sys.argv[1]))\n"
        "peak = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]\n"
        "print(texts(items), rejects(items), peak)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.tar.gz")],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout.startswith("['one\\n', 'two\\n'] [('too_long', 'big.txt')]")
    assert int(done.stdout.split()[-1]) < 400_000


def test_a_member_that_claims_more_than_there_is_ends_the_archive(tmp_path: Path):
    huge = info("huge.txt")
    huge.size = 1 << 62
    data = tarred({"a.txt": b"one\n"})[:1024] + huge.tobuf(tarfile.GNU_FORMAT) + b"x" * 2000
    for limit in (1000, 1 << 63):
        items, _ = read_with(tmp_path / "a.tar", data, Ingest(max_document_bytes=limit))
        assert texts(items) == ["one\n"]
        assert rejects(items) == [("truncated_stream", "huge.txt")]


def read_with(path: Path, data: bytes, ingest: Ingest) -> tuple[list[Item], object]:
    path.write_bytes(data)
    return read(path, ingest)


def test_members_behind_missing_bytes_are_found_at_any_place(tmp_path: Path):
    data = tarred(FILES)
    items = items_of(tmp_path / "a.tar", data[:1600] + data[1700:])
    assert len(texts(items)) == len(FILES)
    assert [reason for reason, _ in rejects(items)].count("corrupt_stream") == 1


@pytest.mark.parametrize("missing", [4, 100, 500])
def test_a_header_that_moved_into_the_member_before_is_found(tmp_path: Path, missing: int):
    data = tarred({name: data * 30 for name, data in FILES.items()}, tarfile.GNU_FORMAT)
    items = items_of(tmp_path / "a.tar", data[: 1024 - missing] + data[1024:])
    assert len(texts(items)) >= len(FILES) - 1
    assert "p/f1.py" in [item.position for item in items if isinstance(item, Record)]
    assert ("corrupt_stream", "byte 1024") in rejects(items)


def test_a_loss_counts_no_headers_and_no_padding(tmp_path: Path):
    files = {f"{n:03}.txt": f"{n:030}\n".encode() for n in range(100)}
    parts = [tarred({name: data}, tarfile.GNU_FORMAT)[:1024] for name, data in files.items()]
    frames = [zstandard.compress(b"".join(parts[at : at + 10])) for at in range(0, 100, 10)]
    frames[5] = frames[5][:10] + bytes(len(frames[5]) - 10)
    items = items_of(tmp_path / "a.tar.zst", b"".join(frames) + zstandard.compress(bytes(1024)))
    lost = sum(item.lost_bytes for item in items if isinstance(item, Reject))
    assert lost == pytest.approx(310, rel=0.2)
