"""Every number that the audit shows, counted again from the run's raw files.

Five runs: no document kept, one document, many, a mixture with stages, Korean names of sources.
`BIBIM_ORACLES=full` adds more runs of random rules.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from click.testing import CliRunner

from bibim.cli.app import app
from tests.oracles.facts import Facts
from tests.oracles.world import Data, complete, execute, make_world, plain, rich
from tests.support import ledger_oracle

FULL = os.environ.get("BIBIM_ORACLES") == "full"
NAMES = ["none", "one", "many", "stages", "korean"] + [f"random {n}" for n in range(20) if FULL]
MIXED = [name for name in NAMES if name != "none"]
COMMAND = typer.main.get_command(app)
RULES = (
    ("ko.chars", ">=300"), ("ko.words", ">=60, <=120"), ("en.words", ">=60"), ("all.quality", ">=0.05"),
    ("code.code_lang", "!=javascript"), ("all.toxicity", "<=0.5"), ("web.lang", "==ko"),
    ("en.stop_words", ">=5"), ("all.bytes", "<=1400"), ("ko.license", "in [MIT]"),
    ("all.tokens", ">=120"), ("all.cluster_size", "<2"), ("code.alnum_ratio", ">=0.5"),
)  # fmt: skip


def bibim(*arguments: object) -> str:
    """Run a command in this process and return what it printed."""
    done = CliRunner().invoke(COMMAND, [str(each) for each in arguments])
    assert done.exit_code == 0, f"bibim {' '.join(map(str, arguments))}: {done.output}"
    return done.stdout


def config_of(name: str, world: Path) -> Data:
    config = rich(world) if name == "stages" else plain(world)
    config["guards"] = {
        "least_documents": 1, "source_loss": 0.05, "large_cluster": 2, "steep_rule": 0.01,
        "short_component": 0.0001,
    }  # fmt: skip
    if name in ("none", "one"):
        config["sources"] = {"en": config["sources"]["en"]}
        config["rules"] = {"all": {"chars": ">=100000"}} if name == "none" else {}
        config["mixture"]["weights"] = {"en": 1}
        config["tokenizer"]["vocab_size"] = 700
        if name == "one":
            config["sources"]["en"]["limit"] = 1
            config["mixture"]["shards"] = 1
    if name == "many":
        config["rules"] = {
            "ko": {"words": ">=110", "chars": ">=300, <=480"},
            "en": {"stop_words": ">=5", "words": ">=60"},
            "web": {"url": "!=https://example.org/page/3"},
            "code": {"code_lang": "!=javascript", "alnum_ratio": ">=0.1"},
        }
        config["decontaminate"] = {"against": ["${data}/bench.jsonl"]}
    if name == "korean":
        names = {"ko": "뉴스_모음", "web": "누리집", "en": "en", "code": "code"}
        config["sources"] = {names[n]: s for n, s in config["sources"].items()}
        config["rules"] = {"뉴스_모음": {"words": ">=100"}, "all": {"chars": ">=200"}}
        config["dedup"] = {"prefer": ["누리집"]}
    if name.startswith("random"):
        config["rules"] = {}
        for key, condition in random.Random(name).sample(RULES, 5):
            scope, column = key.split(".")
            config["rules"].setdefault(scope, {})[column] = condition
    return config


class Runs:
    """The finished runs by name, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.world = make_world(folder / "world")
        self.folder = folder
        self.made: dict[str, tuple[Path, Facts, Data]] = {}

    def __call__(self, name: str) -> tuple[Path, Facts, Data]:
        """Return (folder, facts, what `audit show --json` prints)."""
        if name not in self.made:
            if name == "stages":
                complete(self.world)
            out = self.folder / name.replace(" ", "-")
            error = execute(config_of(name, self.world), out)
            assert error is None or name == "none", f"{name}: {error!r}"
            shown = json.loads(bibim("audit", "show", out, "--json"))
            self.made[name] = (out, Facts(out, shown["rules"]), shown)
        return self.made[name]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("audited")
    yield Runs(folder)
    shutil.rmtree(folder)


