"""Which encoder an index was made by, whether that is the one at hand, and what searching needs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ragcli.errors import IndexMismatchError
from ragcli.retrieval.models import Models

if TYPE_CHECKING:
    from ragcli.encoder import Encoder, EncoderFingerprint
    from ragcli.reader import Reader
    from ragcli.retrieval.ranking import Ranking
    from ragcli.store import IndexFingerprint

REMEDY = 'run "ragcli index --rebuild PATH" to embed everything anew'


def load_named(name: str | None) -> Encoder:
    """Load the encoder ``name``; ``None`` and the default's own name mean the embedded one."""
    from ragcli.encoder import default_fingerprint, load_encoder

    return load_encoder(None if name == default_fingerprint().name else name)


def encoder_of(fingerprint: IndexFingerprint, requested: str | None) -> Encoder:
    """Load the encoder that made an index.

    Raises ``IndexMismatchError`` when another one is ``requested``, or when the encoder of that
    name no longer is the one that made the index.
    """
    check_requested(fingerprint, requested)
    encoder = load_named(fingerprint.encoder_name)
    if not made_by(fingerprint, encoder.fingerprint):
        raise IndexMismatchError(
            f"the encoder {fingerprint.encoder_name} has changed since it made the index", REMEDY
        )
    return encoder


def models_of(fingerprint: IndexFingerprint, requested: str | None, ranking: Ranking) -> Models:
    """Load what ``ranking`` needs to search an index.

    Raises as ``encoder_of`` does, and ``ModelError`` for weights that cannot be loaded.
    """
    encoder = encoder_of(fingerprint, requested) if ranking.needs_encoder else None
    return Models(encoder, shipped_reader() if ranking.rerank else None)


@cache
def shipped_reader() -> Reader:
    """Load the reader once a process; raises ``ModelError`` for weights that cannot be loaded."""
    from ragcli.reader import load_reader

    return load_reader()


def check_requested(fingerprint: IndexFingerprint, requested: str | None) -> None:
    """Raise ``IndexMismatchError`` when ``requested`` is not the encoder that made the index."""
    if requested is not None and requested != fingerprint.encoder_name:
        raise IndexMismatchError(
            f"the index was made by the encoder {fingerprint.encoder_name}, not by {requested}",
            f'leave out --encoder {requested}, or run "ragcli index --rebuild --encoder '
            f'{requested} PATH"',
        )


def made_by(index: IndexFingerprint, encoder: EncoderFingerprint) -> bool:
    """Whether ``encoder`` puts texts where the vectors of the index lie."""
    return (
        index.encoder_name,
        index.encoder_revision,
        index.dimension,
        index.query_prompt,
        index.passage_prompt,
    ) == (
        encoder.name,
        encoder.revision,
        encoder.dimension,
        encoder.query_prompt,
        encoder.passage_prompt,
    )
