"""The main job from the command line: same bytes always, nothing done twice, totals that reconcile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from filters.pii.mask import apply_spans
from mixtures.shards.megatron import read_shard
from mixtures.tokenizer.tokenizer import Tokenizer
from schemas.load import load_config
from tests.support.commandline import RECIPE, ROOT, SMALLER, bibim, digests, run_demo


def last_run(out: Path) -> dict[str, dict[str, object]]:
    record = json.loads((out / "run.json").read_text("utf-8"))["runs"][-1]
    return {step["step"]: step for step in record["steps"]}


def test_the_totals_reconcile(demo: Path):
    done = bibim("audit", "check", demo)
    assert done.returncode == 0, done.stdout
    assert "FAILS" not in done.stdout
    assert "conservation of" in done.stdout


def test_one_worker_writes_the_same_bytes_as_two(demo: Path, tmp_path: Path):
    done = run_demo(tmp_path / "out", "--workers", 1)
    assert done.returncode == 0, done.stderr[-4000:]
    assert digests(tmp_path / "out/mixture") == digests(demo / "mixture")


def test_a_run_killed_in_three_stages_ends_with_the_same_bytes(demo: Path, tmp_path: Path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "bibim", "run", str(RECIPE), "--out", str(out)]
    command += [*SMALLER, "--workers", "1"]
    for step in ("documents", "annotations/redact", "annotations/tokenize"):
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        begun = out / step / "_receipts/step"
        deadline = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline and not begun.exists():
            time.sleep(0.01)
        time.sleep(0.2)
        assert process.poll() is None, f"the run ended before {step} could be interrupted"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not (out / step / "_manifest.json").exists(), f"{step} was complete already"
    done = run_demo(out)
    assert done.returncode == 0, done.stderr[-4000:]
    assert digests(out / "mixture") == digests(demo / "mixture")
    assert bibim("audit", "check", out).returncode == 0


def test_a_second_run_with_nothing_changed_does_nothing(demo: Path):
    before = digests(demo / "mixture")
    done = run_demo(demo)
    assert done.returncode == 0, done.stderr[-4000:]
    assert all(step["ran"] == 0 for step in last_run(demo).values())
    assert digests(demo / "mixture") == before


def test_a_changed_rule_redoes_only_what_follows_from_it(demo: Path, tmp_path: Path):
    changed = tmp_path / "changed"
    shutil.copytree(demo, changed)
    rule = ("--set", 'rules.ko.hangul_ratio=">=0.55"')
    done = run_demo(changed, *rule)
    assert done.returncode == 0, done.stderr[-4000:]
    steps = last_run(changed)
    for step in ("ingest", "identify", "measure", "sign"):
        assert steps[step]["ran"] == 0, f"{step} does not depend on rules"
    assert steps["mix"]["ran"]
    fresh = tmp_path / "fresh"
    done = run_demo(fresh, *rule)
    assert done.returncode == 0, done.stderr[-4000:]
    assert digests(changed / "mixture") == digests(fresh / "mixture"), "history left a trace"


def test_what_if_predicts_what_a_run_keeps(demo: Path, tmp_path: Path):
    done = bibim("what-if", demo, "--rule", "en.stop_words>=8", "--json")
    assert done.returncode == 0, done.stderr
    comparison = json.loads(done.stdout)
    assert comparison["kept_after"] <= comparison["kept_before"]
    assert comparison["sources"]


def test_explain_follows_a_document_from_its_line_to_its_tokens(demo: Path):
    shard = next((demo / "mixture").glob("shard-*.parquet"))
    document = pq.read_table(shard, columns=["id"]).column("id")[0].as_py().hex()
    done = bibim("explain", demo, document, "--json")
    assert done.returncode == 0, done.stderr
    explanation = json.loads(done.stdout)
    assert explanation["verdict"] == "kept"
    assert explanation["document"]["origin"]
    assert any(place["shard"] == shard.stem for place in explanation["placed"])
    assert "identify" in explanation["annotations"]


def test_a_shard_decodes_to_the_cut_and_redacted_text_of_the_documents_it_names(demo: Path):
    config = load_config(demo / "config.yaml")
    tokenizer = Tokenizer.load(demo / "tokenizer")
    texts: dict[bytes, str] = {}
    for path in sorted((demo / "documents").glob("*.parquet")):
        documents = pq.read_table(path, columns=["id", "text"])
        spans = pq.read_table(demo / "annotations/redact" / path.name, columns=["pii_spans"])
        tails = pq.read_table(demo / "annotations/measure" / path.name, columns=["tails"])
        text = documents.column("text").combine_chunks()
        cuts = [tails.column(0).combine_chunks()]
        masked = apply_spans(text, spans.column(0).combine_chunks(), config.pii, cuts)
        ids = documents.column("id").to_pylist()
        texts.update(zip(ids, masked.to_pylist(), strict=True))
    compared = 0
    for stem in sorted(path.with_suffix("") for path in (demo / "mixture").glob("*.bin")):
        shard = read_shard(stem)
        ids = pq.read_table(stem.with_suffix(".parquet"), columns=["id"]).column(0).to_pylist()
        for index, document in enumerate(ids):
            tokens = shard[index]
            assert tokens[-1] == tokenizer.eod_id
            assert tokenizer.decode(tokens[:-1]) == texts[document]
            compared += 1
    assert compared > 100


def test_megatron_core_reads_the_same_documents_and_tokens(demo: Path):
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    for stem in sorted(path.with_suffix("") for path in (demo / "mixture").glob("*.bin")):
        ours = read_shard(stem)
        theirs = IndexedDataset(str(stem))
        assert len(theirs) == len(ours)
        assert all((theirs[index] == ours[index]).all() for index in range(len(ours)))


def test_explain_says_when_no_document_has_the_id(demo: Path):
    done = bibim("explain", demo, "0" * 32)
    assert done.returncode == 2
    assert "no document" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_audit_as_json_adds_up(demo: Path):
    accounts = json.loads(bibim("audit", "show", demo, "--json").stdout)
    for account in accounts["sources"].values():
        dropped = sum(count["documents"] for count in account["dropped"].values())
        rejected = sum(count["documents"] for count in account["rejected"].values())
        assert account["read"]["documents"] == account["kept"]["documents"] + dropped + rejected


def test_a_changed_byte_is_found(demo: Path, tmp_path: Path):
    broken = tmp_path / "broken"
    shutil.copytree(demo, broken)
    victim = next((broken / "annotations/measure").glob("*.parquet"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    done = bibim("audit", "check", broken)
    assert done.returncode == 1
    assert victim.name in done.stdout


def test_a_lost_document_is_found(demo: Path, tmp_path: Path):
    broken = tmp_path / "broken"
    shutil.copytree(demo, broken)
    manifest = broken / "documents/_manifest.json"
    accounts = json.loads(manifest.read_text("utf-8"))
    accounts["shards"][0]["stats"]["records"] += 1
    manifest.write_text(json.dumps(accounts), "utf-8")
    done = bibim("audit", "check", broken)
    assert done.returncode == 1
    assert "FAILS conservation of" in done.stdout


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("dedup.ngrams=5", "did you mean `ngram`"),
        ("dedup.threshold=high", "dedup.threshold"),
        ("mixture.weights.ko=0.9", "weights sum to"),
        ("sources.ko.path=no/such/file.jsonl", "no/such/file.jsonl"),
        ('rules.ko.hangul_share_x=">=0.1"', "no stage adds a column"),
        ("identify.model=no/such/model.ftz", "no/such/model.ftz"),
    ],
)
def test_bad_configuration_ends_with_code_2_and_no_traceback(
    tmp_path: Path, setting: str, expected: str
):
    done = run_demo(tmp_path / "out", "--set", setting)
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_every_command_has_help_with_an_example():
    for command in ("run", "plan", "audit", "explain", "what-if"):
        done = bibim(command, "--help")
        assert done.returncode == 0
        assert f"bibim {command}" in done.stdout


def test_importing_the_command_line_is_quick():
    start = time.monotonic()
    assert bibim("--help").returncode == 0
    assert time.monotonic() - start < 10
