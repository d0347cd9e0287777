"""The mix stage: the right tokens in the right place, whoever wrote them and how often."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mixtures.shards import formats
from mixtures.shards import megatron as files
from mixtures.tokenizer.tokenizer import Tokenizer
from pipelines.mix.gather import gather, plan_estimated, plan_exact
from pipelines.mix.run import mix_tasks, run_mix
from pipelines.runners.runner import Runner
from pipelines.tokenize.run import run_tokenize
from schemas.config import Config
from schemas.errors import InputError, RunFault
from schemas.mixture import Mixture
from tests.support import ROOT
from tests.support.small_run import SmallContext, config, keep, shard_tasks, write_documents

SOURCES = {"ko-a": "ko", "ko-b": "ko", "en-a": "en", "code-a": "code"}
WORDS = (
    "바람",
    "창문",
    "나물",
    "시장",
    "shard",
    "mixture",
    "reader",
    "order",
    "1",
    "22",
    "(",
    ")",
    "=",
)
MIXTURE = {"tokens": 30_000, "weights": {"ko": 0.4, "en": 0.35, "code": 0.25}, "shards": 3}


def texts() -> dict[str, list[str]]:
    rng = random.Random(5)
    made = {}
    for source, count in {"ko-a": 260, "ko-b": 120, "en-a": 240, "code-a": 200}.items():
        made[source] = [
            f"{source} {number} " + " ".join(rng.choices(WORDS, k=rng.randint(3, 60)))
            for number in range(count)
        ]
    return made


@pytest.fixture(scope="module")
def tokenized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tokenized") / "out"
    write_documents(out, texts(), SOURCES, rows=90)
    run_tokenize(Runner(), context(out, "tokenize"), shard_tasks(out))
    return out


def context(out: Path, stage: str = "mix", **mixture: object) -> SmallContext:
    settings: Config = config(SOURCES, mixture={**MIXTURE, **mixture})
    return SmallContext(out, settings, stage)


def link(tokenized: Path, out: Path) -> Path:
    """Return a run of its own that shares the tokens of `tokenized`."""
    import shutil

    shutil.copytree(tokenized, out, ignore=shutil.ignore_patterns("mixture"))
    return out


def mix(ctx: SmallContext, runner: Runner | None = None) -> Path:
    run_mix(runner or Runner(), ctx, mix_tasks(ctx.config, "key"))
    return ctx.out / "mixture"


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


def decoded(out: Path) -> list[tuple[str, str, int, str]]:
    """Return (source, component, epoch, text) of every sequence, in order."""
    tokenizer = Tokenizer.load(out / "tokenizer")
    found = []
    for shard in files.read_manifest(out / "mixture")["shards"]:
        data = files.read_shard(out / "mixture" / shard["name"])
        rows = pq.read_table(out / "mixture" / f"{shard['name']}.parquet").to_pylist()
        assert len(rows) == len(data) == shard["sequences"]
        for index, row in enumerate(rows):
            tokens = data[index]
            assert len(tokens) == row["tokens"]
            assert tokens[-1] == tokenizer.eod_id
            found.append((row["source"], row["component"], row["epoch"], tokenizer.decode(tokens)))
    return found


def test_every_sequence_is_the_document_that_it_names(tokenized: Path, tmp_path: Path):
    out = link(tokenized, tmp_path / "out")
    mix(context(out))
    known = texts()
    for source, component, _, text in decoded(out):
        assert text in known[source]
        assert component == SOURCES[source]


def test_the_manifest_says_what_the_files_hold(tokenized: Path, tmp_path: Path):
    out = link(tokenized, tmp_path / "out")
    folder = mix(context(out))
    manifest = files.read_manifest(folder)
    assert abs(manifest["achieved_tokens"] - 30_000) <= 12
    assert [e["component"] for e in manifest["components"]] == ["code", "en", "ko"]
    for entry in manifest["components"]:
        assert abs(entry["achieved"] - entry["target"]) <= 4
        assert entry["achieved_share"] == pytest.approx(entry["share"], rel=1e-3)
    assert sum(e["sequences"] for e in manifest["sources"]) == manifest["sequences"]
    assert manifest["tokenizer"]["sha256"] == Tokenizer.load(out / "tokenizer").sha256
    assert list(files.verify_files(folder)) == []
    assert files.balance(folder).model_dump() == manifest["balance"]
    assert str(tmp_path) not in json.dumps(manifest)


def test_changed_missing_and_foreign_files_are_found(tokenized: Path, tmp_path: Path):
    folder = mix(context(link(tokenized, tmp_path / "out")))
    names = [path.name for path in sorted(folder.glob("shard-*.bin"))]
    data = bytearray((folder / names[0]).read_bytes())
    data[5] ^= 1
    (folder / names[0]).write_bytes(data)
    (folder / names[1]).unlink()
    (folder / "shard-00009-of-00003.bin").write_bytes(b"")
    wrong = list(files.verify_files(folder))
    assert wrong == [
        f"{names[0]} differs from its manifest",
        f"{names[1]} is missing",
        "shard-00009-of-00003.bin is in no manifest",
    ]


def test_the_bytes_do_not_depend_on_workers_or_on_shards_of_documents(
    tokenized: Path, tmp_path: Path
):
    first = digests(mix(context(link(tokenized, tmp_path / "one"))))
    second = digests(mix(context(link(tokenized, tmp_path / "two")), Runner(workers=2)))
    assert first == second
    other = tmp_path / "three"
    write_documents(other, texts(), SOURCES, rows=41)
    run_tokenize(Runner(), context(other, "tokenize"), shard_tasks(other))
    assert digests(mix(context(other))) == first


def test_the_bytes_do_not_depend_on_what_survived_before(tokenized: Path, tmp_path: Path):
    out = link(tokenized, tmp_path / "wide")
    keep(out, lambda source, row: row % 4 != 0)
    narrowed = digests(mix(context(out)))
    fresh = tmp_path / "fresh"
    write_documents(fresh, texts(), SOURCES, rows=90)
    keep(fresh, lambda source, row: row % 4 != 0)
    run_tokenize(Runner(), context(fresh, "tokenize"), shard_tasks(fresh))
    assert digests(mix(context(fresh))) == narrowed


def test_a_mix_resumes_at_the_shard_where_it_was_stopped(tokenized: Path, tmp_path: Path):
    whole = digests(mix(context(link(tokenized, tmp_path / "whole"))))
    out = link(tokenized, tmp_path / "halted")
    ctx = context(out)
    tasks = mix_tasks(ctx.config, "key")
    with pytest.raises(RunFault, match="shard-00001-of-00003"):
        run_mix(Runner(), ctx, tasks[:1])
    assert not (out / "mixture/manifest.json").exists()
    written = (out / "mixture/shard-00000-of-00003.bin").stat().st_mtime_ns
    run_mix(Runner(), ctx, tasks[1:])
    assert digests(out / "mixture") == whole
    assert (out / "mixture/shard-00000-of-00003.bin").stat().st_mtime_ns == written
    (out / "mixture/manifest.json").unlink()
    run_mix(Runner(), ctx, [])
    assert digests(out / "mixture") == whole


def test_another_mixture_leaves_no_file_of_the_last(tokenized: Path, tmp_path: Path):
    out = link(tokenized, tmp_path / "out")
    mix(context(out, shards=5))
    for path in (out / "mixture").glob("*.parquet"):
        path.unlink()  # as the driver does
    folder = mix(context(out))
    assert len(list(folder.glob("shard-*"))) == 9
    assert not (folder / "_plan").exists()


def test_copies_follow_their_epochs(tokenized: Path, tmp_path: Path):
    out = link(tokenized, tmp_path / "out")
    mix(context(out, tokens=None, weights={"en": 0.7, "ko": 0.3}, max_epochs=3))
    epochs: dict[str, list[int]] = {}
    for source, _, epoch, text in decoded(out):
        if source == "en-a":
            epochs.setdefault(text, []).append(epoch)
    assert len(epochs) == 240
    assert all(found == [0, 1, 2] for found in epochs.values())


def test_megatron_core_reads_the_mixture(tokenized: Path, tmp_path: Path):
    indexed = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    out = link(tokenized, tmp_path / "out")
    folder = mix(context(out))
    tokenizer = Tokenizer.load(out / "tokenizer")
    texts_in_order = [text for *_, text in decoded(out)]
    read = []
    for shard in files.read_manifest(folder)["shards"]:
        dataset = indexed.IndexedDataset(str(folder / shard["name"]))
        assert dataset.document_indices[-1] == len(dataset) == shard["sequences"]
        read += [tokenizer.decode(dataset[index]) for index in range(len(dataset))]
    assert read == texts_in_order


FORMATS = {"formats": ["megatron", "parquet", "mds"]}


def test_hugging_face_datasets_reads_the_lists_of_tokens(tokenized: Path, tmp_path: Path):
    from datasets import load_dataset

    out = link(tokenized, tmp_path / "out")
    folder = mix(context(out, **FORMATS))
    read = load_dataset(
        "parquet",
        data_files=[str(path) for path in sorted((folder / "parquet").glob("*.parquet"))],
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    tokenizer = Tokenizer.load(out / "tokenizer")
    found = [
        (row["source"], row["component"], row["epoch"], tokenizer.decode(row["tokens"]))
        for row in read
    ]
    assert found == decoded(out)


READ_MDS = """
import json, sys
sys.path.append(sys.argv[2])
from streaming import StreamingDataset
dataset = StreamingDataset(local=sys.argv[1], shuffle=False, batch_size=1)
for sample in (dataset[index] for index in range(dataset.num_samples)):
    keys = ("source", "component", "epoch", "id")
    print(json.dumps([*(sample[key] for key in keys), sample["tokens"].tolist()]))
