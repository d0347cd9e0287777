"""Random mixtures against docs/mixtures.md: what the files hold, and what can be met.

`make oracles-sample` runs a sample; `BIBIM_ORACLES=full` runs 1,000 requests. `BIBIM_ORACLES_SEED=1` (2, …)
draws other corpora and requests. A failure prints the smallest request that breaks the promise, with
the seed of its corpus.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import time
import traceback
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from sentencepiece import SentencePieceProcessor

from pipelines.mix.gather import plan_exact
from pipelines.mix.run import mix_tasks, run_mix
from pipelines.runners.runner import Runner
from pipelines.tokenize.run import run_tokenize
from schemas.config import Config
from schemas.errors import InputError
from tests.oracles.mixture_checks import faults, read_written, smallest
from tests.oracles.mixture_corpus import Doc, OracleContext, draw_corpus, write_corpus
from tests.oracles.mixture_requests import MARGIN, draw_request, most_tokens, unimax
from tests.oracles.once import once
from tests.support.small_run import config, shard_tasks

FULL = os.environ.get("BIBIM_ORACLES") == "full"
CORPORA, REQUESTS = (16, 1000) if FULL else (3, 60)
SEED = int(os.environ.get("BIBIM_ORACLES_SEED", "0"))
TOO_FEW = "lower mixture.shards|no document .* fits"
"""What a refusal says where a stage has fewer documents than shards, or only longer ones."""
PROMISES = {
    "contents": "a sequence is its document, masked, cut and encoded",
    "max_epochs": "no document and no source exceeds max_epochs over all stages",
    "epoch numbers": "the epochs of a document count from 0 in order",
    "least used first": "no document is repeated while another is waiting",
    "a window apart": "copies stand a window apart where a pass is longer",
    "shares": "components get their shares to within a few tokens",
    "closest": "a source meets its target as nearly as its documents can",
    "targets": "the manifest's targets are the shares of the tokens",
    "shards": "the manifest describes its shards",
    "empty shard": "no shard is empty",
    "even shards": "shards are about even",
    "upsampling": "a document of weight f occurs f times as often",
    "window shares": "every window keeps the shares where documents fit",
    "refused": "a request that can be met is not refused",
    "met": "a request that cannot be met is refused",
    "plan": "the plan refuses what the mix refuses",
    "advice": "the advice of a refusal can be met",
    "largest": "without tokens the mixture is as large as can be",
    "short": "allow_short gives what there is",
    "crash": "every request is either met or refused",
}


class Corpus:
    """A tokenized run, with the ids that SentencePiece gives for the text that is wanted."""

    def __init__(self, seed: int, out: Path) -> None:
        self.seed, self.out = seed, out
        self.sources, self.docs = draw_corpus(seed)
        write_corpus(out, self.sources, self.docs, rows=90)
        first = {"weights": {self.docs[0].component: 1}}
        settings = config(self.sources, mixture=first)
        run_tokenize(Runner(), OracleContext(out, settings, "tokenize"), shard_tasks(out))
        model = SentencePieceProcessor(model_file=str(out / "tokenizer/tokenizer.model"))
        self.end = model.piece_to_id("<|endofdoc|>")
        rows = self.context(first).read
        counted = {
            id_: tokens
            for shard in shard_tasks(out)
            for batch in rows(shard.name, ["id", "tokens"])
            for id_, tokens in zip(*(batch.column(n).to_pylist() for n in (0, 1)), strict=True)
        }
        for doc in self.docs:
            doc.ids = model.encode(doc.tokens_of)
            doc.size = counted[doc.id]

    def context(self, mixture: dict[str, Any]) -> OracleContext:
        settings: Config = config(self.sources, mixture=mixture)
        return OracleContext(self.out, settings, "mix")

    def refusal(self, mixture: dict[str, Any], write: bool = True) -> str | None:
        """Return why a mixture is refused, None where it is met."""
        try:
            ctx = self.context(mixture)
            if write:
                shutil.rmtree(self.out / "mixture", ignore_errors=True)
                run_mix(Runner(), ctx, mix_tasks(ctx.config, "key"))
            else:
                plan_exact(ctx)
        except InputError as error:
            return str(error)
        return None


def drawn(rng: random.Random, docs: list[Doc]) -> tuple[dict[str, Any], float, float]:
    """Return a request with its tokens, and between which numbers of tokens rounding decides."""
    while True:
        request = draw_request(rng, docs)
        surely = most_tokens(request, docs, MARGIN)
        if surely >= 300:
            break
    at_most = most_tokens(request, docs, -MARGIN)
    kind = rng.random()
    if kind < 0.1 and not request.get("stages"):
        return request, surely, at_most
    if kind < 0.4:
        request["tokens"] = int(surely)
    else:
        request["tokens"] = int(rng.uniform(0.3, 1.2) * surely)
    if kind > 0.92:
        request["allow_short"] = True
    return request, surely, at_most


def check(corpus: Corpus, request: dict[str, Any], surely: float, at_most: float) -> list[Any]:
    """Return (promise, how it is broken) for one request."""
    found: list[Any] = []
    tokens = request.get("tokens")
    refused = corpus.refusal(request)
    if refused is not None and re.search(TOO_FEW, refused):
        return found
    planned = corpus.refusal(request, write=False)
    if (refused is None) != (planned is None):
        found.append(("plan", f"mix: {refused}; plan: {planned}"))
    if refused is not None:
        if request.get("allow_short") or tokens is None or tokens <= surely:
            found.append(("refused", f"up to {surely:.0f} tokens can be met; {refused}"))
        return found + list(advice(corpus, request, refused))
    if tokens is not None and tokens > at_most and not request.get("allow_short"):
        found.append(("met", f"at most {at_most:.0f} tokens can be met"))
    written = read_written(corpus.out / "mixture", request, corpus.docs)
    if tokens is None and not surely <= written.manifest["tokens"] <= at_most:
        found.append(
            ("largest", f"{written.manifest['tokens']}, not {surely:.0f} to {at_most:.0f}")
        )
    if request.get("allow_short") and tokens is not None:
        found += short(corpus, request, written.manifest)
    return found + list(faults(written, corpus.end))


def short(corpus: Corpus, request: dict[str, Any], manifest: dict[str, Any]) -> list[Any]:
    """Return components that give less than they have, without stages and weights of sources."""
    weights = request.get("weights", {})
    if request.get("stages") or any(one.get("sources") for one in weights.values()):
        return []
    caps: dict[str, float] = defaultdict(float)
    for doc in corpus.docs:
        caps[doc.component] += doc.size * request["max_epochs"]
    wanted = {entry["component"]: entry["target"] for entry in manifest["components"]}
    if request["strategy"] == "unimax":
        wanted = unimax(dict(caps), request["tokens"])
    return [
        ("short", f"{entry['component']}: {entry['planned']} planned of {caps} for {wanted}")
        for entry in manifest["components"]
        if abs(entry["planned"] - min(wanted[entry["component"]], caps[entry["component"]]))
        > MARGIN
    ]


def advice(corpus: Corpus, request: dict[str, Any], refused: str) -> list[Any]:
    """Return the settings that a refusal names and that do not solve the request."""
    made: list[Any] = []
    named = re.findall(r"mixture\.(tokens|max_epochs|allow_short): ([\w.]+)", refused)
    if not named and "would meet" in refused:
        made.append(("advice", f"no setting is named: {refused}"))
    for key, value in named:
        changed = {**request, key: json.loads(value.rstrip("."))}
        again = corpus.refusal(changed)
        if again is not None and not re.search(TOO_FEW, again):
            made.append(("advice", f"{key}: {value} is refused too: {again}; before: {refused}"))
    return made


def investigate(base: Path) -> dict[str, Any]:
    """Check REQUESTS random requests and return what was found."""
    start = time.monotonic()
    seeds = range(SEED * CORPORA, (SEED + 1) * CORPORA)
    corpora = [Corpus(seed, base / str(seed)) for seed in seeds]
    broken: dict[str, list[Any]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for number in range(SEED * REQUESTS, (SEED + 1) * REQUESTS):
        corpus = corpora[number % CORPORA]
        request, surely, at_most = drawn(random.Random(number), corpus.docs)
        counts["requests"] += 1
        try:
            found = check(corpus, request, surely, at_most)
        except Exception:
            found = [("crash", traceback.format_exc()[-1500:])]
        counts["refused or broken"] += any(kind in ("refused", "crash") for kind, _ in found)
        for kind in {kind for kind, _ in found}:
            how = next(text for name, text in found if name == kind)
            case = {"corpus": corpus.seed, "number": number, "mixture": request, "how": how}
            size = len(corpus.docs) * (1 + len(json.dumps(request, default=str)))
            broken[kind].append((size, case))
    seconds = round(time.monotonic() - start, 1)
    return {"counts": counts, "broken": broken, "seconds": seconds}


@pytest.fixture(scope="session")
def investigated(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> dict[str, Any]:
    """What all requests show; the processes of one test run share it."""
    return once(tmp_path_factory, worker_id, "mixtures", investigate, _text)


def _text(value: object) -> str:
    assert isinstance(value, Fraction)
    return str(value)


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.timeout(7200 if FULL else 600)
def test_random_mixtures_keep_the_promise(investigated: dict[str, Any], promise: str):
    cases = investigated["broken"].get(promise, [])
    assert not cases, (
        f"{PROMISES[promise]}: broken by {len(cases)} of {investigated['counts']['requests']} "
        f"requests; the smallest: {json.dumps(smallest(cases), ensure_ascii=False)}"
    )


def test_all_broken_promises_are_known(investigated: dict[str, Any]):
    assert set(investigated["broken"]) <= set(PROMISES)
