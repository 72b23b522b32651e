"""What ``explain`` found, as a page: the weights of every layer and head to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragcli.records import AttentionSteps, Explanation
from ragcli.render.explanation import DIGITS, word_names
from ragcli.render.neutral import printable
from ragcli.render.page import render_page, whole_weights


def explanation_page(explanation: Explanation, views: Sequence[Sequence[Explanation]]) -> str:
    """Return the page; ``views[layer][head]`` count from 1, 0 is the mean over all of them."""
    names = word_names(explanation.words)
    n_layers, n_heads = explanation.head_weights.shape[:2]
    return render_page(
        "explanation",
        explanation=explanation,
        n_layers=n_layers,
        n_heads=n_heads,
        steps=None if explanation.steps is None else _steps(explanation.steps),
        data={
            "tokens": [printable(token.text) for token in explanation.tokens],
            "views": [[_view(view, names) for view in row] for row in views],
        },
    )


def _view(view: Explanation, names: Sequence[str]) -> dict[str, Any]:
    """What a layer and head show, weights as whole numbers."""
    return {
        "weights": whole_weights(view.weights, DIGITS),
        "links": [
            [names[link.looking], names[link.looked_at], whole_weights(link.weight, DIGITS)]
            for link in view.links
        ],
        "shares": [
            [printable(name), whole_weights(share, DIGITS)] for name, share in view.shares.items()
        ],
    }


def _steps(steps: AttentionSteps) -> dict[str, Any]:
    """The columns of the table of steps, a number for each token."""
    powers = np.exp(steps.scores.astype(np.float64))
    return {
        "token": steps.token,
        "layer": steps.layer,
        "head": steps.head,
        "dimension": len(steps.query),
        "query": steps.query.tolist(),
        "rows": list(
            zip(
                steps.dot_products.tolist(),
                steps.scores.tolist(),
                powers.tolist(),
                steps.weights.tolist(),
                _lengths(steps.values),
                strict=True,
            )
        ),
        "power_sum": float(powers.sum()),
        "output": steps.output.tolist(),
        "output_length": float(np.linalg.norm(steps.output)),
    }


def _lengths(vectors: NDArray[np.float32]) -> list[float]:
    lengths: list[float] = np.linalg.norm(vectors, axis=1).tolist()
    return lengths
