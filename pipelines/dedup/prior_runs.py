"""Prior runs whose documents a new run must not repeat (`dedup.against`).

Only ids, content hashes, signatures and the columns of their rules are read: their texts may have
been deleted.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.engine.context import Context
from pipelines.stages.catalog import active_stages
from pipelines.stages.sign import STAGE as SIGN
from pipelines.storage.layout import CONFIG, DOCUMENTS
from pipelines.storage.shards import ShardTask
from pipelines.storage.store import as_path
from schemas.config import Config
from schemas.errors import InputError
from schemas.load import load_config
from schemas.manifest import Manifest, read_manifest

SIGNED = ("unit", "ngram", "permutations", "seed")
"""Settings of `dedup` under which signatures of two runs may be compared."""


def prior_shards(config: Config) -> list[tuple[Context, ShardTask]]:
    """Return every document shard of the prior runs, run by run, shards by name.

    Their survivors are the documents that every rule keeps which the prior run could decide.
    Raises InputError where a folder holds no signed run, or one with other signatures.
    """
    return [
        (context, ShardTask(shard.name, shard.sha256, shard.rows, ""))
        for name in config.dedup.against
        for context, documents in (_open(as_path(name), config),)
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
    if gone := [
        each.name for each in documents.shards if not (out / DOCUMENTS / each.name).exists()
    ]:
        raise InputError(
            f"dedup.against: {out / DOCUMENTS / gone[0]} is not there; the ids of a prior run "
            "are read from its documents: run it again, or leave it out of dedup.against"
        )
    other = load_config(out / CONFIG, secrets=False)
    for key in SIGNED:
        mine, theirs = getattr(config.dedup, key), getattr(other.dedup, key)
        if mine != theirs:
            raise InputError(
                f"dedup.against: {out} was signed with dedup.{key} = {theirs}, this run has "
                f"{mine}; set dedup.{key}: {theirs}"
            )
    *annotating, last = active_stages(other)[1:]
    unfinished = (each for each in annotating if read_manifest(out / each.folder) is None)
    return Context(out, other, next(unfinished, last).name), documents
