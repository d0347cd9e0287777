"""Presidio's engine, with our patterns, checks and context words.

Importing this module does not load Presidio and spaCy, making the engine does: so the subclasses of
Presidio's classes are defined inside functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from filters.pii import keys, numbers, online, phones, places
from filters.pii.entities import CONTEXT_BEFORE, CONTEXT_GAIN, PRIVATE_KEY, WEAK
from filters.pii.finder import Finder, Verdict
from filters.pii.scan import KEY_BLOCK

LANGUAGE = "ko"
"""The only language of the engine: Korean numbers occur in English pages too."""
GAP = "\0"
"""Separates windows that are read in one call. Documents hold no NUL, and no pattern matches it."""
FINDERS = (
    *phones.FINDERS,
    *numbers.FINDERS,
    *places.FINDERS,
    *online.FINDERS,
    *keys.FINDERS,
)


@lru_cache
def _context_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern that finds any of `words`, Latin ones only where a word begins."""
    return re.compile(
        "|".join(
            (rf"(?<![a-z]){re.escape(word)}" if word[0].isascii() else re.escape(word))
            for word in words
        ),
        re.IGNORECASE,
    )


def near_words(text: str, start: int, end: int, finder: Finder) -> bool:
    """Return whether one of the finder's words is near `text[start:end]`, before or after it."""
    low = max(0, start - CONTEXT_BEFORE)
    low = max(low, text.rfind(GAP, low, start) + 1)
    high = min(len(text), end + finder.context_after)
    gap = text.find(GAP, end, high)
    pattern = _context_pattern(finder.context)
    return bool(
        pattern.search(text[low:start]) or pattern.search(text[end : high if gap < 0 else gap])
    )


def private_keys(text: str) -> Sequence[tuple[int, int]]:
    """Return `[start, end)` of every private key block.

    A block without an END line is its first lines. A head without a key after it does not count,
    nor does a key of fewer than eight distinct characters.
    """
    blocks = []
    for head in re.finditer(keys.PRIVATE_KEY_HEAD, text):
        start, end = head.span()
        body = keys.PRIVATE_KEY_LINES.match(text, end)
        if body is None or len(set(body.group())) < 8:
            continue
        stop = text.find("-----END", end, start + KEY_BLOCK // 4)
        if stop >= 0 and text.find("-----BEGIN", end, stop) < 0 and text.find(GAP, end, stop) < 0:
            close = re.compile(r"-----END [A-Z0-9 ]{0,40}-----").match(text, stop)
            end = close.end() if close else stop
        else:
            end = body.end()
        blocks.append((start, end))
    return blocks


def make_engine() -> Any:
    """Return Presidio's engine with every recogniser, without a language model."""
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    nlp = NoOpNlpEngine([{"lang_code": LANGUAGE, "model_name": ""}])
    nlp.load()
    registry = RecognizerRegistry(
        recognizers=[*map(_recogniser, FINDERS), _private_key_recogniser()],
        supported_languages=[LANGUAGE],
    )
    return AnalyzerEngine(
        registry=registry,
        nlp_engine=nlp,
        supported_languages=[LANGUAGE],
        context_aware_enhancer=_context_enhancer(),
    )


def _context_enhancer() -> Any:
    """Return what raises the score of a value that has one of its recogniser's words beside it.

    It counts characters, not tokens: a window gives what the whole text gives, in linear time.
    """
    from presidio_analyzer import EntityRecognizer, RecognizerResult
    from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer

    class NearbyWords(ContextAwareEnhancer):
        """Adds CONTEXT_GAIN where `near_words` finds a word."""

        def enhance_using_context(
            self,
            text: str,
            raw_results: list[RecognizerResult],
            nlp_artifacts: Any,
            recognizers: list[EntityRecognizer],
            context: list[str] | None = None,
        ) -> list[RecognizerResult]:
            """Return the results, some with a higher score."""
            finders = {
                recogniser.id: recogniser.finder
                for recogniser in recognizers
                if hasattr(recogniser, "finder")
            }
            for result in raw_results:
                finder = finders.get(
                    (result.recognition_metadata or {}).get("recognizer_identifier")
                )
                if (
                    finder is not None
                    and finder.context
                    and near_words(text, result.start, result.end, finder)
                ):
                    result.score = min(1.0, result.score + CONTEXT_GAIN)
            return raw_results

    return NearbyWords(0, 0, 0, 0)


def _recogniser(finder: Finder) -> Any:
    """Return a recogniser with the finder's shapes, context words and check."""
    from presidio_analyzer import Pattern

    common: dict[str, Any] = {
        "supported_entity": finder.entity,
        "supported_language": LANGUAGE,
        "patterns": [Pattern(shape.name, shape.pattern, shape.score) for shape in finder.shapes],
        "context": list(finder.context) or None,
        "name": f"{finder.entity} {finder.shapes[0].name}",
    }
    if finder.presidio is None:
        flags = re.DOTALL | re.MULTILINE | (0 if finder.case_sensitive else re.IGNORECASE)
        common["global_regex_flags"] = flags
    recogniser = _recogniser_class(finder)(**common)
    recogniser.finder = finder
    return recogniser


def _recogniser_class(finder: Finder) -> Any:
    """Return Presidio's class for the identifier, or its general one, with the finder's check."""
    from presidio_analyzer import PatternRecognizer, RecognizerResult, predefined_recognizers

    base: type[Any] = PatternRecognizer
    if finder.presidio is not None:
        base = getattr(predefined_recognizers, finder.presidio)

    class Adapted(base):  # type: ignore[misc]  # a class chosen by name
        """A finder's shapes and check around what `base` validates."""

        def validate_result(self, pattern_text: str) -> bool | None:
            verdict = finder.check(pattern_text)
            if verdict is Verdict.REJECT:
                return False
            if finder.presidio is None:
                return True if verdict is Verdict.CERTAIN else None
            clean = finder.clean(pattern_text) if finder.clean else pattern_text
            agreed: bool | None = base.validate_result(self, clean)
            if agreed is False:
                return False
            return agreed if verdict is Verdict.CERTAIN else None

        def analyze(
            self,
            text: str,
            entities: list[str],
            nlp_artifacts: Any = None,
            regex_flags: int | None = None,
        ) -> list[RecognizerResult]:
            results: list[RecognizerResult] = base.analyze(self, text, entities, nlp_artifacts)
            for result in results:
                weak = finder.check(text[result.start : result.end]) is Verdict.WEAK
                if weak and result.score > WEAK:
                    result.score = WEAK
            return results

    return Adapted


def _private_key_recogniser() -> Any:
    """Return a recogniser of private key blocks (see `private_keys`)."""
    from presidio_analyzer import EntityRecognizer, RecognizerResult

    class PrivateKeys(EntityRecognizer):
        """Finds private key blocks, each with score 1."""

        def __init__(self) -> None:
            super().__init__([PRIVATE_KEY], "private keys", LANGUAGE)

        def load(self) -> None:
            """Nothing to load."""

        def analyze(
            self, text: str, entities: list[str], nlp_artifacts: Any = None
        ) -> list[RecognizerResult]:
            """Return the blocks of `text`."""
            metadata = {"recognizer_name": "private keys", "recognizer_identifier": self.id}
            return [
                RecognizerResult(PRIVATE_KEY, start, end, 1.0, recognition_metadata=metadata)
                for start, end in private_keys(text)
            ]

    return PrivateKeys()
