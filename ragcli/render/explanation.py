"""What ``explain`` found, for a person and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from ragcli.records import AttentionSteps, Explanation, Word
from ragcli.render.attention_steps import steps_lines
from ragcli.render.heat_map import heat_map_lines
from ragcli.render.machine import json_line
from ragcli.render.neutral import printable

DIGITS = 6
_LEAST_TEXT_WIDTH = 20


def write_explanation(explanation: Explanation, console: Console, *, top: int | None) -> None:
    """Write the map and the links for a person, or the steps where these were asked for."""
    if explanation.steps is None:
        lines = _overview(explanation, console)
    else:
        lines = steps_lines(explanation, explanation.steps, top, console)
    for line in lines:
        console.print(line, soft_wrap=True)


def _overview(explanation: Explanation, console: Console) -> Iterator[Text]:
    width = max(console.width, _LEAST_TEXT_WIDTH)
    heads = name_heads(explanation.layer, explanation.head, explanation.head_weights.shape)
    title = f"{explanation.model}, {heads}: rows look, columns are looked at"
    yield from _wrapped(title, console, "bold")
    yield Text()
    yield from heat_map_lines(explanation.weights, explanation.tokens, width)
    yield Text()
    if explanation.links:
        yield Text("strongest links (who looks <- at what):")
        yield from _links(explanation, width)
        yield Text()
    yield from _wrapped(f"a word's weight goes to: {_shares(explanation)}", console)


def _wrapped(text: str, console: Console, style: str = "") -> Iterator[Text]:
    for line in Text(text, style).wrap(console, max(console.width, _LEAST_TEXT_WIDTH)):
        line.rstrip()
        yield line


def name_heads(layer: int | None, head: int | None, shape: Sequence[int]) -> str:
    """Say which of ``(n_layers, n_heads, ...)`` are meant, all where none is named."""
    n_layers, n_heads = shape[:2]
    if layer is None and head is None:
        return f"mean of {n_layers} layers × {n_heads} heads"
    if layer is None:
        return f"head {head}, mean of {n_layers} layers"
    return f"layer {layer}, " + (f"mean of {n_heads} heads" if head is None else f"head {head}")


def _links(explanation: Explanation, width: int) -> Iterator[Text]:
    names = word_names(explanation.words)
    lines = [
        Text(f"  {names[link.looking]} <- {names[link.looked_at]}") for link in explanation.links
    ]
    for line in lines:
        line.truncate(width - 7, overflow="ellipsis")
    widest = max(line.cell_len for line in lines)
    for line, link in zip(lines, explanation.links, strict=True):
        line.pad_right(widest - line.cell_len)
        yield line.append(f"  {link.weight:.3f}")


def word_names(words: Sequence[Word]) -> list[str]:
    """The words; where one stands more than once, with the number of its first token."""
    counts = Counter(word.text.casefold() for word in words)
    return [
        printable(word.text)
        + (f" ({word.tokens[0] + 1})" if counts[word.text.casefold()] > 1 else "")
        for word in words
    ]


def _shares(explanation: Explanation) -> str:
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in explanation.shares.items())


def explanation_json(explanation: Explanation, *, with_all: bool = False) -> str:
    """Return one JSON object; offsets are characters of the text, tokens count from 1.

    ``with_all`` adds the weights of every layer and head.
    """
    steps = explanation.steps
    return json_line(
        {
            "text": explanation.text,
            "model": explanation.model,
            "revision": explanation.revision,
            "layer": explanation.layer,
            "head": explanation.head,
            "tokens": [
                {
                    "token": number,
                    "text": token.text,
                    "start": token.start,
                    "end": token.end,
                    "special": token.word is None,
                }
                for number, token in enumerate(explanation.tokens, start=1)
            ],
            "weights": _rounded(explanation.weights),
            "links": [
                {
                    "from": _word(explanation.words[link.looking]),
                    "to": _word(explanation.words[link.looked_at]),
                    "weight": round(link.weight, DIGITS),
                }
                for link in explanation.links
            ],
            "shares": {name: round(share, DIGITS) for name, share in explanation.shares.items()},
            **({} if steps is None else {"steps": _steps(steps)}),
            **({"head_weights": _rounded(explanation.head_weights)} if with_all else {}),
        }
    )


def _word(word: Word) -> dict[str, Any]:
    return {
        "text": word.text,
        "start": word.start,
        "end": word.end,
        "tokens": [position + 1 for position in word.tokens],
    }


def _steps(steps: AttentionSteps) -> dict[str, Any]:
    return {
        "token": steps.token + 1,
        "layer": steps.layer,
        "head": steps.head,
        "dimension": len(steps.query),
        "query": _rounded(steps.query),
        "keys": _rounded(steps.keys),
        "dot_products": _rounded(steps.dot_products),
        "scores": _rounded(steps.scores),
        "weights": _rounded(steps.weights),
        "values": _rounded(steps.values),
        "output": _rounded(steps.output),
    }


def _rounded(numbers: NDArray[np.float32]) -> list[Any]:
    rounded: list[Any] = numbers.astype(np.float64).round(DIGITS).tolist()
    return rounded
