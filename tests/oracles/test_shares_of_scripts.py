"""The shares of scripts that `identify` writes, against their sentences."""

from __future__ import annotations

import pyarrow as pa

from filters.language.annotator import Identify
from schemas.config import Identify as Settings
from tests.oracles.characters import kind
from tests.oracles.compare import equals
from tests.oracles.signals import count, share, visible
from tests.oracles.texts import NAMES, adversarial, documents

SHARES = {
    "hangul_share": ("hangul", "jamo"),
    "latin_share": ("latin",),
    "han_share": ("han",),
    "kana_share": ("kana",),
    "digit_share": ("digit",),
}


def test_shares_of_scripts_are_of_the_visible_characters():
    texts = [*adversarial(), *(text for name in NAMES for text in documents(name)[:200])]
    rows = pa.RecordBatch.from_arrays(
        [
            pa.array(texts, pa.large_string()),
            pa.array(["auto"] * len(texts), pa.string()),
            pa.nulls(len(texts), pa.string()),
        ],
        names=["text", "component", "meta"],
    )
    found = Identify(Settings())(rows).to_pylist()
    wrong = [
        (len(text), name, text, row[name])
        for text, row in zip(texts, found, strict=True)
        for name, kinds in SHARES.items()
        if not equals(share(count(text, *kinds), len(visible(text))), row[name])
    ]
    assert not wrong, f"{len(wrong)} values, the shortest (length, column, text, got): {min(wrong)}"
    assert {kind(character) for text in texts for character in text} >= {"hangul", "han", "kana"}