@pytest.fixture
def oracle_steps(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda facts: monkeypatch.setattr(ledger_oracle, "STEPS", tuple(facts.steps))


def plainly(value: Any) -> Any:
    """Return data without empty parts, so that `{}` and an absent key are one."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        pairs = ((str(key), plainly(each)) for key, each in value.items())
        return {key: each for key, each in pairs if each not in (0, {}, [], None)}
    if isinstance(value, list | tuple):
        return [plainly(each) for each in value]
    return value


@pytest.mark.parametrize("name", NAMES)
def test_the_ledger_is_what_the_files_hold(runs: Runs, name: str, oracle_steps: Any):
    out, facts, shown = runs(name)
    oracle_steps(facts)
    assert shown["steps"] == facts.steps
    documents = facts.documents()
    funnel = ledger_oracle.sources(out, documents)
    assert plainly(shown["sources"]) == plainly(funnel)
    lines = {
        (each["source"], each["component"], each["language"], each["verdict"]): each["count"]
        for each in shown["lines"]
    }
    assert len(lines) == len(shown["lines"]), (
        "two lines of one source, component, language, verdict"
    )
    assert plainly(lines) == plainly(ledger_oracle.lines(documents))
    flows = {
        (each["stage"], each["source"], each["component"], each["language"]): {
            key: each.get(key, {}) for key in ("entered", "added", "dropped", "edited", "left")
        }
        for each in shown["stages"]
    }
    expected = ledger_oracle.stages(out, facts.steps, documents, funnel)
    assert plainly(together(flows)) == plainly(together(expected))


def together(flows: dict[Any, Data]) -> dict[Any, Data]:
    """Return flows with all cuts as one: the page does not say which of two cuts has a byte."""
    found = {}
    for key, flow in flows.items():
        edited = {k: each for k, each in flow["edited"].items() if not k.startswith("cut ")}
        cut = sum(e["text_bytes"] for k, e in flow["edited"].items() if k.startswith("cut "))
        found[key] = {**flow, "edited": {**edited, "cut": {"text_bytes": cut}}}
    return found


@pytest.mark.parametrize("name", MIXED)
def test_the_stats_of_the_run_are_what_audit_show_prints(runs: Runs, name: str):
    out, _, shown = runs(name)
    stats = json.loads((out / "audit/stats.json").read_text("utf-8"))
    assert stats == shown


@pytest.mark.parametrize("name", MIXED)
def test_guards_find_the_losses_and_clusters_that_the_files_hold(runs: Runs, name: str):
    _, facts, shown = runs(name)
    limits = facts.config["guards"]
    found = {(f["guard"], f.get("source"), f.get("rule")): f["figures"] for f in shown["guards"]}
    losses = {}
    for source in facts.config["sources"]:
        rows = [row for row in facts.rows if row["source"] == source]
        rejects = [row for row in facts.rejects() if row["source"] == source]
        read = len(rows) + len(rejects)
        reasons = Counter(row["verdict"] for row in rows if row["verdict"] != "kept")
        reasons += Counter(row["reason"] for row in rejects)
        if facts.config["sources"][source]["component"] == "auto":
            del reasons["no_component"]
        for reason, count in reasons.items():
            if count / read > limits["source_loss"]:
                losses["source_loss", source, reason] = (count, read)
    got = {k: (f["documents"], f["read"]) for k, f in found.items() if k[0] == "source_loss"}
    assert got == losses
    sizes = Counter(row["cluster_id"] for row in facts.rows if row["cluster_id"] is not None)
    large = {k.hex(): n for k, n in sizes.items() if n > limits["large_cluster"]}
    got = {
        f["figures"]["cluster"]: f["figures"]["documents"]
        for f in shown["guards"]
        if f["guard"] == "large_cluster"
    }
    assert got == large
    firsts = Counter(row["first"] for row in facts.rows)
    own = [
        f"{scope}.{column}"
        for scope, columns in facts.config["rules"].items()
        for column in columns
    ]
    idle = {
        rule.text
        for number, rule in enumerate(facts.rules)
        if not firsts[number] and f"{rule.scope}.{rule.column}" in own
    }
    assert {key[2] for key in found if key[0] == "idle_rule"} == idle


def embedded(out: Path) -> Data:
    page = out.with_suffix(".html")
    bibim("audit", "report", out, "--html", page)
    text = page.read_text("utf-8")
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert match is not None
    return json.loads(match.group(1))


def weight(rows: list[Data]) -> list[int]:
    """Return [documents, bytes] as the report has them."""
    return [len(rows), sum(row["size"] for row in rows)]


@pytest.mark.parametrize("name", NAMES)
def test_the_report_counts_what_the_files_hold(runs: Runs, name: str, oracle_steps: Any):
    out, facts, shown = runs(name)
    oracle_steps(facts)
    page = embedded(out)
    view = page["overview"]
    assert view["rows"] == len(facts.rows)
    funnel = ledger_oracle.sources(out, facts.documents())
    assert view["read"] == {
        source: [each["read"]["documents"], each["read"]["raw_bytes"]]
        for source, each in funnel.items()
    }
    groups: dict[tuple[str, ...], list[int]] = {}
    for row in facts.rows:
        key = (row["source"], row["assigned"] or "–", row["verdict"])
        sums = groups.setdefault(key, [0] * 5)
        one = (1, row["size"], row["length"], row.get("tokens") or 0, row["raw_bytes"])
        groups[key] = [a + b for a, b in zip(sums, one, strict=True)]
    for row in facts.rejects():
        sums = groups.setdefault((row["source"], "–", f"unreadable: {row['reason']}"), [0] * 5)
        sums[0] += 1
        sums[4] += row["raw_bytes"]
    assert {tuple(row[:3]): row[3:] for row in view["funnel"]} == groups
    assert {row[0]: row[1:] for row in view["languages"]} == {
        language: [
            sum(row["lang"] == language for row in facts.rows),
            sum(row["lang"] == language for row in facts.kept),
            sum(row.get("tokens") or 0 for row in facts.kept if row["lang"] == language),
        ]
        for language in {row["lang"] for row in facts.rows}
    }
    check_rules(view["rules"], page["overlap"], facts)
    check_signals(page["signal"], facts)
    check_samples(page["samples"], facts)
    check_clusters(page["clusters"], facts)
    check_stages(page["accounting"], shown)
    pii: Counter[tuple[str, str]] = Counter()
    holders: Counter[tuple[str, str]] = Counter()
    for row in facts.rows:
        types = Counter(span["type"] for span in row.get("pii_spans") or [])
        for kind, count in types.items():
            pii[row["source"], kind] += count
            holders[row["source"], kind] += 1
    assert {tuple(r[:2]): r[2:] for r in page["pii"]} == {
        key: [count, holders[key]] for key, count in pii.items()
    }
    if (out / "mixture/manifest.json").exists():
        assert view["mixture"] == facts.manifest()
        card = json.loads((out / "tokenizer/card.json").read_text("utf-8"))
        assert view["tokenizer"]["card"].items() <= card.items()
        assert {row[0]: row[1:] for row in view["tokenizer"]["components"]} == {
            part: [
                len(rows),
                sum(row["size"] for row in rows),
                sum(row["length"] for row in rows),
                sum(row["tokens"] for row in rows),
            ]
            for part in {row["assigned"] for row in facts.kept}
            if (rows := [row for row in facts.kept if row["assigned"] == part])
        }
    if (out / "run.json").exists():  # a run that stopped writes none
        history = json.loads((out / "run.json").read_text("utf-8"))
        assert view["runs"] == history["runs"]


def check_rules(rules: list[Data], overlap: list[list[int]], facts: Facts) -> None:
    assert [f"{r['text']} ({r['reason']})" for r in rules] == [
        f"{r.text} ({r.reason})" for r in facts.rules
    ]
    for number, (shown, rule) in enumerate(zip(rules, facts.rules, strict=True)):
        breaking = [row for row in facts.rows if number in row["broken"]]
        first = [row for row in breaking if row["first"] == number]
        only = [row for row in breaking if row["broken"] == [number]]
        assert shown["asked"] == sum(rule.asks(row) for row in facts.rows), rule.text
        assert shown["breaks"] == weight(breaking), rule.text
        assert shown["first"] == weight(first), rule.text
        assert shown["only"] == weight(only), rule.text
        every, firsts = (Counter(row["source"] for row in rows) for rows in (breaking, first))
        assert shown["by_source"] == {s: [n, firsts[s]] for s, n in every.items()}, rule.text
        for other in range(len(facts.rules)):
            both = sum(other in row["broken"] for row in breaking)
            assert overlap[number][other] == both, (rule.text, facts.rules[other].text)


def check_signals(signals: dict[str, Data], facts: Facts) -> None:
    for column, shown in signals.items():
        known = [row for row in facts.rows if row.get(column) is not None]
        assert shown["known"] == len(known), column
        assert shown["null"] == len(facts.rows) - len(known), column
        edges = shown["edges"]
        for component, bins in shown["components"].items():
            for which in ("all", "kept"):
                rows = [row for row in known if row["assigned"] == component]
                if which == "kept":
                    rows = [row for row in rows if row["first"] is None]
                low, high = bounds(edges, [float(row[column]) for row in rows])
                counted = [sum(bins[which][: n + 1]) for n in range(len(bins[which]))]
                assert counted[-1] == len(rows), (column, component, which)
                wrong = [n for n, c in enumerate(counted) if not low[n] <= c <= high[n]]
                assert not wrong, f"{column} of {component}, {which}: bins {wrong}"
        assert shown["rules"] == [n for n, r in enumerate(facts.rules) if r.column == column], (
            column
        )


def bounds(edges: list[float], values: list[float]) -> tuple[list[int], list[int]]:
    """Return how many values are under each upper edge, at least and at most.

    Edges are printed with six digits: a value that near to one may be on either side.
    """
    slack = [2e-5 * max(abs(edge), 1e-9) for edge in edges]
    last = len(edges) - 2
    tops = list(zip(edges[1:], slack[1:], strict=True))
    low = [
        sum(v < top - s for v in values) if n < last else len(values)
        for n, (top, s) in enumerate(tops)
    ]
    high = [
        sum(v <= top + s for v in values) if n < last else len(values)
        for n, (top, s) in enumerate(tops)
    ]
    return low, high


def check_samples(samples: list[Data], facts: Facts) -> None:
    by_id = {row["id"].hex(): row for row in facts.rows}
    for number, (shown, rule) in enumerate(zip(samples, facts.rules, strict=True)):
        for side, examples in shown.items():
            for example in examples:
                row = by_id[example["id"]]
                dropped = side in ("dropped", "nearly_kept")
                assert (number in row["broken"]) == dropped, (rule.text, side, example["id"])
                personal = re.search(r"@|\d{3}-\d{3,4}", row["text"])  # shown masked
                assert personal or example["length"] == row["length"]
                for key in ("source", "assigned", "lang", "url", "origin"):
                    assert example[key] == row[key], (rule.text, key)
        dropped = [row for row in facts.rows if row["first"] == number]
        assert bool(shown["dropped"]) == bool(dropped), rule.text


def check_clusters(shown: Data, facts: Facts) -> None:
    kinds = Counter(row["duplicate_kind"] for row in facts.rows if row["duplicate_kind"])
    assert dict(shown["kinds"]) == kinds
    # A cluster with a document of an earlier run is one larger than its documents here.
    sizes = {row["cluster_id"]: row["cluster_size"] for row in facts.rows if row["cluster_id"]}
    assert dict(shown["sizes"]) == Counter(sizes.values())
    for cluster in shown["largest"]:
        key = bytes.fromhex(cluster["id"])
        members = {row["id"].hex(): row for row in facts.rows if row["cluster_id"] == key}
        assert cluster["size"] == sizes[key] >= len(members)
        assert {member["id"] for member in cluster["members"]} <= set(members)
        for side, copies in (("kept", False), ("copy", True)):
            if (cluster[side] or {}).get("id") in members:
                row = members[cluster[side]["id"]]
                assert (row["duplicate_of"] is not None) == copies, cluster["id"]


def check_stages(accounting: Data, shown: Data) -> None:
    """Compare the table of stages with the flows, which another test has counted."""
    expected = {}
    for name in dict.fromkeys(flow["stage"] for flow in shown["stages"]):
        flows = [flow for flow in shown["stages"] if flow["stage"] == name]

        def total(part: str, amount: str, flows: list[Data] = flows) -> int:
            if part in ("entered", "left"):
                return sum(flow[part][amount] for flow in flows)
            return sum(each[amount] for flow in flows for each in flow.get(part, {}).values())

        expected[name] = [
            total("entered", "documents"),
            total("dropped", "documents"),
            total("left", "documents"),
            total("dropped", "text_bytes"),
            total("edited", "text_bytes"),
            total("left", "text_bytes"),
            total("left", "tokens"),
        ]
    assert {row[0]: row[1:] for row in accounting["stages"]["rows"]} == expected
    assert len(accounting["findings"]) == len(shown["guards"])


def tables(markdown: str) -> list[list[list[str]]]:
    """Return the tables of a page: rows of cells, the head and its rule left out."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
        rows = [
            [cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()
        ]
        found.append(rows[2:])
    return found


@pytest.mark.parametrize("name", MIXED)
def test_the_card_and_croissant_hold_the_runs_figures(runs: Runs, name: str):
    out, facts, _ = runs(name)
    bibim("card", out)
    card = (out / "mixture/README.md").read_text("utf-8")
    shares, licences, languages, filtered, *more = tables(card)
    manifest, placed = facts.manifest(), facts.placed()
    total = sum(row["tokens"] for row in placed)
    parts = facts.tokens_by("component")
    wanted = {each["component"]: each["share"] for each in manifest["components"]}
    assert sorted(shares) == sorted(
        [
            part,
            f"{tokens:,}",
            f"{tokens / total:.2%}",
            f"{wanted[part]:.2%}",
            f"{sum(row['component'] == part for row in placed):,}",
        ]
        for part, tokens in parts.items()
    )
    used = {row["id"] for row in placed}
    shards = len(manifest["shards"])
    assert re.search(
        rf"{total:,} tokens in {shards:,} shards?, from {len(used):,} documents?", card
    )
    repeated = sum(row["tokens"] for row in placed if row["epoch"])
    assert not repeated or f"{repeated:,} of the tokens are repeats" in card
    read = Counter(row["source"] for row in (*facts.rows, *facts.rejects()))
    for source, licence, kept, of, tokens in licences:
        rows = [row for row in facts.kept if row["source"] == source]
        assert [kept, of] == [f"{len(rows):,}", f"{read[source]:,}"], source
        assert tokens == f"{sum(row['tokens'] for row in rows):,}", source
        stated = Counter(row["license"] for row in rows)
        for each, count in stated.items():
            assert each is None or each in licence, source
            assert len(stated) == 1 or f"({count})" in licence, source
    expected = Counter((row["assigned"], row["lang"]) for row in facts.kept)
    assert {(c, lang): int(n.replace(",", "")) for c, lang, n, _ in languages} == expected
    reasons = Counter(row["verdict"] for row in facts.rows if row["verdict"] != "kept")
    assert {row[1]: int(row[3].replace(",", "")) for row in filtered if row[3] != "0"} == reasons
    check_edits(more[0] if more else [], facts)
    check_croissant(out, total)


def check_edits(table: list[list[str]], facts: Facts) -> None:
    """Compare the card's table of changes: masks by type, the bytes of all cuts together."""
    edits: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for document in facts.documents():
        if document.reason is None:
            edits.update({label for label, _ in document.edits})
            for label, size in document.edits:
                sizes[label] += size
    shown = {row[0]: [int(cell.replace(",", "")) for cell in row[1:]] for row in table}
    masks = {k: v for k, v in shown.items() if not k.startswith("cut ")}
    kinds = {label for label in edits if not label.startswith("cut ")}
    assert {k.split()[-1]: v for k, v in masks.items()} == {
        label.split()[-1]: [edits[label], sizes[label]] for label in kinds
    }
    cut = sum(size for label, size in sizes.items() if label.startswith("cut "))
    assert sum(v[1] for k, v in shown.items() if k.startswith("cut ")) == cut


def check_croissant(out: Path, total: int) -> None:
    croissant = json.loads((out / "mixture/croissant.json").read_text("utf-8"))
    assert f"{total:,} tokens" in croissant["description"]
    files = {each["@id"]: each for each in croissant["distribution"] if "sha256" in each}
    on_disk = [p for p in (out / "mixture").rglob("*") if p.suffix in (".bin", ".idx", ".parquet")]
    assert {Path(each["contentUrl"]).name for each in files.values()} >= {p.name for p in on_disk}
    for each in files.values():
        data = (out / "mixture" / each["contentUrl"]).read_bytes()
        assert each["sha256"] == hashlib.sha256(data).hexdigest(), each["name"]
        assert each["contentSize"] == f"{len(data)} B", each["name"]


@pytest.mark.parametrize("name", NAMES)
def test_explain_tells_of_each_document_what_its_rows_hold(runs: Runs, name: str):
    out, facts, _ = runs(name)
    placed = facts.placed() if (out / "mixture").exists() else []
    chosen = random.Random(name).sample(facts.rows, min(len(facts.rows), 60 if FULL else 6))
    for row in chosen:
        shown = json.loads(bibim("explain", out, row["id"].hex(), "--json"))
        assert shown["verdict"] == row["verdict"]
        for each, rule in zip(
            shown["rules"], [rule for rule in facts.rules if rule.asks(row)], strict=True
        ):
            assert each["rule"] == rule.text
            value = row.get(rule.column)
            assert each["value"] == (value.hex() if isinstance(value, bytes) else value)
            if each["holds"] is not None:
                assert each["holds"] != rule.breaks(row, facts.components), rule.text
        for step, columns in shown["annotations"].items():
            for column, value in columns.items():
                raw = row[column]
                if isinstance(raw, bytes):
                    raw = raw.hex()
                assert value == raw or column in ("signature",), f"{step}.{column}"
        assert shown["placed"] == [
            {key: each[key] for key in ("shard", "sequence", "epoch", "first_token", "tokens")}
            for each in placed
            if each["id"] == row["id"]
        ]
        copies = {
            other["id"].hex()
            for other in facts.rows
            if row["cluster_id"] is not None and other["cluster_id"] == row["cluster_id"]
        }
        assert set(shown["duplicates"]) == copies - {row["id"].hex()}


@pytest.mark.parametrize("pair", [("many", "korean"), ("many", "stages")])
def test_compare_counts_the_documents_that_changed_sides(runs: Runs, pair: tuple[str, str]):
    (new, mine, _), (old, theirs, _) = runs(pair[0]), runs(pair[1])
    shown = json.loads(bibim("audit", "compare", new, old, "--json"))
    now, before = (
        {(row["source"], row["origin"]): row for row in facts.rows} for facts in (mine, theirs)
    )
    moves: Counter[tuple[str, str, str]] = Counter()
    for key in {*now, *before}:
        sides = [runs[key]["verdict"] if key in runs else "absent" for runs in (before, now)]
        if sides[0] != sides[1]:
            moves[key[0], sides[0], sides[1]] += 1
    got = {(m["source"], m["before"], m["after"]): m["documents"] for m in shown["moves"]}
    assert got == moves
    expected = {}
    for source in {*mine.config["sources"], *theirs.config["sources"]}:
        for label, count in (
            ("read", lambda f, s: sum(r["source"] == s for r in (*f.rows, *f.rejects()))),
            ("rejected", lambda f, s: sum(r["source"] == s for r in f.rejects())),
            ("kept", lambda f, s: sum(r["source"] == s for r in f.kept)),
            ("tokens", lambda f, s: sum(r["tokens"] for r in f.kept if r["source"] == s)),
        ):
            expected[f"{source} {label}"] = (count(theirs, source), count(mine, source))
    got = {each["name"]: (each["before"] or 0, each["after"] or 0) for each in shown["sources"]}
    assert {k: v for k, v in got.items() if k in expected} == {
        k: v for k, v in expected.items() if k in got
    }
    assert {k for k, v in expected.items() if any(v)} <= set(got)
    parts, old_parts = (f.tokens_by("component") for f in (mine, theirs))
    got = {each["name"]: (each["before"], each["after"]) for each in shown["shares"]}
    for part in parts:
        assert got[f"{part} tokens"] == (old_parts[part], parts[part])


@pytest.mark.parametrize("name", ["one", "many", "korean"])
def test_plan_over_a_finished_run_states_the_mixture_that_came(
    runs: Runs, name: str, tmp_path: Path
):
    out, facts, _ = runs(name)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config_of(name, runs.world), allow_unicode=True), "utf-8")
    text = bibim("plan", file, "--out", out)
    manifest = facts.manifest()
    assert f"Mixture of {manifest['planned_tokens']:,} tokens" in text
    targets = {(s["component"], s["source"]): s["target"] for s in manifest["sources"]}
    part, rows = "", {}
    for line in text.partition("Mixture of")[2].splitlines():
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        if len(cells) == 5 and line.startswith("│") and "component" not in cells:
            part = cells[0] or part
            if cells[1]:
                rows[part, cells[1]] = int(cells[3].split()[0].replace(",", ""))
    assert rows == {key: target for key, target in targets.items() if target or key in rows}
