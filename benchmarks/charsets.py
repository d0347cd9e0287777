"""How often bytes come out as the text that they were, by `filters.text.charset` and others.

    python benchmarks/charsets.py files FOLDER      test files of chardet: FOLDER/CHARSET-LANGUAGE/…
    python benchmarks/charsets.py labels            charsets × labels × damage, on prose of tests/
    python benchmarks/charsets.py damage            real pages with one byte changed, cut or added
    python benchmarks/charsets.py western           English documents as Windows-1252
    python benchmarks/charsets.py speed             microseconds per page

Beside ours: charset-normalizer alone, chardet alone (where it is installed), and the rule of
browsers: the label, else Windows-1252. Corpora are read from --data.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.corpora import sample  # noqa: E402
from filters.text.charset import codec_named, codec_of, decode_page  # noqa: E402
from filters.text.charset.labels import page_labels  # noqa: E402
from tests.support.charset_texts import CHARSETS, MORE, written  # noqa: E402

Decoder = Callable[[bytes, "str | None"], str]
LANGUAGE = re.compile(
    r"-(?:arabic|bulgarian|croatian|czech|greek|hebrew|hungarian|polish|romanian|russian|slovak"
    r"|slovene|turkish)$"
)
LABEL = re.compile(rb"""charset\s*=\s*["']?[\w:.-]+["']?|encoding\s*=\s*["'][\w:.-]+["']""", re.I)
HEADERS = {"cp949": "euc-kr", "cp932": "shift_jis", "gb18030": "gb2312", "big5hkscs": "big5",
           "mac-roman": "macintosh", "mac-cyrillic": "x-mac-cyrillic", "cp866": "ibm866",
           "hz": "hz-gb-2312", "utf-16-le": "utf-16le"}  # fmt: skip
SEED = 24


def ours(data: bytes, header: str | None) -> str:
    return decode_page(data, header)[0]


def normalizer(data: bytes, header: str | None) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data).best()
    return str(best) if best else ""


def chardet(data: bytes, header: str | None) -> str:
    from chardet import detect

    name = detect(data)["encoding"]
    return data.decode(codec_named(name) or "cp1252", "replace")


def browsers(data: bytes, header: str | None) -> str:
    labels = page_labels(data, header)
    return data.decode(labels[0] if labels else "cp1252", "replace")


def decoders() -> dict[str, Decoder]:
    found: dict[str, Decoder] = {"ours": ours, "charset-normalizer": normalizer}
    try:
        import chardet as _  # noqa: F401

        found["chardet"] = chardet
    except ImportError:
        pass
    return found | {"browsers' rule": browsers}


def files(folder: Path) -> None:
    """Right are texts equal under NFKC to what the charset of the folder's name gives."""
    for name, decode in decoders().items():
        for stripped in (False, True):
            right: Counter[bool] = Counter()
            wrong = []
            for path, expected in _expected(folder):
                data = path.read_bytes()
                if stripped:
                    data = LABEL.sub(b"", data)
                text = _plain(decode(data, None))
                good = text in {_plain(data.decode(codec, "replace")) for codec in expected}
                right[good] += 1
                if not good and name == "ours":
                    wrong.append(f"{path.parent.name}/{path.name}")
            kind = "labels removed" if stripped else "as they are"
            print(f"{name:20} {kind:15} {right[True]} of {right.total()} {' '.join(wrong)}")


