"""Bi-encoders: texts → L2-normalised vectors, so that an inner product is a cosine.

Nothing heavy is imported before an encoder is loaded.
"""

from __future__ import annotations

from ragcli.encoder.base import (
    Encoder,
    EncoderFingerprint,
    TokenStates,
    default_fingerprint,
    default_tokenizer,
    load_encoder,
)

__all__ = [
    "Encoder",
    "EncoderFingerprint",
    "TokenStates",
    "default_fingerprint",
    "default_tokenizer",
    "load_encoder",
]
