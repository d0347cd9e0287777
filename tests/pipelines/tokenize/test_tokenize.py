"""The tokenize stage: survivors get tokens, once; a changed rule trains nothing."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from mixtures.shards.token_runs import Run, read_header, run_path
from mixtures.tokenizer.tokenizer import Tokenizer
from pipelines.runners.runner import Runner
from pipelines.storage.shards import ShardTask
from pipelines.tokenize.run import run_tokenize, tokenize_shard
from pipelines.tokenize.sample import batch_sums, sampled_texts, without_candidates
from schemas.config import Config
from schemas.errors import InputError
from schemas.manifest import read_manifest
from tests.support.small_run import (
    ADDRESS,
    SmallContext,
    config,
    keep,
    shard_tasks,
    write_documents,
)

WORDS = (
    "바람",
    "창문",
    "나물",
    "시장",
    "함수",
    "shard",
    "mixture",
    "reader",
    "order",
    "return",
    "yield",
)
COMPONENTS = {"ko-a": "ko", "en-a": "en"}


def documents(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        lines = [
            " ".join(rng.choices(WORDS, k=rng.randint(2, 12))) for _ in range(rng.randint(1, 6))
        ]
        made.append("\n".join(lines))
    return made


def small(out: Path, **sections: object) -> SmallContext:
    texts = {"ko-a": documents(250, 1), "en-a": documents(180, 2)}
    texts["en-a"][5] = f"write to {ADDRESS} or\nnot at all"
    texts["en-a"][6] = ""
    write_documents(out, texts, COMPONENTS)
    weights = {"ko": 0.5, "en": 0.5}
    settings: Config = config(COMPONENTS, mixture={"weights": weights, "shards": 2}, **sections)
    return SmallContext(out, settings, "tokenize")


def stored(ctx: SmallContext) -> dict[str, tuple[pa.Table, list[list[int] | None]]]:
    """Return each shard's annotation and the tokens of its rows."""
    found = {}
    for path in sorted(ctx.folder("annotations/tokenize").glob("*.parquet")):
        table = pq.read_table(path)
        rows: list[list[int] | None] = []
        with Run(run_path(path)) as run:
            for count, offset in zip(
                *(table[n].to_pylist() for n in ("tokens", "run_offset")), strict=True
            ):
                rows.append(None if count is None else run.read(offset, offset + count).tolist())
        found[path.name] = (table, rows)
    return found


def texts_of(ctx: SmallContext, name: str) -> list[str]:
    return [t for b in ctx.read(name, ["text"]) for t in b.column(0).to_pylist()]


def test_tokens_decode_to_the_masked_text_and_end_with_the_symbol(tmp_path: Path):
    ctx = small(tmp_path)
    run_tokenize(Runner(), ctx, shard_tasks(tmp_path))
    tokenizer = Tokenizer.load(tmp_path / "tokenizer")
    seen = 0
    for name, (_, rows) in stored(ctx).items():
        for text, tokens in zip(texts_of(ctx, name), rows, strict=True):
            assert tokens is not None
            assert tokens[-1] == tokenizer.eod_id
            assert tokenizer.eod_id not in tokens[:-1]
            assert tokenizer.decode(tokens) == text.replace("someone@", "****@")
            seen += 1
    assert seen == 430


