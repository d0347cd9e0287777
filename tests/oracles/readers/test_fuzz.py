"""No changed file stops a reader, hangs it, fills the memory or takes records without a count."""

from __future__ import annotations

import os

import pytest

from tests.oracles.readers import fuzz

FULL = os.environ.get("BIBIM_ORACLES") == "full"


def inputs(name: str) -> int:
    """Return how many inputs a seed gets: in the sample fewer where only the compression differs."""
    if FULL:
        return 20_000
    packed = name.startswith(("jsonl", "tar", "warc")) and not name.endswith("plain")
    return 8 if packed else 40


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", sorted(fuzz.seeds()))
def test_changed_files_are_read_or_counted(name: str):
    wrong = fuzz.campaign(name, inputs(name))
    assert not wrong, f"{len(wrong)} of {inputs(name)} inputs:\n" + "\n".join(wrong[:12])


def test_the_independent_reader_finds_all_records_of_the_valid_files():
    for name, (file, data) in fuzz.seeds().items():
        assert fuzz.independent(name, file, data) == (
            fuzz.known(name) if name != "lines-utf16" else set()
        ), name
