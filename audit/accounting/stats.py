"""The figures of a run: `audit/stats.json`, and what `bibim audit show --json` prints."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from audit.accounting.guards import Finding, run_guards
from audit.accounting.ledger import Ledger, ledger
from pipelines.storage.files import write_text
from pipelines.storage.layout import AUDIT_STATS, CONFIG, manifests
from schemas.config import Config


class Stats(Ledger):
    """The ledger and the guards' findings."""

    guards: list[Finding]


def stats(out: Path, config: Config) -> Stats:
    """Return the figures of the run in `out`, as far as it got."""
    accounts = ledger(out, config)
    return Stats(**dict(accounts), guards=run_guards(out, config, accounts))


def write_stats(out: Path, config: Config) -> Stats:
    """Write `audit/stats.json` of the run in `out` and return what is in it.

    It depends on the data alone: the same run gives the same bytes.
    """
    figures = stats(out, config)
    write_text(out / AUDIT_STATS, figures.model_dump_json(indent=1) + "\n")
    return figures


def known_stats(out: Path, config: Config) -> Stats:
    """Return the figures of the run in `out`: as written, or counted if the data is newer."""
    return written_stats(out) or stats(out, config)


def written_stats(out: Path) -> Stats | None:
    """Return the figures that the run in `out` wrote; None if they are missing or outdated.

    They are outdated if the config or a manifest was written after them.
    """
    path = out / AUDIT_STATS
    if not path.exists():
        return None
    causes = [out / CONFIG, *manifests(out)]
    written = path.stat().st_mtime_ns
    if any(cause.exists() and cause.stat().st_mtime_ns > written for cause in causes):
        return None
    try:
        return Stats.model_validate_json(path.read_bytes())
    except ValidationError:
        return None  # written by another version
