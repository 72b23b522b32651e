"""Hybrid retrieval: by vectors and by words together, in stages of which each sees the last.

1. Dense and lexical retrieval, fused.
2. Reranking, on request: the best of these are scored anew by late interaction.
3. The query attends over the best of those and is searched again, wider, by both.
4. The best of what that found are scored by late interaction as well.
5. The reader looks for an answer in the best of those, in all of them at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ragcli.records import PartialScore, Scores
from ragcli.retrieval.dense import text_to_encode
from ragcli.retrieval.feedback import WidenedQuery, add_terms, widen
from ragcli.retrieval.fusion import Sides, best_first, fuse
from ragcli.retrieval.interaction import (
    QueryTokens,
    interaction_score,
    query_tokens,
    sentence_score,
    word_score,
)
from ragcli.retrieval.lexical import score_expression, score_lexical
from ragcli.retrieval.models import needed
from ragcli.retrieval.ranking import DENSE, LEXICAL, Ranking
from ragcli.retrieval.terms import word_weights

if TYPE_CHECKING:
    from ragcli.retrieval.models import Models
    from ragcli.retrieval.passage_states import PassageTokens
    from ragcli.store import Index

FUSED, RERANK, READER = "fused", "rerank", "reader"
WIDER_DENSE, WIDER_LEXICAL, WIDER_FUSED = "wider dense", "wider lexical", "wider fused"
DEPTH = 200
"""Passages of each retriever that are fused."""
RERANKED = 20
"""Passages that are scored by late interaction, and passages that the reader looks at."""
INTERACTION_WEIGHT = 0.8
"""Share of late interaction in the score of a reranked passage, the fused one having the rest."""
WIDER_INTERACTION_WEIGHT = 0.5
"""The same after feedback, to which late interaction has added its part already."""
READER_WEIGHT = 0.125
"""Share of the reader's attention in the score, what came before it having the rest."""
READER_POWER = 0.5
"""Exponent of that attention: a softmax over passages is surer than the order it gives."""


@dataclass(slots=True)
class Trail:
    """What the stages said of one query's passages, in their order.

    ``stages[name]`` is a ranking; of the passages after the first ``found[name]`` the stage was
    only asked for a score.
    """

    stages: dict[str, Scores] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, scores: Scores, found: int | None = None) -> None:
        """Add a stage, by default one that found all its passages itself."""
        self.stages[name] = scores
        self.found[name] = len(scores) if found is None else found

    def parts(self, wanted: Sequence[int]) -> dict[int, tuple[PartialScore, ...]]:
        """What the stages said of each of these passages."""
        told: dict[int, tuple[PartialScore, ...]] = dict.fromkeys(wanted, ())
        for name, scores in self.stages.items():
            for rank, (passage_id, score) in enumerate(scores, start=1):
                if passage_id in told:
                    own = PartialScore(name, score, rank if rank <= self.found[name] else None)
                    told[passage_id] = (*told[passage_id], own)
        return told


def both_sides(
    index: Index,
    vector: NDArray[np.float32],
    mean: NDArray[np.float32],
    dense: Scores,
    lexical: Scores,
) -> Sides:
    """The first ``DEPTH`` of both rankings of a query with this ``vector``, ready to be fused.

    ``mean`` is the mean of the index's vectors.
    """
    dense, lexical = dense[:DEPTH], lexical[:DEPTH]
    found = {passage_id for passage_id, _ in dense}
    others = [passage_id for passage_id, _ in lexical if passage_id not in found]
    (added,) = index.search(vector[None], len(others), frozenset(others)) if others else ([],)
    return Sides(dense, lexical, added, float(vector @ mean))