"""


def test_mosaicml_streaming_reads_its_format(
    tokenized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The library imports cloud clients, so it is installed in a folder of its own, without them."""
    peers = ROOT / "build" / "peers"
    if not (peers / "streaming").exists():
        pytest.skip("mosaicml-streaming is not in build/peers: `make dev` puts it there")
    monkeypatch.setattr(formats, "MDS_BYTES", 20_000)  # several files per shard
    out = link(tokenized, tmp_path / "out")
    folder = mix(context(out, **FORMATS))
    assert len(list((folder / "mds").glob("*.mds"))) > 3
    done = subprocess.run(
        [sys.executable, "-c", READ_MDS, str(folder / "mds"), str(peers)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    tokenizer = Tokenizer.load(out / "tokenizer")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    found = [(row[0], row[1], row[2], tokenizer.decode(row[4])) for row in rows]
    assert found == decoded(out)


def test_other_forms_come_and_go_with_the_config(tokenized: Path, tmp_path: Path):
    out = link(tokenized, tmp_path / "out")
    folder = mix(context(out, **FORMATS))
    assert list(files.verify_files(folder)) == []
    (folder / "mds" / "shard-00000-of-00003.00000.mds").write_bytes(b"changed")
    assert "mds/shard-00000-of-00003.00000.mds differs from its manifest" in list(
        files.verify_files(folder)
    )
    mix(context(out))
    assert not (folder / "mds").exists()
    assert not (folder / "parquet").exists()
    assert list(files.verify_files(folder)) == []


def test_fewer_files_of_a_shard_leave_none_of_the_last_mixture(
    tokenized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(formats, "MDS_BYTES", 4000)
    out = link(tokenized, tmp_path / "out")
    sizes = []
    for tokens in (30_000, 6000):
        folder = mix(context(out, formats=["mds"], tokens=tokens)) / "mds"
        index = json.loads((folder / "index.json").read_text("utf-8"))
        named = {shard["raw_data"]["basename"] for shard in index["shards"]}
        assert {path.name for path in folder.glob("*.mds")} == named
        sizes.append(len(named))
    assert sizes[0] > sizes[1]


STAGES = {
    "tokens": 30_000,
    "shards": 5,
    "max_epochs": 4,
    "stages": [
        {"share": 0.6, "context": 4096},
        {"share": 0.4, "context": 32768, "weights": {"ko": 0.8, "code": 0.2}, "only": []},
    ],
}


def test_stages_have_shards_weights_and_contexts_of_their_own(tokenized: Path, tmp_path: Path):
    out = link(tokenized, tmp_path / "out")
    folder = mix(context(out, **STAGES))
    manifest = files.read_manifest(folder)
    assert [stage["context"] for stage in manifest["stages"]] == [4096, 32768]
    assert [stage["shards"] for stage in manifest["stages"]] == [3, 2]
    assert [shard["context"] for shard in manifest["shards"]] == [4096] * 3 + [32768] * 2
    assert [shard["stage"] for shard in manifest["shards"]] == [0, 0, 0, 1, 1]
    for stage, tokens in zip(manifest["stages"], (18_000, 12_000), strict=True):
        assert abs(stage["tokens"] - tokens) <= 12
    sums: dict[tuple[int, str], int] = {}
    for shard in manifest["shards"]:
        table = pq.read_table(folder / f"{shard['name']}.parquet").to_pylist()
        for row in table:
            key = (shard["stage"], row["component"])
            sums[key] = sums.get(key, 0) + row["tokens"]
    assert set(sums) == {(0, "ko"), (0, "en"), (0, "code"), (1, "ko"), (1, "code")}
    assert sums[0, "en"] / 18_000 == pytest.approx(0.35, rel=2e-3)
    assert sums[1, "ko"] / 12_000 == pytest.approx(0.8, rel=2e-3)
    measured = files.balance(folder)
    assert measured.overall < 0.002
    assert list(files.verify_files(folder)) == []


def test_a_later_stage_begins_with_what_was_used_the_least(tokenized: Path, tmp_path: Path):
    out = link(tokenized, tmp_path / "out")
    folder = mix(context(out, **STAGES))
    seen: dict[str, set[int]] = {}
    order: list[tuple[str, int]] = []
    for shard in files.read_manifest(folder)["shards"]:
        for row in pq.read_table(folder / f"{shard['name']}.parquet").to_pylist():
            seen.setdefault(row["id"].hex(), set()).add(row["epoch"])
            if row["source"] == "ko-b":
                order.append((row["id"].hex(), row["epoch"]))
    assert all(epochs == set(range(len(epochs))) for epochs in seen.values())
    assert len(order) == len(set(order)), "no copy of the same epoch twice"
    uses = [len(seen[name]) for name in {name for name, _ in order}]
    assert max(uses) - min(uses) <= 1


def test_a_stage_may_take_the_best_documents_only(tokenized: Path, tmp_path: Path):
    stages = [{"share": 0.7}, {"share": 0.3, "only": ["bytes>=150"]}]
    out = link(tokenized, tmp_path / "out")
    folder = mix(context(out, **{**STAGES, "stages": stages}))
    known = {text: len(text.encode()) for many in texts().values() for text in many}
    tokenizer = Tokenizer.load(out / "tokenizer")
    for shard in files.read_manifest(folder)["shards"]:
        data = files.read_shard(folder / shard["name"])
        sizes = [known[tokenizer.decode(data[index])] for index in range(len(data))]
        assert (min(sizes) >= 150) == (shard["stage"] == 1)


@pytest.mark.parametrize(
    ("condition", "taken", "weighted"),
    [
        ("license==MIT", False, False),
        ("license!=MIT", False, False),
        ("license==MIT, null: keep", True, True),
    ],
)
def test_null_means_the_same_in_conditions_of_the_mixture(
    tokenized: Path, condition: str, taken: bool, weighted: bool
):
    # No document has a licence.
    found = gather(
        context(
            tokenized,
            upsample=[{"when": condition, "factor": 2}],
            tokens=30_000,
            stages=[{"share": 1, "only": [condition]}],
        )
    )
    assert found.allowed[0] is not None
    assert set(found.allowed[0].tolist()) == {taken}
    assert {pool.factor for pool in found.pools} == {2 if weighted else 1}


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        ({"stages": [{"share": 0.5}, {"share": 0.4}]}, "sum to 0.9"),
        ({"stages": [{"share": 1}], "tokens": None}, "give `tokens`"),
        ({"stages": [{"share": 0.5}, {"share": 0.5}], "shards": 1}, "2 stages need"),
        ({"stages": [{"share": 1, "only": ["quality"]}]}, "only"),
    ],
)
def test_stages_that_cannot_be_are_refused(mixture: dict[str, object], message: str):
    with pytest.raises((ValueError, InputError), match=message):
        context(Path("unused"), **mixture)


def test_the_bytes_of_stages_do_not_depend_on_workers(tokenized: Path, tmp_path: Path):
    found = []
    for workers in (1, 2, 4):
        out = link(tokenized, tmp_path / str(workers))
        mix(context(out, **STAGES, **FORMATS), Runner(workers=workers))
        folder = out / "mixture"
        every = sorted(path for path in folder.rglob("*") if path.is_file())
        found.append(
            {
                str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in every
            }
        )
    assert found[0] == found[1] == found[2]


def test_a_token_leads_back_to_its_document(tokenized: Path, tmp_path: Path):
    folder = mix(context(link(tokenized, tmp_path / "out")))
    shard = files.read_shard(folder / "shard-00001-of-00003")
    for token in (0, 777, len(shard.tokens) - 1):
        place = files.locate(folder, 1, token)
        sequence = shard[place["sequence"]]
        assert place["tokens"] == len(sequence)
        assert sequence[token - place["first_token"]] == shard.tokens[token]
    with pytest.raises(InputError, match="has 0 to"):
        files.locate(folder, 1, len(shard.tokens))
    with pytest.raises(InputError, match="the mixture has 0 to 2"):
        files.locate(folder, 3, 0)


def test_a_survivor_without_tokens_is_a_fault(tokenized: Path, tmp_path: Path):
    out = tmp_path / "out"
    write_documents(out, texts(), SOURCES, rows=90)
    keep(out, lambda source, row: row % 2 == 0)
    run_tokenize(Runner(), context(out, "tokenize"), shard_tasks(out))
    keep(out, lambda source, row: True)
    with pytest.raises(RunFault, match="have no tokens; run the stage `tokenize`"):
        mix(context(out))


def test_a_mixture_that_cannot_be_met_writes_nothing(tokenized: Path, tmp_path: Path):
    out = link(tokenized, tmp_path / "out")
    with pytest.raises(InputError, match="cannot be met"):
        mix(context(out, tokens=10**9))
    assert not list((out / "mixture").glob("shard-*"))


def test_a_mixture_that_cannot_be_met_leaves_no_manifest_of_the_last(
    tokenized: Path, tmp_path: Path
):
    out = link(tokenized, tmp_path / "out")
    folder = mix(context(out))
    before = digests(folder)
    with pytest.raises(InputError, match="cannot be met"):
        mix(context(out, tokens=10**9))
    assert not (folder / files.MANIFEST).exists()
    mix(context(out))
    assert digests(folder) == before


def test_the_exact_plan_is_that_of_the_manifest(tokenized: Path, tmp_path: Path):
    out = link(tokenized, tmp_path / "out")
    ctx = context(out, window_tolerance=1, shards=1)
    plan = plan_exact(ctx)
    manifest = files.read_manifest(mix(ctx))
    assert [e.target for e in plan.components] == [e["target"] for e in manifest["components"]]
    assert sum(e.documents for e in plan.sources) == 820


def test_the_exact_plan_knows_what_a_stage_may_use(tokenized: Path, tmp_path: Path):
    stages = [{"share": 0.7}, {"share": 0.3, "only": ["bytes>=280"]}]
    out = link(tokenized, tmp_path / "out")
    ctx = context(out, stages=stages, tokens=15_000, window_tolerance=1, shards=2, max_epochs=1)
    plan = plan_exact(ctx)
    manifest = files.read_manifest(mix(ctx))
    assert [e.target for e in plan.components] == [e["target"] for e in manifest["components"]]
    assert [e.target for e in plan.sources] == [e["target"] for e in manifest["sources"]]
    few = [{"share": 0.7}, {"share": 0.3, "only": ["bytes>=100000"]}]
    with pytest.raises(InputError, match=r"stage 2: code is short by 1,125 tokens.* 0 there"):
        plan_exact(context(out, stages=few, tokens=15_000, shards=2))


def test_a_mixture_with_fewer_sequences_than_shards_is_refused_before_a_shard(
    tokenized: Path, tmp_path: Path
):
    out = link(tokenized, tmp_path / "out")
    with pytest.raises(InputError, match=r"sequences for 900 shards.* lower mixture\.shards"):
        mix(context(out, shards=900))
    assert not list((out / "mixture").glob("shard-*"))
    folder = mix(context(out, shards=60))
    assert min(path.stat().st_size for path in folder.glob("*.bin")) > 0


def test_an_estimate_needs_bytes_only():
    sizes = [("ko-a", "ko", 3_900_000, 1000), ("en-a", "en", 37_000_000, 5000)]
    available, plan = plan_estimated(sizes, Mixture(tokens="1M", weights={"ko": 0.5, "en": 0.5}))
    assert [entry.tokens for entry in available] == [1_001_000, 10_005_000]
    assert plan.planned == 1_000_000
    assert np.isclose(plan.sources[1].epochs, 0.4995, atol=1e-3)


def test_documents_that_weigh_twice_stand_twice_as_often(tokenized: Path, tmp_path: Path):
    out = link(tokenized, tmp_path / "out")
    heavy = {"when": "ko.bytes>=200", "factor": 2}
    folder = mix(context(out, upsample=[heavy]))
    record = json.loads((folder / "manifest.json").read_text("utf-8"))
    for source in ("ko-a", "ko-b"):
        epochs = {s["factor"]: s["epochs"] for s in record["sources"] if s["source"] == source}
        assert epochs.keys() == {1.0, 2.0}
        assert epochs[2.0] == pytest.approx(2 * epochs[1.0], rel=0.01)
    assert {s["factor"] for s in record["sources"] if s["component"] != "ko"} == {1.0}
    assert sum(part["achieved"] for part in record["components"]) == pytest.approx(30_000, rel=0.02)


def test_a_condition_on_a_column_that_is_not_there_names_near_ones(tokenized: Path, tmp_path: Path):
    out = link(tokenized, tmp_path / "out")
    with pytest.raises(InputError, match="knowledge"):
        mix(context(out, upsample=[{"when": "knowlege>=0.6", "factor": 2}]))
