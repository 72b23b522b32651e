"""What an index was tuned to on its person's own questions, and what of it holds for a search."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from ragcli.retrieval.ranking import HYBRID, Ranking

if TYPE_CHECKING:
    from ragcli.store import Index

PREFERENCE = "tuned"
"""The index's preference that holds it."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was chosen on ``n_questions`` judged questions; ``None`` leaves the default.

    ``fusion`` and ``dense_weight`` in [0, 1] were chosen together, ``k`` is the number of passages
    to show. ``encoder_revision`` is the encoder that all of it was measured with.
    """

    fusion: str | None = None
    dense_weight: float | None = None
    k: int | None = None
    n_questions: int = 0
    encoder_revision: str = ""

    def complete(self, ranking: Ranking) -> Ranking:
        """Fill in what ``ranking`` leaves open; a weight holds only for its own fusion."""
        fusion = ranking.fusion or self.fusion
        weight = ranking.dense_weight
        if weight is None and fusion == self.fusion:
            weight = self.dense_weight
        return replace(ranking, fusion=fusion, dense_weight=weight)

    def k_for(self, ranking: Ranking) -> int | None:
        """How many passages to show; ``None`` for a mode that it was not measured with."""
        return self.k if ranking.mode == HYBRID else None


UNTUNED = Tuned()


def tuned_of(index: Index) -> Tuned:
    """What the index was tuned to, ``UNTUNED`` also when its encoder is another one since."""
    kept = index.preferences().get(PREFERENCE)
    try:
        tuned = UNTUNED if kept is None else Tuned(**json.loads(kept))
    except (TypeError, ValueError):  # by another version, which knew other fields
        return UNTUNED
    return tuned if tuned.encoder_revision == index.fingerprint.encoder_revision else UNTUNED


def keep_tuned(index: Index, tuned: Tuned | None) -> None:
    """Write down what an index was tuned to; ``None`` forgets it. Lasts from ``commit`` on."""
    index.prefer(PREFERENCE, None if tuned is None else json.dumps(asdict(tuned)))
