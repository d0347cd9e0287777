"""Presidio's recognisers and ours, in one analyser that needs no language model.

Importing this module loads Presidio and spaCy: only a worker that redacts does.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Any

from presidio_analyzer import (
    AnalyzerEngine,
    EntityRecognizer,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer import Pattern as PresidioPattern
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    CryptoRecognizer,
    IbanRecognizer,
    KrBrnRecognizer,
    KrFrnRecognizer,
    KrRrnRecognizer,
)

from filters.pii.patterns import PATTERNS, Pattern

LANGUAGE = "ko"
CONTEXT_WINDOW = 40
"""Characters before a value, and a quarter of it after, in which a context word counts."""
CONTEXT_SCORE = 0.85

_DOCUMENTATION = re.compile(
    r"(?:@|\.)(?:example\.(?:com|org|net|edu)|[a-z0-9.-]*\.(?:example|test|invalid|localhost|local))$|"
    r"@(?:localhost|domain|email|contoso|fabrikam|adatum|foo|bar|test|host|server|company|mail)\.(?:com|net|org)$",
    re.I,
)
"""Domains reserved for documentation (RFC 2606, RFC 6761) and those that manuals use."""
_FILE = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|css|js|ts|json|md|html?|h|c|py|rs|go|java)$", re.I)
_USERS = frozenset({"git", "noreply", "no-reply", "user", "username", "example", "your", "you"})
_VERSION = re.compile(
    r"(?:v|ver|version|버전|릴리스|release|assembly|빌드|build)[\s:=.\"'>]*$", re.I
)


class BlankEngine(NlpEngine):  # type: ignore[misc]  # Presidio is untyped
    """An engine without a model: no entities, no lemmas. Context is ours to look for."""

    def load(self) -> None:
        """Nothing to load."""

    def is_loaded(self) -> bool:
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        return NlpArtifacts([], [], [], [], self, language)

    def process_batch(
        self, texts: Iterable[str], language: str, **_: Any
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        return ((text, self.process_text(text, language)) for text in texts)

    def is_stopword(self, word: str, language: str) -> bool:
        return False

    def is_punct(self, word: str, language: str) -> bool:
        return False

    def get_supported_entities(self) -> list[str]:
        return []

    def get_supported_languages(self) -> list[str]:
        return [LANGUAGE]


def _near(text: str, start: int, end: int, words: Iterable[str]) -> bool:
    around = text[max(0, start - CONTEXT_WINDOW) : end + CONTEXT_WINDOW // 4].lower()
    return any(word in around for word in words)


class PatternsOf(EntityRecognizer):  # type: ignore[misc]  # Presidio is untyped
    """All of our patterns of one entity type, with context words that raise the score."""

    def __init__(self, entity: str, patterns: list[Pattern]) -> None:
        super().__init__([entity], name=f"Bibim {entity}", supported_language=LANGUAGE)
        self._entity = entity
        self._patterns = [(pattern, re.compile(pattern.regex)) for pattern in patterns]

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Return the values of this entity in `text`."""
        results = []
        for pattern, regex in self._patterns:
            for match in regex.finditer(text):
                start, end = match.span()
                if not _real(self._entity, text, start, end):
                    continue
                score = pattern.score
                if pattern.context and _near(text, start, end, pattern.context):
                    score = max(score, CONTEXT_SCORE)
                results.append(RecognizerResult(self._entity, start, end, score))
        return results


def _real(entity: str, text: str, start: int, end: int) -> bool:
    """Return whether a value that has the right form is more than an example."""
    value = text[start:end]
    if entity == "EMAIL_ADDRESS":
        user = value.split("@", 1)[0].lower()
        return not (_DOCUMENTATION.search(value) or _FILE.search(value) or user in _USERS)
    if entity == "URL_CREDENTIALS":
        words = value.lower().split(":", 1)
        return not all(w.startswith(("user", "pass", "pw", "name", "<", "{", "xxx")) for w in words)
    return True


class PublicAddress(EntityRecognizer):  # type: ignore[misc]  # Presidio is untyped
    """IPv4 addresses that could be somebody's: global, no version number, no documentation."""

    _REGEX = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]|-\w)")

    def __init__(self) -> None:
        super().__init__(["IP_ADDRESS"], name="Bibim IP_ADDRESS", supported_language=LANGUAGE)

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Return the addresses in `text`."""
        results = []
        for match in self._REGEX.finditer(text):
            start, end = match.span()
            if _VERSION.search(text[max(0, start - 16) : start]):
                continue
            try:
                address = ipaddress.IPv4Address(match.group())
            except ValueError:
                continue
            octets = [int(part) for part in match.group().split(".")]
            version_like = octets[0] < 20 or octets[1:] == [0, 0, 0] or octets[2:] == [0, 0]
            if address.is_global and not address.is_multicast and not version_like:
                results.append(RecognizerResult("IP_ADDRESS", start, end, 0.6))
        return results


def analyser(disable: Iterable[str] = ()) -> AnalyzerEngine:
    """Return an analyser with every recogniser but those of the entity types in `disable`."""
    off = set(disable)
    grouped: dict[str, list[Pattern]] = {}
    for pattern in PATTERNS:
        grouped.setdefault(pattern.entity, []).append(pattern)
    dashed_brn = [PresidioPattern("BRN", r"(?<![\d-])\d{3}-\d{2}-\d{5}(?![\d-])", 0.1)]
    recognisers: list[EntityRecognizer] = [
        *(PatternsOf(entity, patterns) for entity, patterns in grouped.items()),
        PublicAddress(),
        KrRrnRecognizer(supported_language=LANGUAGE),
        KrFrnRecognizer(supported_language=LANGUAGE),
        KrBrnRecognizer(supported_language=LANGUAGE, patterns=dashed_brn),
        CreditCardRecognizer(supported_language=LANGUAGE),
        IbanRecognizer(supported_language=LANGUAGE),
        CryptoRecognizer(supported_language=LANGUAGE),
    ]
    kept = [each for each in recognisers if not off & set(each.supported_entities)]
    registry = RecognizerRegistry(recognizers=kept, supported_languages=[LANGUAGE])
    return AnalyzerEngine(
        registry=registry, nlp_engine=BlankEngine(), supported_languages=[LANGUAGE]
    )
