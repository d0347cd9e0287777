"""The `identify` stage: language, shares of scripts, code or prose, and component.

Two passes over the bytes decide most documents: only Korean is written in Hangul, and function
words identify plain English. fastText reads only the rest, in windows from start, middle and end.
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
from filters.columnar.lost import lost_marks
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
"""`code_lang` of code whose language cannot be determined."""
SYLLABLE = 2.5
"""Latin letters that carry about as much as one Hangul syllable."""
CLEAR_HANGUL = 0.1
"""From this share of Hangul in the letters on a document is Korean, however many English names,
commands and tables it holds, unless its lines of English prose outweigh its Hangul."""
SOME_HANGUL = 30
"""So many syllables replace CLEAR_HANGUL where their share is 0.02 or more (tables, listings)."""
MIXED = 0.1
"""From this share of the text on a second language is named."""
ODDS = 4.0
"""Odds for English per English function word, where no other language's occurs."""
WINDOW = 600
"""Characters of each of the three windows that the model reads."""
HEAD = 128
"""Bytes from the start that are searched for a shebang."""
REACH = 16_000
"""Bytes from start, middle and end that are cleaned before windows are taken."""
CODE_ABOVE = 0.5

_FRONT = re.compile(r"\A\s*---\n.{0,6000}?\n---\n", re.S)
_FENCE = re.compile(r"(```|~~~).*?(?:\1|\Z)", re.S)
_NOISE = re.compile(
    r"https?://\S{1,500}|<[^<>]{1,300}>|`[^`\n]{1,200}`|&[a-z]{2,8};|[\w.+-]{1,64}@[\w.-]{1,64}"
)
_MARKS = re.compile(r"[^\w\s'’.,?!-]+|_+|\d+")
_SPACE = re.compile(r"\s+")


