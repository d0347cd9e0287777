"""A run's verdicts and sizes in memory, so that a changed rule is answered at once.

Each document is one row: its size, and the *group* that it belongs to, which is a number for
(source, component, language, broken rules, unseen). A handful of groups stands for millions of
rows: whatever needs no signal's values is asked of them. A changed rule reads one column, finds
the rows whose answer differs from before, and moves them between groups.

The columns are read by DuckDB from the annotations, in the order of the documents' manifest, and
kept: in memory, and beside the run as `audit.query.index` for the next time.
"""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import RLock
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from audit.query.index import index_key, read_index, write_index
from audit.query.reading import (
    documents_of,
    finished_steps,
    naming_damage,
    rules_of,
    stored_schemas,
)
from filters.rules.evaluate import breaks, breaks_sql, numbers
from pipelines.stages.catalog import STAGES, folders, position, rule_stage, stage_of
from pipelines.stages.dedup import STAGE as DEDUP
from pipelines.stages.tokenize import STAGE as TOKENIZE
from pipelines.storage.layout import (
    AUDIT_INDEX,
    DOCUMENTS,
    annotating_stage,
    annotation_folder,
    source_of,
)
from pipelines.storage.shards import DOCUMENTS_SHA256
from schemas.config import Config
from schemas.errors import InputError, RunFault
from schemas.rules import Rule

MOST_RULES = 62
"""Rules of a run that fit the bits of a row."""
BLOCK = 1 << 20
"""Rows of one piece of work: bounds the memory that a question takes."""
KEEP_BYTES = 400_000_000
"""Memory for columns that were asked for once (those of the run's own rules stay)."""
LATE = tuple(stage for stage in STAGES if stage.annotator and stage.survivors_only)
"""Stages that annotate survivors only: null in a flat column says that one never saw the row."""

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Values = npt.NDArray[Any]
"""A numeric column: float32 or float64 with NaN for null, int32 or int64 with `null_of`."""


def null_of(kind: np.dtype[Any]) -> int:
    """Return what stands for null in a column of whole numbers of this type."""
    return int(np.iinfo(kind).min)


def is_null(values: Values) -> Bools:
    """Return where a column of the frame has no value."""
    return np.isnan(values) if values.dtype.kind == "f" else values == null_of(values.dtype)


@dataclass(frozen=True)
class Groups:
    """What the rows have in common, one entry a group, and the sums over its rows.

    `mask` has bit i set where rule i is broken; `unseen` where a late step never saw the rows.
    """

    source: npt.NDArray[np.int32]
    component: npt.NDArray[np.int32]
    language: npt.NDArray[np.int32]
    mask: npt.NDArray[np.uint64]
    unseen: Bools
    documents: Ints
    raw_bytes: Ints
    bytes: Ints
    chars: Ints
    tokens: Ints

    def first(self) -> npt.NDArray[np.int64]:
        """Return the index of the first rule broken in each group, or -1."""
        return first_bit(self.mask)


