"""What every encoder offers, and which one a name stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ragcli.encoder import minilm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class EncoderFingerprint:
    """What two encoders must share for their vectors to be comparable.

    ``revision`` is the SHA-256 of the weights; ``max_tokens`` counts special tokens; the prompts
    are put before every query and passage.
    """

    name: str
    revision: str
    dimension: int
    max_tokens: int
    query_prompt: str = ""
    passage_prompt: str = ""


@dataclass(frozen=True, slots=True)
class TokenStates:
    """What self-attention made of each token of a text.

    ``states (n_tokens, dimension) float32`` are unit vectors, ``spans (n_tokens, 2)`` the tokens'
    characters in the text, half-open; a special token's span is empty.
    """

    states: NDArray[np.float32]
    spans: NDArray[np.int32]

    def inside(self, start: int, end: int) -> NDArray[np.bool_]:
        """Which tokens ``(n_tokens,)`` stand, at least in part, in ``[start, end)`` of the text."""
        starts, ends = self.spans[:, 0], self.spans[:, 1]
        inside: NDArray[np.bool_] = (starts < end) & (ends > start) & (ends > starts)
        return inside


class Encoder(Protocol):
    """Maps texts to unit vectors; queries and passages may be treated differently."""

    @property
    def fingerprint(self) -> EncoderFingerprint:
        """Which model this is."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, without truncation or padding."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode queries: ``(n, dimension) float32``, L2-normalised."""
        ...

    def encode_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode passages: ``(n, dimension) float32``, L2-normalised."""
        ...

    def encode_tokens(self, texts: Sequence[str]) -> list[TokenStates]:
        """Encode texts token by token, without a prompt."""
        ...


def default_fingerprint() -> EncoderFingerprint:
    """Return the fingerprint of the embedded encoder, without loading it."""
    return EncoderFingerprint(
        minilm.NAME, minilm.WEIGHTS_SHA256, minilm.DIMENSION, minilm.MAX_TOKENS
    )


def default_tokenizer() -> Tokenizer:
    """Return the embedded encoder's tokenizer, without loading its network."""
    return minilm.load_tokenizer()


def load_encoder(name: str | None = None) -> Encoder:
    """Load an encoder: ``None`` is the embedded one, else any sentence-transformers model.

    ``name`` is a local folder, or a model's name that sentence-transformers can fetch.
    Raises ``ModelError`` when it cannot be loaded.
    """
    if name is None or name == minilm.NAME:
        from ragcli.encoder.embedded import EmbeddedEncoder

        return EmbeddedEncoder()
    from ragcli.encoder.external import ExternalEncoder

    return ExternalEncoder(name)
