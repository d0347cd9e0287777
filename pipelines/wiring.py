"""Which function runs each declared stage: the one table from declarations to Beam.

Two stages import their function late, because Beam's model handlers load a model library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from filters.toxicity.annotator import is_transformer
from pipelines.dedup.run import run_dedup
from pipelines.dedup.semantic import run_semantic
from pipelines.engine.annotate import run_annotate
from pipelines.engine.context import Context
from pipelines.mix.run import run_mix
from pipelines.runners.runner import Runner
from pipelines.stages.base import Stage
from pipelines.stages.dedup import STAGE as DEDUP
from pipelines.stages.mix import STAGE as MIX
from pipelines.stages.score import STAGE as SCORE
from pipelines.stages.screen import STAGE as SCREEN
from pipelines.stages.semantic import STAGE as SEMANTIC
from pipelines.stages.tokenize import STAGE as TOKENIZE
from pipelines.storage.shards import ShardTask
from pipelines.tokenize.run import run_tokenize

Run = Callable[[Runner, Context, list[ShardTask]], None]


def screen(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Run `screen`: a transformer through RunInference, the n-gram model as any annotator."""
    if is_transformer(ctx.config.toxicity):
        from pipelines.inference.screen import run_screen

        run_screen(runner, ctx, tasks)
    else:
        run_annotate(runner, ctx, tasks)


def score(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Run `score` through RunInference."""
    from pipelines.inference.score import run_score

    run_score(runner, ctx, tasks)


WIRING: Mapping[str, Run] = {
    DEDUP.name: run_dedup,
    SCREEN.name: screen,
    SCORE.name: score,
    SEMANTIC.name: run_semantic,
    TOKENIZE.name: run_tokenize,
    MIX.name: run_mix,
}
"""By a stage's name. The driver runs `ingest`: it has no document shards to begin with."""


def run_of(stage: Stage) -> Run:
    """Return what runs `stage`: its entry in WIRING, or its annotator over each shard."""
    return WIRING.get(stage.name, run_annotate)
