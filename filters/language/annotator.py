"""Language, script shares, code or prose, and the component of every document.

Two passes over the bytes decide most documents: Hangul is written in no other language, and
function words tell plain English. fastText sees only the rest, in windows from start, middle
and end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from filters.columnar.arrays import Bytes, Doubles, Floats, Longs, Mask, Offsets
from filters.columnar.kernels import HANGUL, JAMO, LATIN, buffers, everywhere
from filters.language import prose
from filters.language.codelang import code_features, code_language, code_score, guess_language
from filters.language.hints import language_votes
from filters.language.scripts import LETTERS, script_counts, shares
from schemas.config import Identify as Settings
from schemas.documents import AUTO

UNDETERMINED = "und"
KOREAN = "ko"
ENGLISH = "en"
CODE = "code"
UNKNOWN_CODE = "other"
"""`code_lang` of code in a language that neither its name nor its content tells."""
SYLLABLE = 2.5
"""Latin letters that say as much as one Hangul syllable, about."""
CLEAR_HANGUL = 0.1
"""Share of Hangul in the letters from which a document is Korean, however many English names,
commands and tables it holds, unless lines of English prose say more than its Hangul."""
SOME_HANGUL = 30
"""Syllables that do instead of CLEAR_HANGUL, from a share of 0.02 on (long tables, listings)."""
MIXED = 0.1
"""Share of what is said from which a second language is named."""
ODDS = 4.0
"""How much likelier one English function word makes English where no other language's occurs."""
WINDOW = 600
"""Characters of each of the three windows that the model sees."""
HEAD = 128
"""Bytes from the start that may hold a shebang."""
REACH = 16_000
"""Bytes from start, middle and end that are cleaned to take the windows from."""
CODE_ABOVE = 0.5

_FRONT = re.compile(r"\A\s*---\n.{0,6000}?\n---\n", re.S)
_FENCE = re.compile(r"(```|~~~).*?(?:\1|\Z)", re.S)
_NOISE = re.compile(
    r"https?://\S{1,500}|<[^<>]{1,300}>|`[^`\n]{1,200}`|&[a-z]{2,8};|[\w.+-]{1,64}@[\w.-]{1,64}"
)
_MARKS = re.compile(r"[^\w\s'’.,?!-]+|_+|\d+")
_SPACE = re.compile(r"\s+")


