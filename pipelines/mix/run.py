"""The mix stage: solve the mixture, order it, have its shards written, then its manifest.

The driver reads keys and counts only (`pipelines.mix.gather`). It writes a small plan file per
output shard, from which a worker copies the shard's documents out of the token runs
(`pipelines.mix.write`). `manifest.json` is written last.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam

from mixtures.mixing.order import Arrangement, arrange_stages
from mixtures.shards.formats import MDS, MDS_INDEX, PARQUET, mds_index
from mixtures.shards.megatron import MANIFEST, VERSION, shard_stem
from mixtures.tokenizer.tokenizer import Tokenizer
from pipelines.engine.context import Context
from pipelines.mix.gather import gather
from pipelines.mix.write import WriteShard, file_record, write_plan
from pipelines.runners.runner import Runner, distribute
from pipelines.storage.files import write_text
from pipelines.storage.layout import MIXTURE, PLANS, TOKENIZER
from pipelines.storage.shards import ShardTask, read_receipts
from pipelines.storage.store import remove_tree
from schemas.config import Config
from schemas.errors import RunFault
from schemas.manifest import Shard
from schemas.mixture import Mixture


def mix_tasks(config: Config, key: str) -> list[ShardTask]:
    """Return a task per output shard, named by its side-car, with the stage's key."""
    shards = config.mixture.shards
    return [
        ShardTask(f"{shard_stem(index, shards)}.parquet", "", 0, key) for index in range(shards)
    ]


def run_mix(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Write the output shards of `tasks` (see `mix_tasks`), then the mixture's manifest.

    Called with no task it writes the manifest only. The former manifest is removed first, so a
    mixture that cannot be met leaves none that describes another config. Raises InputError if the
    mixture cannot be met, RunFault if a token run is missing.
    """
    folder = ctx.folder(MIXTURE)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    survivors = gather(ctx)
    arrangement = arrange_stages(
        survivors.documents, survivors.pools, ctx.config.mixture, survivors.allowed
    )
    _remove_others(folder, ctx.config.mixture)
    numbers = {task.name: index for index, task in enumerate(mix_tasks(ctx.config, ""))}
    for task in tasks:
        write_plan(folder / PLANS / task.name, survivors, arrangement, numbers[task.name])
    vocab_size = Tokenizer.load(ctx.folder(TOKENIZER)).vocab_size

    def build(pipeline: beam.Pipeline) -> None:
        distribute(pipeline, ctx.stage, tasks) | f"{ctx.stage}: write" >> beam.ParDo(
            WriteShard(ctx.out, vocab_size, ctx.config.mixture.formats)
        )

    if tasks:
        runner.run(ctx.stage, build)
    remove_tree(folder / PLANS)
    _write_manifest(ctx, arrangement)


def _remove_others(folder: Path, settings: Mixture) -> None:
    """Remove shards and forms that the mixture of `settings` does not have, and old plans."""
    stems = {shard_stem(index, settings.shards) for index in range(settings.shards)}
    for form in (PARQUET, MDS):
        if form not in settings.formats:
            remove_tree(folder / form)
    for path in [*folder.glob("shard-*"), *folder.glob("[!_]*/shard-*")]:
        if path.name.split(".")[0] not in stems:
            path.unlink()
    remove_tree(folder / PLANS)


def _write_manifest(ctx: Context, arrangement: Arrangement) -> None:
    """Write manifest.json from the arrangement and the receipts of all shards."""
    folder = ctx.folder(MIXTURE)
    receipts = read_receipts(folder)
    names = [task.name for task in mix_tasks(ctx.config, "")]
    missing = [name for name in names if name not in receipts]
    if missing:
        raise RunFault(f"{folder}: {missing[0]} was not written; run the same command again")
    tokenizer = Tokenizer.load(ctx.folder(TOKENIZER))
    shards = [receipts[name] for name in names]
    record = {
        **_figures(ctx.config, arrangement, tokenizer, shards),
        "stages": _stages(arrangement, shards),
        "shards": _shards(arrangement, shards),
        "files": [],
    }
    if MDS in ctx.config.mixture.formats:
        entries = [entry for shard in shards for entry in shard.stats["mds"]]
        index = folder / MDS / MDS_INDEX
        write_text(index, mds_index(entries, tokenizer.dtype))
        record["files"] = [file_record(f"{MDS}/{MDS_INDEX}", index)]
    write_text(folder / MANIFEST, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def _figures(
    config: Config, arrangement: Arrangement, tokenizer: Tokenizer, shards: Sequence[Shard]
) -> dict[str, Any]:
    """Return the manifest's entries on the mixture as a whole."""
    settings = config.mixture
    return {
        "name": config.name,
        "version": VERSION,
        "strategy": settings.strategy,
        "seed": settings.seed,
        "max_epochs": settings.max_epochs,
        "tokens": arrangement.plan.tokens,
        "planned_tokens": arrangement.plan.planned,
        "achieved_tokens": _tokens(shards),
        "sequences": sum(shard.rows for shard in shards),
        "dtype": tokenizer.dtype.name,
        "tokenizer": {
            "sha256": tokenizer.sha256,
            "vocab_size": tokenizer.vocab_size,
            "end_of_document": tokenizer.eod_id,
        },
        **achieved(arrangement),
        "left_out": arrangement.left_out,
        "balance": arrangement.balance.model_dump(),
        "formats": list(settings.formats),
    }


def _tokens(shards: Sequence[Shard]) -> int:
    return sum(int(shard.stats["tokens"]) for shard in shards)


def _stages(arrangement: Arrangement, shards: Sequence[Shard]) -> list[dict[str, Any]]:
    """Return the manifest's entry per stage of the mixture."""
    return [
        {
            "share": float(stage.share),
            "context": stage.context,
            "tokens": _tokens(shards[stage.first : stage.last]),
            "shards": stage.last - stage.first,
            "components": stage.plan.shares(),
            "balance": stage.balance.model_dump(),
        }
        for stage in arrangement.stages
    ]


def _shards(arrangement: Arrangement, shards: Sequence[Shard]) -> list[dict[str, Any]]:
    """Return the manifest's entry per output shard."""
    return [
        {
            "name": Path(shard.name).stem,
            "stage": number,
            "context": stage.context,
            "sequences": shard.rows,
            "tokens": shard.stats["tokens"],
            "files": shard.stats["files"],
        }
        for number, stage in enumerate(arrangement.stages)
        for shard in shards[stage.first : stage.last]
    ]


def achieved(arrangement: Arrangement) -> dict[str, Any]:
    """Return `components` and `sources` of the manifest: the plan, and what was written."""
    record = arrangement.plan.as_record()
    by_component = arrangement.by_component
    total = sum(tokens for tokens, _ in by_component.values()) or 1
    components = []
    for entry in record["components"]:
        tokens, sequences = by_component.get(entry["component"], (0, 0))
        components.append(
            {**entry, "achieved": tokens, "achieved_share": tokens / total, "sequences": sequences}
        )
    sources = []
    for entry, plan in zip(record["sources"], arrangement.plan.sources, strict=True):
        tokens, sequences = arrangement.by_source.get(plan.pool, (0, 0))
        sources.append({**entry, "achieved": tokens, "sequences": sequences})
    return {"components": components, "sources": sources}