def first_bit(mask: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return the number of the lowest set bit of each mask, -1 where there is none."""
    lowest = mask & (~mask + np.uint64(1))
    found = np.full(mask.shape, -1, np.int64)
    some = lowest > 0
    found[some] = np.log2(lowest[some].astype(np.float64)).astype(np.int64)
    return found


class Names:
    """Codes for strings: 0 is null."""

    def __init__(self) -> None:
        self.names: list[str | None] = [None]
        self._codes: dict[str | None, int] = {None: 0}

    def code(self, name: str | None) -> int:
        if name not in self._codes:
            self._codes[name] = len(self.names)
            self.names.append(name)
        return self._codes[name]

    def codes(self, column: pa.Array) -> npt.NDArray[np.int32]:
        coded = column.dictionary_encode()
        table = np.array([self.code(n) for n in coded.dictionary.to_pylist()] + [0], np.int32)
        places: npt.NDArray[np.int32] = np.asarray(coded.indices.fill_null(len(table) - 1))
        return np.take(table, places)


@dataclass(frozen=True)
class ShardRows:
    """Where a document shard's rows begin among all rows."""

    name: str
    sha256: str
    first: int
    rows: int


class Frame:
    """The rows of the run in `out`.

    Raises InputError where identify or measure is missing, Damaged where a file cannot be read.
    """

    def __init__(self, out: Path, config: Config) -> None:
        self.out = out
        self.config = config
        self.steps = finished_steps(out, config)
        if "measure" not in self.steps:
            raise InputError(
                f"{out}: measure has not finished; run `bibim run … --out {out}` first"
            )
        self.rules = rules_of(out, config)
        if len(self.rules) > MOST_RULES:
            raise InputError(
                f"{out}: {len(self.rules)} rules; the audit shows {MOST_RULES} at most"
            )
        self.lock = RLock()
        self.schemas = stored_schemas(out, config)
        self._known = folders(self.schemas)
        self._db = duckdb.connect(":memory:")
        self._db.execute("SET memory_limit='600MB'; SET threads=2; SET enable_progress_bar=false")
        self._db.execute(
            "SET allow_community_extensions=false; SET autoload_known_extensions=false"
        )
        self.shards: list[ShardRows] = []
        self.rows = 0
        for shard in documents_of(out).shards:
            self.shards.append(ShardRows(shard.name, shard.sha256, self.rows, shard.rows))
            self.rows += shard.rows
        self.sources, self.components, self.languages = Names(), Names(), Names()
        self.own = {rule.column for rule in self.rules}
        self._kept: dict[str, Values] = {}
        self._spare: OrderedDict[str, Values] = OrderedDict()
        key = index_key(out, self.steps, [str(rule) for rule in self.rules])
        if not self._restore(key):
            self._check_belongs()
            self._load()
            self._save(key)

    # Reading

    def _restore(self, key: str) -> bool:
        """Take everything from the index of an earlier frame; return whether there was one."""
        found = read_index(self.out / AUDIT_INDEX, key)
        if found is None:
            return False
        columns, notes = found
        self.group, self.survivor = columns.pop("group"), columns.pop("survivor")
        self._kept = columns
        for names, known in zip(self._names(), notes["names"], strict=True):
            for name in known:
                names.code(name)
        self.groups = Groups(**{n: np.array(v, kind) for n, (kind, v) in notes["groups"].items()})
        return True

    def _save(self, key: str) -> None:
        notes = {
            "names": [names.names for names in self._names()],
            "groups": {n: (v.dtype.str, v.tolist()) for n, v in asdict(self.groups).items()},
        }
        # A run in a folder that is not ours to write is shown all the same.
        columns = {"group": self.group, "survivor": self.survivor, **self._kept}
        with contextlib.suppress(OSError):
            write_index(self.out / AUDIT_INDEX, key, columns, notes)

    def _names(self) -> tuple[Names, Names, Names]:
        return self.sources, self.components, self.languages

    def _check_belongs(self) -> None:
        """Raise RunFault where an annotation shard is not of its document shard."""
        for step in self.steps:
            told = self.query(
                "SELECT parse_filename(file_name), value FROM parquet_kv_metadata(?) WHERE key = ?",
                [self.files(step), DOCUMENTS_SHA256],
            )
            held = {name: bytes(belongs).decode() for name, belongs in told}
            for shard in self.shards:
                if held.get(shard.name) != shard.sha256:
                    raise RunFault(
                        f"{self.out / annotation_folder(step) / shard.name} belongs to another "
                        "document shard. Delete it and run again; its stage will rewrite it."
                    )

    def files(self, folder: str) -> list[str]:
        """Return the Parquet files of `documents` or of a step, in the order of the rows."""
        base = self.out / (folder if folder == DOCUMENTS else annotation_folder(folder))
        return [os.fspath(base / shard.name) for shard in self.shards]

    def _naming(self, files: Sequence[str]) -> contextlib.AbstractContextManager[None]:
        return naming_damage(self.out, [Path(file) for file in files])

    def folder_of(self, column: str) -> str:
        """Return the finished step (or `documents`) that holds `column`.

        Raises InputError where none does.
        """
        if column in self._known:
            return annotating_stage(self._known.folder(column))
        try:
            step = stage_of(column)
        except KeyError:
            known = "no stage adds this column; docs/signals.md lists them"
            raise InputError(f"{column}: {known}") from None
        raise InputError(f"{column}: {step} has not run yet; run it first")

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query over the run's files, which are its first parameter."""
        files = next((value for value in parameters if isinstance(value, list)), [])
        with self._naming(files), self._db.cursor() as cursor:
            return cursor.execute(sql, list(parameters)).fetchall()

    def stream(self, folder: str, expressions: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        """Yield (first row, table) of SQL `expressions` over a folder's rows, in their order."""
        named = ", ".join(f"{text} AS c{number}" for number, text in enumerate(expressions))
        row = 0
        files = self.files(folder)
        with self._naming(files), self._db.cursor() as cursor:
            reader = cursor.sql(
                f"SELECT {named} FROM read_parquet(?)", params=[files]
            ).to_arrow_reader(BLOCK)
            for batch in reader:
                yield row, pa.Table.from_batches([batch])
                row += batch.num_rows
        if row != self.rows:
            raise RunFault(f"{self.out}: {folder} has {row} rows, its manifest {self.rows}")

    def _read(self, folder: str, names: Sequence[str]) -> dict[str, Values]:
        """Read numeric columns, in the widths that hold their values; see `Values`."""
        found: dict[str, Values] = {}
        texts = []
        for name in names:
            kind = self.type_of(name)
            if pa.types.is_floating(kind):
                double = kind == pa.float64()
                found[name] = np.empty(self.rows, np.float64 if double else np.float32)
                sql = "DOUBLE" if double else "FLOAT"
                texts.append(f"coalesce(\"{name}\", CAST('nan' AS {sql}))")
            else:
                found[name] = np.empty(self.rows, np.int32)
                null = null_of(np.dtype(np.int64))
                texts.append(f'coalesce(CAST("{name}" AS BIGINT), {null})')
        for row, table in self.stream(folder, texts):
            for number, name in enumerate(names):
                part = table.column(number).to_numpy()
                if part.dtype.kind == "i":
                    found[name] = put(found[name], part, row)
                else:
                    found[name][row : row + len(part)] = part
        return found

    def type_of(self, column: str) -> pa.DataType:
        """Return the type of a column that the run has."""
        return self._known.schema.field(column).type

    def numeric(self, column: str) -> bool:
        """Return whether `column` is a number that a threshold can be set on."""
        kind = self.type_of(column)
        return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))

    def values(self, column: str) -> Values:
        """Return a numeric column of all rows; remembered within KEEP_BYTES."""
        with self.lock:
            if column in self._kept:
                return self._kept[column]
            if column not in self._spare:
                folder = self.folder_of(column)
                self._spare.update(self._read(folder, [column]))
                while len(self._spare) > 1 and sum(v.nbytes for v in self._spare.values()) > (
                    KEEP_BYTES
                ):
                    self._spare.popitem(last=False)
            self._spare.move_to_end(column)
            return self._spare[column]

    def preload(self, columns: Sequence[str]) -> None:
        """Read numeric columns together, as far as KEEP_BYTES goes: one pass over each step."""
        room = KEEP_BYTES // max(4 * self.rows, 1)
        missing = [c for c in columns if c not in self._kept and c not in self._spare][:room]
        by_folder: dict[str, list[str]] = {}
        for column in missing:
            by_folder.setdefault(self.folder_of(column), []).append(column)
        for folder, names in by_folder.items():
            self._spare.update(self._read(folder, names))

    def _load(self) -> None:
        """Read what every view needs, and put the rows into groups."""
        late = [_flat(self.schemas[each.name]) for each in LATE if each.name in self.steps]
        wanted = {"bytes", "chars", *(r.column for r in self.rules if self.numeric(r.column))}
        wanted |= {"tokens"} if TOKENIZE.name in self.steps else set()
        by_folder: dict[str, list[str]] = {}
        for column in sorted(wanted):
            by_folder.setdefault(self.folder_of(column), []).append(column)
        for folder, names in by_folder.items():
            self._kept.update(self._read(folder, names))
        component = np.empty(self.rows, np.int32)
        language = np.empty(self.rows, np.int32)
        for row, table in self.stream("identify", ["assigned", "lang"]):
            part = slice(row, row + table.num_rows)
            component[part] = self.components.codes(table.column(0).combine_chunks())
            language[part] = self.languages.codes(table.column(1).combine_chunks())
        source = np.empty(self.rows, np.int32)
        for shard in self.shards:
            code = self.sources.code(source_of(shard.name))
            source[shard.first : shard.first + shard.rows] = code
        mask = np.zeros(self.rows, np.uint64)
        for index, rule in enumerate(self.rules):
            scope = self.scoped(rule, source, component)
            for part, broken in self.broken(rule):
                mask[part] |= (broken & scope[part]).astype(np.uint64) << np.uint64(index)
        unseen = np.zeros(self.rows, bool)
        for column in late:
            if column in self._kept:
                unseen |= is_null(self._kept[column])
                continue
            for row, table in self.stream(self.folder_of(column), [f'"{column}" IS NULL']):
                unseen[row : row + table.num_rows] |= table.column(0).to_numpy()
        self._group(source, component, language, mask, unseen)
        self.survivor = self._survivors()

    def _group(self, source, component, language, mask, unseen) -> None:  # type: ignore[no-untyped-def]  # arrays, one entry a row
        """Number the distinct combinations, in blocks, and sum over the rows of each."""
        small = len(self.sources.names), len(self.components.names), len(self.languages.names)
        kinds: list[npt.NDArray[np.uint64]] = []
        for start in range(0, self.rows, BLOCK):
            kinds.append(np.unique(mask[start : start + BLOCK]))
        masks = np.unique(np.concatenate(kinds)) if kinds else np.zeros(0, np.uint64)
        key = np.empty(self.rows, np.int64)
        for start in range(0, self.rows, BLOCK):
            part = slice(start, start + BLOCK)
            code = np.searchsorted(masks, mask[part])
            for value, many in zip((source, component, language), small, strict=True):
                code = code * many + value[part]
            key[part] = code * 2 + unseen[part]
        distinct = np.unique(
            np.concatenate([np.unique(key[s : s + BLOCK]) for s in range(0, self.rows, BLOCK)])
            if self.rows
            else key
        )
        self.group = np.empty(self.rows, np.int32)
        sums = np.zeros((5, len(distinct)), np.int64)
        sizes = [None, self.raw_sizes(), self.sizes("bytes"), self.sizes("chars")]
        sizes.append(self.sizes("tokens") if "tokens" in self._kept else None)
        for start in range(0, self.rows, BLOCK):
            part = slice(start, start + BLOCK)
            here = np.searchsorted(distinct, key[part])
            self.group[part] = here
            sums[0] += np.bincount(here, minlength=len(distinct))
            for number in range(1, 5):
                column = sizes[number]
                if column is not None:
                    weights = np.maximum(column[part], 0).astype(np.float64)
                    sums[number] += np.bincount(here, weights, len(distinct)).astype(np.int64)
        rest, unseen_bit = distinct // 2, (distinct % 2).astype(bool)
        parts = []
        for many in reversed(small):
            parts.append((rest % many).astype(np.int32))
            rest = rest // many
        self.groups = Groups(
            parts[2], parts[1], parts[0], masks[rest], unseen_bit,
            sums[0], sums[1], sums[2], sums[3], sums[4],
        )  # fmt: skip

    def _survivors(self) -> npt.NDArray[np.int32]:
        """Return for each duplicate of this run's own clusters its survivor's row, else -1."""
        found = np.full(self.rows, -1, np.int32)
        if DEDUP.name not in self.steps:
            return found
        rows: list[npt.NDArray[np.int64]] = []
        wanted: list[pa.Array] = []
        own = "CASE WHEN duplicate_kind = 'earlier' THEN NULL ELSE duplicate_of END"
        for row, table in self.stream(DEDUP.name, [own]):
            column = table.column(0).combine_chunks()
            rows.append(np.flatnonzero(np.asarray(column.is_valid())) + row)
            wanted.append(column.drop_null())
        if not sum(len(part) for part in rows):
            return found
        asked = pa.concat_arrays(wanted).dictionary_encode()
        names = asked.dictionary.cast(pa.binary())
        where = np.full(len(names), -1, np.int32)
        for row, table in self.stream(DOCUMENTS, ["id"]):
            places = pc.index_in(table.column(0).combine_chunks().cast(pa.binary()), names)
            hits = np.flatnonzero(np.asarray(places.is_valid()))
            where[np.asarray(places.drop_null())] = hits + row
        found[np.concatenate(rows)] = where[np.asarray(asked.indices)]
        return found

    def raw_sizes(self) -> Values:
        return self._read(DOCUMENTS, ["raw_bytes"])["raw_bytes"]

    def sizes(self, column: str) -> Values:
        return self._kept[column]

    # Rules

    def scoped(
        self, rule: Rule, source: npt.NDArray[np.int32], component: npt.NDArray[np.int32]
    ) -> Bools:
        """Return where the codes `source` and `component` are in the scope of `rule`."""
        every = np.array(
            [[rule.covers(c, s) for s in self.sources.names] for c in self.components.names], bool
        )
        return np.asarray(every[component, source])

    def broken(self, rule: Rule) -> Iterator[tuple[slice, Bools]]:
        """Yield (rows, where the values there break `rule`), BLOCK rows at a time.

        Scope is left out. The blocks are the same for every rule.
        """
        if self.numeric(rule.column):
            values = self.values(rule.column)
            for start in range(0, self.rows, BLOCK):
                part = slice(start, start + BLOCK)
                yield part, breaks_values(rule, values[part])
            return
        text = breaks_sql(rule, self.type_of(rule.column))
        found = np.empty(self.rows, bool)
        for row, table in self.stream(self.folder_of(rule.column), [text]):
            found[row : row + table.num_rows] = table.column(0).to_numpy()
        for start in range(0, self.rows, BLOCK):
            part = slice(start, start + BLOCK)
            yield part, found[part]

    # One document

    def place(self, row: int) -> tuple[ShardRows, int]:
        """Return (shard, row in it) of a row among all."""
        firsts = [shard.first for shard in self.shards]
        shard = self.shards[int(np.searchsorted(firsts, row, side="right")) - 1]
        return shard, row - shard.first

    def take(self, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Return `columns` of a few rows, in the order given. Reads only their row groups."""
        by_shard: dict[str, list[tuple[int, int]]] = {}
        for at, row in enumerate(rows):
            shard, inside = self.place(int(row))
            by_shard.setdefault(shard.name, []).append((inside, at))
        found: list[dict[str, Any]] = [{} for _ in rows]
        known = self._known
        usable = [column for column in columns if column in known]
        for name, places in by_shard.items():
            for folder, names in known.by_folder(usable).items():
                path = self.out / folder / name
                with naming_damage(self.out, [path]), pq.ParquetFile(path) as file:
                    starts = np.cumsum(
                        [0]
                        + [
                            file.metadata.row_group(g).num_rows
                            for g in range(file.metadata.num_row_groups)
                        ]
                    )
                    groups = np.searchsorted(starts, [p[0] for p in places], side="right") - 1
                    for group in np.unique(groups):
                        table = file.read_row_group(int(group), columns=names)
                        for (inside, at), mine in zip(places, groups, strict=True):
                            if mine == group:
                                row = table.slice(inside - int(starts[group]), 1)
                                found[at].update(row.to_pylist()[0])
        return found

    def step_index(self, rule: Rule) -> int:
        """Return the place among all steps of the one that drops what breaks the rule."""
        return position(rule_stage(rule.scope, rule.column, self.schemas))


def breaks_values(rule: Rule, values: Values) -> Bools:
    """Return where `values` of the frame break `rule`, as `filters.rules.evaluate.breaks` has
    it."""
    nulls = None if values.dtype.kind == "f" else is_null(values)
    return breaks(rule, numbers(values, nulls))


def put(values: Values, part: Ints, row: int) -> Values:
    """Put whole numbers into `values` from `row` on, and return it: wider where one needs it.

    `part` has the null of int64.
    """
    nulls = is_null(part)
    low, high = null_of(np.dtype(np.int32)), np.iinfo(np.int32).max
    if values.dtype == np.int32 and bool(np.any(~nulls & ((part <= low) | (part > high)))):
        wide = values.astype(np.int64)
        wide[is_null(values)] = null_of(wide.dtype)
        values = wide
    values[row : row + len(part)] = np.where(nulls, null_of(values.dtype), part)
    return values


def _flat(schema: pa.Schema) -> str:
    """Return the first column that is not a list: its nulls are read without its values."""
    return str(next(field.name for field in schema if not pa.types.is_nested(field.type)))
