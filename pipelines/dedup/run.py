"""Deduplication: keys, pairs, verified edges, connected components, labels by shard.

Every result is sorted and every choice is made by content, so nothing depends on the order in
which workers finish.
"""

from __future__ import annotations

import apache_beam as beam

from pipelines.dedup.clusters import clusters_of, work_folder
from pipelines.dedup.common_lines import count_lines
from pipelines.dedup.connect import connect
from pipelines.dedup.label import Label
from pipelines.dedup.numbers import Corpus
from pipelines.dedup.pairs import EmitKeys, find_pairs, plan
from pipelines.dedup.prior_runs import prior_shards
from pipelines.dedup.verify import verify_pairs
from pipelines.engine.context import Context
from pipelines.engine.exchange import save_array
from pipelines.runners.runner import Runner, distribute
from pipelines.storage.shards import ShardTask
from pipelines.storage.store import remove_tree


def run_dedup(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Find and label the duplicates among the documents that the rules so far keep.

    `tasks` must name every document shard: a duplicate may be in any of them.
    """
    work = work_folder(ctx)
    remove_tree(work)
    work.mkdir(parents=True)
    settings = ctx.config.dedup
    numbered = list(enumerate(sorted(tasks, key=lambda task: task.name)))
    corpus: Corpus = [(ctx, task) for _, task in numbered]
    if settings.enabled:
        corpus = [*corpus, *prior_shards(ctx.config)]
        cut = plan(work, len(numbered), sum(task.rows for _, task in corpus), settings)
        emit = [(EmitKeys(here, settings, cut), shards) for here, shards in _by_run(corpus)]
        find_pairs(runner, cut, emit)
        if settings.verify:
            verify_pairs(runner, ctx, work, numbered, corpus)
    nodes, labels = connect(runner, work, sorted(work.glob("edges-*.npy")))
    save_array(work / "clusters.npy", clusters_of(corpus, len(numbered), settings, nodes, labels))
    if settings.lines.enabled:
        count_lines(runner, ctx, numbered)

    def label(pipeline: beam.Pipeline) -> None:
        distribute(pipeline, "label", numbered) | "label: write" >> beam.ParDo(Label(ctx))

    runner.run("dedup-label", label)
    remove_tree(work)


def _by_run(
    corpus: Corpus,
) -> list[tuple[Context, list[tuple[int, ShardTask]]]]:
    """Return each run's context with its numbered shards, in order."""
    runs: list[tuple[Context, list[tuple[int, ShardTask]]]] = []
    for number, (context, task) in enumerate(corpus):
        if not runs or runs[-1][0] is not context:
            runs.append((context, []))
        runs[-1][1].append((number, task))
    return runs
