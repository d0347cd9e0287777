"""The `screen` stage where `toxicity.model` names a transformer: Beam's RunInference.

The n-gram model needs no such thing and runs as any annotator does (`pipelines/steps.py`).
"""

from __future__ import annotations

from filters.classifier import ScreenByTransformer
from pipelines.context import Context
from pipelines.inference import Model, run_inference
from pipelines.runners import Runner
from pipelines.shards import ShardTask
from schemas.config import Config


def make_screen(config: Config) -> ScreenByTransformer:
    """Return the annotator."""
    return ScreenByTransformer(config.toxicity)


def run_screen(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Run the stage over `tasks`: the columns of `filters.toxicity.Screen`, survivors only."""
    run_inference(
        runner, ctx, tasks, Model(ScreenByTransformer, make_screen, ctx.config.toxicity.device)
    )
