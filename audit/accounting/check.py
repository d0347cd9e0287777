"""Checks of a run: the totals of each stage reconcile, and every file matches its manifest.

Each check reads the data again. A check that fails names what differs and by how much. A check
whose files cannot be read is not made and names the file; the others are made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from audit.accounting.ledger import Flow, Ledger, ledger, sum_counts
from audit.accounting.recount import Recount, recount_parts
from audit.accounting.stats import written_stats
from audit.query.reading import (
    Damaged,
    decided,
    documents_of,
    finished_steps,
    mixture_of,
    naming_damage,
    read_columns,
    rules_of,
    stored_schemas,
)
from mixtures.shards.megatron import balance, verify_files
from pipelines.stages.catalog import active_stages, effective_rules
from pipelines.stages.dedup import STAGE as DEDUP
from pipelines.storage.layout import (
    AUDIT_STATS,
    DOCUMENTS,
    MIXTURE,
    REJECTS,
    SHARDS,
    annotation_folder,
    annotation_folders,
    side_cars,
)
from pipelines.storage.shards import DOCUMENTS_SHA256
from pipelines.storage.store import open_parquet
from schemas.config import Config
from schemas.errors import BibimError, RunFault
from schemas.manifest import read_manifest, sha256_file

SHOWN = 5


class Check(BaseModel):
    """One condition of a sound run. `detail` gives the figures, or what is wrong."""

    name: str
    holds: bool
    detail: str
    made: bool = True
    """False where a file that it needs cannot be read, so that the answer is unknown."""


def check_run(out: Path, config: Config) -> list[Check]:
    """Return every check of the run in `out`, as far as it got."""
    files = check_files(out, config)

    def made(name: str, make: Callable[[], list[Check]]) -> list[Check]:
        return _made(name, make, damaged=not files.holds)

    accounts: list[Ledger] = []

    def count() -> list[Check]:
        accounts.append(ledger(out, config, mixed=False))
        return [*check_conservation(accounts[0]), check_stats(out, config, accounts[0])]

    checks = [
        files,
        *made("conservation", count),
        check_splits(out),
        check_rows(out, config),
        *check_stages(out, config, accounts[0] if accounts else None, damaged=not files.holds),
    ]
    if DEDUP.name in finished_steps(out, config):
        name = "every duplicate has a survivor"
        checks += made(name, lambda: [check_survivors_of_clusters(out, config)])
    if read_manifest(out / MIXTURE) is not None:
        checks += made("mixture holds survivors only", lambda: [check_mixture(out, config)])
        checks += made("mixture keeps its shares", lambda: [check_balance(out)])
    return checks


def _made(name: str, make: Callable[[], list[Check]], damaged: bool) -> list[Check]:
    """Return the checks of `make`, or `name` as not made. `damaged`: a file is known to differ."""
    try:
        return make()
    except Damaged as error:
        detail = f"needs {error.short}"
    except RunFault as error:
        detail = str(error)
    except Exception as error:  # a damaged file can raise anything in its reader
        if not damaged:
            raise
        detail = str(error) if isinstance(error, BibimError) else f"{type(error).__name__}: {error}"
    return [Check(name=name, holds=False, detail=detail, made=False)]


def check_files(out: Path, config: Config) -> Check:
    """Check that each folder holds the files of its manifest and no others, by size and SHA-256."""
    files, wrong = _mixture_files(out)
    wrong += _gaps(out, config)
    folders = [out / DOCUMENTS, out / REJECTS, *annotation_folders(out)]
    for folder in folders:
        manifest = read_manifest(folder)
        if manifest is None:
            if not _is_empty(folder):
                wrong.append(f"{folder.relative_to(out)} has no manifest (unfinished)")
            continue
        for shard in manifest.shards:
            files += 1
            path = folder / shard.name
            if not path.exists():
                wrong.append(f"{path.relative_to(out)} is missing")
            elif path.stat().st_size != shard.bytes or sha256_file(path) != shard.sha256:
                wrong.append(f"{path.relative_to(out)} differs from its manifest")
            for beside in shard.stats.get("files", []):
                run = folder / beside["name"]
                if not run.exists() or sha256_file(run) != beside["sha256"]:
                    wrong.append(f"{run.relative_to(out)} differs from its manifest, or is missing")
        strangers = {p.name for p in folder.glob(SHARDS)} - set(manifest.by_name())
        wrong += [f"{folder.relative_to(out)}/{name} is in no manifest" for name in strangers]
    return _check("files match their manifests", wrong, f"{files} files")


def _gaps(out: Path, config: Config) -> Iterator[str]:
    """Yield the empty folders of steps before the last finished step."""
    missing: list[str] = []
    for folder in (each.folder for each in active_stages(config)[1:]):
        if read_manifest(out / folder) is not None:
            yield from missing
            missing = []
        elif _is_empty(out / folder):
            missing.append(f"{folder} is missing")


def _is_empty(folder: Path) -> bool:
    return not folder.exists() or not any(folder.iterdir())


def _mixture_files(out: Path) -> tuple[int, list[str]]:
    """Return how many files the mixture has, and what is wrong with them."""
    try:
        manifest = mixture_of(out)
        if manifest is None:
            empty = _is_empty(out / MIXTURE)
            return 0, [] if empty else ["mixture has no manifest (unfinished)"]
        listed = [*manifest["files"], *(f for shard in manifest["shards"] for f in shard["files"])]
        return len(listed), [f"{MIXTURE}/{fault}" for fault in verify_files(out / MIXTURE)]
    except RunFault as error:
        return 0, [str(error)]


def check_conservation(accounts: Ledger) -> list[Check]:
    """Check per source that read = kept + dropped + rejected, in documents and in bytes."""
    checks = []
    for source, account in sorted(accounts.sources.items()):
        gone = sum_counts(list(account.dropped.values()))
        bad = sum_counts(list(account.rejected.values()))
        documents = account.kept.documents + gone.documents + bad.documents
        raw = account.kept.raw_bytes + gone.raw_bytes + bad.raw_bytes + account.structural_bytes
        wrong = []
        if documents != account.read.documents:
            wrong.append(f"documents: read {account.read.documents}, accounted {documents}")
        if raw != account.read.raw_bytes:
            wrong.append(f"bytes: read {account.read.raw_bytes}, accounted {raw}")
        detail = (
            f"{account.read.documents:,} read = {account.kept.documents:,} kept + "
            f"{gone.documents:,} dropped + {bad.documents:,} rejected; "
            f"{account.read.raw_bytes:,} bytes = "
            f"{account.kept.raw_bytes:,} + {gone.raw_bytes:,} + {bad.raw_bytes:,} "
            f"(+ {account.structural_bytes:,} structural)"
            + (f"; {account.damage}" if account.damage else "")
        )
        checks.append(_check(f"conservation of {source}", wrong, detail))
    return checks


def check_stats(out: Path, config: Config, accounts: Ledger) -> Check:
    """Check that `audit/stats.json` agrees with the data, unless the data was written later."""
    stored = written_stats(out)
    name = "figures as written agree with the data"
    if stored is None:
        return _check(name, [], "not written since the data, so `bibim audit show` counts them")
    wrong = []
    for source in sorted({*stored.sources, *accounts.sources}):
        if stored.sources.get(source) != accounts.sources.get(source):
            wrong.append(f"{AUDIT_STATS}: source {source}: its sums differ from its documents")
    if stored.lines != accounts.lines:
        wrong.append(f"{AUDIT_STATS}: its verdicts by component and language differ from the data")
    flows = [flow for flow in stored.stages if flow.stage != "mix"]
    for stage in dict.fromkeys(flow.stage for flow in [*accounts.stages, *flows]):
        sides = [
            [flow for flow in all_ if flow.stage == stage] for all_ in (flows, accounts.stages)
        ]
        if sides[0] != sides[1]:
            wrong.append(f"{AUDIT_STATS}: stage {stage}: its sums differ from its annotations")
    return _check(name, wrong, f"{len(flows)} rows of stages, {len(stored.lines)} of verdicts")


COUNTS = ("documents", "raw_bytes", "chars", "text_bytes", "tokens")
RECOUNTED = {"documents": "documents", "characters": "chars", "bytes": "text_bytes"}
"""What `audit.accounting.recount` counts, and what the ledger calls it."""


def check_handover(accounts: Ledger, recount: Recount) -> Check:
    """Check per source that what leaves a stage enters the next one, in documents and bytes.

    The ledger's rows are compared with one another and with `recount`. What enters a row must
    leave it, or be dropped or edited.
    """
    wrong = [fault for flow in accounts.stages for fault in _leaks(flow)]
    stages = list(dict.fromkeys(flow.stage for flow in accounts.stages))
    for before, after in pairwise(stages):
        counted = recount.entered(after)
        for source in sorted({flow.source for flow in accounts.stages}):
            left = sum_counts(f.left for f in _flows(accounts, before, source))
            entered = sum_counts(f.entered for f in _flows(accounts, after, source))
            # The ledger has lengths from `identify` on, once `measure` has counted them.
            known = COUNTS[:2] if before == "ingest" else COUNTS[:4]
            lengths = before != "ingest" and "measure" in accounts.steps
            pairs = [(count, getattr(entered, count)) for count in known] + [
                (count, counted.get((source, name), 0))
                for name, count in RECOUNTED.items()
                if counted and (lengths or count == "documents")
            ]
            wrong += [
                f"{source}, {count}: {before} leaves {getattr(left, count):,}, "
                f"{found:,} enter {after}"
                for count, found in pairs
                if getattr(left, count) != found
            ]
    return _check("what a stage leaves enters the next", wrong, f"{len(stages)} stages")


def _flows(accounts: Ledger, stage: str, source: str) -> list[Flow]:
    return [flow for flow in accounts.stages if (flow.stage, flow.source) == (stage, source)]


def _leaks(flow: Flow) -> Iterator[str]:
    """Yield where entered + added differs from left + dropped + edited in a row of the ledger."""
    came = sum_counts([flow.entered, *flow.added.values()])
    went = sum_counts([flow.left, *flow.dropped.values()])
    covered = sum_counts(flow.edited.values()).text_bytes
    for count in COUNTS:
        a, b = getattr(came, count), getattr(went, count)
        b += covered if count == "text_bytes" else 0
        if a != b:
            yield f"{flow.stage}: source {flow.source}, {count}: {a:,} entered, {b:,} accounted"


def check_stages(
    out: Path, config: Config, accounts: Ledger | None = None, damaged: bool = False
) -> list[Check]:
    """Check per stage that what entered left, was dropped or was edited.

    See `audit.accounting.recount`. With `accounts`, the ledger, check the handover between
    stages too.
    """
    recount = Recount()

    def take(count: Callable[[], Recount]) -> list[Check]:
        recount.take(count())
        return []

    missing: list[Check] = []
    half: set[str] = set()
    for stages, count in recount_parts(out, config):
        if lost := _made(f"ledger of {', '.join(stages)}", partial(take, count), damaged):
            missing += lost
            half.update(stages)
    wrong: dict[str, list[str]] = {stage: [] for stage in recount.stages()}
    for residue in recount.residues():
        wrong[residue.stage].append(str(residue))
    return [
        _check(f"ledger of {stage}", wrong[stage], f"{count:,} sums agree")
        for stage, count in recount.stages().items()
        if wrong[stage] or stage not in half
    ] + [*([check_handover(accounts, recount)] if accounts is not None else []), *missing]


def check_splits(out: Path) -> Check:
    """Check that the splits of a file together hold each of its records once."""
    whole: dict[str, set[tuple[int, int]]] = defaultdict(set)
    parts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for shard in documents_of(out).shards:
        for file in shard.stats.get("inputs", []):
            name = f"{shard.name.rsplit('-', 1)[0]}/{file['file']}"
            whole[name].add((file["file_records"], file["file_bytes"]))
            parts[name][0] += file["records"]
            parts[name][1] += file["raw_bytes"]
    wrong = []
    for name, totals in whole.items():
        if len(totals) > 1:
            wrong.append(f"{name}: its splits report {len(totals)} different lengths of the file")
        elif (owned := tuple(parts[name])) != (total := next(iter(totals))):
            wrong.append(f"{name}: {total} records and bytes, its splits hold {owned}")
    return _check("splits partition their files", wrong, f"{len(whole)} files")


def check_rows(out: Path, config: Config) -> Check:
    """Check that every annotation shard has the rows of its document shard and names its hash."""
    wrong = []
    count = 0
    for step in finished_steps(out, config):
        for shard in documents_of(out).shards:
            path = out / annotation_folder(step) / shard.name
            if not path.exists():
                wrong.append(f"{step}/{shard.name} is missing")
                continue
            try:
                file = open_parquet(path)
            except (OSError, pa.ArrowException):
                wrong.append(f"{step}/{shard.name} cannot be read")
                continue
            belongs = (file.schema_arrow.metadata or {}).get(DOCUMENTS_SHA256, b"").decode()
            count += 1
            if file.metadata.num_rows != shard.rows:
                wrong.append(
                    f"{step}/{shard.name}: {file.metadata.num_rows} rows, not {shard.rows}"
                )
            elif belongs != shard.sha256:
                wrong.append(f"{step}/{shard.name} belongs to another document shard")
    return _check("annotations belong to their documents", wrong, f"{count} shards")


def check_survivors_of_clusters(out: Path, config: Config) -> Check:
    """Check that every duplicate names a document that was a candidate and is not a duplicate.

    Documents of an earlier run (`dedup.against`) are not in this folder and are left out.
    """
    before = effective_rules(config, DEDUP.name, stored_schemas(out, config))
    survivors: list[pa.Array] = []
    named: list[pa.Array] = []
    for group in decided(out, config, before, ["id", "duplicate_of", "duplicate_kind"]):
        single = pc.is_null(group.columns.column("duplicate_of"))
        standing = pc.and_(pa.array(group.kept), single)
        survivors.append(group.columns.column("id").filter(standing))
        here = pc.fill_null(pc.not_equal(group.columns.column("duplicate_kind"), "earlier"), False)
        named.append(group.columns.column("duplicate_of").filter(here))
    standing_ids = pa.chunked_array(survivors) if survivors else pa.chunked_array([[]])
    names = pa.chunked_array(named) if named else pa.chunked_array([[]])
    lost = pc.sum(pc.invert(pc.is_in(names, standing_ids))).as_py() or 0 if len(names) else 0
    wrong = [f"{lost} duplicates name no survivor"] if lost else []
    return _check("every duplicate has a survivor", wrong, f"{len(names):,} duplicates")


def check_mixture(out: Path, config: Config) -> Check:
    """Check that the mixture holds survivors only, each with its tokens."""
    tokens: dict[bytes, int] = {}
    for group in decided(out, config, rules_of(out, config), ["id", "tokens"]):
        columns = group.columns.filter(pa.array(group.kept))
        tokens.update(
            zip(columns.column("id").to_pylist(), columns.column("tokens").to_pylist(), strict=True)
        )
    wrong = []
    copies = 0
    for path in side_cars(out):
        table = read_columns(out, path, ["id", "tokens", "epoch"])
        copies += table.num_rows
        ids, counts = table.column("id").to_pylist(), table.column("tokens").to_pylist()
        strangers = sum(1 for document in ids if document not in tokens)
        different = sum(1 for d, n in zip(ids, counts, strict=True) if tokens.get(d, n) != n)
        if strangers:
            wrong.append(f"{path.name}: {strangers} sequences of documents that were dropped")
        if different:
            wrong.append(f"{path.name}: {different} sequences differ in length from tokenize")
        epochs = np.asarray(table.column("epoch"))
        if len(epochs) and epochs.max() >= np.ceil(config.mixture.max_epochs):
            wrong.append(f"{path.name}: epoch {epochs.max()} is over max_epochs")
    return _check("mixture holds survivors only", wrong, f"{copies:,} sequences")


OVERALL, SHARD, WINDOW = 0.001, 0.01, 0.03
"""Largest deviation of a component's share from its target, relative to the target: overall, per
shard, and in any window of `mixture.window` tokens."""


def check_balance(out: Path) -> Check:
    """Check that every component has its share overall, in each shard and in every window."""
    with naming_damage(out, side_cars(out)):
        measured = balance(out / MIXTURE)
    bounds = (("overall", OVERALL), ("shard", SHARD), ("window", WINDOW))
    figures = {name: float(getattr(measured, name) or 0.0) for name, _ in bounds}
    wrong = [
        f"{name}: {figures[name]:.3%} off its share, more than {bound:.1%}"
        for name, bound in bounds
        if figures[name] > bound
    ]
    detail = ", ".join(f"{name} {value:.4%}" for name, value in figures.items())
    return _check("mixture keeps its shares", wrong, f"worst deviation: {detail}")


def _check(name: str, wrong: list[str], detail: str) -> Check:
    if not wrong:
        return Check(name=name, holds=True, detail=detail)
    more = f" (+{len(wrong) - SHOWN} more)" if len(wrong) > SHOWN else ""
    return Check(name=name, holds=False, detail="; ".join(wrong[:SHOWN]) + more)
