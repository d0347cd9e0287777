"""What a stage declares about itself: everything that describes a stage is here.

A declaration loads no Beam, no runner and no model library. Order, the folder of each column,
effective rules, content keys, `plan` and the audit are loops over the declarations
(`pipelines.stages.catalog`, `pipelines.engine.keys`); `pipelines.wiring` names the function that
runs a stage.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import pyarrow as pa

from filters.annotator import Annotator
from pipelines.storage.layout import annotation_folder
from schemas.config import Config
from schemas.rules import ALL, Rule, parse_condition


def _nothing(config: Config) -> Any:
    return None


def _no_files(config: Config) -> list[Path]:
    return []


def _no_rules(config: Config) -> list[Rule]:
    return []


def _always(config: Config) -> bool:
    return True


def _no_fault(config: Config) -> None:
    return None


def _all_computed(config: Config) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Stage:
    """One stage of a run. All that its result depends on is in its fields, hence in its key."""

    name: str
    command: str = ""
    """Its name for `--stages`, if that differs: `dedup` for `sign` and `dedup`."""
    annotator: str = ""
    """`module:Class` of the filter that computes its columns; empty where a pipeline does."""
    sections: tuple[str, ...] = ()
    """Sections of the config that the annotator's constructor takes, in order."""
    columns: pa.Schema | None = None
    """The columns that it adds; None for those of the annotator."""
    reads: tuple[str, ...] = ()
    """Stages whose values it reads, besides those that decide survivors."""
    settings: Callable[[Config], Any] = _nothing
    """Values of the config that alter its values; thresholds that only decide are left out."""
    noted: Callable[[Config], Any] = _nothing
    """Values of the config that stand in its manifest alone: their change rewrites no shard."""
    modules: tuple[str, ...] = ()
    """Modules of its code besides the annotator's; a package counts with all its files."""
    models: Callable[[Config], list[Path]] = _no_files
    """Files whose content alters its values."""
    rules: Callable[[Config], list[Rule]] = _no_rules
    """Rules on its columns from sections of the config; those under `rules` follow."""
    enabled: Callable[[Config], bool] = _always
    """Whether a run of the config has this stage."""
    not_computed: Callable[[Config], Mapping[str, str]] = _all_computed
    """Columns that the config leaves null, each with the setting that enables it."""
    check: Callable[[Config], None] = _no_fault
    """Raises InputError, before anything runs, for what would stop the stage later."""
    packages: Callable[[Config], None] = _no_fault
    """Raises InputError for a setting that needs packages outside the default install."""
    survivors_only: bool = False
    """It annotates only documents that the rules before it keep, so it depends on those rules."""
    whole: bool = False
    """A change of any document may change any row: it always runs over all shards."""
    folder: str = ""
    """Where its shards are stored, relative to OUT, if not in `annotations/NAME`."""
    output: Literal["documents", "mixture"] = "documents"
    """Whether it writes one shard per document shard, or the shards of the mixture."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "command", self.command or self.name)
        object.__setattr__(self, "folder", self.folder or annotation_folder(self.name))

    @property
    def schema(self) -> pa.Schema:
        """The columns that it adds. The first is never null on a row that was annotated."""
        if self.columns is not None:
            return self.columns
        return self.load().schema if self.annotator else pa.schema([])

    @property
    def code(self) -> tuple[str, ...]:
        """Modules of all its code."""
        return (*([self.annotator.partition(":")[0]] if self.annotator else []), *self.modules)

    def load(self) -> type[Annotator]:
        """Return the annotator's class. This loads no model."""
        module, _, name = self.annotator.partition(":")
        return cast(type[Annotator], getattr(importlib.import_module(module), name))

    def make(self, config: Config) -> Annotator:
        """Make the annotator with its sections of `config`."""
        make = cast(Callable[..., Annotator], self.load())
        return make(*(getattr(config, section) for section in self.sections))


def without(section: Any, *names: str) -> Any:
    """Return a section's values without those of `names`, which do not alter the stage's values."""
    return section.model_dump(mode="json", exclude=set(names))


def keep_where(column: str, condition: str, limit: float | None) -> list[Rule]:
    """Return the rule `column` `condition` `limit` for all documents; none where it is None."""
    if limit is None:
        return []
    return parse_condition(ALL, column, f"{condition}{limit}")
