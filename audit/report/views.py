"""What the report and the server show: one method per view, each returning plain JSON.

The static report holds the answers of all views; the server answers with the same methods.
Counts come from the frame's groups, values from its columns, texts from `audit.query.texts`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from audit.accounting.ledger import by_stage
from audit.accounting.stats import known_stats
from audit.query.clusters import clusters
from audit.query.config_yaml import changed_yaml
from audit.query.explain import explain_document, locate
from audit.query.frame import Frame
from audit.query.histogram import histogram, signals
from audit.query.pieces import WHOLE, from_start, pieces
from audit.query.plain import Json, plain
from audit.query.samples import samples
from audit.query.texts import SHOWN_COLUMNS, Texts
from audit.query.what_if import WhatIf
from audit.report import overview
from pipelines.stages.redact import STAGE as REDACT
from pipelines.storage.layout import DOCUMENTS, NUMBER_PATTERN
from schemas.errors import InputError

MOST_FOUND = 30
"""Documents that a search returns at most."""
STAGE_HEADS = (
    "step",
    "entered",
    "dropped",
    "leaving",
    "bytesDropped",
    "bytesEdited",
    "bytesLeaving",
    "tokenCount",
)
"""The columns of the table by stage, as the page's words call them."""


class Views:
    """All views of one run. `show_pii`: leave personal data unmasked."""

    def __init__(self, frame: Frame, show_pii: bool = False) -> None:
        self.frame = frame
        self.texts = Texts(frame, show_pii)
        self.what_if = WhatIf(frame)
        self.show_pii = show_pii
        self.signal = lru_cache(maxsize=None)(self._signal)
        self.overview = lru_cache(maxsize=1)(self._overview)
        self.accounting = lru_cache(maxsize=1)(self._accounting)
        self.clusters = lru_cache(maxsize=1)(self._clusters)
        self.pii = lru_cache(maxsize=1)(self._pii)

    # What went in, what came out

    def _overview(self) -> Json:
        """Return the run, its funnel by source, component and reason, rules and shares."""
        return overview.overview(self.frame, self.show_pii)

    def _accounting(self) -> Json:
        """Return the ledger's sums by stage and what the guards found.

        Not a part of the overview: a run without `audit/stats.json` has them counted first.
        """
        figures = known_stats(self.frame.out, self.frame.config)
        rows = []
        for total in by_stage(figures):
            sizes = (total.dropped.text_bytes, total.edited.text_bytes, total.left.text_bytes)
            documents = (total.entered.documents, total.dropped.documents, total.left.documents)
            rows.append([total.stage, *documents, *sizes, total.left.tokens])
        return {
            "stages": {"heads": list(STAGE_HEADS), "rows": rows},
            "findings": [
                {"guard": f.guard, "severity": f.severity, "message": f.message}
                for f in figures.guards
            ],
        }

    def overlap(self) -> list[list[int]]:
        """Return a square: documents that break both rule i and rule j."""
        return overview.overlap(self.frame)

    # Signals, samples, duplicates, personal data

    def signals(self) -> list[Json]:
        """Return the numeric columns that the run has, by step."""
        return signals(self.frame)

    def _signal(self, name: str) -> Json:
        """Return a histogram of a column. Raises InputError if it is not a signal of this run."""
        return histogram(self.frame, name)

    def samples(self, index: int, each: int = 3) -> Json:
        """Return documents that rule `index` drops, nearly drops and nearly keeps."""
        return samples(self.frame, self.texts, index, each)

    def _clusters(self) -> Json:
        """Return the sizes of duplicate clusters, and the largest with what differs in them."""
        return clusters(self.frame, self.texts)

    def _pii(self) -> list[list[Any]]:
        """Return (source, type, spans, documents): how many, never what."""
        if REDACT.name not in self.frame.steps:
            return []
        rows = self.frame.query(
            "SELECT source, span.type, count(*), count(DISTINCT (filename, row)) FROM ("
            f"SELECT regexp_replace(parse_filename(filename), '{NUMBER_PATTERN}', '') AS source, "
            "filename, file_row_number AS row, unnest(pii_spans) AS span "
            "FROM read_parquet(?, filename=true, file_row_number=true)) "
            "GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
            [self.frame.files(REDACT.name)],
        )
        return [list(row) for row in rows]

    # One document, or those that are looked for

    def document(self, name: str) -> Json:
        """Return one document: its text with marks, all signals, rules, copies and tokens."""
        frame = self.frame
        shard, inside, _ = locate(frame.out, name)
        first = next(s.first for s in frame.shards if s.name == shard)
        (shown,) = self.texts.read([first + inside], ["id", "url", "meta", "origin"])
        explained = explain_document(frame.out, frame.config, shown.values["id"].hex())
        columns = [r.reason for r in explained.rules if r.holds is False]
        deciding = next((r.rule for r in explained.rules if r.holds is False), None)
        column = deciding.split(".", 1)[1].split(" ")[0] if deciding else ""
        column = column.split("<")[0].split(">")[0].split("=")[0].split("!")[0]
        text = shown.text
        marks = self.texts.marks(column, text) if column else []
        for step in explained.annotations.values():
            if not self.show_pii:
                step.pop("pii_spans", None)
        own = {**explained.document, **{k: shown.values[k] for k in ("url", "meta", "origin")}}
        rules = [r.model_dump() for r in explained.rules]
        for rule in rules:
            rule["value"] = rule["value"] if isinstance(rule["value"], int | float | str) else None
        return {
            "id": explained.id,
            "document": own,
            "verdict": explained.verdict,
            "broken": columns,
            "column": column,
            "text": pieces(text, [], WHOLE) if not marks else from_start(text, marks),
            "length": len(text),
            "annotations": json.loads(json.dumps(explained.annotations, default=str)),
            "rules": rules,
            "duplicates": explained.duplicates,
            "placed": [place.model_dump() for place in explained.placed],
        }

    def search(self, words: str, most: int = MOST_FOUND) -> list[Json]:
        """Return the first documents, `most` at most, whose id, origin, URL or text holds `words`.

        Text is looked through as it was ingested; what is shown is masked.
        """
        words = words.strip()
        if len(words) < 2:
            raise InputError("search: give two characters or more")
        frame = self.frame
        known = words.lower()
        where = (
            "contains(lower(text), ?) OR contains(lower(coalesce(url, '')), ?) "
            "OR starts_with(lower(origin), ?)"
        )
        value: str | bytes = known
        if len(known) == 32 and all(c in "0123456789abcdef" for c in known):
            where, value = "id = ?", bytes.fromhex(known)
        first = {shard.name: shard.first for shard in frame.shards}
        rows = frame.query(
            "SELECT parse_filename(filename), file_row_number FROM "
            f"read_parquet(?, filename=true, file_row_number=true) WHERE {where} LIMIT ?",
            [frame.files(DOCUMENTS), *([value] * where.count("?")), most],
        )
        numbers = sorted(first[name] + row for name, row in rows)
        found: list[Json] = []
        for one, row in zip(self.texts.read(numbers, SHOWN_COLUMNS), numbers, strict=True):
            at = one.text.lower().find(known)
            marks = [(at, at + len(words))] if at >= 0 else []
            verdict = frame.groups.first()[frame.group[row]]
            found.append(
                {
                    **plain(one.values),
                    "verdict": "kept" if verdict < 0 else frame.rules[verdict].reason,
                    "excerpt": pieces(one.text, marks, 240),
                }
            )
        return found

    def found(self, words: str) -> Json:
        """Return the documents that a search shows, and whether there are more."""
        documents = self.search(words, MOST_FOUND + 1)
        return {"documents": documents[:MOST_FOUND], "more": len(documents) > MOST_FOUND}

    # Changed rules

    def changed(self, texts: Sequence[str]) -> Json:
        """Return what the run would keep with the rules of `texts`."""
        return self.what_if.compare(texts).model_dump()

    def export(self, texts: Sequence[str]) -> str:
        """Return the sections of the config that the rules of `texts` change, as YAML."""
        return changed_yaml(self.frame, texts)
