"""A secret of the config: what is written of it, and who must know it."""

from __future__ import annotations

import pickle

import pytest

from schemas.config import Config
from schemas.errors import InputError
from schemas.load import parse_config
from schemas.secret import Secret
from tests.schemas.test_load import GOOD, fails

REFERENCE = GOOD + "pii: {action: pseudonymise, key: '${PII_KEY}'}\n"
LITERAL = GOOD + "pii: {action: pseudonymise, key: plain-secret-text}\n"


def written(config: Config) -> str:
    return str(config.model_dump(mode="json")["pii"]["key"])


def test_a_reference_stays_one_and_its_value_is_known(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PII_KEY", "hidden-secret-text")
    config = parse_config(REFERENCE, "c.yaml")
    assert written(config) == "${PII_KEY}"
    assert config.pii.key.value == "hidden-secret-text"
    assert "hidden" not in f"{config!r} {config.model_dump()} {config.model_dump_json()}"
    again = Config.model_validate(config.model_dump(mode="json"))
    assert again == config


def test_a_literal_key_is_written_as_a_fingerprint_that_stays_the_same():
    config = parse_config(LITERAL, "c.yaml")
    assert config.pii.key.value == "plain-secret-text"
    assert "plain" not in f"{config!r} {config.model_dump_json()}"
    again = Config.model_validate(config.model_dump(mode="json"))
    assert not again.pii.key.known
    assert again.pii.key.fingerprint == config.pii.key.fingerprint == written(config)
    override = parse_config(GOOD, "c.yaml", ["pii.key=plain-secret-text"])
    assert written(override) == written(config)
    assert written(parse_config(GOOD, "c.yaml", ["pii.key=other"])) != written(config)
    assert written(parse_config(GOOD, "c.yaml")) == ""


def test_a_key_that_only_begins_with_a_reference_is_not_written_in_part(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("PII_KEY", "hidden")
    config = parse_config(GOOD + "pii: {key: 'salt-${PII_KEY}'}\n", "c.yaml")
    assert config.pii.key.value == "salt-hidden"
    assert written(config).startswith("scrypt:")


def test_who_runs_must_know_the_key_and_who_looks_need_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PII_KEY", raising=False)
    fault = "line 11: pii.key: the environment has no variable PII_KEY; set it"
    assert fault in fails(REFERENCE)
    config = parse_config(REFERENCE, "c.yaml", secrets=False)
    for unknown in ("value", "fingerprint"):
        with pytest.raises(InputError, match="no variable PII_KEY"):
            getattr(config.pii.key, unknown)
    kept = GOOD + f"pii: {{action: pseudonymise, key: '{Secret('x').fingerprint}'}}\n"
    assert "only the key's fingerprint is known; give the key" in fails(kept)
    assert parse_config(kept, "c.yaml", ["pii.key=x"]).pii.key == Secret("x")
    assert parse_config(kept, "c.yaml", ["pii.action=mask"]).pii.key.fingerprint


def test_workers_get_the_value_without_the_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PII_KEY", "hidden")
    sent = pickle.dumps(parse_config(REFERENCE, "c.yaml"))
    monkeypatch.delenv("PII_KEY")
    assert pickle.loads(sent).pii.key.value == "hidden"


def test_a_key_other_than_text_is_refused_without_repeating_it():
    message = fails(GOOD + "pii: {key: 31337}\n")
    assert "line 11: pii.key: is not text; put it in quotes" in message
    assert "31337" not in message
