"""What the report and the server show: one function a view, each giving plain JSON.

The static report holds the answers of all of them; the server answers the same functions live.
Counts come from the frame's groups, values from its columns, texts from `audit.query.texts`.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import yaml

from audit.accounting.ledger import by_stage, rejects
from audit.accounting.stats import known_stats
from audit.query.explain import explain_document, locate
from audit.query.frame import BLOCK, Frame, Values, is_null
from audit.query.reading import documents_of
from audit.query.texts import WHOLE, Piece, Texts, pieces
from audit.query.what_if import WhatIf, altered, asked, check_scopes
from pipelines.stages.catalog import STAGES
from pipelines.stages.dedup import STAGE as DEDUP
from pipelines.stages.redact import STAGE as REDACT
from pipelines.storage.layout import DOCUMENTS, MIXTURE_MANIFEST, NUMBER_PATTERN, RUNS, source_of
from schemas.config import Config
from schemas.errors import InputError
from schemas.rules import ALL, Rule, is_number, parse_condition, replaces

Json = dict[str, Any]

BINS = 48
SAMPLED = 200_000
"""Values that a histogram's range is taken from."""
NOT_SIGNALS = {"run_offset", "cut_key", "contamination_run"}
EDGE = 0.002
"""Share of the values at each end that a histogram puts into its outermost bins."""
DIFFED = 3_000
"""Characters of each of two copies that are compared word by word."""
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
COLUMNS_SHOWN = ("id", "source", "assigned", "lang", "url", "origin")


