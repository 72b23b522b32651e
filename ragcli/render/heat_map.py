"""A heat map of attention weights, token by token, that reads with and without colour."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ragcli.records import EncoderToken
from ragcli.render.neutral import printable

LEVELS = (
    (2, "·", "#440154", "white"),
    (5, "░", "#3b528b", "white"),
    (10, "▒", "#21918c", "white"),
    (20, "▓", "#5ec962", "black"),
    (40, "█", "#fde725", "black"),
)
"""Least percentage, sign, and colours of a cell and of the digits in it (the scale viridis)."""

NAME_WIDTH = 14
"""Columns of the longest token's name; what is longer is cut."""

_CELL_WIDTHS = (4, 3, 2, 1)
"""A cell of three columns or more has room for the percentage beside the sign."""
_WITH_NUMBER = 3


def heat_map_lines(
    weights: NDArray[np.float32], tokens: Sequence[EncoderToken], width: int
) -> Iterator[Text]:
    """Yield the map of ``weights (n, n)``: rows look, columns are looked at.

    Cells are as wide as ``width`` columns allow; where not even the narrowest fit, one line says
    so.
    """
    n = len(tokens)
    labels = [f"{number:>{len(str(n))}} {token_name(t)}" for number, t in enumerate(tokens, 1)]
    label_width = max(map(cell_len, labels)) + 1
    room = width - label_width
    cell = next((wide for wide in _CELL_WIDTHS if wide * n <= room), None)
    if cell is None:
        yield Text(f"no map: {n} tokens do not fit into {width} columns (at most {max(room, 0)})")
        return
    yield from _header(tokens, cell, label_width)
    for label, row in zip(labels, weights, strict=True):
        line = Text(set_cell_size(label, label_width))
        for weight in row:
            line.append_text(_cell(float(weight), cell))
        line.rstrip()
        yield line
    yield Text()
    yield from _legend(width)


def token_name(token: EncoderToken) -> str:
    """What a token is called in a table, at most ``NAME_WIDTH`` columns wide."""
    name = Text(printable(token.text))
    name.truncate(NAME_WIDTH, overflow="ellipsis")
    return name.plain


def _header(tokens: Sequence[EncoderToken], cell: int, label_width: int) -> Iterator[Text]:
    """Yield the columns' numbers, and the first letters of their tokens where there is room."""
    indent = " " * label_width
    if cell >= _WITH_NUMBER:
        numbers = "".join(f"{number:>{cell}}" for number in range(1, len(tokens) + 1))
        names = "".join(" " + set_cell_size(printable(token.text), cell - 1) for token in tokens)
        yield Text(indent + numbers)
        yield Text((indent + names).rstrip())
        return
    digits = [str(number).rjust(len(str(len(tokens)))) for number in range(1, len(tokens) + 1)]
    for row in zip(*digits, strict=True):
        yield Text(indent + "".join(digit.rjust(cell) for digit in row))


def _cell(weight: float, width: int) -> Text:
    """A sign for the weight's level, with the percentage where there is room."""
    percent = round(100 * weight)
    level = next((one for one in reversed(LEVELS) if percent >= one[0]), None)
    if level is None:
        return Text(f"{percent or '':>{width}}" if width >= _WITH_NUMBER else " " * width, "dim")
    _, sign, colour, digits = level
    if width < _WITH_NUMBER:
        return Text(sign * width, f"{colour} on {colour}")
    # A full 100 takes the place of its sign in the narrower cell.
    shown = f"{sign}{percent:2}".rjust(width)[-width:]
    cell = Text(shown, f"{digits} on {colour}")
    cell.highlight_regex(re.escape(sign), f"{colour} on {colour}")
    return cell


def _legend(width: int) -> Iterator[Text]:
    """Say what the signs mean, each in the colours of its level; on two lines where one is long."""
    unit, signs = Text("weights in percent, a row sums to 100;"), Text("at least")
    for least, sign, colour, digits in LEVELS:
        signs.append("  ").append(sign, f"{digits} on {colour}").append(f" {least}")
    whole = Text(" ").join((unit, signs))
    yield from (whole,) if whole.cell_len <= width else (unit, signs)
