"""Earlier runs whose documents a new run is not to repeat (`dedup.against`).

All that is read of them are ids, content hashes, signatures and the columns of their rules: their
texts may be gone.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.engine.context import Context
from pipelines.stages.catalog import active_stages
from pipelines.stages.sign import STAGE as SIGN
from pipelines.storage.layout import CONFIG, DOCUMENTS, annotation_folder
from pipelines.storage.shards import ShardTask
from pipelines.storage.store import place
from schemas.config import Config
from schemas.errors import InputError
from schemas.load import load_config
from schemas.manifest import Manifest, read_manifest

SIGNED = ("unit", "ngram", "permutations", "seed")
"""Settings of `dedup` under which signatures of two runs may be compared."""


def earlier_shards(config: Config) -> list[tuple[Context, ShardTask]]:
    """Return every document shard of the earlier runs, run by run, shards by name.

    Their survivors are what all rules keep that the earlier run could decide. Raises InputError
    where a folder holds no signed run, or one that was signed in another way.
    """
    return [
        (context, ShardTask(shard.name, shard.sha256, shard.rows, ""))
        for name in config.dedup.against
        for context, documents in (_open(place(name), config),)
        for shard in sorted(documents.shards, key=lambda shard: shard.name)
    ]


def _open(out: Path, config: Config) -> tuple[Context, Manifest]:
    documents = read_manifest(out / DOCUMENTS)
    signed = read_manifest(out / SIGN.folder)
    if documents is None or signed is None:
        raise InputError(
            f"dedup.against: {out} holds no signatures; name the output folder of a run whose "
            "stage `dedup` has finished"
        )
    other = load_config(out / CONFIG, secrets=False)
    for key in SIGNED:
        mine, theirs = getattr(config.dedup, key), getattr(other.dedup, key)
        if mine != theirs:
            raise InputError(
                f"dedup.against: {out} was signed with dedup.{key} = {theirs}, this run has "
                f"{mine}; set dedup.{key}: {theirs}"
            )
    steps = [each.name for each in active_stages(other)]
    unfinished = next(
        (step for step in steps[1:-1] if read_manifest(out / annotation_folder(step)) is None),
        steps[-1],
    )
    return Context(out, other, unfinished), documents
