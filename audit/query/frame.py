"""A run's verdicts and sizes in memory, so that a changed rule is answered at once.

Each document is one row: its size, and the *group* that it belongs to, which is a number for
(source, component, language, broken rules, stages that annotated it). A few groups stand for
millions of rows: sums that need no signal's values are taken over groups. A changed rule reads one
column, finds the rows whose answer differs from before, and moves them between groups.

The columns are read by DuckDB from the annotations, in the order of the documents' manifest, and
kept: in memory, and beside the run as `audit.query.index` for the next time.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import RLock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from audit.query.columns import BLOCK, Bools, Names, Values, breaks_values, is_null
from audit.query.groups import Groups, Labels, group_rows
from audit.query.index import index_key, read_index, write_index
from audit.query.reading import next_step
from audit.query.stored import StoredColumns
from filters.rules.evaluate import breaks_sql
from pipelines.stages.catalog import STAGES, effective_rules, position, rule_stage
from pipelines.stages.dedup import STAGE as DEDUP
from pipelines.stages.tokenize import STAGE as TOKENIZE
from pipelines.storage.layout import AUDIT_INDEX, DOCUMENTS, source_of
from schemas.config import Config
from schemas.errors import InputError
from schemas.rules import Rule

MAX_RULES = 62
"""Rules of a run that fit the bits of a row."""
KEEP_BYTES = 400_000_000
"""Memory for columns that were asked for once (those of the run's own rules stay)."""
LATE = tuple(
    stage
    for stage in STAGES
    if stage.survivors_only and (stage.annotator or stage.name == TOKENIZE.name)
)
"""Stages that annotate survivors only: null in a flat column means a row without annotation."""


class Frame(StoredColumns):
    """The rows of the run in `out`.

    Raises InputError where identify or measure is missing, Damaged where a file cannot be read.
    """

    def __init__(self, out: Path, config: Config) -> None:
        super().__init__(out, config)
        if "measure" not in self.steps:
            raise InputError(
                f"{out}: measure has not finished; run `bibim run … --out {out}` first"
            )
        self.next_step = next_step(out, config)
        self.rules = effective_rules(config, self.next_step, self.schemas)
        if len(self.rules) > MAX_RULES:
            raise InputError(
                f"{out}: {len(self.rules)} rules; the audit shows {MAX_RULES} at most; "
                "remove rules from the config and run again"
            )
        self.lock = RLock()
        self.sources, self.components, self.languages = Names(), Names(), Names()
        self._kept: dict[str, Values] = {}
        self._spare: OrderedDict[str, Values] = OrderedDict()
        key = index_key(out, self.steps, [str(rule) for rule in self.rules])
        if not self._restore(key):
            self.check_belongs()
            self._load()
            self._save(key)

    # Reading

    def _restore(self, key: str) -> bool:
        """Read everything from the index of an earlier frame; return whether there was one."""
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
        # A run in a read-only folder is shown too.
        columns = {"group": self.group, "survivor": self.survivor, **self._kept}
        with contextlib.suppress(OSError):
            write_index(self.out / AUDIT_INDEX, key, columns, notes)

    def _names(self) -> tuple[Names, Names, Names]:
        return self.sources, self.components, self.languages

    def values(self, column: str) -> Values:
        """Return a numeric column of all rows; remembered within KEEP_BYTES."""
        with self.lock:
            if column in self._kept:
                return self._kept[column]
            if column not in self._spare:
                folder = self.folder_of(column)
                self._spare.update(self.read(folder, [column]))
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
            self._spare.update(self.read(folder, names))

    def _load(self) -> None:
        """Read what every view needs, and put the rows into groups."""
        wanted = {"bytes", "chars", *(r.column for r in self.rules if self.numeric(r.column))}
        wanted |= {"tokens"} if TOKENIZE.name in self.steps else set()
        by_folder: dict[str, list[str]] = {}
        for column in sorted(wanted):
            by_folder.setdefault(self.folder_of(column), []).append(column)
        for folder, names in by_folder.items():
            self._kept.update(self.read(folder, names))
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
        seen = self._seen()
        mask = np.zeros(self.rows, np.uint64)
        for index, rule in enumerate(self.rules):
            scope = self.scoped(rule, source, component) & self.annotated(rule, seen)
            for part, broken in self.broken(rule):
                mask[part] |= (broken & scope[part]).astype(np.uint64) << np.uint64(index)
        sizes = len(self.sources.names), len(self.components.names), len(self.languages.names)
        self.group, self.groups = group_rows(
            Labels(source, component, language, mask, seen),
            sizes,
            [
                self.read("documents", ["raw_bytes"])["raw_bytes"],
                self.sizes("bytes"),
                self.sizes("chars"),
                self.sizes("tokens") if "tokens" in self._kept else None,
            ],
        )
        self.survivor = self._survivors()

    def _seen(self) -> npt.NDArray[np.uint8]:
        """Return for each row the stages of LATE that annotated it, one bit each."""
        seen = np.zeros(self.rows, np.uint8)
        for bit, stage in enumerate(LATE):
            if stage.name not in self.steps:
                continue
            column = _flat(self.schemas[stage.name])
            if column in self._kept:
                seen |= (~is_null(self._kept[column])).astype(np.uint8) << bit
                continue
            for row, table in self.stream(stage.name, [f'"{column}" IS NOT NULL']):
                found = table.column(0).to_numpy().astype(np.uint8)
                seen[row : row + table.num_rows] |= found << bit
        return seen

    def annotated(self, rule: Rule, seen: npt.NDArray[np.uint8]) -> Bools:
        """Return where a stage that annotates survivors only, if it adds the rule's column, did."""
        step = STAGES[self.step_index(rule)]
        if step not in LATE:
            return np.ones(len(seen), bool)
        return np.asarray((seen >> LATE.index(step)) & 1, bool)

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

    def step_index(self, rule: Rule) -> int:
        """Return the position of the step that drops what breaks the rule."""
        return position(rule_stage(rule.scope, rule.column, self.schemas))


def _flat(schema: pa.Schema) -> str:
    """Return the first column that is not a list: its nulls are read without its values."""
    return str(next(field.name for field in schema if not pa.types.is_nested(field.type)))
