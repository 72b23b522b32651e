"""Pages of one file: a template, its data, its style and its script, and nothing fetched."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from numpy.typing import ArrayLike, NDArray

from ragcli import __version__
from ragcli.render.neutral import printable_block

WEIGHT_DIGITS = 4
"""Decimal places of a weight on a page, which holds it as a whole number."""

_PACKING = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
"""Five bits a character, lowest first; the second half says that more follow, as in source maps."""


def render_page(name: str, **fields: Any) -> str:  # noqa: ANN401
    """Fill ``pages/<name>.html`` with ``fields``, of which ``data`` is what its script reads.

    A browser is told to run this script and this style only, known by their hashes, and to fetch
    nothing. Whatever else the template shows is text: escaped, and without control characters.
    """
    style, script = _source("page.css"), _source(f"{name}.js")
    return _ENVIRONMENT.get_template(f"{name}.html").render(
        fields,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        version=__version__,
    )


def whole_weights(weights: ArrayLike, digits: int) -> Any:  # noqa: ANN401
    """Return weights in [0, 1], nested as they come, in units of their last place on a page.

    ``digits`` are the decimal places that JSON has of them, so that one rounds to the other.
    """
    rounded = np.asarray(weights, dtype=np.float64).round(digits)
    return (rounded * 10**WEIGHT_DIGITS).round().astype(int).tolist()


def packed_weights(weights: NDArray[np.float32], digits: int) -> str:
    """Write whole weights one after the other, a small one in one character.

    Most weights between words are small: a page of them all is half as large.
    """
    return "".join(map(_packed, whole_weights(weights, digits)))


@cache
def _packed(number: int) -> str:
    more, five = divmod(number, 32)
    return _PACKING[32 + five] + _packed(more) if more else _PACKING[five]


def _source(name: str) -> str:
    return (files("ragcli.render") / "pages" / name).read_text("utf-8")


def _hash(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _as_text(value: object) -> object:
    """Neutralise text of documents; what a filter has made markup is left as it is."""
    return printable_block(value) if type(value) is str else value


_ENVIRONMENT = Environment(
    loader=FunctionLoader(_source),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_as_text,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
