"""The `score` stage: quality through Beam's RunInference."""

from __future__ import annotations

from filters.quality.annotator import Score
from pipelines.engine.context import Context
from pipelines.inference.run import Model, run_inference
from pipelines.runners.runner import Runner
from pipelines.storage.shards import ShardTask
from schemas.config import Config


def make_score(config: Config) -> Score:
    """Return the annotator; embeddings are kept where deduplication by meaning needs them."""
    return Score(config.quality, keep_embeddings=config.dedup.semantic.enabled)


def run_score(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Run the stage over `tasks`: annotation shards of `quality`, survivors only."""
    settings = ctx.config.quality
    run_inference(
        runner, ctx, tasks, Model(Score, make_score, settings.device, settings.accelerator)
    )
