"""The steps of attention for one token in one head, with the numbers of the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.cells import set_cell_size
from rich.console import Console
from rich.text import Text

from ragcli.records import AttentionSteps, EncoderToken, Explanation
from ragcli.render.heat_map import NAME_WIDTH, token_name

BAR_WIDTH = 20
ALL_SHOWN = 24
"""Tokens up to which all keys are shown; of longer texts only the heaviest."""
HEAVIEST_SHOWN = 10

_LABEL_WIDTH = NAME_WIDTH + 4
_COMPONENT_WIDTH = 7
_BESIDE_COMPONENTS = _LABEL_WIDTH + 25
_BESIDE_BAR = _LABEL_WIDTH + 43


def steps_lines(
    explanation: Explanation, steps: AttentionSteps, top: int | None, console: Console
) -> Iterator[Text]:
    """Yield query, dot products, scores, softmax and weighted sum, with their shapes.

    ``top`` is how many keys are shown, the heaviest ones in the order of the text; the others
    stand summed up in one line, so that every column still adds up.
    """
    n, dimension = steps.values.shape
    n_heads = explanation.head_weights.shape[1]
    label = _label(steps.token, explanation.tokens).strip()
    title = f"{label} in layer {steps.layer}, head {steps.head} of {explanation.model}"
    table = _Table(explanation.tokens, steps, top, console.width)

    def told(text: str, style: str = "") -> Iterator[Text]:
        for line in Text(text, style).wrap(console, console.width):
            line.rstrip()
            yield line

    yield from told(title, "bold")
    yield Text()
    yield from told(f"1. The query q says what the token looks for, in {dimension} numbers:")
    yield Text(f"   q = {table.vector(steps.query)}, length {_length(steps.query):.2f}")
    yield Text()
    yield from told(f"2. The key k of each of the {n} tokens says what stands there.")
    root = f"√{dimension} = {dimension**0.5:.3f}"
    yield from told(f"   The score is the dot product q·k, divided by {root}.")
    yield from told("3. Softmax makes weights of the scores: e^score, divided by the sum of all.")
    yield Text()
    yield from table.softmax()
    yield Text()
    yield from told("4. The output is the sum of the values v, each times the weight of its token:")
    yield from told(f"   (1 × {n}) · ({n} × {dimension}) → {dimension} numbers.")
    yield Text()
    yield from table.weighted_sum()
    yield Text()
    yield from told(
        f"The outputs of all {n_heads} heads, joined to {n_heads * dimension} numbers, are "
        "projected once more and added to the state of the token."
    )


class _Table:
    """The tables of one token's steps: a line for each key shown, one for all others, the sum."""

    def __init__(
        self, tokens: Sequence[EncoderToken], steps: AttentionSteps, top: int | None, width: int
    ) -> None:
        n = len(tokens)
        most = top or (n if n <= ALL_SHOWN else HEAVIEST_SHOWN)
        heaviest = np.argsort(-steps.weights, kind="stable")
        self._tokens = tokens
        self._steps = steps
        self._shown: list[int] = sorted(heaviest[:most].tolist())
        self._others: list[int] = heaviest[most:].tolist()
        self._bar_width = min(max(width - _BESIDE_BAR, 0), BAR_WIDTH)
        self._n_components = max((width - _BESIDE_COMPONENTS) // _COMPONENT_WIDTH, 1)

    def softmax(self) -> Iterator[Text]:
        """Yield dot product, score, its power of e, and weight."""
        steps, others = self._steps, self._others
        powers = np.exp(steps.scores.astype(np.float64))
        weights = steps.weights.astype(np.float64)
        yield Text(_row("token", "q·k", "score", "e^score", "weight"), "dim")
        for n in self._shown:
            numbers = f"{steps.dot_products[n]:.3f}", f"{steps.scores[n]:.3f}", f"{powers[n]:.3f}"
            row = _row(_label(n, self._tokens), *numbers, f"{weights[n]:.3f}")
            bar = "█" * round(weights[n] * self._bar_width)
            yield Text.assemble(row, (f"  {bar}" if bar else "", "green"))
        if others:
            rest = f"{powers[others].sum():.3f}", f"{weights[others].sum():.3f}"
            yield Text(_row(f"{len(others)} others", "", "", *rest))
        yield Text(_row("sum", "", "", f"{powers.sum():.3f}", f"{weights.sum():.3f}"), "bold")

    def weighted_sum(self) -> Iterator[Text]:
        """Yield the weighted values, with the first components of each and its length."""
        steps, others = self._steps, self._others
        heading = self._sum_row("token", "weight", "  v", "length")
        yield Text(heading, "dim")
        for n in self._shown:
            label = _label(n, self._tokens)
            yield self._product(label, float(steps.weights[n]), steps.values[n])
        if others:
            weights = steps.weights[others].astype(np.float64)
            mean = weights @ steps.values[others] / weights.sum()
            yield self._product(f"{len(others)} others, mean", float(weights.sum()), mean)
        output = f"= {self.vector(steps.output)}"
        yield Text(self._sum_row("sum", "", output, f"{_length(steps.output):.2f}"), "bold")

    def vector(self, vector: NDArray[np.floating]) -> str:
        """Return the first components of a vector."""
        numbers = " ".join(f"{x:6.3f}" for x in vector[: self._n_components])
        return f"({numbers} ...)"

    def _product(self, label: str, weight: float, value: NDArray[np.floating]) -> Text:
        vector = f"× {self.vector(value)}"
        return Text(self._sum_row(label, f"{weight:.3f}", vector, f"{_length(value):.2f}"))

    def _sum_row(self, label: str, weight: str, vector: str, length: str) -> str:
        width = self._n_components * _COMPONENT_WIDTH + 7
        return f"   {set_cell_size(label, _LABEL_WIDTH)} {weight:>6} {vector:<{width}} {length:>6}"


def _label(n: int, tokens: Sequence[EncoderToken]) -> str:
    return f"{n + 1:3} {token_name(tokens[n])}"


def _row(label: str, dot: str, score: str, power: str, weight: str) -> str:
    return f"   {set_cell_size(label, _LABEL_WIDTH)}{dot:>9}{score:>9}{power:>12}{weight:>8}"


def _length(vector: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(vector))
