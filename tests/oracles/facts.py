"""A run's documents as plain Python sees them: every row, each rule's answer, who is kept and why.

Written from docs/ledger.md, docs/config.md and docs/index.md; no module of `audit/` is used.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from tests.support import ledger_oracle

Data = dict[str, Any]
OF_THE_DOCUMENT = {"license", "url", "timestamp", "meta"}
RULE = re.compile(r"(?P<scope>[^.]+)\.(?P<column>\w+?)\s*(?P<condition>[<>=!]=?.*|in .*|is .*)$")
COMPARE = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


@dataclass(frozen=True)
class Rule:
    """A rule as the audit writes it: `scope.column condition (reason)`."""

    text: str
    scope: str
    column: str
    condition: str
    reason: str

    def asks(self, row: Data) -> bool:
        """Return whether the rule is about this document."""
        return self.scope in ("all", row["assigned"], row["source"])

    def breaks(self, row: Data, components: set[str]) -> bool:
        """Return whether the document breaks the rule."""
        if not self.asks(row):
            return False
        value = row.get(self.column)
        condition, _, null = self.condition.partition(", null: ")
        if condition == "is valid":
            return value not in components
        if condition == "is null":
            return value is not None
        if value is None:
            return null == "drop" if null else self.column in OF_THE_DOCUMENT
        if condition.startswith("in "):
            return str(value) not in re.split(r"\s*,\s*", condition[3:].strip("[] "))
        for part in condition.split(","):
            match = re.fullmatch(r"\s*(<=|>=|==|!=|<|>)\s*(.+)", part)
            assert match is not None, self.text
            limit: Any = match.group(2)
            if not isinstance(value, str):
                limit = {"true": 1.0, "false": 0.0}.get(limit.lower()) or float(limit)
            if not COMPARE[match.group(1)](value, limit):
                return True
        return False


def parse(text: str) -> Rule:
    body, _, reason = text.rpartition(" (")
    match = RULE.fullmatch(body)
    assert match is not None, f"{text}: a form that the oracle does not know"
    return Rule(body, *match.group("scope", "column", "condition"), reason.rstrip(")"))


class Facts:
    """Everything about a run that its raw files hold."""

    def __init__(self, out: Path, rules: list[str]) -> None:
        self.out = out
        self.config = yaml.safe_load((out / "config.yaml").read_text("utf-8"))
        self.rules = [parse(rule) for rule in rules]
        self.components = {*self.config["mixture"]["weights"]}
        order = [
            "identify",
            "measure",
            "sign",
            "dedup",
            "lines",
            "redact",
            "screen",
            "score",
            "semantic",
            "tokenize",
        ]
        self.steps = [s for s in order if (out / f"annotations/{s}/_manifest.json").exists()]
        self.step_of: dict[str, int] = {}
        self.rows: list[Data] = []
        for path in sorted((out / "documents").glob("*.parquet")):
            self.rows += self.shard(path)

    def shard(self, path: Path) -> list[Data]:
        rows = pq.read_table(path).to_pylist()
        for number, step in enumerate(self.steps):
            table = pq.read_table(self.out / "annotations" / step / path.name)
            assert table.num_rows == len(rows), f"{step}/{path.name}: other rows than documents"
            for name in table.column_names:
                self.step_of[name] = number
            for row, more in zip(rows, table.to_pylist(), strict=True):
                row.update(more)
        for row in rows:
            row["size"] = len(row["text"].encode())
            row["length"] = len(row["text"])
            row["broken"] = [
                n for n, rule in enumerate(self.rules) if rule.breaks(row, self.components)
            ]
            row["first"] = row["broken"][0] if row["broken"] else None
            row["verdict"] = "kept" if row["first"] is None else self.rules[row["first"]].reason
        return rows

    @property
    def kept(self) -> list[Data]:
        return [row for row in self.rows if row["first"] is None]

    def documents(self) -> list[ledger_oracle.Document]:
        """Return the documents as the oracle of the ledger takes them."""
        spans = [name for name in ("tails", "repeats", "pii_spans") if name in self.step_of]
        found = []
        for row in self.rows:
            weight = ledger_oracle.amounts(
                documents=1,
                raw_bytes=row["raw_bytes"],
                chars=row["length"],
                text_bytes=row["size"],
                tokens=(row.get("tokens") or 0) if row["first"] is None else 0,
            )
            reason = None if row["first"] is None else row["verdict"]
            step = len(self.steps)
            if row["first"] is not None:
                step = self.step_of.get(self.rules[row["first"]].column, 0)
            document = ledger_oracle.Document(
                row["id"], row["source"], row["assigned"], row["lang"], weight, reason, step
            )
            edits = ledger_oracle.edited({name: row[name] for name in spans})
            document.edits = [(self.label(name), size) for name, size in edits]
            found.append(document)
        return found

    def label(self, edit: str) -> str:
        """Return how the ledger names an edit: a mask by its action in the config."""
        pii = self.config["pii"]
        kind = edit.removeprefix("masked ")
        action = pii["entities"].get(kind, pii["action"])
        masked = edit.startswith("masked ") and action == "pseudonymise"
        return f"pseudonymised {kind}" if masked else edit

    def rejects(self) -> list[Data]:
        paths = sorted((self.out / "rejects").glob("*.parquet"))
        return [row for path in paths for row in pq.read_table(path).to_pylist()]

    def placed(self) -> list[Data]:
        """Return every sequence of the mixture: its shard, number, first token and side-car."""
        found = []
        for path in sorted((self.out / "mixture").glob("*.parquet")):
            first = 0
            for number, row in enumerate(pq.read_table(path).to_pylist()):
                found.append({**row, "shard": path.stem, "sequence": number, "first_token": first})
                first += row["tokens"]
        return found

    def manifest(self) -> Data:
        return json.loads((self.out / "mixture/manifest.json").read_text("utf-8"))

    def tokens_by(self, column: str) -> Counter[str]:
        """Return tokens of the mixture by `source` or `component`, counted from the side-cars."""
        sums: Counter[str] = Counter()
        for row in self.placed():
            sums[row[column]] += row["tokens"]
        return sums
