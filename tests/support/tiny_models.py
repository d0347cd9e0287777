"""Tiny classifiers with random weights: a folder of ours, and a checkpoint of transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from filters.toxicity.annotator import DEFAULT_MODEL, ngram_model
from filters.toxicity.network import Shape, make_network
from filters.toxicity.small_transformer import SmallModel, save

SENTENCES = [
    "오늘은 날씨가 좋아서 공원을 산책했습니다.",
    "야 이 병신아 당장 꺼져",
    "배우들 연기도 좋고 음악도 정말 감동적이었어요",
    "You are a stupid bitch and everyone hates you",
    "설정 파일을 고친 다음 서버를 다시 시작하세요.",
]


def save_small(folder: Path) -> None:
    """Write a small transformer as `bibim fit toxicity --transformer` does."""
    import torch

    torch.manual_seed(1)
    shape = Shape(bits=10, width=16, layers=1, heads=2, outputs=2)
    weights = {name: value.numpy() for name, value in make_network(shape).state_dict().items()}
    slope = np.array([3.0, 0.5, 0.2], np.float32)
    save(SmallModel(shape, weights, slope, 0.1, ngram_model.load(DEFAULT_MODEL), {}), folder)


def save_checkpoint(folder: Path, labels: list[str], several: bool = False) -> None:
    """Write a BERT with a vocabulary of single characters; `several`: a sigmoid by label."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = sorted({letter for text in SENTENCES for letter in text.lower() if letter.strip()})
    words = {word: place for place, word in enumerate(special + letters)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=96
    ).save_pretrained(folder)
    torch.manual_seed(2)
    settings = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=96,
        initializer_range=0.5,
        id2label=dict(enumerate(labels)),
        label2id={label: place for place, label in enumerate(labels)},
        problem_type="multi_label_classification" if several else None,
    )
    BertForSequenceClassification(settings).save_pretrained(folder)
