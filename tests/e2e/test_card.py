"""The card and the Croissant metadata: whoever they are for can read them, and the figures hold."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard

from audit.accounting.check import check_run
from audit.accounting.ledger import ledger
from audit.query.reading import mixture_of
from audit.report.card import card_licences, dataset_card, facts_of
from bibim.cli.options import load_run
from schemas.manifest import sha256_file
from tests.support.altered import linked
from tests.support.commandline import ROOT, bibim

PEERS = ROOT / "build" / "peers"
REQUIRED = ("name", "description", "license", "distribution", "recordSet", "conformsTo")
READ_CROISSANT = """
import json, sys
sys.path.append(sys.argv[2])
import mlcroissant
dataset = mlcroissant.Dataset(sys.argv[1])
rows = [{k.split("/")[-1]: v.decode() if isinstance(v, bytes) else int(v)
         for k, v in row.items()} for row in dataset.records("sequences-1")]
print(json.dumps({"name": dataset.metadata.name, "rows": rows}))
"""


@pytest.fixture(scope="module")
def described(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its card beside the shards."""
    out = linked(demo, tmp_path_factory.mktemp("described") / "out")
    done = bibim("card", out)
    assert done.returncode == 0, done.stderr
    return out


def test_hugging_face_loads_the_card(described: Path):
    card = DatasetCard.load(described / "mixture/README.md")
    data = card.data.to_dict()
    assert data["pretty_name"] == "demo"
    assert data["language"] == ["ko", "en"]
    assert data["license"] == ["apache-2.0", "other"]
    assert data["task_categories"] == ["text-generation"]
    assert data["size_categories"] == ["n<1K"]
    (tables,) = data["configs"]
    assert list((described / "mixture").glob(tables["data_files"]))
    assert card.text.strip().startswith("# demo")


def test_the_card_has_the_figures_of_the_ledger(described: Path):
    text = (described / "mixture/README.md").read_text("utf-8")
    accounts = ledger(described, load_run(described))
    for source, account in accounts.sources.items():
        table = text.partition("## Sources")[2]
        row = next(line for line in table.splitlines() if line.startswith(f"| {source} |"))
        kept, read, tokens = (
            f"{n:,}" for n in (account.kept.documents, account.read.documents, account.kept.tokens)
        )
        assert row.endswith(f"| {kept} | {read} | {tokens} |")
    manifest = json.loads((described / "mixture/manifest.json").read_text("utf-8"))
    assert f"{manifest['achieved_tokens']:,} tokens in {len(manifest['shards'])} shards" in text
    dropped: dict[str, int] = {}
    for account in accounts.sources.values():
        for reason, count in account.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count.documents
    assert dropped
    for reason, documents in dropped.items():
        (row,) = [r for r in text.splitlines() if r.startswith("| ") and f" | {reason} | " in r]
        assert f" | {documents:,} | " in row
    assert "ko.words>=20; en.words>=20" in text


def test_no_path_of_the_machine_is_in_a_card(described: Path):
    for name in ("README.md", "croissant.json"):
        text = (described / "mixture" / name).read_text("utf-8")
        assert str(ROOT) not in text and sys.prefix not in text and str(described) not in text


def test_croissant_has_what_the_vocabulary_requires(described: Path):
    record = json.loads((described / "mixture/croissant.json").read_text("utf-8"))
    assert record["@type"] == "sc:Dataset"
    assert all(record[name] for name in REQUIRED)
    names = [file["@id"] for file in record["distribution"]]
    assert len(names) == len(set(names)) > 0
    for file in record["distribution"]:
        path = described / "mixture" / file["contentUrl"]
        assert file["@type"] == "cr:FileObject"
        assert file["sha256"] == sha256_file(path)
        assert file["contentSize"] == f"{path.stat().st_size} B"
        assert file["encodingFormat"]
    for records in record["recordSet"]:
        assert records["@type"] == "cr:RecordSet"
        for column in records["field"]:
            assert column["source"]["fileObject"]["@id"] in names
            assert column["dataType"].startswith("sc:")


def test_the_reference_library_reads_the_records_by_the_metadata(described: Path):
    if not (PEERS / "mlcroissant").exists():
        pytest.skip("mlcroissant is not in build/peers: `make dev` puts it there")
    done = subprocess.run(
        [sys.executable, "-c", READ_CROISSANT, described / "mixture/croissant.json", PEERS],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    (side_car,) = (described / "mixture").glob("shard-00001-*.parquet")
    columns = ["source", "component", "epoch", "tokens"]
    assert found == {"name": "demo", "rows": pq.read_table(side_car, columns=columns).to_pylist()}


def test_the_totals_reconcile_with_a_card_beside_the_shards(described: Path):
    checks = check_run(described, load_run(described))
    assert [check.name for check in checks if not check.holds] == []


def test_a_name_does_not_become_markup(demo: Path):
    config = load_run(demo)
    manifest = mixture_of(demo)
    assert manifest is not None
    facts: dict[str, Any] = facts_of(demo, config, manifest)
    facts["name"] = "a|b <script>\n[x](y)"
    text = dataset_card(facts)
    assert "# a\\|b &lt;script> \\[x](y)" in text
    assert "<script>" not in text.partition("---\n\n")[2]


def test_a_licence_that_cards_do_not_know_is_other():
    assert card_licences(["MIT", "PSF-2.0", "Apache-2.0"]) == ["apache-2.0", "mit", "other"]
    assert card_licences(["none stated", "MIT"]) == ["mit", "unknown"]


def test_a_run_without_a_mixture_has_no_card(demo: Path, tmp_path: Path):
    out = linked(demo, tmp_path / "out")
    shutil.rmtree(out / "mixture")
    done = bibim("card", out)
    assert done.returncode == 2
    assert "no mixture yet" in done.stderr
    assert "Traceback" not in done.stderr
