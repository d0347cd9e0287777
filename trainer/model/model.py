"""The decoder: pre-norm RMSNorm, rotary positions, grouped-query attention, SwiGLU.

The shape is Llama's, so that checkpoints export to `LlamaForCausalLM` name by name. Weights are
drawn with a deviation of √(2/(5·dim)) (arXiv 1910.05895): 0.02 at 1,024, more in smaller models.
Those that write to the residual stream have 1/√(2·layers) of it (GPT-2), so that the stream's
variance does not grow with depth.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812  # the name that everybody gives it
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainer.config import ModelConfig
from trainer.model.attention import Mask, attend
from trainer.model.loss import next_token_loss

Cache = list[tuple[Tensor, Tensor]]
"""For each layer keys and values so far, [batch, kv_heads, positions, head_dim]."""


def rotary(positions: Tensor, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of the rotary angles (arXiv 2104.09864), [positions, head_dim].

    The two halves of a head turn together, as in Llama's published code for transformers.
    """
    steps = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32)
    angles = positions.float()[:, None] * base ** (-steps / head_dim)
    both = torch.cat((angles, angles), dim=-1)
    return both.cos(), both.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return x [batch, heads, positions, head_dim] turned by its positions' angles."""
    first, second = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat((-second, first), dim=-1) * sin.to(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention (arXiv 2305.13245) with rotary positions."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.heads, config.key_heads
        self.head_dim = config.dim // config.heads
        inner = (self.heads + 2 * self.kv_heads) * self.head_dim
        self.qkv = nn.Linear(config.dim, inner, bias=False)
        self.out = nn.Linear(config.dim, config.dim, bias=False)

    def forward(
        self,
        x: Tensor,
        turn: tuple[Tensor, Tensor],
        mask: Mask,
        past: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Attend; without a mask, causally. `past` are keys and values of earlier positions."""
        batch, length, dim = x.shape
        split = self.qkv(x).view(batch, length, -1, self.head_dim).transpose(1, 2)
        q, k, v = split.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
        q, k = rotate(q, *turn), rotate(k, *turn)
        if past is not None:
            k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
        mixed = attend(q, k, v, mask)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, dim)), (k, v)


class FeedForward(nn.Module):
    """The gated feed-forward layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.dim, 2 * config.width, bias=False)
        self.down = nn.Linear(config.width, config.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """SwiGLU (arXiv 2002.05202)."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        out: Tensor = self.down(F.silu(gate) * up)
        return out


class Block(nn.Module):
    """A layer of the decoder."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.dim, eps=config.norm_eps)
        self.attention = Attention(config)
        self.feed_norm = nn.RMSNorm(config.dim, eps=config.norm_eps)
        self.feed = FeedForward(config)

    def forward(
        self,
        x: Tensor,
        turn: tuple[Tensor, Tensor],
        mask: Mask,
        past: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Add attention and feed-forward to the residual stream; training keeps no keys."""
        mixed, kept = self.attention(self.attention_norm(x), turn, mask, past)
        x = x + mixed
        return x + self.feed(self.feed_norm(x)), None if self.training else kept


class Decoder(nn.Module):
    """Token ids in, logits or loss out."""

    def __init__(self, config: ModelConfig, vocab_size: int, checkpointing: bool = False) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        self.rope_base = config.rope_base
        """Changes where a stage with a longer context begins."""
        self.context = 0
        """Length of the sequences that it was trained on last; 0: of none."""
        self.checkpointing = checkpointing
        self.embed = nn.Embedding(vocab_size, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.dim, eps=config.norm_eps)
        self.head = nn.Linear(config.dim, vocab_size, bias=False)
        if config.tied:
            self.head.weight = self.embed.weight
        deviation = math.sqrt(2 / (5 * config.dim))
        for name, weight in self.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                nn.init.normal_(weight, std=deviation / math.sqrt(2 * config.layers))
            elif weight.dim() == 2:
                nn.init.normal_(weight, std=deviation)

    def hidden(
        self, ids: Tensor, mask: Mask = None, cache: Cache | None = None
    ) -> tuple[Tensor, Cache]:
        """Return the normalised last hidden states [batch, positions, dim] and keys and values.

        `mask`: what a position sees; left out, all earlier ones. `cache`: of earlier positions,
        for generation. In training no keys and values are kept.
        """
        start = cache[0][0].shape[2] if cache else 0
        positions = torch.arange(start, start + ids.shape[1], device=ids.device)
        turn = rotary(positions, self.config.dim // self.config.heads, self.rope_base)
        if cache and ids.shape[1] > 1 and mask is None:
            seen = torch.arange(start + ids.shape[1], device=ids.device)
            mask = (seen[None, :] <= positions[:, None])[None, None]
        x = self.embed(ids)
        kept: Cache = []
        for number, block in enumerate(self.blocks):
            if self.checkpointing and self.training:
                x, pair = checkpoint(block, x, turn, mask, use_reentrant=False)
            else:
                x, pair = block(x, turn, mask, cache[number] if cache else None)
            if pair is not None:
                kept.append(pair)
        return self.norm(x), kept

    def logits(self, hidden: Tensor) -> Tensor:
        """Return scores of the next token, [..., vocab_size]."""
        out: Tensor = self.head(hidden)
        return out

    def forward(self, ids: Tensor, targets: Tensor, mask: Mask = None) -> Tensor:
        """Return the summed loss over targets that are not IGNORE, in training with the z-loss."""
        return self.loss(self.hidden(ids, mask)[0], targets)

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return what `forward` does, of states that `hidden` has made."""
        z_loss = self.config.z_loss if self.training else 0.0
        return next_token_loss(hidden.flatten(0, 1), self.head.weight, targets.flatten(), z_loss)

    def flops_per_token(self, context: int) -> float:
        """Return floating-point operations of a training token (PaLM's appendix B).

        6 for each weight that a token meets, and 6 · layers · dim · context for causal attention.
        """
        weights = sum(p.numel() for p in self.parameters()) - self.embed.weight.numel()
        if self.config.tied:
            weights += self.head.weight.numel()
        return 6.0 * (weights + self.config.layers * self.config.dim * context)
