"""A mixture's description for people and programs: a dataset card, and Croissant metadata.

`README.md` is a Hugging Face dataset card; `audit.report.croissant` makes `croissant.json`. Both
belong beside the shards. All figures are the ledger's; no path, text or value of personal data is
in them.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from audit.accounting.ledger import KEPT_NAME, Count, sum_counts
from audit.accounting.stats import Stats, stats
from audit.query.reading import decided, mixture_of, rules_of, stored_schemas
from audit.report.croissant import croissant
from pipelines.stages.catalog import rule_stage
from pipelines.stages.mix import STAGE as MIX
from pipelines.storage.files import write_text
from pipelines.storage.layout import RUNS
from schemas.config import Config, Entity
from schemas.errors import InputError

CARD, CROISSANT = "README.md", "croissant.json"
LICENCES = frozenset(
    (
        "apache-2.0",
        "mit",
        "bsd-2-clause",
        "bsd-3-clause",
        "isc",
        "cc0-1.0",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "cc-by-nc-4.0",
        "cc-by-nc-sa-4.0",
        "cc-by-nd-4.0",
        "gpl-2.0",
        "gpl-3.0",
        "lgpl-3.0",
        "mpl-2.0",
        "odc-by",
        "odbl",
        "unlicense",
    )
)
"""Ids that a card may name; any other is `other` in its metadata and named in the text."""
SIZES = ((1_000, "1K"), (10_000, "10K"), (100_000, "100K"), (1_000_000, "1M"), (10_000_000, "10M"))
UNSTATED = "none stated"
FEW = 0.001
"""Share of the documents below which a language is in the card's table, not in its metadata."""


