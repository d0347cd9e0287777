"""Every change that repair makes to the corpora, to be read: the kind, before and after.

python benchmarks/repairs.py --data ../shared/data > repairs.txt
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from corpora import records

from filters.text.repair import normalise, repair
from schemas.config import Ingest, Repair

CORPORA = ("ko_docs", "ko_reviews", "ko_reference", "en_docs", "en_reference")
LABELLED = ("toxicity_ko", "toxicity_en", "toxicity_more", "nsmc_sentiment", "langid")
SHOWN = 40
"""Characters beside a change that are shown."""


def changes(text: str, kind: Repair) -> Iterator[tuple[str, str]]:
    """Yield what one kind of repair replaces in `text`, line by line, with the text beside it."""
    before, after = normalise(text), repair(text, [kind])[0]
    if before == after:
        return
    matcher = difflib.SequenceMatcher(None, before.split("\n"), after.split("\n"), autojunk=False)
    for tag, low, high, first, last in matcher.get_opcodes():
        if tag == "equal":
            continue
        old, new = "\n".join(before.split("\n")[low:high]), "\n".join(after.split("\n")[first:last])
        head = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
        start = max(0, head - SHOWN)
        yield old[start : head + 3 * SHOWN], new[start : head + 3 * SHOWN]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--most", type=int, default=10, help="changes shown per document and kind")
    given = parser.parse_args()
    for name in [*(f"corpora/{one}" for one in CORPORA), *(f"labelled/{one}" for one in LABELLED)]:
        seen, changed = 0, Counter[str]()
        for record in records(given.data, name):
            text = str(record.get("text") or record.get("sentence1") or "")
            seen += 1
            _, counts = repair(text, Ingest().repair)
            for kind in Ingest().repair:
                if kind not in counts:
                    continue
                changed[kind] += 1
                for old, new in list(changes(text, kind))[: given.most]:
                    print(f"{name} {record['id']} {kind}\n  - {old!r}\n  + {new!r}")
        kinds = ", ".join(f"{kind} {count}" for kind, count in changed.most_common()) or "none"
        print(f"== {name}: {seen:,} documents; changed: {kinds}", flush=True)


if __name__ == "__main__":
    main()
