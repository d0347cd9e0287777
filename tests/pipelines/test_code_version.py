"""What of the code stands in a stage's key."""

from __future__ import annotations

import unicodedata
from importlib import metadata

import pytest

from pipelines import code_version as module
from pipelines.code_version import code_version
from pipelines.stages.catalog import stage


@pytest.fixture(autouse=True)
def forget():
    module._version.cache_clear()
    code_version.cache_clear()
    yield
    module._version.cache_clear()
    code_version.cache_clear()


@pytest.mark.parametrize(
    ("name", "library"),
    [("ingest", "ftfy"), ("redact", "phonenumbers"), ("sign", "kiwipiepy")],
)
def test_a_library_of_another_version_alters_the_keys_of_the_stages_that_import_it(
    name: str, library: str, monkeypatch: pytest.MonkeyPatch
):
    installed = metadata.version
    before = {each: code_version(*stage(each).code) for each in (name, "mix")}
    monkeypatch.setattr(
        metadata, "version", lambda one: "0.0.1" if one == library else installed(one)
    )
    forget_versions()
    after = {each: code_version(*stage(each).code) for each in (name, "mix")}
    assert after[name] != before[name]
    assert after["mix"] == before["mix"]


def test_another_version_of_unicode_alters_the_key_of_what_normalises(
    monkeypatch: pytest.MonkeyPatch,
):
    before = code_version("filters.text.repair")
    monkeypatch.setattr(unicodedata, "unidata_version", "1.1.5")
    forget_versions()
    assert code_version("filters.text.repair") != before


def test_a_library_that_is_called_unlike_its_distribution_has_its_version():
    assert module._version("yaml") == metadata.version("PyYAML")
    assert module._version("a_library_that_is_not_installed") == ""


def forget_versions() -> None:
    module._version.cache_clear()
    code_version.cache_clear()