def windows(text: bytes) -> list[str]:
    """Return up to three cleaned windows of a text (UTF-8): start, middle, end.

    Front matter, fenced code, addresses, tags, code spans and digits are left out; what is
    left is on one line, as fastText wants it. Empty windows are left out too.
    """
    if len(text) <= 3 * REACH:
        whole = _FENCE.sub(" ", _FRONT.sub("", text.decode("utf-8", "ignore"), count=1))
        middle = (len(whole) - WINDOW) // 2
        parts = [whole]
        if len(whole) > 3 * WINDOW:
            parts = [whole[:WINDOW], whole[middle : middle + WINDOW], whole[-WINDOW:]]
    else:
        middle = (len(text) - REACH) // 2
        places = (slice(REACH), slice(middle, middle + REACH), slice(-REACH, None))
        start, centre, end = (text[place].decode("utf-8", "ignore") for place in places)
        start = _FENCE.sub(" ", _FRONT.sub("", start, count=1))
        end = _FENCE.sub(" ", end)
        centre = _FENCE.sub(" ", centre)
        half = max(0, (len(centre) - WINDOW) // 2)
        parts = [start[:WINDOW], centre[half : half + WINDOW], end[-WINDOW:]]
    cleaned = (_SPACE.sub(" ", _MARKS.sub(" ", _NOISE.sub(" ", part))).strip() for part in parts)
    return [part for part in cleaned if part]


@dataclass
class Languages:
    """Language, its score (0 to 1), and the second language of each row, or None."""

    lang: list[str]
    score: Floats
    other: list[str | None]


def decide_by_script(counts: Longs, words: Longs) -> tuple[Mask, Mask, Doubles]:
    """Return which rows are clearly Korean, which clearly English, and Korean's share.

    `counts` are of `script_counts`, `words` of `prose.function_words`. The share is that of
    Hangul in what Hangul and lines of English prose say together, 0 where there is neither.
    """
    letters = np.maximum(counts[:, list(LETTERS)].sum(axis=1), 1)
    hangul = counts[:, [HANGUL, JAMO]].sum(axis=1)
    latin = counts[:, LATIN]
    foreign = letters - hangul - latin
    said = SYLLABLE * hangul
    share = said / np.maximum(said + words[:, prose.ENGLISH_LETTERS], 1)
    enough = (hangul >= CLEAR_HANGUL * letters) | (
        (hangul >= SOME_HANGUL) & (hangul >= 0.02 * letters)
    )
    korean = enough & (share > 0.5) & (foreign <= hangul) & (hangul > 0)
    korean &= words[:, prose.OTHER_WORDS] <= 0.1 * words[:, prose.WORDS] + hangul
    english_words = words[:, prose.ENGLISH_WORDS]
    english = (
        (latin >= 0.97 * letters)
        & (words[:, prose.FOREIGN_LETTERS] <= 0.01 * letters)
        & (words[:, prose.ENGLISH_KINDS] >= 3)
        & (english_words >= 4)
        & (english_words >= 0.06 * words[:, prose.WORDS])
        & (words[:, prose.OTHER_WORDS] <= 0.15 * english_words)
    )
    return korean, english & ~korean, share


class Identify:
    """Annotates language and component. See `schema`; shares are of non-space characters."""

    reads = ("text", "component", "meta")
    schema = pa.schema(
        [
            ("lang", pa.string()),  # "und" below the language's threshold
            ("lang_score", pa.float32()),  # 0 to 1
            ("lang_other", pa.string()),  # the next language, if it has a tenth or more
            ("assigned", pa.string()),  # component; null where no component takes it
            ("code_lang", pa.string()),  # null for prose
            ("code_score", pa.float32()),  # probability that it is source code
            ("hangul_share", pa.float32()),
            ("latin_share", pa.float32()),
            ("han_share", pa.float32()),
            ("kana_share", pa.float32()),
            ("digit_share", pa.float32()),
        ]
    )

    def __init__(self, settings: Settings) -> None:
        from filters.language.lid import load_model, model_path

        self._settings = settings
        self._model = load_model(model_path(settings.model))

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the columns of `schema` for `batch` (text, component, meta)."""
        text = batch.column("text")
        component = batch.column("component")
        data, offsets = buffers(text)
        all_rows = everywhere(offsets)
        counts = script_counts(text)
        words = np.asarray(prose.function_words(data, offsets, all_rows))
        score = code_score(code_features(data, offsets, all_rows), words)
        declared = np.asarray(pc.equal(component, CODE))
        # Where a source names a component of its own, content tells what it holds.
        named = np.asarray(
            pc.is_in(component, pa.array([*self._settings.components.values()], pa.string()))
        )
        is_code = declared | (~named & (score > CODE_ABOVE))
        found = self._languages(data, offsets, decide_by_script(counts, words), words, is_code)
        assigned = [
            (CODE if code else self._settings.components.get(language)) if own == AUTO else own
            for own, code, language in zip(component.to_pylist(), is_code, found.lang, strict=True)
        ]
        meta = batch.column("meta")
        code_lang: list[str | None] = [None] * len(text)
        guesses = guess_language(np.asarray(language_votes(data, offsets, is_code)))
        ends = offsets.tolist()
        for row in np.flatnonzero(is_code).tolist():
            head = data[ends[row] : min(ends[row] + HEAD, ends[row + 1])].tobytes()
            name = code_language(head, _object(meta[row].as_py()), guesses[row])
            code_lang[row] = name or UNKNOWN_CODE
        columns: dict[str, Any] = {
            "lang": pa.array(found.lang, pa.string()),
            "lang_score": pa.array(found.score, pa.float32()),
            "lang_other": pa.array(found.other, pa.string()),
            "assigned": pa.array(assigned, pa.string()),
            "code_lang": pa.array(code_lang, pa.string()),
            "code_score": pa.array(score, pa.float32()),
            **{name: pa.array(share) for name, share in shares(counts).items()},
        }
        return pa.RecordBatch.from_arrays(
            [columns[n] for n in self.schema.names], schema=self.schema
        )

    def _languages(
        self,
        data: Bytes,
        offsets: Offsets,
        clear: tuple[Mask, Mask, Doubles],
        words: Longs,
        is_code: Mask,
    ) -> Languages:
        rows = len(offsets) - 1
        korean, english, share = clear[0] & ~is_code, clear[1] & ~is_code, clear[2]
        lang = [UNDETERMINED] * rows
        other: list[str | None] = [None] * rows
        score = np.zeros(rows, np.float32)
        for row in np.flatnonzero(korean):
            lang[row], score[row] = KOREAN, 0.9 + share[row] / 10
            other[row] = ENGLISH if share[row] <= 1 - MIXED else None
        for row in np.flatnonzero(english):
            function_words = words[row, prose.ENGLISH_WORDS] / words[row, prose.WORDS]
            lang[row], score[row] = ENGLISH, 0.9 + min(0.1, function_words / 4)
            other[row] = KOREAN if share[row] >= MIXED else None
        unclear = np.flatnonzero(~(korean | english | is_code)).astype(np.int64)
        for row, ranked in zip(unclear, self._ask(data, offsets, unclear), strict=True):
            _weigh_english(ranked, words[row])
            lang[row], score[row], other[row] = self._verdict(ranked)
            if lang[row] == ENGLISH and share[row] >= MIXED:
                other[row] = KOREAN
        return Languages(lang, score, other)

    def _ask(self, data: Bytes, offsets: Offsets, rows: Longs) -> list[dict[str, float]]:
        """Return the model's probability of each language by row, over its windows by length."""
        parts: list[str] = []
        owners: list[int] = []
        for index, row in enumerate(rows):
            found = windows(data[offsets[row] : offsets[row + 1]].tobytes())
            parts += found
            owners += [index] * len(found)
        votes: list[dict[str, float]] = [{} for _ in rows]
        if not parts:
            return votes
        weights = np.bincount(owners, [len(part) for part in parts], len(rows))
        labels, probabilities = self._model.predict(parts, k=5, threshold=0.01)
        for owner, part, names, values in zip(owners, parts, labels, probabilities, strict=True):
            share = len(part) / weights[owner]
            for name, value in zip(names, values, strict=True):
                code = name.removeprefix("__label__")
                votes[owner][code] = votes[owner].get(code, 0.0) + min(float(value), 1.0) * share
        return votes

    def _verdict(self, ranked: dict[str, float]) -> tuple[str, float, str | None]:
        """Return language, score and second language."""
        best = sorted(ranked.items(), key=lambda pair: (-pair[1], pair[0]))
        if not best:
            return UNDETERMINED, 0.0, None
        name, value = best[0]
        second = best[1][0] if len(best) > 1 and best[1][1] >= MIXED else None
        least = self._settings.thresholds.get(name, self._settings.default_threshold)
        return (name if value >= least else UNDETERMINED), min(value, 1.0), second


def compile_kernels() -> None:
    """Call every kernel of this stage once, so that its machine code is there."""
    text = pa.array(["가 a", "x = 1;"], pa.large_string())
    data, offsets = buffers(text)
    words = np.asarray(prose.function_words(data, offsets, everywhere(offsets)))
    code_score(code_features(data, offsets, everywhere(offsets)), words)
    decide_by_script(script_counts(text), words)
    language_votes(data, offsets, everywhere(offsets))


def _weigh_english(ranked: dict[str, float], words: Longs) -> None:
    """Let function words speak: Bayes' rule, each one ODDS to one for English.

    Only where no function word of another language and no letter beyond ASCII occurs: the model
    is unsure of short technical texts, and these words are what it cannot have missed.
    """
    value = ranked.get(ENGLISH, 0.0)
    kinds = int(words[prose.ENGLISH_KINDS])
    if not value or not kinds or words[prose.OTHER_WORDS] or words[prose.FOREIGN_LETTERS]:
        return
    odds = ODDS ** min(kinds, 5)
    total = value * odds + (1 - min(value, 1.0))
    for name in ranked:
        ranked[name] *= (odds if name == ENGLISH else 1.0) / total


def _object(meta: str | None) -> dict[str, Any]:
    value = orjson.loads(meta) if meta else {}
    return value if isinstance(value, dict) else {}
