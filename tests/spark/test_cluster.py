"""The same job on a standalone Spark cluster: the bytes of a local run, also after kills."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.standalone import RECIPE, ROOT, SECONDS, Cluster, bibim, command, digests

FILES = 1000
EMPTY = 5
"""Every EMPTY-th file has no bytes."""


@pytest.mark.timeout(2 * SECONDS)
def test_two_executors_write_the_bytes_of_a_local_run(
    spark: Cluster, local: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    bibim("run", *RECIPE, "--out", out, *spark.options())
    assert (out / "spark.log").read_text("utf-8", "replace").count("Granted executor ID") == 2
    assert digests(out) == digests(local)
    bibim("audit", "check", out)


def killed_in(spark: Cluster, job: subprocess.Popen[bytes], folder: Path) -> None:
    """Kill an executor once it has a worker for the step that fills `folder`."""
    begun = folder / "_receipts/step"
    deadline = time.monotonic() + SECONDS
    found = None
    while found is None:
        assert job.poll() is None and time.monotonic() < deadline, f"{folder}: nothing to kill"
        found = spark.busy(begun.stat().st_mtime) if begun.exists() else None
        time.sleep(0.02)
    found.send_signal(signal.SIGKILL)
    assert not (folder / "_manifest.json").exists(), f"{folder}: was complete already"


@pytest.mark.timeout(2 * SECONDS)
def test_executors_killed_in_measure_and_in_dedup_change_nothing(
    spark: Cluster, local: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for folder in ("documents", "rejects", "annotations/identify"):
        if (local / folder).exists():
            shutil.copytree(local / folder, out / folder)
    run = ("run", *RECIPE, "--out", out)
    stages = ("--stages", "ingest,identify,measure,dedup")
    output = tmp_path / "output.txt"
    with output.open("wb") as file:
        job = subprocess.Popen(
            command(*run, *stages, *spark.options()),
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        killed_in(spark, job, out / "annotations/measure")
        killed_in(spark, job, out / "annotations/dedup")
        status = job.wait(SECONDS)
    finally:
        job.kill()
    lost = (out / "spark.log").read_text("utf-8", "replace").count("Lost executor")
    assert lost == 2, output.read_text("utf-8")[-4000:]
    if status != 0:  # Spark gave up: the same command resumes
        bibim(*run, *stages, *spark.options())
    # The rest of the job is done here, in the same folder, from what Spark wrote.
    bibim(*run, "--workers", 1)
    ran = {
        step["step"]: step["ran"]
        for step in json.loads((out / "run.json").read_text("utf-8"))["runs"][-1]["steps"]
    }
    assert ran["ingest"] == ran["measure"] == ran["dedup"] == 0
    assert digests(out) == digests(local)
    bibim("audit", "check", out)


def story(number: int) -> str:
    """Return a text like no other: sentences of people, places and things in an order of its own."""
    dice = random.Random(number)
    who = ("어머니", "친구", "선생님", "아이", "이웃", "기자", "의사", "농부", "화가", "가수")
    where = ("시장", "학교", "바닷가", "도서관", "공원", "병원", "역", "산길", "부엌", "극장")
    what = ("사과", "편지", "책", "우산", "그림", "사진", "기차표", "노래", "소식", "선물")
    did = ("찾았다", "잃어버렸다", "보냈다", "받았다", "숨겼다", "자랑했다", "기다렸다", "그렸다")
    return " ".join(
        f"{dice.choice(who)}는 {dice.randrange(1000)}번째 날 {dice.choice(where)}에서 "
        f"{dice.choice(what)} 하나를 {dice.choice(did)}."
        for _ in range(20)
    )


@pytest.mark.timeout(2 * SECONDS)
def test_a_thousand_oddly_named_files_are_read_as_on_one_machine(
    spark: Cluster, tmp_path: Path
) -> None:
    odd = tmp_path / "한국어 자료 100%25 (1)"
    odd.mkdir()
    for number in range(FILES):
        line = json.dumps({"text": story(number)})
        empty = number % EMPTY == EMPTY - 1
        (odd / f"글 %{number:02X}% #{number}.jsonl").write_text("" if empty else line + "\n")
    config = tmp_path / "odd.yaml"
    config.write_text(
        "name: odd\n"
        f'sources: {{ko: {{component: ko, path: "{odd}/*.jsonl"}}}}\n'
        "ingest: {max_reject_share: 0.5}\n"  # an empty file is a reject
        "tokenizer: {vocab_size: 1000, sample: 100kB}\n"
        "mixture: {tokens: 50k, shards: 2, weights: {ko: 1}}\n",
        "utf-8",
    )
    run = ("run", config)
    here, there = tmp_path / "here", tmp_path / "there"
    bibim(*run, "--out", here, "--workers", 1)
    bibim(*run, "--out", there, *spark.options())
    manifest = json.loads((there / "documents/_manifest.json").read_text("utf-8"))
    assert len(manifest["shards"]) == FILES
    assert sum(shard["rows"] for shard in manifest["shards"]) == FILES - FILES // EMPTY
    assert digests(there) == digests(here)
    bibim("audit", "check", there)
