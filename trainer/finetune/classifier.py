"""A fine-tuned model in use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  # the name that everybody gives it
from torch import Tensor

from mixtures.tokenizer.tokenizer import Tokenizer
from schemas.errors import InputError
from trainer.checkpoint import load_checkpoint
from trainer.export import load_model
from trainer.finetune.features import DecoderFeatures
from trainer.finetune.samples import Label, Sample
from trainer.finetune.source import encode_samples, our_encoder
from trainer.finetune.tuning import features_of

HEAD = "head.pt"


class Classifier:
    """A fine-tuned Bibim decoder with its head, from the folder of a fine-tuning."""

    def __init__(self, folder: Path, tokenizer: Path | None = None) -> None:
        """Load the decoder. Raises InputError if the folder has no head."""
        if not (folder / HEAD).exists():
            raise InputError(f"{folder}: there is no {HEAD}; name the --out of `train sbr`")
        kept = torch.load(folder / HEAD, weights_only=True)
        model, base = load_model(folder)
        named = load_checkpoint(folder)["identity"]["sbr"]["tokenizer"]
        own = Path(named) if named else base.tokenizer_path
        self.tokenizer = Tokenizer.load(tokenizer or own)
        self.labels: list[Label] = kept["labels"]
        self.backbone = DecoderFeatures(model, kept["pooling"], tuned_layers=1).eval()
        self.weight, self.bias = kept["weight"], kept["bias"]
        self.longest = int(kept["tokens"])

    def scores(self, texts: Sequence[tuple[str, ...]]) -> Tensor:
        """Return probabilities [samples, classes]; for regression the numbers [samples, 1].

        A sample is a text or two; samples longer than in tuning are cut.
        """
        samples = [Sample(parts, 0, f"text {n}") for n, parts in enumerate(texts, 1)]
        ids = encode_samples(
            our_encoder(self.tokenizer), samples, self.tokenizer.eod_id, self.longest, cut=True
        )
        z = features_of(self.backbone, self.backbone.enter(ids))
        logits = F.linear(z, self.weight, self.bias)
        return torch.softmax(logits, dim=1) if self.labels else logits
