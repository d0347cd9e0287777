"""The peer's side of signals.py: datatrove's filters on the same documents, in its own environment.

    PEER/bin/python benchmarks/datatrove_signals.py LANGUAGE LID_MODEL < DOCUMENTS > RESULT

DOCUMENTS: one JSON string a line. RESULT: one JSON object: seconds of each filter (processor time,
one thread, after a warm-up), its verdicts, and the numbers that its functions give. The
environment is made with

    python -m venv PEER
    PEER/bin/pip install datatrove==0.10.0 kiwipiepy==0.20.4 spacy nltk tldextract ftfy regex \
        fasttext-community fasteners
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

STOPS = {
    "eng": ["the", "be", "to", "of", "and", "that", "have", "with"],
    "kor": [*"의다이는에을한년하은를했고가있인월로되", "에서", "으로"],
}
GRAMS = {
    "eng": ((2, 0.2), (3, 0.18), (4, 0.16)),
    "kor": ((2, 0.282), (3, 0.228), (4, 0.185)),
}
DUPLICATES = {
    "eng": ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)),
    "kor": ((5, 0.201), (6, 0.184), (7, 0.168), (8, 0.154), (9, 0.140), (10, 0.127)),
}


def filters(language: str, model: str) -> dict[str, Any]:
    """Return datatrove's filters by name, with FineWeb2's settings for Korean."""
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
        LanguageFilter,
    )
    from datatrove.utils import lid

    lid.cached_asset_path_or_download = lambda *_, **__: model  # the file that we use, too
    korean = language == "kor"
    return {
        "language": LanguageFilter(None if korean else ["en"], 0.0),
        "gopher_repetition": GopherRepetitionFilter(
            dup_line_frac=0.374 if korean else 0.3,
            dup_para_frac=0 if korean else 0.3,
            dup_line_char_frac=0 if korean else 0.2,
            dup_para_char_frac=0 if korean else 0.2,
            top_n_grams=GRAMS[language],
            dup_n_grams=DUPLICATES[language],
            language=language,
        ),
        "fineweb": FineWebQualityFilter(
            line_punct_thr=0.062 if korean else 0.12,
            short_line_thr=999 if korean else 0.67,
            char_duplicates_ratio=0.1 if korean else 0.01,
            new_line_ratio=0.196 if korean else 0.3,
            language=language,
        ),
        "gopher_quality": GopherQualityFilter(
            min_avg_word_length=1 if korean else 3,
            max_avg_word_length=6 if korean else 10,
            max_non_alpha_words_ratio=0.791 if korean else 0.8,
            stop_words=STOPS[language],
            language=language,
        ),
        "c4": C4QualityFilter(language=language),
    }


def numbers(text: str, language: str) -> dict[str, float]:
    """Return what datatrove's rules compare, for one text."""
    from datatrove.pipeline.filters.gopher_repetition_filter import (
        find_all_duplicate,
        find_duplicates,
        find_top_duplicate,
        get_n_grams,
    )
    from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_words

    words = split_into_words(text, language)
    named = [word for word in words if any(c not in PUNCTUATION_SET for c in word)]
    lines = [line for line in text.split("\n") if line.strip()]
    n, chars, total = max(len(words), 1), max(len(text), 1), max(len(lines), 1)
    found = {
        "units": float(len(named)),
        "mean_unit_length": sum(map(len, named)) / max(len(named), 1),
        "alpha_units": sum(any(c.isalpha() for c in word) for word in words) / n,
        "unit_symbol_ratio": max(text.count("#"), text.count("...") + text.count("…")) / n,
        "stop_words": float(len(set(words) & set(STOPS[language]))),
        "unit_newlines": text.count("\n") / n,
        "line_punctuation": sum(line.endswith(tuple(TERMINAL_PUNCTUATION)) for line in lines)
        / total,
        "short_lines": sum(len(line) <= 30 for line in lines) / total,
        "char_duplicates": find_duplicates(lines)[1] / max(len(text.replace("\n", "")), 1),
        "dup_lines": find_duplicates(lines)[0] / total,
    }
    for size, _ in GRAMS[language]:
        grams = get_n_grams(words, size)
        found[f"top_{size}gram"] = find_top_duplicate(grams) / chars if grams else 0.0
    for size, _ in DUPLICATES[language]:
        found[f"dup_{size}gram"] = find_all_duplicate(words, size) / chars
    return found


def main(language: str, model: str) -> None:
    from datatrove.data import Document

    texts = [json.loads(line) for line in sys.stdin]
    peers = filters(language, model)
    for peer in peers.values():  # loads models and tokenizers
        peer.filter(Document("A first text to load the models. 처음 문장입니다.", "0"))
    seconds = dict.fromkeys(peers, 0.0)
    verdicts: dict[str, list[str]] = {name: [] for name in peers}
    for text in texts:
        for name, peer in peers.items():
            document = Document(text, "0")
            begin = time.process_time()
            verdict = peer.filter(document)
            seconds[name] += time.process_time() - begin
            verdicts[name].append("" if verdict is True else str(verdict))
    found = [numbers(text, language) for text in texts]
    json.dump({"seconds": seconds, "verdicts": verdicts, "numbers": found}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
