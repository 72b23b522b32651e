"""Lexical retrieval: the passages that hold the query's words, by BM25; loads no model."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragcli.records import Scores
from ragcli.retrieval.fusion import best_first

if TYPE_CHECKING:
    from ragcli.store import Index

STOP_WORDS = frozenset(
    "a about after all also am an and any are as at be because been before being but by can could "
    "did do does doing for from had has have having he her here hers him his how i if in into is "
    "it its just me more most my no nor not now of on or other our ours out over she should so "
    "some such than that the their them then there these they this those through to too under "
    "until up very was we were what when where which while who whom whose why will with would you "
    "your yours".split()
)
"""English words that say little about what is looked for; a query of nothing else keeps them."""

CANDIDATES = 400
"""Passages, the best by their own BM25, that are scored together with their documents."""
DOCUMENT_WEIGHT = 0.6
"""Share of the document's BM25 in the score of a passage, its own having the rest."""

_PART = re.compile(r'"([^"]*)"|(\w+)(\*?)')
_WORD = re.compile(r"\w+")
_TRIMMED_LETTERS = 3


def telling_words(text: str) -> list[str]:
    """Words of a text without case and without stop words; all of them if it has no other."""
    words = _WORD.findall(_folded(text))
    return [word for word in words if word not in STOP_WORDS] or words


def match_expression(query: str) -> str | None:
    """Turn a query into an FTS5 expression; ``None`` when it has no word.

    ``"words in quotes"`` must all stand in the passage, in this order; ``word*`` stands for longer
    words as well. The other words add to the score where they stand, and none of them must.
    """
    phrases: dict[str, None] = {}
    words: dict[str, str] = {}
    for quoted, word, star in _PART.findall(_folded(query)):
        if _WORD.search(quoted):
            phrases[_quote(quoted)] = None
        elif word:
            words[word + star] = _longer_words(word) if star else _quote(word)
    telling = [terms for word, terms in words.items() if word not in STOP_WORDS]
    terms = telling or ([] if phrases else list(words.values()))
    if not phrases:
        return " OR ".join(terms) or None
    required = " AND ".join(phrases)
    # A term beside a required phrase only raises the score: (phrase) or (phrase and term).
    return f"{required} AND ({' OR '.join([required, *terms])})" if terms else required


def any_of(stems: Sequence[str]) -> str | None:
    """Return the FTS5 expression for passages with any of these stems; ``None`` without any."""
    return " OR ".join(map(_quote, stems)) or None


def _folded(text: str) -> str:
    """Without case, and with accents as one character each with their letters."""
    return unicodedata.normalize("NFC", text).casefold()


def _longer_words(start: str) -> str:
    """Match words that begin so.

    The index holds stems, and the stem of a word that begins so may be shorter: "generat" begins
    "generation", whose stem is "gener". Shorter words are therefore matched as well, with an ending
    that the stemmer takes off, lest it take one off the stem ("univers" → "univer").
    """
    shorter = [
        start[:-n] for n in range(1, _TRIMMED_LETTERS + 1) if len(start) - n >= _TRIMMED_LETTERS
    ]
    return " OR ".join([_quote(start) + "*", *(_quote(f"{stem}ing") for stem in shorter)])


def _quote(text: str) -> str:
    """FTS5 reads a text in double quotes as words, whatever they are."""
    return '"' + text.replace('"', '""') + '"'


def score_lexical(
    index: Index, query: str, depth: int, among: frozenset[int] | None = None
) -> Scores:
    """The best ``depth`` passages for ``query`` by their words, best first; ties by passage id."""
    return score_expression(index, match_expression(query), depth, among)


def score_expression(
    index: Index, expression: str | None, depth: int, among: frozenset[int] | None = None
) -> Scores:
    """The best ``depth`` passages for an FTS5 ``expression``, best first; ties by passage id.

    The score is a mean of the passage's BM25 and that of its whole document: words that stand
    outside a passage tell what it is about (Callan 1994, https://doi.org/10.1007/978-1-4471-2099-5_31).
    """
    if expression is None:
        return []
    found = index.search_words(expression, max(depth, CANDIDATES), among)
    documents = index.score_document_words(expression, [passage_id for passage_id, _ in found])
    scores = {
        passage_id: (1.0 - DOCUMENT_WEIGHT) * score
        + DOCUMENT_WEIGHT * documents.get(passage_id, 0.0)
        for passage_id, score in found
    }
    return best_first(scores)[:depth]
