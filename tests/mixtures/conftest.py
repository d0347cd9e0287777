"""A small tokenizer, trained once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixtures.tokenizer.tokenizer import Tokenizer
from mixtures.tokenizer.training import train_tokenizer
from schemas.config import Tokenizer as Settings
from tests.support.words_of import texts


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tokenizer of 700 pieces."""
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(texts(300), Settings(vocab_size=700), folder)
    return folder


@pytest.fixture(scope="session")
def tokenizer(trained: Path) -> Tokenizer:
    return Tokenizer.load(trained)
