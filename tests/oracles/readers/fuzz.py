"""Valid files with flipped bits, cut pieces and pieces of other files; each read in a child."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from schemas.errors import InputError
from tests.oracles.readers import damage, recover
from tests.oracles.readers.cases_folders import notebook
from tests.oracles.readers.pack import gz, http, jsonl, parquet, record, tar, zip_file
from tests.oracles.readers.prose import code, page, paragraph, paragraphs

SECONDS = 5
MEGABYTES = 300
TEXTS = paragraphs(24, first=40_000)


def lines() -> bytes:
    rich = [f'{{"text": "{t}", "meta": {{"a": [1, 2.5, null, "é"]}}, "url": "http://a.example/{n}", "timestamp": {n}}}\n'
            for n, t in enumerate(TEXTS)]  # fmt: skip
    return "".join(rich).encode()


def crawl() -> list[bytes]:
    return [
        record(
            http(page([text] * 3).encode(), "Content-Type: text/html; charset=utf-8"),
            f"http://site.example/{n}",
        )
        for n, text in enumerate(TEXTS[:10])
    ]


def page_of(address: str) -> bytes:
    """Return the page at an address of the crawl."""
    return page([TEXTS[int(address.rpartition("/")[2])]] * 3).encode()


def archive() -> bytes:
    return tar([(f"proj/{n}.py", code(n).encode()) for n in range(12)])


def table() -> bytes:
    columns = {
        "text": TEXTS,
        "n": list(range(24)),
        "tags": [["a", "b"]] * 24,
        "url": ["http://a.example/"] * 24,
    }
    return parquet(columns, rows=6)


def seeds() -> dict[str, tuple[str, bytes]]:
    """Return the valid files: name → (name of the file, bytes)."""
    found = {}
    for packing in damage.PACKINGS:
        pieces = [jsonl([text]) for text in TEXTS]
        for kind, parts in (("jsonl", pieces), ("warc", crawl()), ("tar", [archive()])):
            data, ending = damage.packed(parts, packing)
            found[f"{kind}-{packing}"] = (f"a.{kind}{ending}", data)
    found["lines"] = ("a.jsonl", lines())
    found["lines-utf16"] = ("a.jsonl", lines().decode().encode("utf-16"))
    found["parquet"] = ("a.parquet", table())
    found["zip"] = (
        "a.zip",
        zip_file([(f"proj/{n}.py".encode(), code(n).encode()) for n in range(12)]),
    )
    found["html"] = ("a.html", page(TEXTS).encode())
    found["html-cp949"] = ("a.html", page(TEXTS, '<meta charset="euc-kr">').encode("cp949"))
    found["text"] = ("a.txt", "\n".join(TEXTS).encode())
    found["text-gz"] = ("a.txt.gz", gz("\n".join(TEXTS).encode()))
    found["notebook"] = ("a.ipynb", notebook(4, [("markdown", paragraph(1)), ("code", code(1))]))
    return found


def changed(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Return `data` after one to three changes."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(out) + 1)
        size = chance.choice((1, 4, 64, 512, 4096))
        kind = chance.randrange(7)
        if kind == 0:
            for _ in range(chance.choice((1, 1, 2, 16))):
                if out:
                    out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del out[at:]
        elif kind == 2:
            del out[at : at + size]
        elif kind == 3:
            start = chance.randrange(len(other) + 1)
            out[at:at] = other[start : start + size]
        elif kind == 4:
            out[at : at + size] = bytes(len(out[at : at + size]))
        elif kind == 5:
            out[at : at + size] = chance.randbytes(len(out[at : at + size]))
        else:
            out[at:at] = out[at : at + size]
    return bytes(out)


def known(name: str) -> set[str]:
    """Return the texts of the valid file, where each is one record of it."""
    kind = name.partition("-")[0]
    if kind in ("jsonl", "parquet", "lines"):
        return set(TEXTS)
    if kind == "warc":
        return {f"http://site.example/{n}" for n in range(10)}
    return {code(n).strip() for n in range(12)} if kind in ("tar", "zip") else set()


def independent(name: str, file: str, data: bytes) -> set[str]:
    """Return the texts of the valid file that the independent reader still gets."""
    kind = name.partition("-")[0]
    form = {"lines": "jsonl"}.get(kind, kind)
    if not known(name) or name == "lines-utf16":
        return set()
    ending = "." + file.rpartition(".")[2]
    ending = ending if ending in recover.STREAMS else ""
    if kind == "warc":
        blocks = {b"".join(crawl()[n].partition(b"\r\n\r\n")[2:])[:-4] for n in range(10)}
        found = recover.warc_records(recover.STREAMS[ending](data))
        return {address for address, block in found if block in blocks} & known(name)
    got = damage.recovered(form, data, ending)
    return {text.strip() for text in got} & known(name)


def judged(name: str, path: Path, data: bytes) -> str | None:
    """Read one input; return what is wrong, or None."""
    read = damage.program(path)
    texts = {str(item.url) for item in read.records} if name.startswith("warc") else set(read.texts)
    missing = independent(name, path.name, data) - texts
    counted = read.lost
    size = sum(
        len(page_of(one)) if name.startswith("warc") else len(one.encode()) for one in missing
    )
    if missing and counted < 0.5 * size:
        return (
            f"{len(missing)} records of {size} bytes are neither read nor counted ({counted} lost)"
        )
    places = [(item.file, item.position) for item in [*read.records]]
    return None if len(set(places)) == len(places) else "two documents have one position"


def child(
    name: str, start: int, count: int, folder: str, results: multiprocessing.SimpleQueue
) -> None:
    """Read `count` changed inputs and put (number, fault) of each that fails, then the peak."""
    path, found, valid = Path(folder), 0, seeds()
    file, data = valid[name]
    others = [other for _, other in valid.values()]
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    (path / file).write_bytes(data)
    try:
        damage.program(path / file)  # loads what is loaded once
    except InputError as error:
        results.put(("fault", start, f"the valid file is refused: {str(error)[:120]}"))
        results.put(("end", start + count, ""))
        return
    for alarm in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(alarm, signal.SIG_DFL)
    floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(start, start + count):
        chance = random.Random(f"{name} {number}")
        bad = changed(data, chance.choice(others), chance)
        (path / file).write_bytes(bad)
        results.put(("started", number, ""))
        # Either alarm ends the child, also within C code. Seconds are those of the processor: on a
        # busy machine others take most of the clock's, so that only sleep is timed by the clock.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(20 * SECONDS)
        try:
            fault = judged(name, path / file, bad)
        except InputError:
            fault = None  # a single file that is refused with a message is not lost in silence
        except BaseException as error:
            last = traceback.extract_tb(sys.exc_info()[2])[-1]
            fault = f"{type(error).__name__}: {str(error)[:120]} at {Path(last.filename).name}:{last.lineno}"
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - floor) // 1024
        if fault is None and grown > MEGABYTES:
            fault = f"memory grew by {grown} MB"
            floor += grown * 1024
        if fault:
            results.put(("fault", number, fault))
            found += 1
    results.put(("end", start + count, str(found)))


def campaign(name: str, count: int, start: int = 0) -> list[str]:
    """Return what is wrong with `count` changed inputs of a seed, by their numbers."""
    context = multiprocessing.get_context("fork")
    wrong: list[str] = []
    while start < count:
        results = context.SimpleQueue()
        folder = tempfile.mkdtemp(prefix="fuzz-")
        process = context.Process(target=child, args=(name, start, count - start, folder, results))
        process.start()
        number, kind = start, ""
        while kind != "end":
            if results.empty():
                if not process.is_alive() and results.empty():
                    break
                process.join(0.01)
                continue
            kind, number, what = results.get()
            if kind == "fault":
                wrong.append(f"{name} {number}: {what}")
        process.join()
        shutil.rmtree(folder, ignore_errors=True)
        if kind == "end":
            break
        wrong.append(
            f"{name} {number}: the process ended by signal {-(process.exitcode or 0)} (14 and 27 are alarms)"
        )
        start = number + 1
    return wrong


if __name__ == "__main__":  # python -m tests.oracles.readers.fuzz NAME NUMBER: write one input
    wanted, which, target = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    rng = random.Random(f"{wanted} {which}")
    every = [other for _, other in seeds().values()]
    target.mkdir(parents=True, exist_ok=True)
    name_of_file, valid_bytes = seeds()[wanted]
    (target / name_of_file).write_bytes(changed(valid_bytes, rng.choice(every), rng))