def clean_excerpts(text: bytes) -> list[str]:
    """Return up to three cleaned excerpts of a text (UTF-8): start, middle, end.

    Front matter, fenced code, addresses, tags, code spans and digits are left out; the rest is on
    one line, as fastText expects. Empty excerpts are left out.
    """
    if len(text) <= 3 * REACH:
        whole = _FENCE.sub(" ", _FRONT.sub("", text.decode("utf-8", "ignore"), count=1))
        middle = (len(whole) - WINDOW) // 2
        parts = [whole]
        if len(whole) > 3 * WINDOW:
            parts = [whole[:WINDOW], whole[middle : middle + WINDOW], whole[-WINDOW:]]
    else:
        middle = (len(text) - REACH) // 2
        cuts = (slice(REACH), slice(middle, middle + REACH), slice(-REACH, None))
        start, centre, end = (text[cut].decode("utf-8", "ignore") for cut in cuts)
        start = _FENCE.sub(" ", _FRONT.sub("", start, count=1))
        end = _FENCE.sub(" ", end)
        centre = _FENCE.sub(" ", centre)
        half = max(0, (len(centre) - WINDOW) // 2)
        parts = [start[:WINDOW], centre[half : half + WINDOW], end[-WINDOW:]]
    cleaned = (_SPACE.sub(" ", _MARKS.sub(" ", _NOISE.sub(" ", part))).strip() for part in parts)
    return [part for part in cleaned if part]


LOST_BYTES, LOST_WEIGHT = 3, 5
"""Bytes of a mark of a lost character; a text of which a fifth is lost is in no language. Ours."""


@dataclass
class Languages:
    """By row: the language, its score (0 to 1), and the second language or None."""

    lang: list[str]
    score: Floats
    other: list[str | None]


def decide_by_script(counts: Longs, words: Longs) -> tuple[Mask, Mask, Doubles]:
    """Return which rows are clearly Korean, which clearly English, and the share of Korean.

    `counts` are of `script_counts`, `words` of `prose.function_words`. The share is that of Hangul
    in Hangul and lines of English prose together, 0 where there is neither.
    """
    letters = np.maximum(counts[:, list(LETTERS)].sum(axis=1), 1)
    hangul = counts[:, [HANGUL, JAMO]].sum(axis=1)
    latin = counts[:, LATIN]
    foreign = letters - hangul - latin
    weight = SYLLABLE * hangul
    share = weight / np.maximum(weight + words[:, prose.ENGLISH_LETTERS], 1)
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
    """Annotates language and component; see `schema`. Shares are of visible characters."""

    reads = ("text", "component", "meta")
    schema = pa.schema(
        [
            ("lang", pa.string()),  # "und" below the language's threshold
            ("lang_score", pa.float32()),  # 0 to 1
            ("lang_other", pa.string()),  # the second language, if it has a tenth or more
            ("assigned", pa.string()),  # component; null where the document belongs to none
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
        # Where a source names another component, its content decides whether it is code.
        named = np.asarray(
            pc.is_in(component, pa.array([*self._settings.components.values()], pa.string()))
        )
        is_code = declared | (~named & (score > CODE_ABOVE))
        languages = self._languages(data, offsets, decide_by_script(counts, words), words, is_code)
        assigned = [
            (CODE if code else self._settings.components.get(language)) if name == AUTO else name
            for name, code, language in zip(
                component.to_pylist(), is_code, languages.lang, strict=True
            )
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
            "lang": pa.array(languages.lang, pa.string()),
            "lang_score": pa.array(languages.score, pa.float32()),
            "lang_other": pa.array(languages.other, pa.string()),
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
        for row, ranked in zip(unclear, self._predict(data, offsets, unclear), strict=True):
            _weigh_english(ranked, words[row])
            lang[row], score[row], other[row] = self._decide(ranked)
            if lang[row] == ENGLISH and share[row] >= MIXED:
                other[row] = KOREAN
        self._doubt(data, offsets, lang, score)
        return Languages(lang, score, other)

    def _doubt(self, data: Bytes, offsets: Offsets, lang: list[str], score: Floats) -> None:
        """Lower the score of texts of which a wrong charset destroyed characters."""
        lost = lost_marks(data, offsets, everywhere(offsets))
        for row in np.flatnonzero(lost):
            share = lost[row] / max(offsets[row + 1] - offsets[row], 1) * LOST_BYTES
            score[row] *= max(0.0, 1 - LOST_WEIGHT * share)
            threshold = self._settings.thresholds.get(lang[row], self._settings.default_threshold)
            lang[row] = lang[row] if score[row] >= threshold else UNDETERMINED

    def _predict(self, data: Bytes, offsets: Offsets, rows: Longs) -> list[dict[str, float]]:
        """Return the model's probability of each language by row, excerpts weighted by length."""
        parts: list[str] = []
        owners: list[int] = []
        for index, row in enumerate(rows):
            excerpts = [
                part.lower() if _in_capitals(part) else part
                for part in clean_excerpts(data[offsets[row] : offsets[row + 1]].tobytes())
            ]
            parts += excerpts
            owners += [index] * len(excerpts)
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

    def _decide(self, ranked: dict[str, float]) -> tuple[str, float, str | None]:
        """Return (language, score, second language)."""
        best = sorted(ranked.items(), key=lambda pair: (-pair[1], pair[0]))
        if not best:
            return UNDETERMINED, 0.0, None
        name, value = best[0]
        second = best[1][0] if len(best) > 1 and best[1][1] >= MIXED else None
        threshold = self._settings.thresholds.get(name, self._settings.default_threshold)
        return (name if value >= threshold else UNDETERMINED), min(value, 1.0), second


def compile_kernels() -> None:
    """Compile (or load from the cache) the kernels of this stage."""
    text = pa.array(["가 a", "x = 1;"], pa.large_string())
    data, offsets = buffers(text)
    words = np.asarray(prose.function_words(data, offsets, everywhere(offsets)))
    code_score(code_features(data, offsets, everywhere(offsets)), words)
    decide_by_script(script_counts(text), words)
    language_votes(data, offsets, everywhere(offsets))


def _in_capitals(part: str) -> bool:
    """Return whether nearly all cased letters are capitals: the model has seen few such texts."""
    capitals = sum(map(str.isupper, part))
    return capitals > 8 and capitals > 4 * sum(map(str.islower, part))


def _weigh_english(ranked: dict[str, float], words: Longs) -> None:
    """Weigh English by its function words: by Bayes' rule, with ODDS to one per distinct word.

    Only where no function word of another language and no letter beyond ASCII occurs: of short
    technical texts the model is unsure, and these words are evidence.
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
