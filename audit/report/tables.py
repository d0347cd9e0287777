"""The audit in a terminal: the same figures as the JSON, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.accounting.ledger import Ledger, by_stage, sum_counts
from pipelines.storage.layout import MIXTURE

if TYPE_CHECKING:  # printing loads no query
    from audit.accounting.check import Check
    from audit.accounting.compare import Difference
    from audit.accounting.guards import Finding
    from audit.query.explain import Explanation
    from audit.query.what_if import Comparison


def print_ledger(console: Console, accounts: Ledger) -> None:
    """Print the funnel by source, then what each rule dropped by source."""
    table = Table(title="Documents by source", title_justify="left")
    table.add_column("source")
    for column in ("read", "rejected", "dropped", "kept", "kept %", "MB kept", "tokens"):
        table.add_column(column, justify="right")
    for source, account in sorted(accounts.sources.items()):
        dropped = sum_counts(list(account.dropped.values()))
        rejected = sum_counts(list(account.rejected.values()))
        share = account.kept.documents / account.read.documents if account.read.documents else 0.0
        table.add_row(
            source,
            f"{account.read.documents:,}",
            f"{rejected.documents:,}",
            f"{dropped.documents:,}",
            f"{account.kept.documents:,}",
            f"{share:.1%}",
            f"{account.kept.text_bytes / 1e6:,.1f}",
            f"{account.kept.tokens:,}" if account.kept.tokens else "–",
        )
    console.print(table)
    for source, account in sorted(accounts.sources.items()):
        if account.damage:
            console.print(Text(f"{source}: {account.damage}; see rejects/"))
    reasons = sorted(
        {
            reason
            for account in accounts.sources.values()
            for reason in (*account.dropped, *account.rejected)
        }
    )
    if not reasons:
        return
    why = Table(title="Dropped and rejected, by reason", title_justify="left")
    why.add_column("reason")
    for source in sorted(accounts.sources):
        why.add_column(source, justify="right")
    for reason in reasons:
        cells = []
        for source in sorted(accounts.sources):
            account = accounts.sources[source]
            found = account.dropped.get(reason) or account.rejected.get(reason)
            cells.append(f"{found.documents:,}" if found else "")
        why.add_row(reason, *cells)
    console.print(why)
    languages = _by_language(accounts)
    console.print(languages)


def print_stages(console: Console, accounts: Ledger) -> None:
    """Print what entered and left each stage, over all sources."""
    table = Table(title="By stage", title_justify="left")
    table.add_column("stage")
    for column in ("entered", "dropped", "left", "MB dropped", "MB edited", "MB left", "tokens"):
        table.add_column(column, justify="right")
    for total in by_stage(accounts):
        sizes = (total.dropped.text_bytes, total.edited.text_bytes, total.left.text_bytes)
        table.add_row(
            total.stage,
            f"{total.entered.documents:,}",
            f"{total.dropped.documents:,}" if total.dropped.documents else "–",
            f"{total.left.documents:,}",
            *(f"{size / 1e6:,.2f}" if size else "–" for size in sizes),
            f"{total.left.tokens:,}" if total.left.tokens else "–",
        )
    console.print(table)


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print the guards' findings, one line each."""
    for finding in findings:
        style = "bold yellow" if finding.severity == "warning" else "cyan"
        line = Text(f"{finding.severity} ", style) + Text(f"{finding.guard}: {finding.message}", "")
        console.print(line, soft_wrap=True)


def print_difference(console: Console, difference: Difference) -> None:
    """Print what changed between two runs: causes, figures, documents that changed sides."""
    console.print(Text(f"{difference.after} against {difference.before}", "bold"))
    for title, pairs in (
        ("Config", difference.config),
        ("Code", difference.code),
        ("Rules", difference.rules),
        ("Sources", [pair for pair in difference.sources if pair.differs]),
        ("Mixture", [pair for pair in difference.shares if pair.differs]),
    ):
        if pairs:
            table = Table(title=title, title_justify="left")
            for column in ("", "before", "after"):
                table.add_column(column, overflow="fold")
            for pair in pairs:
                table.add_row(pair.name, _short(pair.before), _short(pair.after))
            console.print(table)
    for source, documents in difference.rewritten.items():
        console.print(f"{source}: {documents:,} documents have another text", highlight=False)
    if difference.moves:
        table = Table(title="Documents that changed sides", title_justify="left")
        for column in ("source", "before", "after"):
            table.add_column(column)
        table.add_column("documents", justify="right")
        table.add_column("tokens", justify="right")
        table.add_column("why", overflow="fold")
        for move in difference.moves:
            table.add_row(
                move.source,
                move.before,
                move.after,
                f"{move.documents:,}",
                f"{move.tokens:,}",
                Text(move.why),
            )
        console.print(table)
        for move in difference.moves:
            line = f"{move.source}, {move.before} to {move.after}: {', '.join(move.examples)}"
            console.print(Text(line), soft_wrap=True)
    changes = len(difference.changes())
    console.print(f"{changes} figures changed" if changes else "the same data", highlight=False)


