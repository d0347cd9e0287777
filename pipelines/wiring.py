"""Which function runs each declared stage: the one table from declarations to Beam.

Two stages import their function late: Beam's package of model handlers loads a model library.
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
    "identify": run_annotate,
    "measure": run_annotate,
    "sign": run_annotate,
    "dedup": run_dedup,
    "redact": run_annotate,
    "screen": screen,
    "score": score,
    "semantic": run_semantic,
    "tokenize": run_tokenize,
    "mix": run_mix,
}
"""By a stage's name. `ingest` has no document shards to begin with: the driver runs it."""
