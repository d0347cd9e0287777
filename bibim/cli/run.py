"""`bibim run`, `plan` and `submit`: what makes a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bibim.cli.options import (
    EXIT_CODES,
    ConfigFile,
    Overrides,
    commands,
    console,
    exit_codes,
    load,
    parse_stages,
    to_path,
)
from bibim.cli.stage_names import stage_names
from pipelines.runners.names import RunnerName
from schemas.errors import InputError

if TYPE_CHECKING:
    from schemas.config import Config

BYTES_PER_WORKER = 16_000_000
"""Bytes of text below which another worker costs more to start, at every stage, than it saves."""
FORECAST_WORKERS = 100
"""Cores of a forecast unless `--workers` gives another number."""

Stages = Annotated[
    str | None,
    typer.Option(
        "--stages",
        metavar="STAGE,…",
        help=f"Run only these stages, comma-separated: {', '.join(stage_names())}.",
    ),
]

app = commands()
submit_app = commands(
    "Write a job for another machine's cluster.",
    "bibim submit spark mixtures/ko-en-code.yaml --out /shared/out/full --output job.jar",
)
app.add_typer(submit_app, name="submit")


@app.command(
    context_settings={"allow_extra_args": True},
    epilog=f"""{EXIT_CODES}

Examples:

    bibim run mixtures/demo.yaml --out out/demo

    bibim run mixtures/ko-en-code.yaml --out out/full --set mixture.tokens=10M

    bibim run mixtures/ko-en-code.yaml --out out/full --stages ingest,identify --workers 1
""",
)
def run(
    context: typer.Context,
    config: ConfigFile,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=to_path,
            metavar="PATH",
            help="Output folder, local or s3://, gs://, hdfs://; "
            "an existing run in this folder is resumed.",
        ),
    ],
    stages: Stages = None,
    overrides: Overrides = None,
    runner: Annotated[
        RunnerName, typer.Option("--runner", help="Where the work is done.")
    ] = RunnerName.local,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=0,
            help="Worker processes, or cores of a cluster. 0: chosen from cores and data.",
        ),
    ] = 0,
) -> None:
    """Run everything from raw corpora to token shards; finished steps are skipped.

    Options for Beam may follow `--`.
    """
    with exit_codes():
        settings = load(config, overrides)
        chosen = parse_stages(stages)
        from bibim.finish import guard, print_summary
        from pipelines.driver import Run
        from pipelines.engine.progress import reporter
        from pipelines.runners.machine import usable_cores
        from pipelines.runners.runner import Runner

        count = workers
        if runner is RunnerName.local:
            count = workers or min(usable_cores(), workers_for(settings))
        beam_runner = Runner(runner.value, count, tuple(context.args), out / f"{runner.value}.log")
        job = Run(settings, out, beam_runner, reporter())
        job.execute(chosen)
        print_summary(console(), out, job)
        guard(console(), out, settings)


def workers_for(config: Config) -> int:
    """Return how many workers pay off for the sources' size: 1 for a small corpus."""
    from pipelines.ingest.readers.plan import estimated_bytes

    return 1 + estimated_bytes(config.sources) // BYTES_PER_WORKER


@app.command(
    epilog="""Examples:

    bibim plan mixtures/ko-en-code.yaml

    bibim plan mixtures/public-billion.yaml --offline

    bibim plan mixtures/ko-en-code.yaml --scale 1T --measured out/small --measured out/large
"""
)
def plan(
    config: ConfigFile,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", parser=to_path, metavar="PATH", help="A run's folder: show what would rerun."
        ),
    ] = None,
    overrides: Overrides = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Check the config only; open no source.")
    ] = False,
    scale: Annotated[
        str | None,
        typer.Option("--scale", help="Forecast a larger run: 1T (tokens) or 4TB (of text)."),
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            "--measured",
            parser=to_path,
            metavar="OUT",
            help="A finished run to extrapolate from. "
            "Give two to separate fixed from per-byte cost.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, help="Cores, for --scale.", show_default=str(FORECAST_WORKERS)
        ),
    ] = None,
) -> None:
    """Check a config and its inputs; show stages, rules and the mixture. Writes nothing."""
    with exit_codes():
        _refuse_unused(out, offline, scale, runs, workers)
        settings = load(config, overrides)
        if scale is not None:
            from pipelines.forecast import forecast, measured, print_forecast, target_bytes

            finished = [measured(run, settings) for run in runs or ([out] if out else [])]
            if not finished:
                raise InputError("--scale: add --measured OUT, a finished run to extrapolate from")
            size = target_bytes(scale, finished)
            cores = workers or FORECAST_WORKERS
            print_forecast(console(), forecast(settings, finished, size, cores), finished)
            return
        from bibim.cli.plan import print_plan

        print_plan(console(), settings, out, offline)


def _refuse_unused(
    out: Path | None,
    offline: bool,
    scale: str | None,
    runs: list[Path] | None,
    workers: int | None,
) -> None:
    """Raise InputError for an option of `plan` that the others leave without a use."""
    if scale is None:
        if runs:
            raise InputError("--measured: add --scale, such as --scale 1T; it is for a forecast")
        if workers is not None:
            raise InputError("--workers: add --scale, such as --scale 1T; it is for a forecast")
        if offline and out is not None:
            raise InputError("--out needs the sources that --offline leaves closed; give only one")
    else:
        if offline:
            raise InputError("--offline: leave it out; with --scale no source is opened")
        if runs and out is not None:
            raise InputError("--out: write --measured OUT, as for the other finished runs")


@submit_app.command(
    name="spark",
    context_settings={"allow_extra_args": True},
    epilog="""Examples:

    bibim submit spark mixtures/ko-en-code.yaml --out /shared/out/full --output job.jar
""",
)
def submit_spark(
    context: typer.Context,
    config: ConfigFile,
    out: Annotated[
        Path,
        typer.Option(
            "--out", parser=to_path, metavar="PATH", help="Output folder, as every node sees it."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", metavar="JAR", dir_okay=False, help="The jar to write.")
    ],
    stages: Stages = None,
    overrides: Overrides = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Cores to use. 0: as given to spark-submit.")
    ] = 0,
) -> None:
    """Write a jar that spark-submit runs on a Spark 3.5 cluster: a complete, resumable run.

    Options for Beam may follow `--`.
    """
    with exit_codes():
        settings = load(config, overrides)
        from bibim.spark_submit import job_of, submission, write_job

        write_job(job_of(settings, out, parse_stages(stages), workers, context.args), output)
        print(submission(output, "MASTER"))
