"""What-if against real runs: kept, reasons and bounds of random changes must be what a run gives.

`make oracles-sample` runs a sample; `BIBIM_ORACLES=full` asks 1,000 questions. A failure prints the question
with the fewest rules; `tests/oracles/what_if_runs.py` writes its run from the number.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
import traceback
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from audit.accounting.ledger import ledger
from audit.query.frame import Frame
from audit.query.what_if import Comparison, compare_rules
from audit.report.views import Views
from schemas.config import Config
from schemas.errors import InputError
from tests.oracles.once import once
from tests.oracles.what_if_changes import applied, draw_change, exported, stored_values
from tests.oracles.what_if_runs import execute, load, settings

FULL = os.environ.get("BIBIM_ORACLES") == "full"
QUESTIONS = 1000 if FULL else 9
RUNS = 3
PROMISES = {
    "before": "what is kept before is what the run kept",
    "bounds": "the kept documents of a run are within the bounds",
    "bounds of a source": "the kept documents of a source are within its bounds",
    "exact": "what has no unknown document is exact",
    "reasons": "the reasons of the drops are those of a run",
    "tokens": "dropped tokens are those that a run lacks",
    "yaml": "the rules as YAML give the answer that was shown",
    "refusal": "a question is refused where its config is refused",
    "crash": "every question has an answer or a message",
}


@dataclass
class Finished:
    """A finished run, the config it was made of, and what it kept and dropped."""

    number: int
    folder: Path
    made: dict[str, Any]
    config: Config
    truth: dict[str, Counter[str]]

    @property
    def out(self) -> Path:
        return self.folder / "out"


def finish(folder: Path, number: int) -> Finished:
    made = settings(folder / "in", number)
    config = load(made, folder / "config.yaml")
    execute(config, folder / "out")
    return Finished(number, folder, made, config, verdicts(folder / "out", config))


def verdicts(out: Path, config: Config) -> dict[str, Counter[str]]:
    """Return source → verdict → documents, with the tokens kept under `kept tokens`."""
    return {
        name: Counter(
            {reason: count.documents for reason, count in account.dropped.items()}
            | {"kept": account.kept.documents, "kept tokens": account.kept.tokens}
        )
        for name, account in ledger(out, config, mixed=False).sources.items()
    }


def rerun(run: Finished, made: dict[str, Any]) -> dict[str, Counter[str]]:
    """Return what the run keeps and drops when it runs again with another config."""
    again = run.folder / "again"
    shutil.rmtree(again, ignore_errors=True)
    shutil.copytree(run.out, again)
    config = load(made, run.folder / "again.yaml")
    execute(config, again)
    return verdicts(again, config)


def refusal(run: Finished, questions: list[str]) -> tuple[Comparison | None, str]:
    try:
        return compare_rules(run.out, run.config, questions), ""
    except InputError as error:
        return None, str(error)


def check(run: Finished, rng: random.Random) -> tuple[list[str], list[tuple[str, str]]]:
    """Ask one random question; return it, and (promise, how it is broken)."""
    values = stored_values(run.out)
    questions = [draw_change(rng, run.made, values) for _ in range(rng.choice([1, 1, 2, 3]))]
    try:
        return questions, compared(run, questions, rng.random() < 0.5)
    except Exception:
        return questions, [("crash", traceback.format_exc()[-1500:])]


def compared(run: Finished, questions: list[str], by_yaml: bool) -> list[tuple[str, str]]:
    """Return (promise, how it is broken) for one question."""
    answer, refused = refusal(run, questions)
    own = independent = applied(run.made, questions)
    sections: dict[str, Any] = {}
    if answer is not None and (by_yaml or own is None):
        text = Views(Frame(run.out, run.config)).export(questions)
        sections = yaml.safe_load(text) or {}
        own = None
    made = own or exported(run.made, sections)
    promise = "refusal" if own else "yaml"
    if answer is None and own is None:
        return []
    try:
        truth = rerun(run, made)
    except InputError as error:
        if answer is None:
            return []
        return [(promise, f"what-if answers; the config is refused: {error}; {made['rules']}")]
    if answer is None:
        return [(promise, f"what-if refuses: {refused}; the config runs: {made['rules']}")]
    found = list(differences(run, answer, truth))
    if found and own is None and independent is not None:
        other = rerun(run, independent)
        if other != truth:
            found.append(("yaml", f"{sections} gives {truth}; by hand {other}"))
    return found


def differences(
    run: Finished, answer: Comparison, truth: dict[str, Counter[str]]
) -> list[tuple[str, str]]:
    """Return where an answer is not what the run gives."""
    found = []
    kept = sum(source["kept"] for source in truth.values())
    low = getattr(answer, "kept_after_at_least", answer.kept_after)
    high = answer.kept_after_at_most
    exact = low == high
    if not low <= kept <= high:
        promise = "exact" if exact else "bounds"
        found.append((promise, f"{low} to {high} kept, a run keeps {kept}"))
    for name, change in answer.sources.items():
        before, after = run.truth[name], truth[name]
        if (change.kept_before, change.kept_before_tokens) != (
            before["kept"],
            before["kept tokens"],
        ):
            found.append(("before", f"{name}: {change.kept_before}, the run kept {before}"))
        stays = change.kept_before - change.newly_dropped + change.newly_kept
        low, high = stays - getattr(change, "at_risk", 0), stays + change.unknown
        if not low <= after["kept"] <= high:
            how = f"{name}: {low} to {high} kept, a run keeps {after['kept']}"
            found.append(("bounds of a source", how))
        tokens = change.kept_before_tokens - change.newly_dropped_tokens
        if exact and not change.newly_kept and tokens != after["kept tokens"]:
            found.append(("tokens", f"{name}: {tokens}, a run has {after['kept tokens']}"))
    if exact:
        real: Counter[str] = Counter()
        for source in truth.values():
            real.update({key: n for key, n in source.items() if key not in ("kept", "kept tokens")})
        shown = Counter({reason: after for reason, (_, after) in answer.reasons.items()})
        if +shown != +real:
            found.append(("reasons", f"answer {dict(shown - real)}, a run {dict(real - shown)}"))
    return found


def investigate(base: Path) -> dict[str, Any]:
    """Ask QUESTIONS random questions and return what was found."""
    start = time.monotonic()
    runs = [finish(base / str(number), number) for number in range(RUNS)]
    broken: dict[str, list[Any]] = defaultdict(list)
    for number in range(QUESTIONS):
        run = runs[number % RUNS]
        questions, found = check(run, random.Random(number))
        for promise, how in dict(reversed(found)).items():
            case = {"run": run.number, "number": number, "rules": questions, "how": how}
            broken[promise].append((len(questions), case))
    seconds = round(time.monotonic() - start, 1)
    return {"questions": QUESTIONS, "broken": broken, "seconds": seconds}


@pytest.fixture(scope="session")
def investigated(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> dict[str, Any]:
    """What all questions show; the processes of one test run share it."""
    return once(tmp_path_factory, worker_id, "what-if", investigate)


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.timeout(7200 if FULL else 600)
def test_random_changes_of_rules_keep_the_promise(investigated: dict[str, Any], promise: str):
    cases = investigated["broken"].get(promise, [])
    smallest = min(cases, key=lambda case: case[0])[1] if cases else None
    assert not cases, (
        f"{PROMISES[promise]}: broken by {len(cases)} of {investigated['questions']} questions; "
        f"the smallest: {json.dumps(smallest, ensure_ascii=False)}"
    )


def test_all_broken_promises_are_known(investigated: dict[str, Any]):
    assert set(investigated["broken"]) <= set(PROMISES)
