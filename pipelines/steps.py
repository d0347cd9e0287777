"""The steps of a run: what decides each one's content key, and how it is run.

A step's *parameter key* covers its settings, code, models and those earlier steps whose
values it reads; with a document shard's hash it says whether stored rows still hold. Its
*step key* adds the documents as a whole and, for a step over survivors, the rules so far:
while it stays the same, the step has nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.catalog import active_steps, cut_columns, effective_rules, only_rules, upsample_rules
from pipelines.code import code_version
from pipelines.context import Context
from pipelines.runners import Runner
from pipelines.shards import ShardTask
from pipelines.stage import AnnotateStep, run_annotate
from schemas.config import Config
from schemas.errors import InputError
from schemas.extras import EMBED, TORCH, require
from schemas.manifest import content_key, sha256_file

Run = Callable[[Runner, Context, list[ShardTask]], None]


@dataclass(frozen=True)
class Step:
    """One pipeline of a run. `stage` is the name that `--stages` knows it by."""

    name: str
    stage: str
    settings: Callable[[Config], Any]
    """What of the config alters its values; thresholds that only decide are left out."""
    modules: tuple[str, ...]
    """Where its code is, for the code version."""
    models: Callable[[Config], list[Path]]
    """Files whose content alters its values."""
    reads: tuple[str, ...]
    """Steps whose values it reads, survivors aside."""
    survivors: bool
    run: Run

    def parameter_key(self, config: Config) -> str:
        """Return the key of everything but the documents that its values depend on."""
        return content_key(
            self.name,
            self.settings(config),
            code_version(*self.modules),
            [file_key(path) for path in self.models(config)],
            [step_named(name).parameter_key(config) for name in self.reads],
        )

    def step_key(self, config: Config, documents: str) -> str:
        """Return the key under which the whole step is done. `documents`: their digest."""
        parts = [self.parameter_key(config), documents]
        if self.survivors:
            parts += [f"{rule}: {rule.reason}" for rule in effective_rules(config, self.name)]
            active = active_steps(config)
            earlier = active[1 : active.index(self.name)]
            parts += [step_named(name).parameter_key(config) for name in earlier]
            for whole in ("dedup", "semantic"):  # any change may move any document
                if whole in earlier:
                    parts.append(step_named(whole).step_key(config, documents))
        return content_key(*parts)


def check_inputs(config: Config, stages: Sequence[str]) -> None:
    """Raise InputError, naming the key, for what `stages` would stop at only when it is their turn.

    That are files that are not there, and conditions of the mixture on columns that nobody adds.
    """
    for step in steps(config):
        if step.stage not in stages:
            continue
        for path in step.models(config):
            if not path.exists():
                named = _strings(config.model_dump(mode="json"))
                keys = (
                    key
                    for key, text in named
                    if text not in ("", ".") and path.is_relative_to(text)
                )
                key = next(keys, step.stage)
                raise InputError(f"{key}: {path}: there is no such file; name one that is there")
    if "mix" in stages:
        upsample_rules(config)
        only_rules(config)


def check_extras(config: Config, stages: Sequence[str]) -> None:
    """Raise InputError where the config names a model that the default install cannot run.

    For runners whose workers have this machine's packages.
    """
    from filters.embedding import is_table
    from filters.toxicity import is_transformer

    if "screen" in stages and is_transformer(config.toxicity):
        require(TORCH, f"toxicity.model: {config.toxicity.model!r}", "write `model: default`")
    if "score" in stages and not is_table(config.quality.embedder):
        require(
            EMBED, f"quality.embedder: {config.quality.embedder!r}", "write `embedder: default`"
        )


def _strings(section: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted key and the value of every string in a config."""
    if isinstance(section, str):
        yield key, section
    elif isinstance(section, dict):
        for name, value in section.items():
            yield from _strings(value, f"{key}.{name}" if key else name)
    elif isinstance(section, list):
        for number, value in enumerate(section):
            yield from _strings(value, f"{key}[{number}]")


_FILE_KEYS: dict[tuple[str, int, int], str] = {}


def file_key(path: Path) -> str:
    """Return the SHA-256 of a file, remembered while its size and time stay the same."""
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a file that is there") from None
    known = (str(path), status.st_size, status.st_mtime_ns)
    if known not in _FILE_KEYS:
        _FILE_KEYS[known] = sha256_file(path)
    return _FILE_KEYS[known]