def _by_language(accounts: Ledger) -> Table:
    totals: dict[tuple[str, str], list[int]] = {}
    for line in accounts.lines:
        row = totals.setdefault((line.component or "–", line.language or "–"), [0, 0, 0])
        row[0] += line.count.documents
        if line.verdict == "kept":
            row[1] += line.count.documents
            row[2] += line.count.tokens
    table = Table(title="By component and language", title_justify="left")
    table.add_column("component")
    table.add_column("language")
    for column in ("documents", "kept", "tokens"):
        table.add_column(column, justify="right")
    ranked = sorted(totals.items(), key=lambda item: (-item[1][0], item[0]))
    for (component, language), row in ranked[:20]:
        table.add_row(component, language, *(f"{value:,}" for value in row))
    return table


def print_checks(console: Console, checks: Sequence[Check]) -> None:
    """Print each check with its figures; those that fail stand out."""
    for check in checks:
        mark = Text("holds ", "green") if check.holds else Text("FAILS ", "bold red")
        if not check.made:
            mark = Text("not made ", "yellow")
        console.print(mark + Text(f"{check.name}: {check.detail}", ""), soft_wrap=True)
    missing = sum(not check.made for check in checks)
    failed = sum(not check.holds for check in checks) - missing
    rest = f", {missing} not made" if missing else ""
    console.print(f"{len(checks)} checks, {failed} failed{rest}", highlight=False)


def print_explanation(console: Console, explanation: Explanation) -> None:
    """Print one document's origin, verdict, rules, signals and places."""
    console.print(Text(f"document {explanation.id}", "bold"))
    for name, value in explanation.document.items():
        if value is not None:
            console.print(Text(f"  {name}: {value}"), soft_wrap=True)
    style = "green" if explanation.verdict == "kept" else "red"
    console.print(Text("verdict: ") + Text(explanation.verdict, style))
    table = Table(title="Rules, in the order they decide", title_justify="left")
    for column in ("rule", "value", "holds"):
        table.add_column(column)
    for rule in explanation.rules:
        holds = {True: "yes", False: "NO", None: "not measured"}[rule.holds]
        table.add_row(Text(f"{rule.rule} ({rule.reason})"), Text(_short(rule.value)), holds)
    console.print(table)
    for step, values in explanation.annotations.items():
        shown = ", ".join(f"{n}={_short(v)}" for n, v in values.items() if v is not None)
        console.print(Text(f"{step}: ", "bold") + Text(shown), soft_wrap=True)
    if explanation.duplicates:
        console.print(Text(f"same cluster: {', '.join(explanation.duplicates)}"), soft_wrap=True)
    for place in explanation.placed:
        console.print(
            f"tokens: {MIXTURE}/{place.shard}, sequence {place.sequence}, epoch {place.epoch}, "
            f"tokens {place.first_token:,} to {place.first_token + place.tokens:,}",
            highlight=False,
        )
    console.print(Text("text: ", "bold") + Text(explanation.excerpt), soft_wrap=True)


def _short(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def print_what_if(console: Console, comparison: Comparison) -> None:
    """Print what a changed rule moves, by source."""
    for rule in comparison.rules:
        console.print(Text(f"rule {rule}"))
    for rule in comparison.replaced:
        console.print(Text(f"in place of {rule}"))
    table = Table()
    table.add_column("source")
    for column in ("newly dropped", "MB", "tokens", "newly kept", "MB", "may be kept", "at risk"):
        table.add_column(column, justify="right")
    for source, change in comparison.sources.items():
        table.add_row(
            source,
            f"{change.newly_dropped:,}",
            f"{change.newly_dropped_bytes / 1e6:,.2f}",
            f"{change.newly_dropped_tokens:,}",
            f"{change.newly_kept:,}",
            f"{change.newly_kept_bytes / 1e6:,.2f}",
            f"{change.unknown:,}",
            f"{change.at_risk:,}",
        )
    console.print(table)
    console.print(
        f"kept: {comparison.kept_before:,} before, {comparison.kept_after:,} "
        f"after{_bounds(comparison)}",
        highlight=False,
    )
    for label, ids in (
        ("newly dropped", comparison.examples_dropped),
        ("newly kept", comparison.examples_kept),
    ):
        if ids:
            console.print(Text(f"{label}: {', '.join(ids)}"), soft_wrap=True)


def _bounds(comparison: Comparison) -> str:
    """Return what is known of the number kept where it is not exact."""
    least, most = comparison.kept_after_at_least, comparison.kept_after_at_most
    parts = []
    if least != comparison.kept_after:
        parts.append(f"at least {least:,}")
    if most != comparison.kept_after:
        parts.append(f"at most {most:,}")
    if comparison.clusters == "assumed":
        parts.append("with clusters of duplicates as they are")
    return f" ({', '.join(parts)})" if parts else ""
