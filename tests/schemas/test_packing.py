"""Packed streams: all that can be read is, and every gap is reported with what it cost."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import shutil
import struct
import subprocess
import zlib

import pytest
import zstandard

from schemas.packing import CORRUPT, TRUNCATED, kind_of, unpack
from tests.support.damage import DATA, LZ4, PACKINGS, Packed, read, without, zeroed

EACH = pytest.mark.parametrize("packed", PACKINGS, ids=lambda packed: packed.name)
MANY = pytest.mark.parametrize(
    "packed", [each for each in PACKINGS if not each.whole], ids=lambda packed: packed.name
)


def by_tool(packed: Packed, data: bytes) -> bytes:
    """Return what the format's own tool gets of `data`."""
    if not shutil.which(packed.tool[0]):
        pytest.skip(f"{packed.tool[0]} is not installed")
    return subprocess.run(packed.tool, input=data, capture_output=True, check=False).stdout


def intact(got: bytes) -> int:
    """Return how many bytes of DATA precede the first that is missing or wrong."""
    if DATA.startswith(got):
        return len(got)
    return next(at for at, (one, other) in enumerate(zip(got, DATA, strict=False)) if one != other)


@EACH
def test_whole_streams_come_back_whole_in_bounded_pieces(packed: Packed):
    pieces = list(unpack(io.BytesIO(packed.data).read))
    assert b"".join(pieces) == DATA
    assert max(map(len, pieces)) <= 4 << 20


@EACH
def test_a_stream_that_trickles_in_comes_back_whole(packed: Packed):
    source = io.BytesIO(packed.data)
    assert b"".join(unpack(lambda count: source.read(min(count, 997)))) == DATA


@EACH
@pytest.mark.parametrize("cut", [0.1, 0.25, 0.5, 0.9])
def test_a_cut_stream_gives_what_its_tool_gets_and_one_gap(packed: Packed, cut: float):
    data = packed.data[: int(len(packed.data) * cut)]
    got, gaps = read(data)
    assert DATA.startswith(got)
    assert len(got) >= len(by_tool(packed, data)) - 512
    (gap,) = gaps
    assert (gap.reason, gap.position) == (TRUNCATED, len(got))
    if packed.name in ("zstd", "lz4"):  # the frame states its size
        assert gap.lost_bytes == len(DATA) - len(got)
    else:  # nothing states it: as much is assumed as was read
        assert gap.lost_bytes >= max(1, len(got))


@EACH
def test_a_bad_block_in_the_middle_costs_what_the_gap_says(packed: Packed):
    data = without(packed.data, 0.5)
    got, gaps = read(data)
    assert gaps and all(gap.reason == CORRUPT for gap in gaps)
    assert intact(got) >= intact(by_tool(packed, data)) - 512
    missing = len(DATA) - len(got)
    assert sum(gap.lost_bytes for gap in gaps) == pytest.approx(missing, rel=0.2, abs=20_000)


@MANY
def test_reading_resumes_at_the_next_part(packed: Packed):
    data = zeroed(packed.data, 0.5)
    got, _ = read(data)
    assert len(got) > 0.7 * len(DATA)
    assert got.endswith(DATA[-100_000:])


@MANY
def test_a_damaged_start_costs_the_first_part_only(packed: Packed):
    kind = packed.name.partition("-")[0]
    endings = {"gzip": "gz", "zstd": "zst", "bzip2": "bz2", "xz": "xz", "lz4": "lz4"}
    got, gaps = read(b"\xff" * 6 + packed.data[6:], name=f"a.{endings[kind]}")
    assert got.endswith(DATA[-100_000:])
    assert len(got) > 0.6 * len(DATA)
    assert gaps


def test_a_checksum_that_differs_is_a_gap_without_loss():
    for at, what in ((-8, "data check"), (-4, "length check")):
        data = bytearray(gzip.compress(b"one\n"))
        data[at] ^= 1
        got, (gap,) = read(bytes(data) + gzip.compress(b"two\n"))
        assert got == b"one\ntwo\n"
        assert (gap.position, gap.since, gap.lost_bytes, gap.packed_bytes) == (4, 0, 0, 0)
        assert what in gap.detail
    for pack in (lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),):
        data = bytearray(pack(b"one\n"))
        data[-1] ^= 1
        got, (gap,) = read(bytes(data))
        assert (got, gap.lost_bytes) == (b"one\n", 0)
    data = bytearray(lzma.compress(b"one\n"))
    data[12 + 12 + 12] ^= 1  # stream's header, block's header, chunk: the check
    got, (gap,) = read(bytes(data))
    assert (got, gap.lost_bytes) == (b"one\n", 0)