def _annotate(step: AnnotateStep) -> Run:
    def run(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
        run_annotate(runner, ctx, step, tasks)

    return run


def _dedup(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    from pipelines.dedup import run_dedup

    run_dedup(runner, ctx, tasks)


def _score(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    from pipelines.score import run_score

    run_score(runner, ctx, tasks)


def _screen(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    from filters.toxicity import is_transformer

    if is_transformer(ctx.config.toxicity):
        from pipelines.screen import run_screen

        run_screen(runner, ctx, tasks)
    else:
        run_annotate(runner, ctx, ANNOTATE["screen"], tasks)


def _screen_settings(config: Config) -> Any:
    """A hub's name for a model stands for its files, which are not here to be hashed."""
    from filters.toxicity import is_transformer

    if not is_transformer(config.toxicity):
        return {}
    name = None if Path(config.toxicity.model).is_dir() else config.toxicity.model
    return [name, config.toxicity.label, code_version("filters.classifier", "pipelines.screen")]


def _semantic(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    from pipelines.dedup.semantic import run_semantic

    run_semantic(runner, ctx, tasks)


def _tokenize(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    from pipelines.tokenize import run_tokenize

    run_tokenize(runner, ctx, tasks)


def _mix(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    from pipelines.mix import run_mix

    run_mix(runner, ctx, tasks)


def _without(section: Any, *thresholds: str) -> Any:
    return section.model_dump(mode="json", exclude=set(thresholds))


def _no_models(config: Config) -> list[Path]:
    return []


def _lid_model(config: Config) -> list[Path]:
    from filters.lid import model_path

    return [model_path(config.identify.model)]


def _benchmarks(config: Config) -> list[Path]:
    return [Path(path) for path in config.decontaminate.against if "://" not in path]


def _earlier_runs(config: Config) -> list[Path]:
    from pipelines.dedup.earlier import manifests

    return manifests(config)


def _toxicity_models(config: Config) -> list[Path]:
    from filters.toxicity import model_files

    return model_files(config.toxicity)


def _quality_models(config: Config) -> list[Path]:
    from filters.quality import model_files

    return model_files(config.quality)


def _tokenizer_file(config: Config) -> list[Path]:
    return [Path(config.tokenizer.path)] if config.tokenizer.path else []


def _sampling_weights(config: Config) -> Any:
    """What of the mixture decides the tokenizer's training sample: the component shares."""
    if config.tokenizer.path:
        return None
    return {name: str(weight.share) for name, weight in config.mixture.weights.items()}


ANNOTATE = {
    "identify": AnnotateStep("filters.identify", "Identify", ("identify",), False),
    "measure": AnnotateStep("filters.measure", "Measure", ("measure",), False),
    "sign": AnnotateStep("filters.signatures", "Sign", ("dedup", "decontaminate"), False),
    "redact": AnnotateStep("filters.pii.annotator", "Redact", ("pii",), True),
    "screen": AnnotateStep("filters.toxicity", "Screen", ("toxicity",), True),
}
"""The steps that are nothing but an annotator."""

_STEPS = (
    Step(
        name="identify",
        stage="identify",
        settings=lambda c: _without(c.identify, "model"),
        modules=("filters.identify",),
        models=_lid_model,
        reads=(),
        survivors=False,
        run=_annotate(ANNOTATE["identify"]),
    ),
    Step(
        name="measure",
        stage="measure",
        settings=lambda c: _without(c.measure, "cut_tails"),
        modules=("filters.measure", "filters.signals"),
        models=_no_models,
        reads=("identify",),
        survivors=False,
        run=_annotate(ANNOTATE["measure"]),
    ),
    Step(
        name="sign",
        stage="dedup",
        settings=lambda c: [
            c.dedup.unit,
            c.dedup.ngram,
            c.dedup.permutations,
            c.dedup.seed,
            c.decontaminate.ngram,
        ],
        modules=("filters.signatures",),
        models=_benchmarks,
        reads=("identify",),
        survivors=False,
        run=_annotate(ANNOTATE["sign"]),
    ),
    Step(
        name="dedup",
        stage="dedup",
        settings=lambda c: _without(c.dedup, "semantic"),
        modules=("pipelines.dedup",),
        models=_earlier_runs,
        reads=("sign",),
        survivors=True,
        run=_dedup,
    ),
    Step(
        name="redact",
        stage="redact",
        settings=lambda c: _without(
            c.pii, "action", "entities", "drop_above", "keep_demographics", "key"
        ),
        modules=("filters.pii.annotator",),
        models=_no_models,
        reads=("identify",),
        survivors=True,
        run=_annotate(ANNOTATE["redact"]),
    ),
    Step(
        name="screen",
        stage="screen",
        settings=_screen_settings,
        modules=("filters.toxicity",),
        models=_toxicity_models,
        reads=("identify",),
        survivors=True,
        run=_screen,
    ),
    Step(
        name="score",
        stage="score",
        settings=lambda c: [c.quality.embedder, c.dedup.semantic.enabled],
        modules=("filters.quality", "pipelines.score"),
        models=_quality_models,
        reads=("identify",),
        survivors=True,
        run=_score,
    ),
    Step(
        name="semantic",
        stage="score",
        settings=lambda c: [_without(c.dedup.semantic), c.dedup.prefer],
        modules=("pipelines.dedup.semantic",),
        models=_no_models,
        reads=("score", "measure"),
        survivors=True,
        run=_semantic,
    ),
    Step(
        name="tokenize",
        stage="tokenize",
        settings=lambda c: [
            _without(c.tokenizer, "path"),
            _sampling_weights(c),
            _without(c.pii, "drop_above"),
            cut_columns(c),
        ],
        modules=("pipelines.tokenize",),
        models=_tokenizer_file,
        reads=("identify", "sign", "redact"),
        survivors=True,
        run=_tokenize,
    ),
    Step(
        name="mix",
        stage="mix",
        settings=lambda c: [
            _without(c.mixture),
            [str(rule) for rule, _ in upsample_rules(c)],
            [[str(rule) for rule in rules] for rules in only_rules(c)],
        ],
        modules=("pipelines.mix",),
        models=_no_models,
        reads=("tokenize",),
        survivors=True,
        run=_mix,
    ),
)


def steps(config: Config) -> tuple[Step, ...]:
    """Return every step after `ingest` that a run of `config` takes, in order."""
    active = active_steps(config)
    return tuple(step for step in _STEPS if step.name in active)


def step_named(name: str) -> Step:
    """Return the step called `name`."""
    return next(step for step in _STEPS if step.name == name)
