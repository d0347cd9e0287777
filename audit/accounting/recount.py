"""The ledger's other side: every stage counted again in another way, and what differs.

The sums that `audit.accounting.ledger` takes from annotations are compared here with the texts,
the readers' counts, the survivors of the stages before, the bytes that tokens stand for, and the
mixture's files. A difference is a `Residue`: it names stage, source and count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from audit.query.reading import (
    Decided,
    decided,
    documents_of,
    finished_steps,
    mixture_of,
    read_columns,
    rules_of,
    stored_schemas,
)
from filters.pii.mask import apply_spans
from filters.rules.decide import KEPT, decide
from mixtures.shards.megatron import read_starts
from mixtures.shards.token_runs import Run, run_path
from mixtures.tokenizer.tokenizer import Tokenizer
from pipelines.stages.catalog import effective_rules, rule_columns, stage
from pipelines.stages.ingest import STAGE as INGEST
from pipelines.stages.mix import STAGE as MIX
from pipelines.stages.redact import STAGE as REDACT
from pipelines.stages.tokenize import STAGE as TOKENIZE
from pipelines.stages.tokenize import cut_columns
from pipelines.storage.layout import MIXTURE, TOKENIZER
from schemas.config import Config
from schemas.manifest import read_manifest
from schemas.secret import Secret

Cell = tuple[str, str | None, str | None]
Ints = npt.NDArray[np.int64]
ENTERED = "entered, left or dropped"
"""The equation of each annotating stage; its first side is what entered."""
TAKEN = "written by the reader, entered"
"""The equation between `ingest` and the stage that follows it."""
CONTINUATION = 0x80
"""The two high bits of a byte inside a UTF-8 character are 10."""


class Residue(BaseModel):
    """A count that differs: `expected` from before the stage, `found` after it."""

    stage: str
    source: str
    component: str | None = None
    language: str | None = None
    count: str
    """What was counted: documents, characters, bytes, raw bytes, tokens."""
    what: str
    """How it was counted on both sides."""
    expected: int
    found: int

    def __str__(self) -> str:
        cell = "/".join(part or "–" for part in (self.source, self.component, self.language))
        cell = cell.removesuffix("/–").removesuffix("/–")
        by = self.found - self.expected
        side = f"{by:,} too many" if by > 0 else f"{-by:,} missing"
        return (
            f"{self.stage}: source {cell}, {self.count}: {self.what}: "
            f"{self.expected:,} against {self.found:,}, {side}"
        )


Key = tuple[str, Cell, str, str]
"""Stage, cell, count, what."""


class Recount:
    """Pairs of sums that must be equal, by stage, cell, count and how it was counted."""

    def __init__(self) -> None:
        self._sides: dict[Key, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, key: Key, expected: int, found: int) -> None:
        """Add to both sides of one equation."""
        sides = self._sides[key]
        sides[0] += expected
        sides[1] += found

    def residues(self) -> list[Residue]:
        """Return the equations that do not hold, in the order they were added."""
        return [
            Residue(
                stage=stage,
                source=cell[0],
                component=cell[1],
                language=cell[2],
                count=count,
                what=what,
                expected=expected,
                found=found,
            )
            for (stage, cell, count, what), (expected, found) in self._sides.items()
            if expected != found
        ]

    def take(self, other: Recount) -> None:
        """Add another's equations."""
        for key, (expected, found) in other._sides.items():
            self.add(key, expected, found)

    def entered(self, stage: str) -> dict[tuple[str, str], int]:
        """Return (source, count) → the recounted sum that enters an annotating stage."""
        found: dict[tuple[str, str], int] = defaultdict(int)
        for (name, cell, count, what), (expected, _) in self._sides.items():
            if (name, what) == (stage, ENTERED):
                found[cell[0], count] += expected
        return dict(found)

    def stages(self) -> dict[str, int]:
        """Return how many equations each stage has."""
        found: dict[str, int] = defaultdict(int)
        for name, *_ in self._sides:
            found[name] += 1
        return dict(found)


