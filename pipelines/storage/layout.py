"""The names of every folder and file of a run, relative to its output folder OUT.

    config.yaml, run.json     the config, and the costs and versions of each run into OUT
    documents/                document shards, SOURCE-00007.parquet
    rejects/                  records that `ingest` refused, in shards of the same names
    annotations/STAGE/        annotation shards, again of the same names
    tokenizer/                the tokenizer and its training sample
    mixture/                  token shards, each with its side-car, and the mixture's manifest
    audit/                    figures and index that the audit derives

A folder of shards has a `_manifest.json` (`schemas.manifest`) once its stage is done, and before
that one receipt per finished shard. Names alter no value of a stage, so this module is in no
stage's key.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from schemas.manifest import MANIFEST

CONFIG = "config.yaml"
RUNS = "run.json"
LOCK = ".lock"

DOCUMENTS = "documents"
REJECTS = "rejects"
ANNOTATIONS = "annotations"
TOKENIZER = "tokenizer"
MIXTURE = "mixture"
AUDIT = "audit"

MIXTURE_MANIFEST = f"{MIXTURE}/manifest.json"
AUDIT_STATS = f"{AUDIT}/stats.json"
AUDIT_INDEX = f"{AUDIT}/index.arrow"

RECEIPTS = "_receipts"
"""In a folder of shards: one receipt per finished shard, until the manifest replaces them."""
STAGE_KEY = "step"
"""Among the receipts: the key of the stage that they belong to."""
WORK = "_work"
"""In an annotation folder: arrays between the pipelines of one stage, removed at its end."""
PLANS = "_plan"
"""In the mixture's folder: what each output shard is written from, removed at the end."""

SHARDS = "*.parquet"
SHARD_FILES = (SHARDS, "*.run")
"""Files of a shard in `documents/` and `annotations/`: itself, and the token run beside it."""
SIDE_CARS = "shard-*.parquet"
NUMBER_PATTERN = r"-[0-9]+\.parquet$"
"""Regular expression of what follows the source in a shard's name."""


def annotation_folder(stage: str) -> str:
    """Return the folder of a stage's annotation shards, relative to OUT."""
    return f"{ANNOTATIONS}/{stage}"


def shard_name(source: str, index: int) -> str:
    """Return `SOURCE-00007.parquet`."""
    return f"{source}-{index:05d}.parquet"


def source_of(shard: str) -> str:
    """Return the source of a document, reject or annotation shard of that name."""
    return shard.rsplit("-", 1)[0]


def receipt_name(shard: str) -> str:
    """Return the name of a shard's receipt, in RECEIPTS."""
    return f"{shard}.json"


def side_cars(out: Path) -> list[Path]:
    """Return the side-cars of the mixture's shards in `out`, in the order of the shards."""
    return sorted((out / MIXTURE).glob(SIDE_CARS))


def annotation_folders(out: Path) -> list[Path]:
    """Return the folders below `annotations/` in `out`, by name."""
    return sorted((out / ANNOTATIONS).glob("*"))


def annotation_manifests(out: Path) -> list[Path]:
    """Return the `_manifest.json` of each finished annotation folder in `out`, by folder."""
    return sorted((out / ANNOTATIONS).glob(f"*/{MANIFEST}"))


def manifests(out: Path) -> Iterator[Path]:
    """Yield the `_manifest.json` of each folder of shards in `out`."""
    yield from out.glob(f"*/{MANIFEST}")
    yield from out.glob(f"*/*/{MANIFEST}")
