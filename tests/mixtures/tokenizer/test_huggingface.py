"""The exported tokenizer, read by Hugging Face's own libraries, gives the same ids."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bibim.cli.app import app
from mixtures.tokenizer.huggingface import export_tokenizer
from mixtures.tokenizer.modelfile import Piece, PieceType, write_model
from mixtures.tokenizer.tokenizer import SPECIAL, Tokenizer
from schemas.errors import InputError
from tests.mixtures.tokenizer.test_tokenizer import ANY_TEXT, NASTY
from tests.support.words_of import CODE, KOREAN, texts


@pytest.fixture(scope="module")
def exported(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    export_tokenizer(tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def peer(exported: Path):  # type: ignore[no-untyped-def]  # a library's class
    from tokenizers import Tokenizer as Peer

    return Peer.from_file(str(exported / "tokenizer.json"))


@given(st.one_of(ANY_TEXT, NASTY, st.text("가나 \n\t01a▁", max_size=80)))
@example("▁ ▁▁")
@example("\n        def f():\n\treturn  1")
@example("<|user|><pad><0x41>")
@example("")
def test_every_text_has_the_same_ids_and_comes_back(tokenizer: Tokenizer, peer, text: str):  # type: ignore[no-untyped-def]  # a library's class
    ids = peer.encode(text, add_special_tokens=False).ids
    assert ids == tokenizer.encode(text)
    assert peer.decode(ids, skip_special_tokens=False) == text


def test_documents_have_the_same_ids(tokenizer: Tokenizer, peer):  # type: ignore[no-untyped-def]  # a library's class
    many = [*texts(200), " ".join(KOREAN * 20), "".join(CODE * 20), "가" * 20_000, "x" * 40_000]
    ours = tokenizer.encode_batch(pa.array(many, pa.large_string()))
    for number, found in enumerate(peer.encode_batch(many, add_special_tokens=False)):
        own = ours.tokens[ours.offsets[number] : ours.offsets[number + 1]]
        assert found.ids == own.tolist()


def test_transformers_reads_it_and_takes_no_symbol_from_a_text(
    tokenizer: Tokenizer, exported: Path
):
    from transformers import AutoTokenizer

    peer = AutoTokenizer.from_pretrained(str(exported))
    assert peer.eos_token_id == tokenizer.eod_id
    assert peer.pad_token_id == tokenizer.pad_id
    assert len(peer) == tokenizer.vocab_size
    text = f"안녕 {' '.join(SPECIAL)} def f():\n    return 1"
    ids = peer(text, add_special_tokens=False)["input_ids"]
    assert ids == tokenizer.encode(text)
    assert min(ids) >= len(SPECIAL)
    assert peer.decode(ids) == text
    assert peer.convert_tokens_to_ids("<|user|>") == tokenizer.ids["<|user|>"]


def test_the_command_says_what_it_wrote(trained: Path, tmp_path: Path):
    done = CliRunner().invoke(
        app, ["tokenizer", "export", str(trained), "--out", str(tmp_path / "hf")]
    )
    assert done.exit_code == 0, done.output
    assert "tokenizer.json" in done.output
    assert (tmp_path / "hf" / "tokenizer_config.json").exists()


def test_a_model_of_another_kind_is_refused():
    pieces = [Piece("<unk>", PieceType.UNKNOWN), Piece("<|endofdoc|>", PieceType.CONTROL)]
    pieces += [Piece(f"<0x{byte:02X}>", PieceType.BYTE) for byte in range(256)]
    pieces += [Piece(text, PieceType.NORMAL, -1.0) for text in ("a", "▁", "a▁a")]
    model = write_model(pieces, unk="<unk>", eos="<|endofdoc|>", pad="<|endofdoc|>")
    with pytest.raises(InputError, match="Bibim trained"):
        export_tokenizer(Tokenizer(model), Path("unused"))
