"""The tokenizer: without loss, the same as SentencePiece, the same on every day."""

from __future__ import annotations

import itertools
import json
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mixtures.tokenizer.tokenizer as module
from mixtures.tokenizer.modelfile import Piece, PieceType, read_model, write_model
from mixtures.tokenizer.tokenizer import SPECIAL, Tokenizer, words_are_separate
from mixtures.tokenizer.training import DELIMITER, choose_white, mark_boundaries, train_tokenizer
from mixtures.tokenizer.words import LONGEST, WordMemory
from schemas.config import Tokenizer as Settings
from schemas.errors import InputError
from tests.support.words_of import CODE, KOREAN, texts

ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=60)
MARKS = (
    "▁",
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    DELIMITER,
    "0",
    "12",
    "<|user|>",
    "<pad>",
    "<0x41>",
    "▁▁a",
)
LETTERS = (
    "가",
    "각",
    "하였다",
    "ᄀ",
    "ᅡ",
    "\ufeff",
    "\u200d",
    "🍚",
    "e\u0301",
    "\x7f",
    "\U0010ffff",
    "def",
)
NASTY = st.lists(
    st.sampled_from([*MARKS, *LETTERS]),
    max_size=30,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT | NASTY)
@example("▁")
@example(" ▁ ▁a▁")
@example("   leading and trailing   ")
@example("\t\tx\n\n\n  y\r\n\r\n")
@example("가나다 12345 ㅋㅋㅋ")
def test_decoding_gives_the_text_back(tokenizer: Tokenizer, text: str):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("text", [*KOREAN, *CODE, "🍚👨‍👩‍👧", "\x01\x02\x1b[0m", "e\u0301"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_no_unicode_form_is_changed(tokenizer: Tokenizer, text: str, form: str):
    shaped = unicodedata.normalize(form, text)
    assert tokenizer.decode(tokenizer.encode(shaped)) == shaped


@settings(max_examples=200, deadline=None)
@given(st.lists(ANY_TEXT | NASTY, max_size=5))
def test_a_batch_is_its_texts_one_by_one(tokenizer: Tokenizer, batch: list[str]):
    encoded = tokenizer.encode_batch(pa.array(batch, pa.large_string()))
    parts = [encoded.tokens[a:b].tolist() for a, b in itertools.pairwise(encoded.offsets)]
    assert parts == [tokenizer.encode(text) for text in batch]


@settings(max_examples=200, deadline=None)
@given((ANY_TEXT | NASTY).map(lambda text: text.replace("▁", "_")))
def test_words_give_the_ids_that_sentencepiece_gives_the_whole(tokenizer: Tokenizer, text: str):
    assert tokenizer.encode(text) == tokenizer.processor.encode(text)


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT | NASTY | st.sampled_from(SPECIAL))
def test_no_text_becomes_a_control_symbol(tokenizer: Tokenizer, text: str):
    assert not set(tokenizer.encode(text)) & set(range(len(SPECIAL)))


def test_documents_end_with_their_symbol_and_decoding_leaves_it_out(tokenizer: Tokenizer):
    encoded = tokenizer.encode_documents(pa.array(["하나", "", "two"]))
    ends = encoded.tokens[encoded.offsets[1:] - 1]
    assert ends.tolist() == [tokenizer.eod_id] * 3
    assert encoded.counts.tolist() == [1 + len(tokenizer.encode(t)) for t in ("하나", "", "two")]
    assert tokenizer.decode(encoded.tokens) == "하나two"


def test_slices_and_nulls_and_other_string_types_are_read_right(tokenizer: Tokenizer):
    array = pa.array(["x", "안녕 a", None, "b"], pa.large_string())[1:]
    for column in (array, array.cast(pa.string())):
        encoded = tokenizer.encode_batch(column)
        assert tokenizer.decode(encoded.tokens) == "안녕 ab"
    assert tokenizer.encode_batch(pa.array([], pa.large_string())).offsets.tolist() == [0]


def test_a_full_memory_changes_nothing(trained: Path, monkeypatch: pytest.MonkeyPatch):
    batch = pa.array([" ".join(f"w{i}x{j}" for j in range(40)) for i in range(60)])
    expected = Tokenizer.load(trained).encode_batch(batch)
    small = Tokenizer.load(trained)
    small._memory = WordMemory(words=64, arena=1 << 15)
    monkeypatch.setattr(module, "_WORDS_AT_ONCE", 50)
    found = small.encode_batch(batch)
    assert found.tokens.tolist() == expected.tokens.tolist()
    assert found.offsets.tolist() == expected.offsets.tolist()


@pytest.mark.parametrize("unit", ["a", "가", "🍚", "xyz가"])
def test_very_long_words_are_cut_between_characters(tokenizer: Tokenizer, unit: str):
    text = unit * (3 * LONGEST // len(unit.encode()) + 5)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_runs_of_white_space_are_single_pieces(tokenizer: Tokenizer):
    assert len(tokenizer.encode("\n    ")) == 1
    assert len(tokenizer.encode("\t\t")) == 1
    assert len(tokenizer.encode("        ")) == 1


def test_each_digit_is_a_token(tokenizer: Tokenizer):
    assert len(tokenizer.encode("2024")) == 4


def test_special_symbols_have_the_first_ids(tokenizer: Tokenizer):
    assert [tokenizer.ids[text] for text in SPECIAL] == list(range(32))
    assert tokenizer.pad_id == 0
    assert tokenizer.processor.is_control(tokenizer.eod_id)


def test_ids_beyond_the_vocabulary_are_an_error(tokenizer: Tokenizer):
    with pytest.raises(InputError, match="0 to 699"):
        tokenizer.decode([5, 700])


def test_the_same_sample_in_any_order_gives_the_same_bytes(trained: Path, tmp_path: Path):
    train_tokenizer(reversed(texts(300)), Settings(vocab_size=700), tmp_path, workers=2)
    for name in ("tokenizer.model", "tokenizer.vocab", "card.json"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_the_card_says_what_the_files_are(trained: Path, tokenizer: Tokenizer):
    card = json.loads((trained / "card.json").read_text("utf-8"))
    assert card["sha256"] == tokenizer.sha256
    assert card["vocab_size"] == tokenizer.vocab_size == 700
    assert card["sample_documents"] == 300
    assert card["lossless"] is True
    assert len((trained / "tokenizer.vocab").read_text("utf-8").splitlines()) == 700


def test_no_piece_crosses_a_morpheme_of_the_sample(tmp_path: Path):
    sample = ["먹었다 읽었다 넣었다 씻었다 벗었다 묶었다"] * 50
    for morphemes in (True, False):
        train_tokenizer(sample, Settings(vocab_size=512, morphemes=morphemes), tmp_path)
        pieces = {piece.text for piece in Tokenizer.load(tmp_path).file.pieces}
        assert ("먹었" in {p.lstrip("▁")[:2] for p in pieces if len(p) > 2}) is not morphemes


def test_boundaries_stand_once_between_morphemes():
    assert mark_boundaries("했다", [(0, 1), (0, 1), (1, 1)]) == f"했{DELIMITER}다"
    assert mark_boundaries("밥", [(0, 1)]) == "밥"


def test_white_space_pieces_are_those_that_save_most():
    from collections import Counter

    chosen = choose_white(Counter({"\n      ": 100, "   ": 2, "\t\n": 1}), 12)
    assert "\n      " in chosen
    assert "\t\n" not in chosen
    assert len(choose_white(Counter(), 4)) == 4


def test_a_vocabulary_that_does_not_hold_the_letters_says_how_much_larger(tmp_path: Path):
    letters = " ".join(chr(code) for code in range(0xAC00, 0xAC00 + 900))
    small = Settings(vocab_size=600, morphemes=False)
    with pytest.raises(InputError, match=r"tokenizer\.vocab_size: .* make it \d{3} larger"):
        train_tokenizer([letters], small, tmp_path)


def test_an_empty_sample_is_an_error(tmp_path: Path):
    with pytest.raises(InputError, match="sample is empty"):
        train_tokenizer([], Settings(), tmp_path)


@pytest.mark.parametrize("data", [b"", b"\x0a\xff", b"plain text", b"\x0a\x05ab"])
def test_the_error_names_a_file_without_a_model(tmp_path: Path, data: bytes):
    path = tmp_path / "some.model"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"some\.model.*not a SentencePiece model"):
        Tokenizer.load(path)


def test_a_model_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.model.*name a SentencePiece"):
        Tokenizer.load(tmp_path / "none.model")


def test_what_is_written_is_read_back():
    pieces = [
        Piece("<unk>", PieceType.UNKNOWN),
        Piece("<e>", PieceType.CONTROL),
        Piece("▁가", score=-1.5),
    ]
    model = read_model(write_model(pieces, unk="<unk>", eos="<e>", pad="<e>"))
    assert list(model.pieces) == pieces
    assert (model.normalizer, model.add_dummy_prefix) == ("identity", False)


@pytest.mark.parametrize("text", ["a▁b", "1a", "a\n", "12"])
def test_pieces_over_a_words_edge_are_noticed(text: str):
    pieces = [Piece("<unk>", PieceType.UNKNOWN), Piece("<e>", PieceType.CONTROL)]
    plain = write_model([*pieces, Piece("▁ab")], unk="<unk>", eos="<e>", pad="<e>")
    crossing = write_model([*pieces, Piece(text)], unk="<unk>", eos="<e>", pad="<e>")
    assert words_are_separate(read_model(plain))
    assert not words_are_separate(read_model(crossing))


def test_another_projects_model_encodes_as_sentencepiece_does(tmp_path: Path):
    from sentencepiece import SentencePieceTrainer

    lines = [line for text in texts(200) for line in text.split("\n")]
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_prefix=str(tmp_path / "other"),
        vocab_size=400,
        model_type="unigram",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    other = Tokenizer.load(tmp_path / "other.model")
    assert not other.by_words
    text = "The reader opens a shard"
    assert other.encode(text) == other.processor.encode(text)
    assert other.decode(other.encode(text)) == text
    assert other.eod_id == other.processor.eos_id()


def test_loading_takes_no_heavy_import():
    import subprocess
    import sys

    heavy = "{'torch', 'kiwipiepy', 'sentencepiece'}"
    code = f"import sys, mixtures.tokenizer.tokenizer, mixtures.tokenizer.training; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tokens_are_stored_in_sixteen_bits_where_they_fit(tokenizer: Tokenizer):
    assert tokenizer.encode_batch(pa.array(["a"])).tokens.dtype == np.uint16
    assert module.token_dtype(65_499) == np.uint16
    assert module.token_dtype(65_500) == np.int32
