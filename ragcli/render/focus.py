"""What each word of an answer looked at: a few words a line for a person, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from ragcli.records import AnswerFocus, AnswerWord, PassageWord, ScoredPassage
from ragcli.render.explanation import name_heads
from ragcli.render.neutral import printable

COPIED = "bold yellow"
PASSAGE = "cyan"
DIGITS = 4
LOOKED_AT_SHOWN = 5
LOOKED_AT_TOLD = 10
"""Words in JSON."""
LEAST_SHOWN = 0.005
_LABEL_WIDTH = 16
_LEAST_WIDTH = 20


def focus_lines(
    focus: AnswerFocus, passages: Sequence[ScoredPassage], width: int
) -> Iterator[Text]:
    """Yield a line or a few for each word of the answer, heaviest first within a passage.

    Words without a space between them, as ``30,522``, stand together, with the mean of their rows.
    """
    yield Text("What each word of the answer looked at most, by [passage]:")
    groups = _glued(focus.words)
    labels = [_label([focus.words[n] for n in group]) for group in groups]
    indent = 4 + max(label.cell_len for label in labels)
    for label, group in zip(labels, groups, strict=True):
        row = focus.weights[group].mean(axis=0)
        copied = [focus.words[n] for n in group]
        parts = _parts(focus, row, copied, passages)
        label.pad_right(indent - 4 - label.cell_len)
        opening = Text("  ").append_text(label).append("  ")
        yield from _filled(parts, opening, indent, max(width, indent + _LEAST_WIDTH))
    heads = name_heads(focus.layer, focus.head, focus.cross_attention.shape)
    outside = float(outside_words(focus.weights).mean())
    yield Text(f"  cross-attention, {heads}", style="dim")
    yield Text(f"  {outside:.0%} of it lay on the question and special tokens", style="dim")


def outside_words(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """What rows of weights ``(..., S)`` lack to 1."""
    outside: NDArray[np.float32] = np.maximum(1.0 - weights.sum(axis=-1), 0.0)
    return outside


def _glued(words: Sequence[AnswerWord]) -> list[list[int]]:
    """Numbers of the words, those together that were copied without a space between them."""
    groups: list[list[int]] = []
    for number, word in enumerate(words):
        before = words[number - 1] if number else None
        if before and word.context is not None and _end(before) == (word.context, word.start):
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def _end(word: AnswerWord) -> tuple[int | None, int | None]:
    return word.context, word.end


def _label(words: Sequence[AnswerWord]) -> Text:
    label = Text(printable("".join(word.text for word in words)), style="bold")
    label.truncate(_LABEL_WIDTH, overflow="ellipsis")
    return label


def heaviest_words(row: NDArray[np.float32], n: int) -> list[int]:
    """Numbers of the ``n`` words with the greatest weights; ties in the order of the text."""
    return [int(number) for number in np.argsort(-row, kind="stable")[:n]]


def _parts(
    focus: AnswerFocus,
    row: NDArray[np.float32],
    copied: Sequence[AnswerWord],
    passages: Sequence[ScoredPassage],
) -> list[Text]:
    """The heaviest words, each with its weight, a passage's rank before the first that is in it."""
    best, *others = heaviest_words(row, LOOKED_AT_SHOWN)
    chosen = [best, *(n for n in others if row[n] >= LEAST_SHOWN)]
    order = list(dict.fromkeys(focus.seen[n].context for n in chosen))
    chosen.sort(key=lambda n: order.index(focus.seen[n].context))
    parts = []
    for context, numbers in groupby(chosen, key=lambda n: focus.seen[n].context):
        rank = Text(f"[{passages[context].rank}] ", style=PASSAGE)
        for n in numbers:
            word = focus.seen[n]
            style = COPIED if any(_overlap(word, one) for one in copied) else ""
            parts.append(rank.append_text(Text(printable(word.text), style)))
            parts[-1].append(f" {row[n]:.0%}")
            rank = Text()
    return parts


def _overlap(seen: PassageWord, word: AnswerWord) -> bool:
    if word.context != seen.context or word.start is None or word.end is None:
        return False
    return word.start < seen.end and seen.start < word.end


def _filled(parts: Sequence[Text], opening: Text, indent: int, width: int) -> Iterator[Text]:
    """Fill lines of ``width`` with ``parts``; all but the first begin with ``indent`` blanks."""
    line, is_empty = opening, True
    for part in parts:
        part.truncate(width - indent, overflow="ellipsis")
        if not is_empty and line.cell_len + 2 + part.cell_len > width:
            yield line
            line, is_empty = Text(" " * indent), True
        line = line.append("" if is_empty else "  ").append_text(part)
        is_empty = False
    yield line


def focus_fields(focus: AnswerFocus, passages: Sequence[ScoredPassage]) -> dict[str, Any]:
    """Return it as JSON fields; offsets are characters of the document.

    Of each word of the answer: where it was copied from, if it was; the words that it looked at
    most; and the weight of all other words and of the question and special tokens. It sums to 1.
    """
    outside = outside_words(focus.weights)
    words = []
    for number, word in enumerate(focus.words):
        row = focus.weights[number]
        heaviest = heaviest_words(row, LOOKED_AT_TOLD)
        others = float(row.sum() - row[heaviest].sum())
        words.append(
            {
                "text": word.text,
                **_place(word, passages),
                "looked_at": [
                    {
                        **_place(focus.seen[n], passages),
                        "text": focus.seen[n].text,
                        "weight": round(float(row[n]), DIGITS),
                    }
                    for n in heaviest
                ],
                "other_words": round(max(others, 0.0), DIGITS),
                "outside": round(float(outside[number]), DIGITS),
            }
        )
    return {"layer": focus.layer, "head": focus.head, "words": words}


def _place(
    word: AnswerWord | PassageWord, passages: Sequence[ScoredPassage]
) -> dict[str, int | None]:
    if word.context is None or word.start is None or word.end is None:
        return {"passage_id": None, "start": None, "end": None}
    stored = passages[word.context].stored
    start = stored.passage.start
    return {
        "passage_id": stored.passage_id,
        "start": start + word.start,
        "end": start + word.end,
    }
