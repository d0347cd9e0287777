"""Checkpoints as models in memory, and as a Llama checkpoint for Hugging Face."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import torch

from mixtures.tokenizer.huggingface import export_tokenizer
from mixtures.tokenizer.tokenizer import CHAT, Tokenizer
from schemas.errors import InputError
from trainer.checkpoint import load_checkpoint
from trainer.config import TrainConfig
from trainer.model.model import Decoder


def load_model(path: Path) -> tuple[Decoder, TrainConfig]:
    """Return the model of a checkpoint (or of the last one in a folder) and its training file."""
    return model_of(load_checkpoint(path))


def model_of(state: dict[str, Any]) -> tuple[Decoder, TrainConfig]:
    """Return the model that a checkpoint holds, and its training file."""
    config = TrainConfig.model_validate(state["config"])
    model = Decoder(config.model, state["vocab_size"])
    model.load_state_dict(state["model"])
    model.rope_base = float(state["rope_base"])
    model.context = state.get("context", config.batch.context)
    return model.eval(), config


def llama_weights(model: Decoder) -> dict[str, torch.Tensor]:
    """Return the weights under the names of `LlamaForCausalLM`."""
    config = model.config
    head = config.dim // config.heads
    edges = [head * n for n in (0, config.heads, config.heads + config.key_heads)]
    edges.append(head * (config.heads + 2 * config.key_heads))
    found: dict[str, torch.Tensor] = {
        "model.embed_tokens.weight": model.embed.weight,
        "model.norm.weight": model.norm.weight,
    }
    if not config.tied:
        found["lm_head.weight"] = model.head.weight
    for number, block in enumerate(model.blocks):
        own = dict(block.named_parameters())
        place = f"model.layers.{number}"
        fused = own["attention.qkv.weight"]
        q, k, v = (fused[begin:end] for begin, end in itertools.pairwise(edges))
        gate, up = own["feed.gate_up.weight"].chunk(2)
        found |= {
            f"{place}.input_layernorm.weight": own["attention_norm.weight"],
            f"{place}.self_attn.q_proj.weight": q,
            f"{place}.self_attn.k_proj.weight": k,
            f"{place}.self_attn.v_proj.weight": v,
            f"{place}.self_attn.o_proj.weight": own["attention.out.weight"],
            f"{place}.post_attention_layernorm.weight": own["feed_norm.weight"],
            f"{place}.mlp.gate_proj.weight": gate,
            f"{place}.mlp.up_proj.weight": up,
            f"{place}.mlp.down_proj.weight": own["feed.down.weight"],
        }
    return {name: weight.detach().clone().contiguous() for name, weight in found.items()}


def llama_config(model: Decoder, tokenizer: Tokenizer, chats: bool) -> dict[str, Any]:
    """Return `config.json` of the same shape. `chats`: a turn's end ends a generation too."""
    config = model.config
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": model.vocab_size,
        "hidden_size": config.dim,
        "intermediate_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.key_heads,
        "head_dim": config.dim // config.heads,
        "hidden_act": "silu",
        "max_position_embeddings": model.context,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": model.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": model.rope_base},
        "tie_word_embeddings": config.tied,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": None,
        "eos_token_id": [tokenizer.eod_id, tokenizer.ids[CHAT[-1]]] if chats else tokenizer.eod_id,
        "pad_token_id": tokenizer.pad_id,
        "torch_dtype": "float32",
    }


def export_hf(checkpoint: Path, out: Path, tokenizer: Path | None = None) -> list[Path]:
    """Write model.safetensors, config.json and the tokenizer; return the files.

    Raises InputError where the checkpoint or its tokenizer is not there.
    """
    try:
        from safetensors.torch import save_file
    except ImportError:
        raise InputError("exporting needs `pip install safetensors`") from None
    state = load_checkpoint(checkpoint)
    model, config = model_of(state)
    own = Tokenizer.load(tokenizer or config.tokenizer_path)
    if own.vocab_size != model.vocab_size:
        raise InputError(
            f"the tokenizer has {own.vocab_size} pieces, the model {model.vocab_size}; "
            "name the one of its mixture with --tokenizer"
        )
    out.mkdir(parents=True, exist_ok=True)
    shape = llama_config(model, own, chats="sft" in state["identity"])
    save_file(llama_weights(model), str(out / "model.safetensors"), metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(shape, indent=1) + "\n", "utf-8")
    return [out / "model.safetensors", out / "config.json", *export_tokenizer(own, out)]
