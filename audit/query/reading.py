"""Which steps of a run are complete, and its verdicts read shard by shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.rules.decide import KEPT, decide
from mixtures.shards.megatron import read_manifest as read_mixture
from pipelines.stages.catalog import (
    active_stages,
    annotating,
    effective_rules,
    folders,
    rule_columns,
    rule_stage,
    stage_schemas,
)
from pipelines.storage.layout import DOCUMENTS, MIXTURE, REJECTS, SHARDS, annotation_folder
from pipelines.storage.shards import read_batches
from pipelines.storage.store import open_parquet, read_parquet
from schemas.config import Config
from schemas.errors import BibimError, InputError, RunFault
from schemas.manifest import Manifest, read_manifest
from schemas.rules import Rule


class Damaged(RunFault):
    """A file of the run is missing or cannot be read. `short` names it without the remedy."""

    def __init__(self, out: Path, path: Path, fault: str) -> None:
        self.short = f"{path.relative_to(out)}, which {fault}"
        first = "" if fault == MISSING else "delete it: "
        super().__init__(
            f"{path} {fault}; {first}`bibim run … --out {out}` writes it again, "
            f"`bibim audit check {out}` lists every damaged file"
        )


MISSING = "is missing"


def fault_of(path: Path) -> str | None:
    """Return why a Parquet file cannot be read as a whole; None if it can."""
    try:
        read_parquet(path)
    except FileNotFoundError:
        return MISSING
    except (OSError, pa.ArrowException) as error:
        return f"cannot be read ({str(error).splitlines()[0].split('. ')[0].rstrip('.')})"
    return None


@contextmanager
def naming_damage(out: Path, files: Sequence[Path]) -> Iterator[None]:
    """Raise Damaged in place of any error of reading `files`, if one of them is damaged."""
    try:
        yield
    except BibimError:
        raise
    except Exception as error:  # Arrow, DuckDB and NumPy raise different errors
        for path in files:
            if (fault := fault_of(path)) is not None:
                raise Damaged(out, path, fault) from error
        raise


def read_columns(out: Path, path: Path, columns: Sequence[str]) -> pa.Table:
    """Return `columns` of a file of the run in `out`. Raises Damaged where it cannot be read."""
    with naming_damage(out, [path]):
        return read_parquet(path, columns)


def documents_of(out: Path) -> Manifest:
    """Return the manifest of the documents.

    Raises InputError where ingest did not finish, or ended without a document.
    """
    manifest = read_manifest(out / DOCUMENTS)
    if manifest is None and read_manifest(out / REJECTS) is not None:
        shards = sorted((out / DOCUMENTS).glob(SHARDS))
        if shards and not any(_rows(path) for path in shards):
            raise InputError(
                f"{out}: ingest ended without a document; see {out / REJECTS}, check `path` and "
                f"`format` of the sources and run `bibim run … --out {out}` again"
            )
    if manifest is None:
        raise InputError(f"{out}: ingest has not finished; run `bibim run … --out {out}` first")
    return manifest


def _rows(path: Path) -> int:
    file = open_parquet(path)
    try:
        return int(file.metadata.num_rows)
    finally:
        file.close(force=True)


def finished_steps(out: Path, config: Config) -> list[str]:
    """Return the annotating steps whose folders are complete, without a gap, in order."""
    finished = []
    for each in annotating(config):
        if read_manifest(out / each.folder) is None:
            break
        finished.append(each.name)
    return finished


def next_step(out: Path, config: Config) -> str | None:
    """Return the first step that is not complete, or None when all are."""
    finished = len(finished_steps(out, config))
    steps = [each.name for each in active_stages(config)]
    return steps[1 + finished] if finished < len(steps) - 2 else None


def mixture_of(out: Path) -> dict[str, Any] | None:
    """Return the manifest of the mixture in `out`, or None where `mix` did not finish."""
    if read_manifest(out / MIXTURE) is None:
        return None
    return read_mixture(out / MIXTURE)


def stored_schemas(out: Path, config: Config) -> dict[str, pa.Schema]:
    """Return the columns of each finished step, in order, as its first shard has them.

    Reading a shard's schema is quick. `stage_schemas` imports every annotator, so it is used only
    where a run has no shards.
    """
    steps, shards = finished_steps(out, config), documents_of(out).shards
    if not shards:
        return {step: schema for step, schema in stage_schemas().items() if step in steps}
    found = {}
    for step in steps:
        path = out / annotation_folder(step) / shards[0].name
        with naming_damage(out, [path]):
            file = open_parquet(path)
            try:
                found[step] = file.schema_arrow.remove_metadata()
            finally:
                file.close(force=True)
    return found


def rules_of(out: Path, config: Config) -> list[Rule]:
    """Return the rules that can be decided with what the run has so far."""
    return effective_rules(config, next_step(out, config), stored_schemas(out, config))


@dataclass(frozen=True)
class Decided:
    """A row group with its verdicts: index into the rules, or KEPT."""

    shard: str
    first_row: int
    columns: pa.RecordBatch
    verdict: npt.NDArray[np.int16]

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        return np.equal(self.verdict, KEPT)


def decided(
    out: Path, config: Config, rules: Sequence[Rule], columns: Sequence[str]
) -> Iterator[Decided]:
    """Yield every row group of a run with `columns` and the verdict of `rules`.

    Raises InputError where a step that adds one of them has not finished, or one before it; Damaged
    where a file cannot be read.
    """
    stored = stored_schemas(out, config)
    known = folders(stored)
    if "identify" not in stored or any(name not in known for name in columns):
        step = next_step(out, config)
        raise InputError(f"{out}: {step} has not finished; run `bibim run … --out {out}` first")
    for rule in rules:
        rule_stage(rule.scope, rule.column, stored)
    names = list(dict.fromkeys([*columns, *rule_columns(rules)]))
    wanted = known.by_folder(names)
    for shard in documents_of(out).shards:
        row = 0
        with naming_damage(out, [out / folder / shard.name for folder in wanted]):
            for batch in read_batches(out, shard.name, wanted, shard.sha256):
                values = {name: batch.column(name) for name in rule_columns(rules)}
                yield Decided(shard.name, row, batch.select(list(columns)), decide(values, rules))
                row += batch.num_rows