def write_card(out: Path, config: Config, folder: Path) -> list[Path]:
    """Write the card and the Croissant file of the run in `out` to `folder`; return their paths.

    Raises InputError where there is no mixture yet.
    """
    manifest = mixture_of(out)
    if manifest is None:
        raise InputError(f"{out}: no mixture yet; run `bibim run … --out {out}` to its end first")
    facts = facts_of(out, config, manifest)
    texts = {
        CARD: dataset_card(facts),
        CROISSANT: croissant(facts, manifest, front_matter(facts)["language"]),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def facts_of(out: Path, config: Config, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return every figure and name that card and metadata have."""
    figures = stats(out, config)
    mixed = [flow for flow in figures.stages if flow.stage == MIX.name]
    licences = _licences(out, config)
    disabled = set(config.pii.disable)
    return {
        "name": config.name,
        "date": _date(out),
        "tokens": manifest["achieved_tokens"],
        "shards": len(manifest["shards"]),
        "documents": sum(flow.left.documents for flow in mixed),
        "sequences": manifest["sequences"],
        "repeated": sum(count.tokens for flow in mixed for count in flow.added.values()),
        "max_epochs": f"{config.mixture.max_epochs:g}",
        "end_of_document": manifest["tokenizer"]["end_of_document"],
        "dtype": manifest["dtype"],
        "formats": manifest["formats"],
        "vocab_size": manifest["tokenizer"]["vocab_size"],
        "tokenizer": manifest["tokenizer"]["sha256"],
        "components": [
            {
                "name": part["component"],
                "tokens": part["achieved"],
                "share": part["achieved_share"],
                "wanted": part["share"],
                "sequences": part["sequences"],
            }
            for part in manifest["components"]
        ],
        "licences": sorted({name for names in licences.values() for name in names}),
        "sources": [
            {
                "name": source,
                "licences": _by_number(licences.get(source, {})),
                "kept": account.kept.documents,
                "read": account.read.documents,
                "tokens": account.kept.tokens,
            }
            for source, account in sorted(figures.sources.items())
        ],
        "languages": _languages(figures),
        "filters": _filters(out, config, figures),
        "rejected": _rejected(figures),
        "damage": [
            (source, account.damage)
            for source, account in sorted(figures.sources.items())
            if account.damage
        ],
        "edits": _edits(figures),
        "looked_for": sorted(set(get_args(Entity)) - disabled),
        "not_looked_for": sorted(disabled),
        "dedup": config.dedup.model_dump(mode="json") if config.dedup.enabled else None,
        "benchmarks": len(config.decontaminate.against),
        "contamination_ngram": config.decontaminate.ngram,
        "contamination": "dropped" if config.decontaminate.action == "drop" else "kept, and marked",
        "findings": [f.message for f in figures.guards if f.severity == "warning"],
    }


def _date(out: Path) -> str | None:
    """Return the day on which the last run in `out` began."""
    path = out / RUNS
    if not path.exists():
        return None
    return str(json.loads(path.read_text("utf-8"))["runs"][-1]["started"])[:10]


def _licences(out: Path, config: Config) -> dict[str, dict[str, int]]:
    """Return source → licence → documents kept."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for group in decided(out, config, rules_of(out, config), ["source", "license"]):
        kept = np.flatnonzero(group.kept)
        rows = group.columns.take(kept)
        pairs = zip(rows["source"].to_pylist(), rows["license"].to_pylist(), strict=True)
        for source, licence in pairs:
            name = licence or UNSTATED
            found[source][name] = found[source].get(name, 0) + 1
    return found


def _by_number(licences: dict[str, int]) -> str:
    """Return the licences of a source, the commonest first, with their documents."""
    ranked = sorted(licences.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) == 1:
        return ranked[0][0]
    return ", ".join(f"{name} ({documents:,})" for name, documents in ranked)


def _languages(figures: Stats) -> list[dict[str, Any]]:
    totals: dict[tuple[str, str], Count] = defaultdict(Count)
    for line in figures.lines:
        if line.verdict == KEPT_NAME:
            place = (line.component or "", line.language or "und")
            totals[place] = totals[place].plus(line.count)
    ranked = sorted(totals.items(), key=lambda item: (-item[1].documents, item[0]))
    return [
        {
            "component": component,
            "language": language,
            "documents": count.documents,
            "tokens": count.tokens,
        }
        for (component, language), count in ranked
    ]


def _filters(out: Path, config: Config, figures: Stats) -> list[dict[str, Any]]:
    """Return each reason with its rules and what it dropped, in the order they decide."""
    rules: dict[tuple[str, str], list[str]] = {}
    stored = stored_schemas(out, config)
    for rule in rules_of(out, config):
        step = rule_stage(rule.scope, rule.column, stored)
        rules.setdefault((step, rule.reason), []).append(str(rule))
    rows = []
    for (stage, reason), texts in rules.items():
        dropped = sum_counts(
            flow.dropped[reason]
            for flow in figures.stages
            if flow.stage == stage and reason in flow.dropped
        )
        rows.append(
            {
                "stage": stage,
                "reason": reason,
                "rules": "; ".join(texts),
                "documents": dropped.documents,
                "megabytes": dropped.text_bytes / 1e6,
            }
        )
    return rows


def _rejected(figures: Stats) -> list[tuple[str, int]]:
    found: dict[str, int] = defaultdict(int)
    for account in figures.sources.values():
        for reason, count in account.rejected.items():
            found[reason] += count.documents
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def _edits(figures: Stats) -> list[dict[str, Any]]:
    found: dict[str, Count] = defaultdict(Count)
    for flow in figures.stages:
        for label, count in flow.edited.items():
            found[label] = found[label].plus(count)
    return [
        {"name": label, "documents": count.documents, "bytes": count.text_bytes}
        for label, count in sorted(found.items())
    ]


def dataset_card(facts: dict[str, Any]) -> str:
    """Return the card: YAML front matter and the text of `card.md.j2`."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=False,  # Markdown; `cell` takes away what could be markup in a name
        keep_trailing_newline=True,
    )
    environment.filters.update(
        number=lambda value: f"{value:,}",
        percent=lambda value: f"{value:.2%}",
        decimal=lambda value: f"{value:,.2f}",
        cell=_cell,
    )
    head = yaml.safe_dump(front_matter(facts), allow_unicode=True, sort_keys=False)
    return f"---\n{head}---\n\n" + environment.get_template("card.md.j2").render(facts=facts)


def _cell(text: str) -> str:
    """Return `text` as plain words of one table cell."""
    plain = " ".join(text.split())
    return plain.replace("<", "&lt;").replace("|", "\\|").replace("[", "\\[").replace("`", "'")


def front_matter(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the card's metadata, by the names that Hugging Face gives them."""
    kept = sum(row["documents"] for row in facts["languages"])
    languages = [
        row["language"]
        for row in facts["languages"]
        if row["language"] != "und" and row["documents"] >= FEW * kept
    ]
    size = next((f"n<{name}" for most, name in SIZES[:1] if facts["sequences"] < most), None)
    for (least, low), (most, high) in itertools.pairwise(SIZES):
        if least <= facts["sequences"] < most:
            size = f"{low}<n<{high}"
    tables = [{"config_name": "sequences", "data_files": "shard-*.parquet"}]
    if "parquet" in facts["formats"]:
        tables = [{"config_name": "tokens", "data_files": "parquet/*.parquet"}, *tables]
    return {
        "pretty_name": facts["name"],
        "language": list(dict.fromkeys(languages)),
        "license": card_licences(facts["licences"]),
        "task_categories": ["text-generation"],
        "size_categories": [size or "n>10M"],
        "tags": ["pretraining", "token-mixture", "bibim"],
        "configs": tables,
    }


def card_licences(names: list[str]) -> list[str]:
    """Return licences by the ids that a card knows: `other` for the rest, `unknown` for none."""
    ids = {name.lower() for name in names}
    known = sorted(ids & LICENCES)
    known += ["other"] if ids - LICENCES - {UNSTATED} else []
    return known + (["unknown"] if UNSTATED in ids or not ids else [])
