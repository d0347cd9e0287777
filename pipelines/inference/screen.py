"""The `screen` stage where `toxicity.model` names a transformer: Beam's RunInference.

The n-gram model runs as any annotator does (`pipelines.engine.annotate`).
"""

from __future__ import annotations

from filters.toxicity.classifier import ScreenByTransformer
from pipelines.engine.context import Context
from pipelines.inference.run import Model, run_inference
from pipelines.runners.runner import Runner
from pipelines.storage.shards import ShardTask
from schemas.config import Config


def make_screen(config: Config) -> ScreenByTransformer:
    """Return the annotator."""
    return ScreenByTransformer(config.toxicity)


def run_screen(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Run the stage over `tasks`: the columns of `filters.toxicity.annotator.Screen`, survivors
    only."""
    run_inference(
        runner, ctx, tasks, Model(ScreenByTransformer, make_screen, ctx.config.toxicity.device)
    )