@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n", bytes(64), bytes(5000) + b"\n"])
@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bz2.compress, lzma.compress])
def test_padding_between_and_behind_parts_is_not_a_fault(between: bytes, pack):
    assert read(pack(b"one") + between + pack(b"two") + between) == (b"onetwo", [])


def test_other_bytes_behind_the_last_part_are_a_fault():
    got, (gap,) = read(gzip.compress(b"one") + b"<!-- made by a proxy -->")
    assert (got, gap.packed_bytes) == (b"one", 24)
    assert gap.reason == CORRUPT


def test_a_start_of_a_member_inside_packed_data_is_not_taken_for_one():
    fake = b"\x1f\x8b\x08\x00" + random.Random(1).randbytes(3000)
    stored = gzip.compress(b"A" * 50_000 + fake * 3 + b"B" * 50_000, 0)
    damaged = zeroed(stored, 0.01, 2000) + gzip.compress(b"the end")
    got, _ = read(damaged)
    assert got.endswith(b"the end")


def test_a_dictionary_in_a_first_frame_serves_the_others():
    samples = [f"record {n} of a page about the sea and the wind".encode() * 3 for n in range(500)]
    dictionary = zstandard.train_dictionary(2000, samples)
    packer = zstandard.ZstdCompressor(dict_data=dictionary)
    frames = b"".join(packer.compress(sample) for sample in samples)
    for stored in (dictionary.as_bytes(), zstandard.compress(dictionary.as_bytes())):
        first = struct.pack("<II", 0x184D2A5D, len(stored)) + stored
        assert read(first + frames) == (b"".join(samples), [])
    got, gaps = read(frames)
    assert not got
    assert gaps and "ictionary" in gaps[0].detail


def test_a_long_window_is_read():
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=28)
    data = b"".join(random.Random(2).randbytes(1 << 20) for _ in range(2)) * 2
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    assert read(packer.compress(data) + packer.flush()) == (data, [])


def test_kinds_are_found_by_bytes_and_text_is_none():
    assert kind_of(gzip.compress(b"")[:16]) == "gzip"
    assert kind_of(zstandard.compress(b"")[:16]) == "zstd"
    assert kind_of(bz2.compress(b"")[:16]) == kind_of(bz2.compress(b"x")[:16]) == "bzip2"
    assert kind_of(lzma.compress(b"")[:16]) == "xz"
    if LZ4:
        import lz4.frame

        assert kind_of(lz4.frame.compress(b"")[:16]) == "lz4"
    assert [kind_of(head) for head in (b"", b"BZh9 is text", b"{", b"WARC/1.0")] == [None] * 4


def test_random_damage_never_raises_and_positions_rise():
    rng = random.Random(7)
    small = {packed.name: packed.data for packed in PACKINGS if packed.name.endswith("s")}
    for _ in range(60):
        data = bytearray(rng.choice(list(small.values())))
        for _ in range(rng.randint(1, 20)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        del data[rng.randrange(len(data) // 2, len(data)) :]
        got, gaps = read(bytes(data))
        positions = [gap.position for gap in gaps]
        assert positions == sorted(positions)
        assert all(0 <= gap.since <= gap.position <= len(got) for gap in gaps)
        assert all(gap.lost_bytes >= 0 and gap.packed_bytes >= 0 for gap in gaps)


def test_what_precedes_a_fault_inside_a_member_is_given_to_the_byte():
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(b"x" * 5000) + packer.flush(zlib.Z_FULL_FLUSH)
    got, (gap,) = read(first + b"\x07" + bytes(20))
    assert got == b"x" * 5000
    assert "block type" in gap.detail


def test_members_that_a_damaged_one_runs_into_are_read():
    parts = [gzip.compress(b"%d " % n * 4000) for n in range(6)]
    inner = zlib.compressobj(0, wbits=-15)
    packed = parts[1][:10] + inner.compress(b"".join(parts[2:5])) + inner.flush() + bytes(8) + b"?"
    got, gaps = read(parts[0] + packed + parts[5])
    assert got.endswith(b"".join(b"%d " % n * 4000 for n in (2, 3, 4, 5)))
    assert gaps[0].lost_bytes > 0


def test_little_that_was_read_does_not_make_the_loss_little():
    data = random.Random(3).randbytes(2000).hex().encode()
    packed = gzip.compress(data)
    _, gaps = read(packed[:90] + bytes(40) + packed[130:])
    assert sum(gap.lost_bytes for gap in gaps) > 2000