class Views:
    """All views of one run."""

    def __init__(self, frame: Frame, show_pii: bool = False) -> None:
        self.frame = frame
        self.texts = Texts(frame, show_pii)
        self.what_if = WhatIf(frame)
        self.show_pii = show_pii
        self.signal = lru_cache(maxsize=None)(self._signal)
        self.overview = lru_cache(maxsize=1)(self._overview)
        self.books = lru_cache(maxsize=1)(self._books)
        self.clusters = lru_cache(maxsize=1)(self._clusters)
        self.pii = lru_cache(maxsize=1)(self._pii)

    # What went in, what came out

    def _overview(self) -> Json:
        """Return the run, its funnel by source, component and reason, rules and shares."""
        frame, groups = self.frame, self.frame.groups
        first = groups.first()
        lines: dict[tuple[str, str, str], list[int]] = {}
        for at in range(len(first)):
            reason = "kept" if first[at] < 0 else frame.rules[first[at]].reason
            key = (
                str(frame.sources.names[groups.source[at]]),
                frame.components.names[groups.component[at]] or "–",
                reason,
            )
            line = lines.setdefault(key, [0, 0, 0, 0, 0])
            for number, column in enumerate(
                (groups.documents, groups.bytes, groups.chars, groups.tokens, groups.raw_bytes)
            ):
                line[number] += int(column[at])
        read: dict[str, list[int]] = {}
        for shard in documents_of(frame.out).shards:
            book = read.setdefault(source_of(shard.name), [0, 0])
            book[0] += int(shard.stats["records"])
            book[1] += int(shard.stats["raw_bytes"])
        for source, reason, _, count in rejects(frame.out):
            line = lines.setdefault((source, "–", f"unreadable: {reason}"), [0, 0, 0, 0, 0])
            line[0] += count.documents
            line[4] += count.raw_bytes
        return {
            "name": frame.config.name,
            "steps": frame.steps,
            "rows": frame.rows,
            "read": read,
            "funnel": [[*key, *line] for key, line in sorted(lines.items())],
            "languages": self._languages(),
            "rules": [self._rule(index) for index in range(len(frame.rules))],
            "signals": self.signals(),
            "mixture": _json_file(frame, MIXTURE_MANIFEST),
            "runs": (_json_file(frame, RUNS) or {}).get("runs", []),
            "tokenizer": self._tokenizer(),
            "show_pii": self.show_pii,
        }

    def _books(self) -> Json:
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

    def _languages(self) -> list[list[Any]]:
        groups, kept = self.frame.groups, self.frame.groups.mask == 0
        totals: dict[str, list[int]] = {}
        for at in range(len(kept)):
            row = totals.setdefault(
                self.frame.languages.names[groups.language[at]] or "–", [0, 0, 0]
            )
            row[0] += int(groups.documents[at])
            row[1] += int(groups.documents[at]) * bool(kept[at])
            row[2] += int(groups.tokens[at]) * bool(kept[at])
        ranked = sorted(totals.items(), key=lambda item: (-item[1][0], item[0]))
        return [[name, *row] for name, row in ranked[:20]]

    def _rule(self, index: int) -> Json:
        """Return what a rule drops: as the first reason, at all, and as the only one."""
        frame, groups = self.frame, self.frame.groups
        rule, bit = frame.rules[index], np.uint64(1 << index)
        breaks = (groups.mask & bit) > 0
        only, first = groups.mask == bit, groups.first() == index
        scope = frame.scoped(rule, groups.source, groups.component)
        by_source = {}
        for code, name in enumerate(frame.sources.names):
            here = groups.source == code
            if name is not None and (count := int(groups.documents[here & breaks].sum())):
                by_source[name] = [count, int(groups.documents[here & first].sum())]
        number = float(cast(float, rule.value)) if is_number(rule.value) else None
        return {
            "text": str(rule),
            "scope": rule.scope,
            "column": rule.column,
            "op": rule.op,
            "value": rule.value if number is None or math.isfinite(number) else None,
            "null": rule.null,
            "reason": rule.reason,
            "step": STAGES[frame.step_index(rule)].name,
            "movable": rule.threshold is not None and math.isfinite(rule.threshold),
            "asked": int(groups.documents[scope].sum()),
            "breaks": [int(groups.documents[breaks].sum()), int(groups.bytes[breaks].sum())],
            "first": [int(groups.documents[first].sum()), int(groups.bytes[first].sum())],
            "only": [int(groups.documents[only].sum()), int(groups.bytes[only].sum())],
            "by_source": by_source,
        }

    def overlap(self) -> list[list[int]]:
        """Return a square: documents that break both rule i and rule j."""
        groups = self.frame.groups
        size = len(self.frame.rules)
        bits = ((groups.mask[:, None] >> np.arange(size, dtype=np.uint64)) & np.uint64(1)).astype(
            np.float64
        )
        square = (bits * groups.documents[:, None]).T @ bits
        return [[int(value) for value in row] for row in square]

    # Signals

    def signals(self) -> list[Json]:
        """Return the numeric columns that the run has, by step."""
        found = []
        for step in self.frame.steps:
            for field in self.frame.schemas[step]:
                if field.name not in NOT_SIGNALS and self.frame.numeric(field.name):
                    found.append({"name": field.name, "step": step})
        return found

    def _signal(self, name: str) -> Json:
        """Return a histogram of a column by component, of all documents and of those kept.

        Values beyond the edges are counted in the outermost bins.
        """
        if not any(signal["name"] == name for signal in self.signals()):
            raise InputError(f"{name}: no signal of this run; docs/signals.md lists them")
        frame = self.frame
        values = frame.values(name)
        rules = [
            (index, float(rule.value))
            for index, rule in enumerate(frame.rules)
            if rule.column == name and isinstance(rule.value, int | float)
        ]
        thresholds = [value for _, value in rules if math.isfinite(value)]
        edges, log = bin_edges(values, thresholds)
        kinds = len(frame.components.names)
        component = frame.groups.component * 2 + (frame.groups.mask == 0)
        counts = np.zeros((kinds * 2, BINS), np.int64)
        known = 0
        for start in range(0, frame.rows, BLOCK):
            part = values[start : start + BLOCK]
            valid = np.flatnonzero(~is_null(part))
            known += len(valid)
            bins = np.clip(np.searchsorted(edges, part[valid], side="right") - 1, 0, BINS - 1)
            key = component[frame.group[start : start + BLOCK][valid]] * BINS + bins
            counts += np.bincount(key, minlength=kinds * 2 * BINS).reshape(kinds * 2, BINS)
        by_component = {}
        for code, label in enumerate(frame.components.names):
            dropped, kept = counts[2 * code], counts[2 * code + 1]
            if (dropped.any() or kept.any()) and label is not None:
                by_component[label] = {"all": (dropped + kept).tolist(), "kept": kept.tolist()}
        return {
            "name": name,
            "edges": [_short(edge) for edge in edges.tolist()],
            "log": log,
            "known": known,
            "null": frame.rows - known,
            "components": by_component,
            "rules": [index for index, _ in rules],
        }

    # Samples

    def samples(self, index: int, each: int = 3) -> Json:
        """Return documents that rule `index` drops, nearly drops and nearly keeps."""
        frame = self.frame
        if not 0 <= index < len(frame.rules):
            raise InputError(f"rule {index}: the run has {len(frame.rules)}, counted from 0")
        rule = frame.rules[index]
        groups = frame.groups
        first = groups.first() == index
        scope = frame.scoped(rule, groups.source, groups.component)
        chosen = {"dropped": self._spread(first, each)}
        if is_number(rule.value):
            only = groups.mask == np.uint64(1 << index)
            chosen["nearly_kept"] = self._nearest(rule, only, each)
            chosen["nearly_dropped"] = self._nearest(rule, (groups.mask == 0) & scope, each)
        rows = [row for part in chosen.values() for row in part]
        columns = list(dict.fromkeys([*COLUMNS_SHOWN, rule.column, *self._duplicate_columns()]))
        shown = iter(self.texts.read(rows, columns))
        found: Json = {}
        for kind, part in chosen.items():
            found[kind] = []
            for _ in part:
                one = next(shown)
                marks = self.texts.marks(rule.column, one.text)
                found[kind].append(
                    {
                        **_plain(one.values),
                        "value": _plain({"v": one.values.get(rule.column)})["v"],
                        "excerpt": pieces(one.text, marks),
                        "length": len(one.text),
                    }
                )
        return found

    def _duplicate_columns(self) -> list[str]:
        return ["duplicate_of"] if DEDUP.name in self.frame.steps else []

    def _spread(self, chosen: npt.NDArray[np.bool_], each: int) -> list[int]:
        """Return rows of the chosen groups, the same ones every time, spread over all of them."""
        best: list[tuple[int, int]] = []
        for start in range(0, self.frame.rows, BLOCK):
            rows = np.flatnonzero(chosen[self.frame.group[start : start + BLOCK]]) + start
            order = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            few = np.argsort(order, kind="stable")[:each]
            best += zip(order[few].tolist(), rows[few].tolist(), strict=True)
        return [row for _, row in sorted(best)[:each]]

    def _nearest(self, rule: Rule, chosen: npt.NDArray[np.bool_], each: int) -> list[int]:
        """Return rows of the chosen groups whose values lie nearest to the threshold."""
        values = self.frame.values(rule.column)
        threshold = float(cast(float, rule.value))
        best: list[tuple[float, int]] = []
        for start in range(0, self.frame.rows, BLOCK):
            part = values[start : start + BLOCK]
            here = chosen[self.frame.group[start : start + BLOCK]] & ~is_null(part)
            rows = np.flatnonzero(here)
            with np.errstate(invalid="ignore"):  # an infinite value at an infinite threshold
                gap = np.abs(part[rows].astype(np.float64) - threshold)
            few = np.argpartition(gap, each)[:each] if len(gap) > each else np.arange(len(gap))
            best += zip(gap[few].tolist(), (rows[few] + start).tolist(), strict=True)
        return [row for _, row in sorted(best)[:each]]

    # Duplicates, personal data, tokenizer

    def _clusters(self, most: int = 10) -> Json:
        """Return the sizes of duplicate clusters, and the largest with what differs in them."""
        frame = self.frame
        if DEDUP.name not in frame.steps:
            return {"kinds": [], "sizes": [], "largest": []}
        files = frame.files(DEDUP.name)
        kinds = frame.query(
            "SELECT duplicate_kind, count(*) FROM read_parquet(?) WHERE duplicate "
            "GROUP BY 1 ORDER BY 2 DESC",
            [files],
        )
        sizes = frame.query(
            "SELECT cluster_size, count(DISTINCT cluster_id) FROM read_parquet(?) "
            "WHERE cluster_id IS NOT NULL GROUP BY 1 ORDER BY 1",
            [files],
        )
        largest = frame.query(
            "SELECT cluster_id, max(cluster_size) AS n FROM read_parquet(?) "
            "WHERE cluster_id IS NOT NULL GROUP BY 1 ORDER BY n DESC, 1 LIMIT ?",
            [files, most],
        )
        found = []
        for cluster, size in largest:
            members = self._members(bytes(cluster))
            if len(members) > 1:
                found.append({"id": bytes(cluster).hex(), "size": size, **self._differ(members)})
        return {"kinds": kinds, "sizes": sizes, "largest": found}

    def _members(self, cluster: bytes) -> list[int]:
        """Return the rows of a cluster's survivor and of two of its copies that differ most."""
        rows: list[tuple[bool, int]] = []
        first = {shard.name: shard.first for shard in self.frame.shards}
        for name, row, duplicate in self.frame.query(
            "SELECT parse_filename(filename), file_row_number, duplicate "
            "FROM read_parquet(?, filename=true, file_row_number=true) "
            "WHERE cluster_id = ? ORDER BY duplicate, 1, 2 LIMIT 12",
            [self.frame.files(DEDUP.name), cluster],
        ):
            rows.append((bool(duplicate), first[name] + row))
        return [row for _, row in rows]

    def _differ(self, members: Sequence[int]) -> Json:
        columns = [*COLUMNS_SHOWN, "duplicate_kind"]
        shown = self.texts.read(members, columns)
        near = next((s for s in shown[1:] if s.values["duplicate_kind"] == "near"), shown[1])
        return {
            "kept": _plain(shown[0].values),
            "copy": _plain(near.values),
            "diff": word_diff(shown[0].text, near.text),
            "members": [_plain(one.values) for one in shown],
        }

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

    def _tokenizer(self) -> Json:
        """Return the tokenizer's card and, by component, what it makes of the kept documents."""
        frame, groups = self.frame, self.frame.groups
        card = _json_file(frame, "tokenizer/card.json") or {}
        kept = groups.mask == 0
        rows = []
        for code, name in enumerate(frame.components.names):
            here = kept & (groups.component == code)
            if name is None or not groups.tokens[here].sum():
                continue
            columns = (groups.documents, groups.bytes, groups.chars, groups.tokens)
            rows.append([name, *(int(column[here].sum()) for column in columns)])
        plain = {k: v for k, v in card.items() if isinstance(v, str | int | float | bool)}
        return {"card": plain, "components": rows}

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
            "text": pieces(text, [], WHOLE) if not marks else _from_start(text, marks),
            "length": len(text),
            "annotations": json.loads(json.dumps(explained.annotations, default=str)),
            "rules": rules,
            "duplicates": explained.duplicates,
            "placed": [place.model_dump() for place in explained.placed],
        }

    def search(self, words: str, most: int = 30) -> list[Json]:
        """Return documents whose id, origin, URL or text holds `words`.

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
        for one, row in zip(self.texts.read(numbers, COLUMNS_SHOWN), numbers, strict=True):
            at = one.text.lower().find(known)
            marks = [(at, at + len(words))] if at >= 0 else []
            verdict = frame.groups.first()[frame.group[row]]
            found.append(
                {
                    **_plain(one.values),
                    "verdict": "kept" if verdict < 0 else frame.rules[verdict].reason,
                    "excerpt": pieces(one.text, marks, 240),
                }
            )
        return found

    # Changed rules

    def changed(self, texts: Sequence[str]) -> Json:
        """Return what the run would keep with the rules of `texts`."""
        return self.what_if.compare(texts).model_dump()

    def export(self, texts: Sequence[str]) -> str:
        """Return the sections of the config that the rules of `texts` change, as YAML."""
        return changed_yaml(self.frame.config, self.frame.rules, texts)


def bin_edges(values: Values, thresholds: Sequence[float]) -> tuple[npt.NDArray[np.float64], bool]:
    """Return BINS + 1 edges that hold most values and every threshold, and whether by ratio.

    Counts that reach over two orders of magnitude get edges of equal ratio.
    """
    some = values[:: max(1, len(values) // SAMPLED)]
    few = some[~is_null(some)].astype(np.float64)
    if not len(few):
        return np.linspace(0.0, 1.0, BINS + 1), False
    low, middle, high = np.quantile(few, [EDGE, 0.5, 1 - EDGE])
    whole = values.dtype.kind == "i"
    log = bool(low >= 0 and high > 100 and high > 20 * max(middle, 1.0))
    log = log or bool(whole and high > 2000)
    for value in thresholds:
        span = max(high - low, abs(value), 1e-6)
        low, high = min(low, value - 0.05 * span), max(high, value + 0.05 * span)
    low = max(low, 0.0) if few.min() >= 0 else low
    if high <= low:
        high = low + 1.0
    if log:
        edges = np.geomspace(max(low, 1.0), high, BINS)
        return np.concatenate([[0.0], edges]), True
    return np.linspace(low, high, BINS + 1), False


def word_diff(kept: str, copy: str) -> list[Piece]:
    """Return the pieces of two texts: "" in both, `del` in `kept` only, `ins` in `copy` only.

    Long stretches that are the same are shortened.
    """
    left, right = (_tokens(text[:DIFFED]) for text in (kept, copy))
    found: list[Piece] = []
    for act, a, b, c, d in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if act == "equal":
            same = "".join(left[a:b])
            found.append((same if len(same) < 200 else f"{same[:90]} … {same[-90:]}", ""))
            continue
        found += [("".join(left[a:b]), "del")] if b > a else []
        found += [("".join(right[c:d]), "ins")] if d > c else []
    return found


def _tokens(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)


def _from_start(text: str, marks: Sequence[tuple[int, int]]) -> list[Piece]:
    """Return a document's pieces from its beginning, marks in place."""
    found: list[Piece] = []
    at, end = 0, min(len(text), WHOLE)
    for first, last in marks:
        low, high = max(first, at), min(last, end)
        if low < high:
            found += [(text[at:low], "")] if low > at else []
            found.append((text[low:high], "pass"))
            at = high
    found += [(text[at:end], "")] if at < end else []
    return found + ([("…", "cut")] if end < len(text) else [])


