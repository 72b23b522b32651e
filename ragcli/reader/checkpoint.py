"""Reader weights: how they begin (from MiniLM), how they are stored and how they are loaded.

A stored file holds only what training changed: the embeddings and the lowest encoder layers are
the embedded encoder's own and are taken from there. Safetensors only; nothing is unpickled.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ragcli.encoder import minilm
from ragcli.errors import ModelError
from ragcli.reader.model import FusionInDecoder, ReaderConfig


def initialise(config: ReaderConfig, seed: int = 0) -> FusionInDecoder:
    """Make a reader as it is before training.

    The encoder is MiniLM; each decoder layer's self-attention, cross-attention and feed-forward
    start as copies of one of the encoder's top layers (Rothe et al. 2020,
    https://arxiv.org/abs/1907.12461); everything else is drawn at random from ``seed``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reader = FusionInDecoder(config)
        for module in (reader.special, reader.position):
            nn.init.normal_(module.weight, std=0.03)
        nn.init.normal_(reader.feedback.weight, std=0.02)
        nn.init.zeros_(reader.feedback.bias)
    _load_encoder(reader)
    top = reader.encoder.encoder_layers[-config.n_decoder_layers :]
    for layer, source in zip(reader.decoder_layers, top, strict=True):
        attention = source.attention.state_dict()
        layer.self_attention.load_state_dict(attention)
        layer.cross_attention.load_state_dict(attention)
        layer.self_norm.load_state_dict(source.attention_norm.state_dict())
        layer.cross_norm.load_state_dict(source.attention_norm.state_dict())
        layer.feed_forward.load_state_dict(source.feed_forward.state_dict())
    freeze(reader)
    return reader


def _load_encoder(reader: FusionInDecoder) -> None:
    """Fill the encoder with MiniLM's weights."""
    wanted = reader.encoder.state_dict()
    published = minilm.load_tensors()
    reader.encoder.load_state_dict({name: published[name] for name in wanted})


def freeze(reader: FusionInDecoder) -> None:
    """Exclude the embeddings and the lowest encoder layers, and nothing else, from training."""
    reader.requires_grad_(True)
    reader.encoder.embeddings.requires_grad_(False)
    for layer in reader.encoder.encoder_layers[: reader.config.frozen_layers]:
        layer.requires_grad_(False)


def trained_tensors(reader: FusionInDecoder) -> dict[str, Tensor]:
    """The parameters that training changes, by name."""
    return {name: p.detach() for name, p in reader.named_parameters() if p.requires_grad}


def save(reader: FusionInDecoder, file: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the trained parameters and the sizes they belong to."""
    config = reader.config
    metadata = {
        "format": "ragcli-reader-1",
        "n_decoder_layers": str(config.n_decoder_layers),
        "frozen_layers": str(config.frozen_layers),
    }
    tensors = {name: t.to(dtype).contiguous() for name, t in trained_tensors(reader).items()}
    save_file(tensors, str(file), metadata)


def load(file: Path) -> FusionInDecoder:
    """Read a stored reader in float32 and evaluation mode; raises ``ModelError``."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), "pt") as opened:
            metadata = opened.metadata() or {}
        tensors = load_file(str(file))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot read the reader weights {file}: {error}") from error
    if metadata.get("format") != "ragcli-reader-1":
        raise ModelError(f"{file} does not hold reader weights of this version of ragcli")
    try:
        config = ReaderConfig(
            n_decoder_layers=int(metadata["n_decoder_layers"]),
            frozen_layers=int(metadata["frozen_layers"]),
        )
    except (KeyError, ValueError) as error:
        raise ModelError(f"{file} does not tell the sizes of its reader") from error
    reader = FusionInDecoder(config)
    _load_encoder(reader)
    freeze(reader)
    missing = trained_tensors(reader).keys() ^ tensors.keys()
    if missing:
        raise ModelError(f"{file} lacks or has too many tensors: {', '.join(sorted(missing)[:3])}")
    try:
        reader.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{file} holds tensors of other shapes than a reader's") from error
    return reader.eval()