def _expected(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    for path in sorted(folder.glob("*/*")):
        name = LANGUAGE.sub("", path.parent.name.lower())
        if codec_named(name):
            yield path, [name, codec_of(name) or name]


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lstrip("\ufeff")


def labels() -> None:
    """One page of prose per charset, under five kinds of label, whole and with one bad byte."""
    rng = random.Random(SEED)
    for length in (1000, 120):
        for name, decode in decoders().items():
            right: Counter[str] = Counter()
            tried: Counter[str] = Counter()
            for codec, lang in [*CHARSETS.items(), *MORE]:
                text = written(lang, codec).decode(codec)
                page = f"<html><title>{text[:20]}</title><p>{(text * 9)[:length]}</p></html>"
                for kind, header in _headers(codec).items():
                    for damage in ("whole", "changed", "cut", "added"):
                        data = _damaged(page.encode(codec), damage, rng)
                        tried[kind] += 1
                        right[kind] += _nearly(decode(data, header).lstrip("\ufeff"), page)
            shares = ", ".join(f"{kind} {right[kind] / tried[kind]:.1%}" for kind in tried)
            share = right.total() / tried.total()
            print(f"{length:5} characters, {name:20} {share:.1%} of {tried.total()}: {shares}")


def _headers(codec: str) -> dict[str, str | None]:
    korean = codec in {"cp949", "johab", "iso2022_kr"}
    named = {
        "right": HEADERS.get(codec, codec),
        "Western": "iso-8859-1",
        "other": "shift_jis" if korean else "euc-kr",
        "utf-8": "utf-8",
    }
    return {"none": None} | {kind: f"text/html; charset={name}" for kind, name in named.items()}


def _damaged(data: bytes, damage: str, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    put = {"whole": data[at : at + 1], "changed": b"\xff", "cut": b""}
    return data[:at] + put.get(damage, b"\xc8" + data[at : at + 1]) + data[at + 1 :]


def _nearly(text: str, page: str, window: int = 24) -> bool:
    """Return whether both differ in one place only, of at most `window` characters."""
    shorter = min(len(text), len(page))
    head = next((at for at in range(shorter) if text[at] != page[at]), shorter)
    left = shorter - head
    tail = next((at for at in range(left) if text[-1 - at] != page[-1 - at]), left)
    return max(len(text), len(page)) - head - tail <= window


def damage(data: Path) -> None:
    """Real pages in UTF-8, and Korean documents in EUC-KR, one byte changed, cut or added."""
    rng = random.Random(SEED)
    pages = [text.encode() for text in _pages(data, 1000)]
    korean = [text.encode("cp949", "ignore") for text in sample(data, "ko_docs", 1000)]
    for kind, texts, label in (("UTF-8", pages, "utf-8"), ("EUC-KR", korean, "euc-kr")):
        for name, decode in decoders().items():
            slow = name in {"charset-normalizer", "chardet"}
            taken = texts[:100] if slow else texts
            right = 0
            for number, page in enumerate(taken):
                cut = _damaged(page, ("changed", "cut", "added")[number % 3], rng)
                codec = codec_of(label) or label
                text = decode(cut, f"text/html; charset={label}")
                right += _nearly(text, page.decode(codec))
            print(f"{kind:8} {name:20} {right} of {len(taken)} pages keep their text")


def _pages(data: Path, count: int) -> list[str]:
    """Return so many pages of `web.warc.gz` that are UTF-8."""
    from warcio.archiveiterator import ArchiveIterator

    found: list[str] = []
    with (data / "corpora" / "web.warc.gz").open("rb") as file:
        for record in ArchiveIterator(file):
            if record.rec_type != "response":
                continue
            body = record.content_stream().read()
            if body.isascii():
                continue
            try:
                found.append(body.decode())
            except UnicodeDecodeError:
                continue
            if len(found) == count:
                break
    return found


def western(data: Path) -> None:
    """English documents that Windows-1252 can write, beyond ASCII, labelled and not."""
    texts = []
    for text in sample(data, "en_docs", 14_000):
        try:
            if not text.isascii():
                texts.append((text, text.encode("cp1252")))
        except UnicodeEncodeError:
            continue
    for name, decode in decoders().items():
        taken = texts[:60] if name in {"charset-normalizer", "chardet"} else texts
        for label in ("windows-1252", None, "utf-8"):
            header = f"text/html; charset={label}" if label else None
            wrong = [text for text, data in taken if decode(data, header) != text]
            print(f"{name:20} {label!s:13} {len(taken) - len(wrong)} of {len(taken)}")
            if name == "ours":
                for text in wrong[:12]:
                    print("   ", sorted({char for char in text if char > "\x7f"})[:12])


def speed(data: Path) -> None:
    pages = _pages(data, 300)
    korean = [page for page in pages if re.search("[가-힣]", page)]
    sets = {
        "UTF-8": [page.encode() for page in pages],
        "UTF-8, one bad byte": [page.encode() + b"\xff" for page in pages],
        "CP949, no label": [page.encode("cp949", "replace") for page in korean],
    }
    for kind, bodies in sets.items():
        for name, decode in decoders().items():
            taken = bodies[:10] if name in {"charset-normalizer", "chardet"} else bodies
            start = time.process_time()
            for body in taken:
                decode(body, None)
            each = (time.process_time() - start) / len(taken) * 1e6
            size = sum(map(len, taken)) / len(taken) / 1000
            print(f"{kind:20} {name:20} {each:10,.0f} µs per page of {size:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["files", "labels", "damage", "western", "speed"])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    args = parser.parse_args()
    if args.what == "files":
        files(args.folder or parser.error("name the folder of chardet's tests"))
    elif args.what == "labels":
        labels()
    else:
        {"damage": damage, "western": western, "speed": speed}[args.what](args.data)


if __name__ == "__main__":
    main()
