"""An answer as a page: its words held against those of the passages, and all that made it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ragcli.records import Answer, AnswerFocus, AnswerWord, PassageWord, Verification
from ragcli.render.answers import NO_ANSWER, NO_ANSWER_HERE, SHARE_DIGITS, percent
from ragcli.render.focus import DIGITS, LOOKED_AT_TOLD, heaviest_words, outside_words
from ragcli.render.page import packed_weights, render_page, whole_weights
from ragcli.render.place import place


class Model(Protocol):
    """A model's name and the hash of its weights."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def revision(self) -> str: ...  # noqa: D102


class Models(Protocol):
    """The models that took part."""

    @property
    def encoder(self) -> Model | None: ...  # noqa: D102
    @property
    def reader(self) -> Model: ...  # noqa: D102
    @property
    def calibration(self) -> str: ...  # noqa: D102
    @property
    def arithmetic(self) -> str: ...  # noqa: D102


class Index(Protocol):
    """The index that was asked, and in which state."""

    @property
    def lineage(self) -> str: ...  # noqa: D102
    @property
    def generation(self) -> int: ...  # noqa: D102


class Settings(Protocol):
    """The settings in force."""

    @property
    def k(self) -> int: ...  # noqa: D102
    @property
    def mode(self) -> str: ...  # noqa: D102
    @property
    def fusion(self) -> str | None: ...  # noqa: D102
    @property
    def dense_weight(self) -> float | None: ...  # noqa: D102
    @property
    def rerank(self) -> bool: ...  # noqa: D102
    @property
    def per_document(self) -> int | None: ...  # noqa: D102
    @property
    def diversity(self) -> float: ...  # noqa: D102
    @property
    def filter(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def path(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def min_confidence(self) -> float: ...  # noqa: D102
    @property
    def form(self) -> str: ...  # noqa: D102


class Made(Protocol):
    """What made an answer; see ``engine.record_format.Record``."""

    @property
    def recorded_at(self) -> str: ...  # noqa: D102
    @property
    def settings(self) -> Settings: ...  # noqa: D102
    @property
    def index(self) -> Index | None: ...  # noqa: D102
    @property
    def models(self) -> Models: ...  # noqa: D102


class Piece(NamedTuple):
    """A piece of a text; ``word`` counts the words from 0, ``None`` for what is between them."""

    text: str
    word: int | None


def answer_page(answer: Answer, made: Made) -> str:
    """Return the page; an answer must have come with its focus and the shares of its words."""
    focus = None if answer.abstained else answer.focus
    return render_page(
        "answer",
        answer=answer,
        made=made,
        why=_why(answer, made.settings.min_confidence),
        pieces=[] if focus is None else _answer_pieces(answer.text or "", focus.words),
        passages=[_passage(answer, number, focus) for number in range(len(answer.passages))],
        vocabulary=round(answer.attribution.vocabulary, SHARE_DIGITS),
        support=_support(answer),
        verification=None if answer.verification is None else _trials(answer, answer.verification),
        searched=_search(made.settings),
        focus=focus,
        n_layers=0 if focus is None else focus.cross_attention.shape[0],
        n_heads=0 if focus is None else focus.cross_attention.shape[1],
        data=None if focus is None else _data(answer, focus),
    )


def _why(answer: Answer, min_confidence: float) -> str:
    """Why there is no answer."""
    if not answer.abstained:
        return ""
    if not answer.passages:
        return f"{NO_ANSWER} There was no passage to read."
    if answer.confidence < min_confidence:
        return (
            f"{NO_ANSWER} The confidence that the passages hold an answer is "
            f"{answer.confidence:.2f}, and answers are given from {min_confidence:.2f}."
        )
    return f"{NO_ANSWER} The reader found no words for an answer in the passages."


def _answer_pieces(text: str, words: Sequence[AnswerWord]) -> list[Piece]:
    """Cut an answer into its words and what is between them."""
    pieces: list[Piece] = []
    done = 0
    for number, word in enumerate(words):
        start = text.find(word.text, done)
        if start < 0:
            return [piece for n, one in enumerate(words) for piece in (Piece(one.text, n), _BLANK)]
        pieces += [Piece(text[done:start], None), Piece(word.text, number)]
        done = start + len(word.text)
    return [*pieces, Piece(text[done:], None)]


_BLANK = Piece(" ", None)


def _passage(answer: Answer, number: int, focus: AnswerFocus | None) -> dict[str, Any]:
    hit = answer.passages[number]
    seen = () if focus is None else tuple(w for w in focus.seen if w.context == number)
    return {
        "rank": hit.rank,
        "place": place(hit.stored),
        "heading": hit.stored.passage.heading,
        "score": hit.score,
        "share": round(answer.attribution.contexts[number], SHARE_DIGITS),
        "pieces": list(_passage_pieces(hit.stored.passage.text, seen)),
    }


def _passage_pieces(text: str, seen: Sequence[PassageWord]) -> Iterator[Piece]:
    done = 0
    for number, word in enumerate(seen):
        yield Piece(text[done : word.start], None)
        yield Piece(word.text, number)
        done = word.end
    yield Piece(text[done:], None)


def _support(answer: Answer) -> dict[str, Any] | None:
    support = answer.support
    if support is None or answer.abstained:
        return None
    hit = answer.passages[support.context]
    return {
        "text": " ".join(support.text.split()),
        "rank": hit.rank,
        "place": place(hit.stored, support.start),
        "share": round(support.share, SHARE_DIGITS),
    }


def _trials(answer: Answer, found: Verification) -> dict[str, Any]:
    ranks = " and ".join(str(answer.passages[n].rank) for n in found.cited)
    cited = f"passage {ranks}" if len(found.cited) == 1 else f"passages {ranks}"
    trials = (
        (f"without {cited}", found.without_passages),
        ("without the sentence", found.without_sentence),
        (f"from {cited} alone", found.passages_alone),
    )
    return {
        "verdict": found.verdict,
        "rows": [
            ("as it was read", percent(found.probability), answer.text, True),
            *(
                (label, percent(trial.probability), trial.text or NO_ANSWER_HERE, trial.same)
                for label, trial in trials
            ),
        ],
    }


def _search(settings: Settings) -> list[tuple[str, str]]:
    """How passages were searched: names and values of what shaped the ranking."""
    told = [("Search", settings.mode + (", reranked by tokens" if settings.rerank else ""))]
    if settings.fusion is not None and settings.dense_weight is not None:
        told.append(("Fusion", f"{settings.fusion}, weight of meaning {settings.dense_weight:g}"))
    if settings.per_document is not None:
        told.append(("Passages of one document", f"{settings.per_document} at most"))
    if settings.diversity:
        told.append(("Diversity", f"{settings.diversity:g}"))
    told += [("Filter", condition) for condition in settings.filter]
    told += [("Path", glob) for glob in settings.path]
    return told


def _data(answer: Answer, focus: AnswerFocus) -> dict[str, Any]:
    """What the script shows: of every source of weights, the whole answer's and each word's."""
    n_layers, n_heads = focus.cross_attention.shape[:2]
    shares = answer.word_shares
    if shares is None:
        raise ValueError("the page needs the shares of the answer's words")
    return {
        "copied": [_copied_from(word, focus.seen) for word in focus.words],
        "views": {
            "owed": _view(np.concatenate([shares.whole[None], shares.by_word])),
            "copy": _view(_with_mean(focus.copy)),
            "attention": [
                [
                    _view(_with_mean(replace(focus, layer=layer, head=head).weights))
                    for head in (None, *range(1, n_heads + 1))
                ]
                for layer in (None, *range(1, n_layers + 1))
            ],
        },
    }


def _with_mean(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put the mean of the rows ``(N, S)`` before them: that is the whole answer."""
    return np.concatenate([weights.mean(axis=0, keepdims=True), weights])


def _copied_from(word: AnswerWord, seen: Sequence[PassageWord]) -> list[int]:
    """Numbers of the passages' words that an answer's word was copied from."""
    if word.context is None or word.start is None or word.end is None:
        return []
    return [
        number
        for number, place in enumerate(seen)
        if place.context == word.context and place.start < word.end and word.start < place.end
    ]


def _view(rows: NDArray[np.float32]) -> dict[str, Any]:
    """Weights ``(1 + N, S)``, and of each row what lay on lighter words and what on no word."""
    told = [float(row.sum() - row[heaviest_words(row, LOOKED_AT_TOLD)].sum()) for row in rows]
    return {
        "rows": [packed_weights(row, DIGITS) for row in rows],
        "others": whole_weights(np.maximum(told, 0.0), DIGITS),
        "outside": whole_weights(outside_words(rows), DIGITS),
    }
