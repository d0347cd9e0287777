"""Text that was decoded with the wrong charset, restored line by line.

- UTF-8 read as Latin-1 or Windows-1252, also twice, by `ftfy`; where a space stands for the byte A0
  inside a Hangul syllable, by ourselves;
- Windows-1252 read as Latin-1: its quotes, dashes and ellipsis are then control characters;
- EUC-KR read as Latin-1 (ÇÑ±Û → 한글), and UTF-8 read as CP949 (踰덉㎏ → 번째), which ftfy leaves.

A text that shows mojibake beside what it stands for ("â˜• means ☕") shows it on purpose: it stays.
"""

from __future__ import annotations

import re

from filters.text.charset.mojibake import from_cp949

_SUSPECT = re.compile(
    "[\u00c2-\u00f4\u0413\u0412][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc"
    "\u2013\u2014\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]"
)
_WEAK = re.compile(
    "[\u00c4-\u00de](?:[\u00b0-\u00b3\u00b9\u00bb-\u00be]|(?=[\u00ab\u00b4\u00b5\u00b7]))"
)
_C1 = re.compile("[\x80-\x9f]")
_WINDOWS_1252 = re.compile(
    "[\x80\x82-\x84\x86-\x8c\x8e\x91-\x9c\x9e\x9f](?=[A-Za-z])"
    "|(?<=[A-Za-z.,?!])[\x80\x82-\x84\x86-\x8c\x8e\x91-\x9c\x9e\x9f]"
    "|(?<= )[\x91\x93\x96\x97](?= )|(?<=[A-Za-z])\x85(?= )"
    r"|(?<=[0-9])[\x80\x89\x92\x94\x96\x97\x99](?=[\s.,;:!?)0-9]|$)"
    r"|(?:(?<=\s)|^)[\x80\x91\x93](?=[0-9])"
)
"""Controls that stand for quotes, dashes, an ellipsis, € and ™ in Windows-1252. 85 is also NEL, the
line end of EBCDIC: only before a space is it an ellipsis."""
_SPACED_HANGUL = re.compile("[\xea-\xed](?: [\x80-\xbf]|[\x80-\xbf] )")
"""A syllable in UTF-8 read as Latin-1 whose byte A0 became a space."""
_EUC_KR = re.compile("[\u00a1-\u00fe]{4,}")
_CP949 = re.compile(
    "[\u4e00-\u9fff\uf900-\ufaff][가-힣\u3200-\u33ff]|[가-힣][\u4e00-\u9fff\uf900-\ufaff]"
)
"""UTF-8 of Hangul read as CP949 is hanja beside rare syllables; so is some true Korean."""
MIN_SYLLABLES = 3
"""A line is decoded from EUC-KR read as Latin-1 only if that gives so many Hangul syllables, …"""
COMMON_SHARE = 0.4
"""… of which so many are in COMMON. Rows of a table of Latin-1 decode to any syllables."""
COMMON = frozenset(
    "가각간감같개거것게결경계고공과관구국그기까나내너네년노는니다단당대더던데도동되된두드들디때또라래러런레려력로루르를"
    "름리마만말매메면명모목무문물미민및바반발방배버변보본부분비사산상생서선설성세션소속수스습시식신실아안않았야어업없었에"
    "여역연열영예오와요용우운원위유으은을음의이인일임입있자작장재저적전점정제조좋주중지진집참체최추출치코크클타터트파판"
    "평포표프하학한할함합해했행현형호화환회히"
)
"""The 192 syllables that are 82 % of the Korean documentation, reviews and reference texts."""


def restore(text: str) -> tuple[str, int]:
    """Return `text` with the lines that were decoded wrongly restored, and characters replaced."""
    if not any(form.search(text) for form in (_SUSPECT, _WINDOWS_1252, _EUC_KR, _CP949)):
        return text, 0
    count = 0
    lines = text.split("\n")
    present: set[str] | None = None
    for number, line in enumerate(lines):
        repaired = line if line.isascii() else _restored(line)
        if repaired == line:
            continue
        if not _C1.search(line):
            present = present if present is not None else set(text)
            if _beyond_latin(repaired) and _beyond_latin(repaired) <= present:
                continue
        lines[number] = repaired
        count += len(line) - unchanged(line, repaired)
    return "\n".join(lines), count


def unchanged(before: str, after: str) -> int:
    """Return how many characters both share at their beginning and at their end."""
    shorter = min(len(before), len(after))
    head = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    tail = next(
        (i for i in range(shorter - head) if before[-1 - i] != after[-1 - i]), shorter - head
    )
    return head + tail


def _beyond_latin(line: str) -> set[str]:
    """Return the characters of a line that no charset of Western Europe has, punctuation aside."""
    return {char for char in line if char > "\u024f" and not "\u2000" <= char <= "\u206f"}


def _restored(line: str) -> str:
    candidates = [line]
    if _SUSPECT.search(line) and not _all_weak(line):
        import ftfy

        whole = _SPACED_HANGUL.sub(lambda match: match[0].replace(" ", "\xa0"), line)
        for form in {line, whole}:
            # What is left of a sequence is damage, and no quotes of Windows-1252.
            fixed = ftfy.fix_encoding(form)
            candidates += [] if _half_done(form, fixed) else [fixed]
    elif _WINDOWS_1252.search(line):
        candidates.append(_WINDOWS_1252.sub(_from_windows_1252, line))
    if _EUC_KR.search(line):
        candidates.append(_from_euc_kr(line))
    if _CP949.search(line) and (words := from_cp949(line)) is not None:
        return words
    return min(candidates, key=_accented)  # each repair sometimes misreads the other's mojibake


def _all_weak(line: str) -> bool:
    """Return whether all that looks like mojibake is a capital with a superscript or a mark.

    `Å³` is cubic ångström, `Ø½` a diameter of half an inch, `MENÜ²` a footnote.
    """
    return _SUSPECT.search(_WEAK.sub("", line)) is None


def _half_done(before: str, after: str) -> bool:
    """Return whether ftfy replaced controls and left the letters that they belong to."""
    return bool(_C1.search(before)) and _accented(after) == _accented(before) > 0


def _from_windows_1252(match: re.Match[str]) -> str:
    return match[0].encode("latin-1").decode("cp1252")


def _accented(line: str) -> int:
    """Return how many Latin letters beyond ASCII a line holds; mojibake has many."""
    return sum("\x80" <= char <= "\u024f" for char in line)


def _from_euc_kr(line: str) -> str:
    """Return the line with its runs of EUC-KR decoded, or as it is.

    A run is decoded if all of it decodes and at least four in five characters are Hangul; the line
    if that gives MIN_SYLLABLES, COMMON_SHARE of them common.
    """
    found: list[str] = []

    def decode(match: re.Match[str]) -> str:
        try:
            text = match[0].encode("latin-1").decode("euc-kr")
        except UnicodeDecodeError:
            return match[0]
        syllables = [char for char in text if "가" <= char <= "힣"]
        if len(syllables) < 0.8 * len(text) or len(set(text)) < 2:  # ······ is a row of dots
            return match[0]
        found.extend(syllables)
        return text

    decoded = _EUC_KR.sub(decode, line)
    common = sum(char in COMMON for char in found)
    return decoded if len(found) >= MIN_SYLLABLES and common >= COMMON_SHARE * len(found) else line
