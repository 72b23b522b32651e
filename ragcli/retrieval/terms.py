"""How telling a word is: the rarer among the passages, the more."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from ragcli.retrieval.lexical import STOP_WORDS

if TYPE_CHECKING:
    from ragcli.store import Index

_WORD = re.compile(r"\w+")


def inverse_document_frequency(n_passages: int, frequency: int) -> float:
    """BM25's weight of a word that stands in ``frequency`` of ``n_passages``; above 0."""
    return math.log(1.0 + (n_passages - frequency + 0.5) / (frequency + 0.5))


def word_weights(index: Index, query: str) -> list[tuple[int, int, float]]:
    """Each telling word of a query: its characters ``[start, end)`` and its weight, above 0.

    Stop words are left out, unless the query has no other word.
    """
    from ragcli.store import stem_counts

    found = list(_WORD.finditer(query))
    telling = [word for word in found if word.group().casefold() not in STOP_WORDS] or found
    stems = stem_counts([word.group() for word in telling])
    frequencies = index.document_frequencies(sorted({stem for own in stems for stem in own}))
    total = index.passage_count()
    weights = []
    for word, own in zip(telling, stems, strict=True):
        rarest = min((frequencies.get(stem, 0) for stem in own), default=0)
        weight = inverse_document_frequency(total, rarest)
        weights.append((word.start(), word.end(), weight))
    return weights


def expansion_terms(
    index: Index,
    query: str,
    texts: Sequence[str],
    attention: Sequence[float],
    count: int,
) -> list[str]:
    """Return the ``count`` stems that tell most of what ``texts`` are about, beside the query's.

    A stem counts by its share of each text, the text's ``attention``, and how rare it is among
    the passages (as in relevance models, Lavrenko & Croft 2001,
    https://doi.org/10.1145/383952.383972).
    """
    from ragcli.store import stem_counts

    in_query, *in_texts = stem_counts([query, *texts])
    known = in_query.keys() | _stop_stems().keys()
    shares: dict[str, float] = {}
    for weight, counts in zip(attention, in_texts, strict=True):
        length = sum(counts.values())
        for stem, n in counts.items():
            if stem not in known and _is_term(stem):
                shares[stem] = shares.get(stem, 0.0) + weight * n / length
    likely = sorted(shares, key=lambda stem: (-shares[stem], stem))[: count * _LOOKED_UP]
    # A search stems its words. A stem that has a stem of its own would find something else.
    likely = [stem for stem, own in zip(likely, stem_counts(likely), strict=True) if stem in own]
    frequencies = index.document_frequencies(likely)
    total = index.passage_count()
    # A stem of one passage finds that passage alone, which is found already.
    scores = {
        stem: shares[stem] * math.log(total / n) for stem, n in frequencies.items() if 1 < n < total
    }
    return sorted(scores, key=lambda stem: (-scores[stem], stem))[:count]


_LOOKED_UP = 4  # stems whose rarity is looked up, for each that is chosen


def _is_term(stem: str) -> bool:
    return len(stem) > 1 and stem[0].isalpha()


@cache
def _stop_stems() -> Mapping[str, int]:
    from ragcli.store import stem_counts

    return stem_counts([" ".join(STOP_WORDS)])[0]