class HybridSearch:
    """A batch of queries on their way through the stages."""

    def __init__(
        self,
        index: Index,
        models: Models,
        queries: Sequence[str],
        ranking: Ranking,
        among: frozenset[int] | None,
    ) -> None:
        self._index = index
        self._encoder = needed(models.encoder, "an encoder")
        self._reader = models.reader
        self._queries = queries
        self._ranking = ranking
        self._among = among
        self._vectors = self._encoder.encode_queries(queries)
        self._mean = index.mean_vector()
        self._texts: dict[int, str] = {}
        self._states = models.states

    def rank(self, depth: int) -> list[tuple[Trail, Scores]]:
        """For each query what the stages said, and the ranking of all that was found.

        Only the first ``DEPTH`` of each retriever are fused, so that a score does not depend on
        how many hits are asked for; what lies deeper follows with a score of 0.
        """
        trails = [Trail() for _ in self._queries]
        dense = self._index.search(self._vectors, depth, self._among)
        lexical = [score_lexical(self._index, q, depth, self._among) for q in self._queries]
        ranked = [
            self._fuse(trail, (DENSE, LEXICAL), vector, own_dense, own_lexical)
            for trail, vector, own_dense, own_lexical in zip(
                trails, self._vectors, dense, lexical, strict=True
            )
        ]
        if self._ranking.rerank:
            _note(trails, FUSED, ranked)
            scores = self._interact(ranked)
            ranked = _interpolate(ranked, scores, INTERACTION_WEIGHT)
            dense, ranked = self._feed_back(trails, ranked, lexical, depth)
            _note(trails, WIDER_FUSED, ranked)
            scores = self._interact(ranked)
            _note(trails, RERANK, [best_first(own) for own in scores])
            ranked = _interpolate(ranked, scores, WIDER_INTERACTION_WEIGHT)
            scores = self._read(ranked)
            _note(trails, READER, [best_first(own) for own in scores])
            ranked = _interpolate(ranked, scores, READER_WEIGHT)
        return [
            (trail, _with_deeper(own, own_dense[DEPTH:], own_lexical[DEPTH:]))
            for trail, own, own_dense, own_lexical in zip(
                trails, ranked, dense, lexical, strict=True
            )
        ]

    def _fuse(
        self,
        trail: Trail,
        names: tuple[str, str],
        vector: NDArray[np.float32],
        dense: Scores,
        lexical: Scores,
    ) -> Scores:
        sides = both_sides(self._index, vector, self._mean, dense, lexical)
        trail.add(names[0], [*sides.dense, *sides.added], len(sides.dense))
        trail.add(names[1], sides.lexical)
        return fuse(sides, *self._ranking.fusing)

    def _interact(self, ranked: Sequence[Scores]) -> list[dict[int, float]]:
        """Score the best of each ranking by late interaction; every passage is encoded once."""
        heads = [[passage_id for passage_id, _ in own[:RERANKED]] for own in ranked]
        texts = self._texts_of([key for head in heads for key in head])
        tokens = self._states.of(self._encoder, [texts[key] for head in heads for key in head])
        return [
            {key: _score(query, vector, tokens[texts[key]]) for key in head}
            for query, vector, head in zip(self._query_tokens, self._vectors, heads, strict=True)
        ]

    def _read(self, ranked: Sequence[Scores]) -> list[dict[int, float]]:
        """The reader's attention to each of the best of each ranking.

        Where the sentence that answers would begin, the attention of its copy distribution says
        which passages hold an answer (Izacard & Grave 2021, https://arxiv.org/abs/2012.04584,
        train retrievers by a reader's cross-attention).
        """
        heads = [[passage_id for passage_id, _ in own[:RERANKED]] for own in ranked]
        read = self._texts_of([key for head in heads for key in head])
        texts = [[read[key] for key in head] for head in heads]
        shares = needed(self._reader, "a reader").attend(self._queries, texts)
        return [
            dict(zip(head, (own**READER_POWER).tolist(), strict=True))
            for head, own in zip(heads, shares, strict=True)
        ]

    def _texts_of(self, keys: Sequence[int]) -> Mapping[int, str]:
        """What the models read of passages, and of all that were asked for before."""
        new = [key for key in dict.fromkeys(keys) if key not in self._texts]
        for stored in self._index.passages(new):
            self._texts[stored.passage_id] = text_to_encode(stored.title, stored.passage)
        return self._texts

    @cached_property
    def _query_tokens(self) -> list[QueryTokens]:
        encoded = self._encoder.encode_tokens(self._queries)
        return [
            query_tokens(tokens, word_weights(self._index, query))
            for query, tokens in zip(self._queries, encoded, strict=True)
        ]

    def _feed_back(
        self,
        trails: Sequence[Trail],
        ranked: Sequence[Scores],
        lexical: Sequence[Scores],
        depth: int,
    ) -> tuple[list[Scores], list[Scores]]:
        """Search again with the widened queries: the new dense rankings and the fused ones."""
        wider = [
            widen(self._index, query, vector, own)
            for query, vector, own in zip(self._queries, self._vectors, ranked, strict=True)
        ]
        vectors = np.array([query.vector for query in wider], dtype=np.float32)
        dense = self._index.search(vectors, depth, self._among)
        fused = []
        for trail, query, own_dense, own_lexical in zip(trails, wider, dense, lexical, strict=True):
            words = add_terms(own_lexical[:DEPTH], self._new_words(query))
            names = (WIDER_DENSE, WIDER_LEXICAL)
            fused.append(self._fuse(trail, names, query.vector, own_dense, words))
        return dense, fused

    def _new_words(self, query: WidenedQuery) -> Scores:
        return score_expression(self._index, query.expression, DEPTH, self._among)


def _score(query: QueryTokens, vector: NDArray[np.float32], passage: PassageTokens) -> float:
    states = passage.states
    return interaction_score(
        word_score(query, states), sentence_score(vector, states, passage.sentences)
    )


def _note(trails: Sequence[Trail], name: str, ranked: Sequence[Scores]) -> None:
    for trail, own in zip(trails, ranked, strict=True):
        trail.add(name, own)


def _interpolate(
    ranked: Sequence[Scores], added: Sequence[dict[int, float]], weight: float
) -> list[Scores]:
    """Mean of the scores so far and of new ones; a passage without the latter has 0."""
    return [
        best_first({key: (1.0 - weight) * score + weight * new.get(key, 0.0) for key, score in own})
        for own, new in zip(ranked, added, strict=True)
    ]


def _with_deeper(ranked: Scores, *deeper: Scores) -> Scores:
    known = {passage_id for passage_id, _ in ranked}
    rest = dict.fromkeys(key for scores in deeper for key, _ in scores if key not in known)
    return ranked + [(key, 0.0) for key in rest]
