"""The `score` stage: quality through Beam's RunInference."""

from __future__ import annotations

from filters.quality.annotator import Score
from filters.quality.embedding import is_table
from pipelines.engine.context import Context
from pipelines.inference.run import Model, run_inference
from pipelines.runners.runner import Runner
from pipelines.storage.shards import ShardTask
from schemas.config import Config


def make_score(config: Config) -> Score:
    """Return the annotator; embeddings are kept if semantic deduplication is enabled."""
    return Score(config.quality, keep_embeddings=config.dedup.semantic.enabled)


def run_score(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Run the stage over `tasks`: annotation shards of `quality`, survivors only.

    An embedding table runs on the CPU, so no GPU is asked for, whatever `quality.device` names.
    """
    settings = ctx.config.quality
    device = "cpu" if is_table(settings.embedder) else settings.device
    run_inference(runner, ctx, tasks, Model(Score, make_score, device, settings.accelerator))