def recount_run(out: Path, config: Config) -> Recount:
    """Return both sides of every equation of the run in `out`, as far as it got."""
    recount = Recount()
    for _, count in recount_parts(out, config):
        recount.take(count())
    return recount


def recount_parts(
    out: Path, config: Config
) -> Iterator[tuple[tuple[str, ...], Callable[[], Recount]]]:
    """Yield (stages, function that counts them) for each part that reads other files."""
    steps = finished_steps(out, config)
    yield (INGEST.name, *steps), lambda: _documents(out, config, steps)
    if TOKENIZE.name in steps:
        yield (TOKENIZE.name,), lambda: _runs(out)
    if read_manifest(out / MIXTURE) is not None:
        yield (MIX.name,), lambda: _mixture(out, config)


def _readers(recount: Recount, out: Path, first: str | None) -> None:
    """Add what the readers counted. `first`: the stage that all of it enters."""
    for shard in documents_of(out).shards:
        cell = (shard.name.rsplit("-", 1)[0], None, None)
        stats = shard.stats
        for name, count in (("text_chars", "characters"), ("text_bytes", "bytes")):
            recount.add(
                ("ingest", cell, count, "written by the reader, in documents"), stats[name], 0
            )
        read = "read, made documents or rejected"
        made = stats["documents"] + stats["rejects"]
        recount.add(("ingest", cell, "documents", read), stats["records"], made)
        for name, count in (("documents", "documents"), ("text_bytes", "bytes")):
            if first is not None:
                recount.add((first, cell, count, TAKEN), stats[name], 0)


class Cells:
    """The rows of a row group by cell."""

    def __init__(self, columns: pa.RecordBatch) -> None:
        names = ("source", "assigned", "lang")
        rows = list(zip(*(columns.column(name).to_pylist() for name in names), strict=True))
        self.cells: list[Cell] = list(dict.fromkeys(rows))
        number = {cell: index for index, cell in enumerate(self.cells)}
        self._row = np.fromiter((number[row] for row in rows), np.int64, len(rows))

    def sums(self, values: npt.NDArray[np.generic]) -> Iterator[tuple[Cell, int]]:
        """Yield each cell with the sum of its rows' values."""
        totals = np.zeros(len(self.cells), np.int64)
        np.add.at(totals, self._row, values.astype(np.int64))
        yield from zip(self.cells, totals.tolist(), strict=True)


def _documents(out: Path, config: Config, steps: list[str]) -> Recount:
    """Count every document again: its text, the stages that it entered, what was written of it."""
    recount = Recount()
    _readers(recount, out, steps[0] if steps else None)
    rules = rules_of(out, config)
    cuts = cut_columns(config)
    stored = stored_schemas(out, config)
    firsts = {step: stored[step].names[0] for step in steps}
    columns = ["source", "assigned", "lang", "text", *firsts.values(), *rule_columns(rules)]
    columns += ["chars", "bytes"] if "measure" in steps else []
    columns += ["pii_spans", *cuts] if REDACT.name in steps else []
    columns += ["tokens", "run_offset"] if TOKENIZE.name in steps else []
    tokenizer = Tokenizer.load(out / TOKENIZER) if TOKENIZE.name in steps else None
    sizes = Sizes(tokenizer) if tokenizer is not None and tokenizer.by_words else None
    prefixes = {step: len(effective_rules(config, step, stored)) for step in steps}
    run: Run | None = None
    shard = ""
    for group in decided(out, config, rules, list(dict.fromkeys(columns))):
        cells = Cells(group.columns)
        text = group.columns.column("text")
        chars, size = np.asarray(pc.utf8_length(text)), np.asarray(pc.binary_length(text))
        _texts(recount, cells, group, chars, size, "measure" in steps)
        values = {name: group.columns.column(name) for name in rule_columns(rules)}
        sums = {"documents": np.ones(len(text), np.int64), "characters": chars, "bytes": size}
        entered = {step: decide(values, rules[: prefixes[step]]) == KEPT for step in steps}
        if steps:
            _first(recount, group, steps[0], entered[steps[0]], sums)
        for step, after in zip(steps, [*steps[1:], None], strict=True):
            left = entered[after] if after else group.kept
            last = prefixes[after] if after else len(rules)
            dropped = (group.verdict >= prefixes[step]) & (group.verdict < last)
            missing = entered[step] & np.asarray(group.columns.column(firsts[step]).is_null())
            for count, amounts in sums.items():
                for cell, value in cells.sums(amounts * entered[step]):
                    recount.add((step, cell, count, ENTERED), value, 0)
                for cell, value in cells.sums(amounts * (left.astype(np.int64) + dropped)):
                    recount.add((step, cell, count, ENTERED), 0, value)
            if not stage(step).whole:  # a null there means that a document stays
                for cell, value in cells.sums(entered[step].astype(np.int64)):
                    recount.add((step, cell, "documents", "entered, annotated"), value, value)
                for cell, value in cells.sums(missing):
                    recount.add((step, cell, "documents", "entered, annotated"), 0, -value)
        if sizes is not None:
            if group.shard != shard:
                if run is not None:
                    run.close()
                shard = group.shard
                run = Run(run_path(out / TOKENIZE.folder / shard))
            assert run is not None
            _written(recount, cells, group, config, cuts, sizes, run)
    if run is not None:
        run.close()
    return recount


