"""The stream of tokens: nothing lost, nothing twice, the same for any number of processes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtures.shards.megatron import read_manifest, read_shard
from mixtures.tokenizer.tokenizer import FILL_IN_MIDDLE
from schemas.errors import InputError, RunFault
from trainer.config import TrainConfig
from trainer.data import Corpus, strided
from trainer.model.loss import IGNORE
from trainer.pretrain import plan_steps

Make = Callable[..., TrainConfig]


def test_the_sequences_are_the_mixture_without_what_is_held_out(training: Make, mixture: Path):
    corpus = Corpus(training())
    manifest = read_manifest(mixture)
    at = 0
    for stage, entry in zip(corpus.stages, manifest["stages"], strict=True):
        expected = []
        for shard in manifest["shards"][at : at + entry["shards"]]:
            index = corpus.index(shard["name"])
            data = read_shard(mixture / shard["name"])
            expected += [data[n] for n in range(len(data)) if not index.held_out[n]]
        at += entry["shards"]
        rows = [corpus.sequence(stage, n) for n in range(stage.sequences)]
        seen = np.concatenate([row.ids[row.document >= 0] for row in rows])
        whole = np.concatenate(expected).astype(np.int64)
        assert stage.context == entry["context"]
        assert seen.tolist() == whole[:-1].tolist()
        targets = np.concatenate([row.targets[row.targets != IGNORE] for row in rows])
        assert targets.tolist() == whole[1:].tolist()


@given(st.integers(1, 700), st.integers(1, 40), st.integers(1, 30))
def test_the_order_of_training_has_every_sequence_once(count: int, lanes: int, steps: int):
    order = [strided(position, count, lanes, steps) for position in range(count)]
    assert sorted(order) == list(range(count))
    for block in range(count // (lanes * steps)):
        for first in range(block * lanes * steps, (block + 1) * lanes * steps, lanes):
            apart = np.diff(order[first : first + lanes])
            assert (apart == steps).all()
        seen = order[block * lanes * steps : (block + 1) * lanes * steps]
        assert min(seen) == block * lanes * steps
        assert max(seen) == (block + 1) * lanes * steps - 1


def test_a_step_takes_sequences_of_other_documents(training: Make):
    near, apart = (Corpus(training(batch={"spread": spread})) for spread in (1, 4))
    documents = []
    for corpus in (near, apart):
        stage = corpus.stages[0]
        rows = [corpus.sample(stage, position) for position in range(16)]
        documents.append(len({row.document[0] for row in rows}))
        whole = np.concatenate([corpus.sample(stage, n).ids for n in range(stage.sequences)])
        tokens = np.concatenate([corpus.sequence(stage, n).ids for n in range(stage.sequences)])
        assert sorted(whole) == sorted(tokens)
    assert documents[1] > documents[0]


def test_fill_in_the_middle_moves_thirds_and_loses_nothing(training: Make):
    plain, filled = Corpus(training()), Corpus(training(batch={"fim": 0.5}))
    pre, mid, suf = (
        filled.tokenizer.ids[name]
        for name in (FILL_IN_MIDDLE[0], FILL_IN_MIDDLE[1], FILL_IN_MIDDLE[2])
    )
    names = [shard["name"] for shard in plain.manifest["shards"]]
    kinds = np.zeros(3, int)
    for name in names:
        index = filled.index(name)
        for number in range(len(index.shard)):
            before = plain.document(plain.index(name), number).tolist()
            after = filled.document(index, number).tolist()
            kind = int(index.fim[number])
            kinds[kind] += 1
            if not kind:
                assert after == before
                continue
            third = (len(before) - 1) // 3
            assert len(after) == len(before) + 3
            at_mid = after.index(mid)
            if kind == 1:
                at_suf = after.index(suf)
                prefix, suffix = after[1:at_suf], after[at_suf + 1 : at_mid]
                middle = after[at_mid + 1 : -1]
            else:
                assert after[:2] == [pre, suf]
                suffix = after[2:at_mid]
                prefix, middle = after[at_mid + 1 :][:third], after[at_mid + 1 :][third:-1]
            assert len(prefix) == len(middle) == third
            assert [*prefix, *middle, *suffix, after[-1]] == before
    assert kinds[0] > kinds[1] > 0 < kinds[2]
    assert 0.4 < kinds[1:].sum() / kinds.sum() < 0.6


@pytest.mark.parametrize("size", [1, 2, 3])
def test_processes_share_each_global_batch_whatever_their_number(training: Make, size: int):
    config = training()
    stages = Corpus(config).stages
    steps = plan_steps(stages, config)
    for step in steps:
        shares = [list(range(step.first + rank, step.last, size)) for rank in range(size)]
        assert sorted(n for share in shares for n in share) == list(range(step.first, step.last))
    for number, stage in enumerate(stages):
        own = [n for s in steps if s.stage == number for n in range(s.first, s.last)]
        assert own == list(range(stage.sequences))


def test_held_out_documents_are_in_no_sequence(training: Make):
    corpus = Corpus(training())
    for component in corpus.components:
        held = {tuple(tokens.tolist()) for tokens in corpus.held_out(component, 10_000)}
        assert held
        for shard in corpus.manifest["shards"]:
            index = corpus.index(shard["name"])
            trained = {
                tuple(index.shard[n].tolist()) for n in np.flatnonzero(~index.held_out).tolist()
            }
            assert not held & trained


def copied(mixture: Path, folder: Path) -> Path:
    shutil.copytree(mixture.parent / "tokenizer", folder / "tokenizer")
    shutil.copytree(mixture, folder / "mixture")
    return folder / "mixture"


def changed(training: Make, mixture: Path) -> TrainConfig:
    return training().model_copy(update={"mixture": str(mixture)})


@pytest.mark.parametrize("ending", ["bin", "idx", "parquet"])
def test_a_flipped_byte_and_a_missing_file_are_refused(
    training: Make, mixture: Path, tmp_path: Path, ending: str
):
    own = copied(mixture, tmp_path)
    first = sorted(own.glob(f"*.{ending}"))[0]
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    with pytest.raises(RunFault, match=rf"shard-00000-of-00005\.{ending} differs"):
        Corpus(changed(training, own))
    first.unlink()
    with pytest.raises(RunFault, match="is missing"):
        Corpus(changed(training, own))


def test_another_tokenizer_is_refused(training: Make, mixture: Path, tmp_path: Path):
    own = copied(mixture, tmp_path)
    manifest = json.loads((own / "manifest.json").read_text("utf-8"))
    manifest["tokenizer"]["sha256"] = "0" * 64
    (own / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(InputError, match="not the tokenizer of"):
        Corpus(changed(training, own))


def test_a_manifest_of_another_version_is_refused(training: Make, mixture: Path, tmp_path: Path):
    own = copied(mixture, tmp_path)
    manifest = json.loads((own / "manifest.json").read_text("utf-8"))
    assert manifest["version"] == 1
    manifest["version"] = 2
    (own / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(RunFault, match=r"`version` is 2, this Bibim reads 1"):
        Corpus(changed(training, own))


def test_a_mixture_that_is_not_complete_is_refused(training: Make, tmp_path: Path):
    with pytest.raises(RunFault, match="run `mix`"):
        Corpus(changed(training, tmp_path))


def test_a_mixture_that_is_not_there_is_named_by_its_key(training: Make, tmp_path: Path):
    with pytest.raises(InputError, match=r"^mixture: .*/none: .*--set mixture=OUT/mixture"):
        Corpus(changed(training, tmp_path / "none"))


def test_documents_are_counted_once_however_often_they_are_read(training: Make):
    corpus = Corpus(training())
    for component in corpus.components:
        assert 0 < corpus.documents(component) <= 260
