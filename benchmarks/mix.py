"""Tokenizing against SentencePiece's own rate, and mixing against the bytes it writes.

    python benchmarks/mix.py tokenize ../shared/data/corpora/ko_docs.jsonl.zst …
    python benchmarks/mix.py mix --tokens 100M --tokens 1B

The first trains a tokenizer on the files and encodes them both ways on one core. The second
mixes made-up token runs with the document lengths of a real corpus (log-normal, median 700) and
prints time, rate and peak memory for each size. Results go to standard output as JSON lines.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from mixtures.keys import base_keys
from mixtures.mixing.documents import Documents
from mixtures.mixing.order import arrange
from mixtures.mixing.plan import Pool
from mixtures.shards.token_runs import write_run
from mixtures.tokenizer.tokenizer import Tokenizer
from mixtures.tokenizer.training import train_tokenizer
from pipelines.mix.gather import Survivors
from pipelines.mix.write import write_plan, write_shard_files
from pipelines.storage.shards import ShardTask
from pipelines.tokenize.standalone import drawn, file_texts
from schemas.config import Tokenizer as Settings
from schemas.mixture import Mixture
from schemas.values import parse_count

BATCH_BYTES = 8 << 20


def report(**figures: object) -> None:
    print(json.dumps(figures), flush=True)


def batches(texts: list[str]) -> list[pa.Array]:
    found, size, start = [], 0, 0
    for index, text in enumerate(texts):
        size += len(text)
        if size > BATCH_BYTES // 2:
            found.append(pa.array(texts[start : index + 1], pa.large_string()))
            start, size = index + 1, 0
    return [*found, pa.array(texts[start:], pa.large_string())]


def tokenize(paths: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sample = [text for path in paths for text in drawn(path, 24_000_000 // len(paths), 0)]
        start = time.perf_counter()
        train_tokenizer(sample, Settings(), Path(folder), workers=2)
        size = sum(len(text.encode()) for text in sample)
        report(what="train", bytes=size, seconds=round(time.perf_counter() - start, 1))
        tokenizer = Tokenizer.load(Path(folder))
        tokenizer.encode("warm 데운다")
        for path in paths:
            tokenizer = Tokenizer.load(Path(folder))  # a memory without words
            texts = list(file_texts(path))
            columns = batches(texts)
            start = time.process_time()
            ours = [tokenizer.encode_batch(column) for column in columns]
            middle = time.process_time()
            theirs = [
                tokenizer.processor.encode(column.to_pylist(), return_type="numpy", num_threads=1)
                for column in columns
            ]
            end = time.process_time()
            same = all(
                np.array_equal(mine.tokens, np.concatenate(other))
                for mine, other in zip(ours, theirs, strict=True)
            )
            lossless = all(
                tokenizer.decode(mine.tokens) == "".join(column.to_pylist())
                for mine, column in zip(ours, columns, strict=True)
            )
            size = sum(len(text.encode()) for text in texts)
            report(
                what="encode",
                file=Path(path).name,
                bytes=size,
                tokens=sum(len(mine.tokens) for mine in ours),
                mb_per_second=round(size / (middle - start) / 1e6, 1),
                sentencepiece_mb_per_second=round(size / (end - middle) / 1e6, 1),
                same_ids=same,
                lossless=lossless,
            )


def made_up(tokens: int, folder: Path) -> Survivors:
    """Write token runs of 5 million tokens each and return their documents."""
    chance = np.random.default_rng(0)
    pairs = [Pool("code", "code"), Pool("en", "en"), Pool("ko", "ko")]
    ids, pair, counts, run, offset, names = [], [], [], [], [], []
    made = 0
    while made < tokens:
        lengths = np.exp(chance.normal(np.log(700), 1.2, 3400)).clip(10, 80_000).astype(np.int64)
        number = len(names)
        own = np.frombuffer(
            b"".join(xxhash.xxh3_128_digest(f"{number}/{i}".encode()) for i in range(len(lengths))),
            dtype=np.uint8,
        ).reshape(-1, 16)
        own = own[np.argsort(base_keys(own))]
        data = chance.integers(300, 32_000, int(lengths.sum())).astype(np.uint16)
        name = f"{pairs[number % 3][0]}-{number:05d}.parquet"
        write_run(folder / Path(name).with_suffix(".run"), data, len(lengths), "00" * 32, "00" * 16)
        names.append(name)
        ids.append(own)
        pair.append(np.full(len(lengths), number % 3, dtype=np.int32))
        counts.append(lengths)
        run.append(np.full(len(lengths), number, dtype=np.int32))
        offset.append(np.cumsum(lengths) - lengths)
        made += int(lengths.sum())
    documents = Documents(np.concatenate(ids), np.concatenate(pair), np.concatenate(counts))
    return Survivors(documents, pairs, names, np.concatenate(run), np.concatenate(offset), [None])


def mix(tokens: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        survivors = made_up(int(tokens * 1.1), folder)
        shards = max(8, tokens // 50_000_000)
        settings = Mixture(
            tokens=tokens, weights={"code": "1/3", "en": "1/3", "ko": "1/3"}, shards=shards
        )
        warm = np.zeros(4, dtype=np.uint16)
        from mixtures.shards.token_runs import copy_slices

        place = np.zeros(1, dtype=np.int64)
        copy_slices(warm, place, place + 4, warm.copy(), place)  # compile or load the kernel
        busy = time.process_time()
        start = time.perf_counter()
        arrangement = arrange(survivors.documents, survivors.pools, settings)
        ordered = time.perf_counter()
        runs = [folder / Path(run).with_suffix(".run") for run in survivors.runs]
        (folder / "mixture").mkdir()
        for shard in range(shards):
            task = ShardTask(f"shard-{shard:05d}-of-{shards:05d}.parquet", "", 0, "key")
            write_plan(folder / "plan" / task.name, survivors, arrangement, shard)
            with pa.memory_map(str(folder / "plan" / task.name)) as file:
                plan = pa.ipc.open_file(file).read_all()
            write_shard_files(folder / "mixture", task, plan, runs, 32_000)
        end = time.perf_counter()
        cpu = time.process_time() - busy
        shutil.rmtree(folder / "plan")
        copied = time.perf_counter()
        for path in sorted((folder / "mixture").glob("*.bin")):  # what the disk itself takes
            with path.open("rb") as source, (folder / f"{path.name}.copy").open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 24)
                target.flush()
                os.fsync(target.fileno())
        copied = time.perf_counter() - copied
        report(
            what="mix",
            tokens=tokens,
            documents=len(survivors.documents.tokens),
            order_seconds=round(ordered - start, 2),
            write_seconds=round(end - ordered, 2),
            cpu_seconds=round(cpu, 2),
            mb_per_second=round(2 * tokens / (end - start) / 1e6, 1),
            mb_per_cpu_second=round(2 * tokens / cpu / 1e6, 1),
            disk_copy_mb_per_second=round(2 * tokens / copied / 1e6, 1),
            peak_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            balance=arrangement.balance.model_dump(include={"overall", "shard", "window"}),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("tokenize").add_argument("files", nargs="+")
    commands.add_parser("mix").add_argument("--tokens", action="append", type=parse_count)
    arguments = parser.parse_args()
    if arguments.command == "tokenize":
        tokenize(arguments.files)
    else:
        for tokens in arguments.tokens or [10**8]:
            mix(tokens)


if __name__ == "__main__":
    main()
