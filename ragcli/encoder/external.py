"""Any other encoder, by way of sentence-transformers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ragcli.encoder.base import EncoderFingerprint, TokenStates
from ragcli.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class ExternalEncoder:
    """A sentence-transformers model; weights load from safetensors only, no remote code runs."""

    def __init__(self, name: str) -> None:
        self._model = _load(name)
        self.tokenizer = _rust_tokenizer(self._model, name)
        prompts = self._model.prompts
        dimension = self._model.get_embedding_dimension()
        self.fingerprint = EncoderFingerprint(
            name,
            _revision(self._model),
            int(dimension or 0),
            int(self._model.max_seq_length or 512),
            prompts.get("query", "") or "",
            prompts.get("document", "") or prompts.get("passage", "") or "",
        )

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode queries with the model's query prompt: ``(n, dimension) float32``."""
        return self._encode(texts, self.fingerprint.query_prompt)

    def encode_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode passages with the model's document prompt: ``(n, dimension) float32``."""
        return self._encode(texts, self.fingerprint.passage_prompt)

    def encode_tokens(self, texts: Sequence[str]) -> list[TokenStates]:
        """Encode texts token by token, as the model cuts them."""
        if not texts:
            return []
        tokens = self._model.encode(
            list(texts),
            prompt="",
            output_value="token_embeddings",
            convert_to_numpy=False,
            show_progress_bar=False,
        )
        found = []
        for states, encoding in zip(tokens, self.tokenizer.encode_batch(list(texts)), strict=True):
            rows = np.asarray(states.float().cpu(), dtype=np.float32)
            units = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
            spans = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
            if len(units) < len(spans):  # cut: the last token is the special one at the end
                spans = np.vstack([spans[: len(units) - 1], spans[-1:]])
            found.append(TokenStates(units[: len(spans)], spans))
        return found

    def _encode(self, texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        vectors = self._model.encode(
            list(texts),
            prompt=prompt or None,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32).reshape(len(texts), self.fingerprint.dimension)


def _load(name: str) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    is_folder = Path(name).is_dir()
    try:
        return SentenceTransformer(
            name, device="cpu", local_files_only=is_folder, model_kwargs={"use_safetensors": True}
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"cannot load the encoder {name}: {reason}",
            "give a folder with a sentence-transformers model, or leave --encoder out",
        ) from error


def _rust_tokenizer(model: SentenceTransformer, name: str) -> Tokenizer:
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ModelError(f"the encoder {name} has no fast tokenizer", "choose another encoder")
    tokenizer = Tokenizer.from_str(backend.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _revision(model: SentenceTransformer) -> str:
    """SHA-256 over all weights, in the order of their names."""
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().float().numpy().tobytes())
    return digest.hexdigest()
