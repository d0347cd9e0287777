"""Texts in twenty charsets, as pages, plain text and JSON lines, with labels right and wrong."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from tests.oracles.readers.rig import squeezed
from tests.oracles.readers.tongues import SENTENCES

CHARSETS = {
    "utf-8": ("ko", "utf-8"),
    "utf-8-vi": ("vi", "utf-8"),
    "utf-8-mark": ("ja", "utf-8"),
    "utf-16-mark": ("ko", "utf-16"),
    "utf-16-le": ("en", "utf-16le"),
    "utf-16-be": ("ko", "utf-16be"),
    "cp949": ("ko", "euc-kr"),
    "iso2022_kr": ("ko", "iso-2022-kr"),
    "johab": ("ko", "johab"),
    "cp932": ("ja", "shift_jis"),
    "euc_jp": ("ja", "euc-jp"),
    "iso2022_jp": ("ja", "iso-2022-jp"),
    "gb18030": ("zh", "gbk"),
    "big5": ("tw", "big5"),
    "koi8_r": ("ru", "koi8-r"),
    "cp1251": ("ru", "windows-1251"),
    "cp1250": ("pl", "windows-1250"),
    "cp1252": ("fr", "windows-1252"),
    "latin-1": ("de", "iso-8859-1"),
    "iso8859_7": ("el", "iso-8859-7"),
    "cp1254": ("tr", "windows-1254"),
    "cp874": ("th", "windows-874"),
    "cp1255": ("he", "windows-1255"),
    "cp1256": ("ar", "windows-1256"),
}
"""Name → language and label."""
PYTHON = {"utf-8-vi": "utf-8", "utf-8-mark": "utf-8-sig", "utf-16-mark": "utf-16"}
KEYS = {**PYTHON, "utf-8-mark": "utf-8"}
"""Name → the value of `sources.NAME.encoding`, where it is another one."""
LABELS = ("right", "none", "utf-8", "iso-8859-1", "undefined")
LATIN = ("cp1250", "cp1252", "latin-1", "cp1254")
"""Charsets of Latin letters: a label `iso-8859-1` fits their bytes, so only most of the text is asked."""


@dataclass(frozen=True)
class Sample:
    """One input: its bytes, its sentences and whether only most of them are asked."""

    name: str
    data: bytes
    sentences: list[str]
    damaged: bool
    lenient: bool

    def share(self, text: str) -> float:
        """Return the share of the sentences that `text` holds."""
        found = squeezed(text)
        return sum(squeezed(one) in found for one in self.sentences) / len(self.sentences)

    def right(self, text: str) -> bool:
        """Return whether every sentence is there, but for two around a bad byte."""
        allowed = 2 if self.damaged else 0
        return self.lenient or self.share(text) >= 1 - (allowed + 0.5) / len(self.sentences)


def body(charset: str) -> list[str]:
    """Return the sentences of a charset's language that it can write."""
    codec = PYTHON.get(charset, charset)
    return [
        one
        for one in SENTENCES[CHARSETS[charset][0]].split("\n")
        if one.encode(codec, "ignore").decode(codec, "ignore") == one
    ]


def with_bad_byte(data: bytes, charset: str) -> bytes:
    """Return `data` with one byte in the middle replaced."""
    chance = random.Random(charset)
    at = len(data) // 2 + chance.randrange(40)
    return data[:at] + b"\xff" + data[at + 1 :]


def pages(label: str) -> list[Sample]:
    """Return a page per charset, whole and damaged, with a label."""
    found = []
    for charset, (_, right) in CHARSETS.items():
        sentences = body(charset)
        named = {"right": right, "none": ""}.get(label, label)
        head = f'<meta charset="{named}">' if named else ""
        inner = "\n".join(
            f"<p>{' '.join(sentences[at : at + 2])}</p>" for at in range(0, len(sentences), 2)
        )
        text = f"<!DOCTYPE html><html><head>{head}<title>page</title></head><body><article>{inner}</article></body></html>"
        data = text.encode(PYTHON.get(charset, charset))
        wrong = label == "iso-8859-1" and charset in LATIN and charset != "latin-1"
        for damaged in (False, True):
            changed = with_bad_byte(data, charset) if damaged else data
            found.append(
                Sample(
                    f"{charset}-{'bad' if damaged else 'whole'}", changed, sentences, damaged, wrong
                )
            )
    return found


def texts() -> list[Sample]:
    """Return a plain text per charset, whole and damaged."""
    found = []
    for charset in CHARSETS:
        sentences = body(charset)
        data = "\n".join(sentences).encode(PYTHON.get(charset, charset))
        for damaged in (False, True):
            changed = with_bad_byte(data, charset) if damaged else data
            found.append(
                Sample(
                    f"{charset}-{'bad' if damaged else 'whole'}", changed, sentences, damaged, False
                )
            )
    return found


def lines(charset: str, damaged: bool) -> Sample:
    """Return JSON lines, one per sentence and one of all, in a charset."""
    sentences = body(charset)
    rows = [
        json.dumps({"text": one, "n": n}, ensure_ascii=False) + "\n"
        for n, one in enumerate(sentences)
    ]
    data = "".join(rows).encode(PYTHON.get(charset, charset))
    return Sample(
        charset, with_bad_byte(data, charset) if damaged else data, sentences, damaged, False
    )