def _first(
    recount: Recount,
    group: Decided,
    step: str,
    entered: npt.NDArray[np.bool_],
    sums: dict[str, Ints],
) -> None:
    """Add what enters the first stage of a row group: all that the reader wrote."""
    cell = (group.shard.rsplit("-", 1)[0], None, None)
    for count in ("documents", "bytes"):
        recount.add((step, cell, count, TAKEN), 0, int(sums[count][entered].sum()))


def _texts(
    recount: Recount, cells: Cells, group: Decided, chars: Ints, size: Ints, measured: bool
) -> None:
    """Compare the texts with the counts of the readers and of `measure`."""
    source = group.shard.rsplit("-", 1)[0]
    for count, amounts, column in (("characters", chars, "chars"), ("bytes", size, "bytes")):
        key = ("ingest", (source, None, None), count, "written by the reader, in documents")
        recount.add(key, 0, int(amounts.sum()))
        if measured:
            noted = np.asarray(group.columns.column(column).fill_null(0))
            for cell, value in cells.sums(amounts):
                recount.add(("measure", cell, count, "in documents, annotated"), value, 0)
            for cell, value in cells.sums(noted):
                recount.add(("measure", cell, count, "in documents, annotated"), 0, value)


class Sizes:
    """How many bytes and characters of text each token stands for."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        pieces = tokenizer.piece_bytes
        self.bytes = np.array([len(piece) for piece in pieces], np.int64)
        self.chars = np.array(
            [sum(byte & 0xC0 != CONTINUATION for byte in piece) for piece in pieces], np.int64
        )


def _written(
    recount: Recount,
    cells: Cells,
    group: Decided,
    config: Config,
    cuts: list[str],
    sizes: Sizes,
    run: Run,
) -> None:
    """Compare the texts of survivors, cut and masked, with what their tokens stand for."""
    columns = group.columns
    kept = group.kept & np.asarray(columns.column("tokens").is_valid())
    rows = columns.filter(pa.array(kept))
    spans, text = rows.column("pii_spans"), rows.column("text")
    # Only sizes are compared, and those of pseudonyms are the same under every key.
    settings = config.pii.model_copy(update={"key": Secret()})
    text = apply_spans(text, spans, settings, [rows.column(name) for name in cuts])
    counts = rows.column("tokens").to_numpy().astype(np.int64)
    ends = np.cumsum(counts)
    tokens = np.empty(int(ends[-1]) if len(ends) else 0, run.dtype)
    run.gather(rows.column("run_offset").to_numpy(), counts, tokens, ends - counts)
    what = "text cut and masked, in tokens"
    for count, expected, of in (
        ("bytes", pc.binary_length(text), sizes.bytes),
        ("characters", pc.utf8_length(text), sizes.chars),
    ):
        total = np.concatenate([[0], np.cumsum(of[tokens])])
        for side, values in enumerate((np.asarray(expected), total[ends] - total[ends - counts])):
            every = np.zeros(len(kept), np.int64)
            every[kept] = values
            for cell, value in cells.sums(every):
                recount.add(("tokenize", cell, count, what), *((value, 0), (0, value))[side])


def _runs(out: Path) -> Recount:
    """Compare the tokens of every document with the token run beside its shard."""
    recount = Recount()
    folder = out / "annotations/tokenize"
    for shard in documents_of(out).shards:
        cell = (shard.name.rsplit("-", 1)[0], None, None)
        counts = read_columns(out, folder / shard.name, ["tokens"]).column("tokens")
        with Run(run_path(folder / shard.name)) as run:
            header = run.header
        what = "annotated, in the token run"
        documents = len(counts) - counts.null_count
        recount.add(("tokenize", cell, "documents", what), documents, header.documents)
        total = pc.sum(counts).as_py() or 0
        recount.add(("tokenize", cell, "tokens", what), total, header.tokens)
    return recount


def _mixture(out: Path, config: Config) -> Recount:
    """Compare the mixture's manifest with `tokenize`, with side-cars and with the index files."""
    recount = Recount()
    manifest = mixture_of(out) or {}
    survivors: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    columns = ["source", "assigned", "lang", "tokens"]
    for group in decided(out, config, rules_of(out, config), columns):
        cells = Cells(group.columns)
        tokens = np.asarray(group.columns.column("tokens").fill_null(0)) * group.kept
        for index, values in enumerate((group.kept, tokens)):
            for (_, component, _), value in cells.sums(values):
                survivors[component or ""][index] += value
    taken: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for number, shard in enumerate(manifest["shards"]):
        path = out / MIXTURE / f"{shard['name']}.parquet"
        table = read_columns(out, path, ["source", "component", "tokens"])
        sums = table.group_by(["source", "component"]).aggregate(
            [("tokens", "sum"), ([], "count_all")]
        )
        for row in sums.to_pylist():
            sides = taken[row["source"], row["component"]]
            sides[0] += row["count_all"]
            sides[1] += row["tokens_sum"]
        cell: Cell = (f"shard {number}", None, None)
        total = pc.sum(table.column("tokens")).as_py() or 0
        lengths = np.diff(read_starts(out / MIXTURE / shard["name"])[0])
        for what, documents, found in (
            ("in the side-car, in the manifest", shard["sequences"], shard["tokens"]),
            ("in the side-car, in the index", len(lengths), int(lengths.sum())),
        ):
            recount.add(("mix", cell, "sequences", what), table.num_rows, documents)
            recount.add(("mix", cell, "tokens", what), total, found)
    entries = manifest["sources"]
    for source, component in sorted({(e["source"], e["component"]) for e in entries} | set(taken)):
        cell = (source, component, None)
        given = [e for e in entries if (e["source"], e["component"]) == (source, component)]
        what = "in side-cars, in the manifest"
        for index, (count, name) in enumerate((("sequences", "sequences"), ("tokens", "achieved"))):
            found = sum(entry[name] for entry in given)
            recount.add(("mix", cell, count, what), taken[source, component][index], found)
    if config.mixture.stages:  # each stage has conditions of its own
        return recount
    for component, have in sorted(survivors.items()):
        cell = ("all", component, None)
        given = [e for e in entries if e["component"] == component]
        left_out = manifest["left_out"].get(component, {"documents": 0, "tokens": 0})
        for index, (count, name) in enumerate(
            (("documents", "documents"), ("tokens", "available"))
        ):
            offered = sum(entry[name] for entry in given) + left_out[count]
            what = "survivors, offered to the mixture or left out"
            recount.add(("mix", cell, count, what), have[index], offered)
    return recount