def _plain(values: Json) -> Json:
    """Return values that JSON can hold: ids in hex, floats short, spans left out."""
    return {
        name: value.hex()
        if isinstance(value, bytes)
        else _short(value)
        if isinstance(value, float)
        else None
        if isinstance(value, list)
        else value
        for name, value in values.items()
    }


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _json_file(frame: Frame, name: str) -> Json | None:
    path = frame.out / name
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else None


SECTIONS = {
    ("toxicity", "<="): ("toxicity", "drop_above"),
    ("spam", "<="): ("toxicity", "spam_above"),
    ("quality", ">="): ("quality", "drop_below"),
    ("pii_count", "<="): ("pii", "drop_above"),
}
"""Rules for all documents that have a key of their own: (column, operator) → section, key."""


def changed_yaml(config: Config, rules: Sequence[Rule], texts: Sequence[str]) -> str:
    """Return the config's `rules`, and other sections, with the rules of `texts` in place."""
    given = asked(texts)
    check_scopes(config, given)
    altered(rules, texts)  # refuses a column that no stage adds
    conditions = {scope: dict(columns) for scope, columns in config.rules.items()}
    sections: Json = {}
    for rule in given:
        place = SECTIONS.get((rule.column, rule.op)) if rule.scope == ALL else None
        if place is not None and rule.null == "keep" and rule.column not in conditions.get(ALL, {}):
            number = cast(float, rule.value)
            whole = place[0] == "pii"
            sections.setdefault(place[0], {})[place[1]] = math.floor(number) if whole else number
            continue
        old = conditions.get(rule.scope, {}).get(rule.column)
        standing = [] if old is None else parse_condition(rule.scope, rule.column, old)
        others = [one for one in standing if not replaces(rule, one)]
        joined = ", ".join(one.condition for one in [*others, rule])
        conditions.setdefault(rule.scope, {})[rule.column] = joined
    if conditions != {scope: dict(columns) for scope, columns in config.rules.items()}:
        sections = {"rules": conditions, **sections}
    return str(yaml.safe_dump(sections, allow_unicode=True, sort_keys=False))
