"""How passages are to be ranked, as a person says it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ragcli.errors import UsageError
from ragcli.retrieval.fusion import DEFAULT_FUSION, DENSE_WEIGHT, FUSIONS

HYBRID, DENSE, LEXICAL = MODES = ("hybrid", "dense", "lexical")


@dataclass(frozen=True, slots=True)
class Ranking:
    """How passages are ranked.

    ``mode`` is one of ``MODES``, ``fusion`` one of ``FUSIONS``, ``dense_weight`` in [0, 1] the
    share of the dense score in the fused one; ``None`` leaves these two to what the index was tuned
    to (see ``retrieval.tuned``), else to the defaults. ``rerank`` scores the
    best of hybrid mode anew by attention. ``per_document`` is the most passages of
    one document, ``diversity`` in [0, 1] how much a passage that repeats a better one is put back.
    Raises ``UsageError`` for names that do not exist and for reranking in another mode.
    """

    mode: str = HYBRID
    fusion: str | None = None
    dense_weight: float | None = None
    rerank: bool = False
    per_document: int | None = None
    diversity: float = 0.0

    def __post_init__(self) -> None:
        """Check the names."""
        for what, name, known in (
            ("mode", self.mode, MODES),
            ("fusion", self.fusion or DEFAULT_FUSION, tuple(FUSIONS)),
        ):
            if name not in known:
                raise UsageError(f"unknown {what} {name!r}", f"choose one of: {', '.join(known)}")
        if self.rerank and self.mode != HYBRID:
            raise UsageError(
                f"reranking is for hybrid mode, not {self.mode}",
                "add --mode hybrid or leave it out",
            )

    @property
    def fusing(self) -> tuple[str, float]:
        """The way to fuse and the dense score's weight, by default where they are left open."""
        weight = DENSE_WEIGHT if self.dense_weight is None else self.dense_weight
        return self.fusion or DEFAULT_FUSION, weight

    @property
    def spelled_out(self) -> Ranking:
        """The same ranking, with the defaults for what a hybrid one leaves open written down."""
        if self.mode != HYBRID:
            return replace(self, fusion=None, dense_weight=None)
        fusion, weight = self.fusing
        return replace(self, fusion=fusion, dense_weight=weight)

    @property
    def needs_encoder(self) -> bool:
        """Whether queries are encoded at all."""
        return self.mode != LEXICAL


DEFAULT_RANKING = Ranking()