def test_only_survivors_get_tokens(tmp_path: Path):
    ctx = small(tmp_path)
    keep(tmp_path, lambda source, row: row % 3 == 0)
    run_tokenize(Runner(), ctx, shard_tasks(tmp_path))
    for table, rows in stored(ctx).values():
        valid = np.asarray(table["tokens"].is_valid())
        assert (np.flatnonzero(valid) % 3 == 0).all()
        assert valid.sum() == sum(row is not None for row in rows) == -(-len(rows) // 3)


def test_widening_encodes_what_is_new_and_keeps_the_rest(tmp_path: Path):
    ctx = small(tmp_path)
    tasks = shard_tasks(tmp_path)
    keep(tmp_path, lambda source, row: row % 3 == 0)
    run_tokenize(Runner(), ctx, tasks)
    model = (tmp_path / "tokenizer/tokenizer.model").read_bytes()
    keep(tmp_path, lambda source, row: row % 3 < 2)
    computed = [tokenize_shard(ctx, t, Tokenizer(model).sha256).stats["computed"] for t in tasks]
    assert computed == [33, 27, 33, 33, 17]
    wide = stored(ctx)
    run_tokenize(Runner(), ctx, tasks)
    assert (tmp_path / "tokenizer/tokenizer.model").read_bytes() == model, "rules train nothing"
    fresh = small(tmp_path / "fresh")
    keep(fresh.out, lambda source, row: row % 3 < 2)
    run_tokenize(Runner(), fresh, shard_tasks(fresh.out))
    assert {name: rows for name, (_, rows) in wide.items()} == {
        name: rows for name, (_, rows) in stored(fresh).items()
    }
    for task in tasks:
        one, other = (run_path(c.folder("annotations/tokenize", task.name)) for c in (ctx, fresh))
        assert one.read_bytes() == other.read_bytes()


def test_narrowing_computes_nothing_and_keeps_the_tokens(tmp_path: Path):
    ctx = small(tmp_path)
    tasks = shard_tasks(tmp_path)
    run_tokenize(Runner(), ctx, tasks)
    before = {p.name: p.read_bytes() for p in ctx.folder("annotations/tokenize").glob("*.run")}
    keep(tmp_path, lambda source, row: row % 2 == 0)
    run_tokenize(Runner(), ctx, tasks)
    after = {p.name: p.read_bytes() for p in ctx.folder("annotations/tokenize").glob("*.run")}
    assert after == before


def test_a_run_that_does_not_belong_to_its_index_is_written_again(tmp_path: Path):
    ctx = small(tmp_path)
    tasks = shard_tasks(tmp_path)
    run_tokenize(Runner(), ctx, tasks)
    sha = Tokenizer.load(tmp_path / "tokenizer").sha256
    task = tasks[0]
    path = run_path(ctx.folder("annotations/tokenize", task.name))
    good = path.read_bytes()
    other = run_path(ctx.folder("annotations/tokenize", tasks[1].name)).read_bytes()
    for broken in (other, good[:-2], b""):
        path.write_bytes(broken)
        assert tokenize_shard(ctx, task, sha).stats["computed"] == task.rows
        assert path.read_bytes() == good
    path.unlink()
    assert tokenize_shard(ctx, task, sha).stats["computed"] == task.rows
    assert tokenize_shard(ctx, task, sha).stats["computed"] == 0


def test_another_tokenizer_encodes_everything_again(tmp_path: Path):
    ctx = small(tmp_path)
    run_tokenize(Runner(), ctx, shard_tasks(tmp_path))
    settings = ctx.config.model_copy(
        update={"tokenizer": ctx.config.tokenizer.model_copy(update={"vocab_size": 560})}
    )
    other = SmallContext(tmp_path, settings, "tokenize")
    run_tokenize(Runner(), other, shard_tasks(tmp_path))
    sha = Tokenizer.load(tmp_path / "tokenizer").sha256
    for path in ctx.folder("annotations/tokenize").glob("*.run"):
        header = read_header(path)
        assert header is not None
        assert header.tokenizer == sha


def test_a_model_given_as_a_file_is_used_as_it_is(tmp_path: Path):
    ctx = small(tmp_path / "first")
    run_tokenize(Runner(), ctx, shard_tasks(ctx.out))
    model = ctx.out / "tokenizer/tokenizer.model"
    other = small(tmp_path / "second", tokenizer={"path": str(model)})
    run_tokenize(Runner(), other, shard_tasks(other.out))
    assert (other.out / "tokenizer/tokenizer.model").read_bytes() == model.read_bytes()
    assert stored(other).keys() == stored(ctx).keys()
    gone = small(tmp_path / "third", tokenizer={"path": str(tmp_path / "no.model")})
    with pytest.raises(InputError, match=r"no\.model"):
        run_tokenize(Runner(), gone, shard_tasks(gone.out))


def test_a_mixture_of_components_without_documents_trains_nothing(tmp_path: Path):
    ctx = small(tmp_path)
    mixture = {"weights": {"ja": 1}}
    lonely = config({**COMPONENTS, "x": "ja"}, mixture=mixture)
    with pytest.raises(InputError, match="no document belongs to ja"):
        run_tokenize(Runner(), SmallContext(tmp_path, lonely, "tokenize"), shard_tasks(ctx.out))


def test_the_sample_has_each_text_once_whatever_the_shards(tmp_path: Path):
    def sample(out: Path, rows: int) -> list[str]:
        texts = {"ko-a": documents(60, 1) * 2, "en-a": documents(50, 2)}
        write_documents(out, texts, COMPONENTS, rows=rows)
        mixture = {"weights": {"ko": 0.5, "en": 0.5}}
        ctx = SmallContext(out, config(COMPONENTS, mixture=mixture), "tokenize")
        from pipelines.tokenize.sample import DrawSample

        task = DrawSample(ctx, {"ko": 10_000, "en": 10_000})
        for shard in shard_tasks(out):
            list(task.process(shard))
        return sampled_texts(out / "tokenizer/_sample", {"ko": 10**6, "en": 1500})

    first, second = sample(tmp_path / "a", 37), sample(tmp_path / "b", 100)
    assert first == second
    korean = set(documents(60, 1))
    assert len([text for text in first if text in korean]) == len(korean)
    english = [len(text.encode()) for text in first if text not in korean]
    assert 1500 <= sum(english) < 1500 + max(english)


def test_lines_with_personal_data_are_left_out_of_the_sample():
    texts = pa.array([f"one\nwrite to {ADDRESS}\ntwo", "", "three\n"], pa.large_string())
    assert without_candidates(texts).to_pylist() == ["one\ntwo", "", "three\n"]


def test_sums_leave_documents_without_a_component_out():
    sums = batch_sums(pa.array(["a", None, "a", "b"]), pa.array([1, 2, 3, 4]))
    assert sorted(sums) == [("a", 4), ("b", 4)]


def test_receipts_and_manifest_parts_name_the_run(tmp_path: Path):
    ctx = small(tmp_path)
    task: ShardTask = shard_tasks(tmp_path)[0]
    run_tokenize(Runner(), ctx, shard_tasks(tmp_path))
    shard = tokenize_shard(ctx, task, Tokenizer.load(tmp_path / "tokenizer").sha256)
    path = run_path(ctx.folder("annotations/tokenize", task.name))
    (file,) = shard.stats["files"]
    assert (file["name"], file["bytes"]) == (path.name, path.stat().st_size)
    assert pc.sum(pq.read_table(path.with_suffix(".parquet"))["tokens"]).as_py() > 0
    assert read_manifest(ctx.folder("documents")) is not None


def test_what_a_stage_cuts_is_encoded_again_and_the_rest_is_not(tmp_path: Path):
    ctx = small(tmp_path)
    run_tokenize(Runner(workers=1), ctx, shard_tasks(tmp_path))
    tokenizer = Tokenizer.load(tmp_path / "tokenizer")
    keep(tmp_path, lambda source, row: True, cut="yield")
    texts = {task.name: texts_of(ctx, task.name) for task in shard_tasks(tmp_path)}
    for task in shard_tasks(tmp_path):
        shard = tokenize_shard(ctx, task, tokenizer.sha256)
        cut = [text.endswith("yield") for text in texts[task.name]]
        assert 0 < shard.stats["computed"] == sum(cut) < len(cut)
    for name, (table, rows) in stored(ctx).items():
        for text, tokens, key in zip(texts[name], rows, table["cut_key"].to_pylist(), strict=True):
            assert tokens is not None
            left = text.replace("someone@", "****@").removesuffix("yield")
            assert tokenizer.decode(tokens) == left
            assert (key != 0) == text.endswith("yield")
