"""The use case ``explain``: a text → how its tokens look at each other inside the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragcli.engine.word_attention import join_words, strongest_links, weight_shares, word_weights
from ragcli.errors import UsageError
from ragcli.records import AttentionSteps, EncoderToken, Explanation, Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragcli.encoder.tracing import EncoderTrace

DEFAULT_TOP = 10


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """What to explain: ``layer`` and ``head`` count from 1, ``None`` is the mean over all.

    ``token`` is a token's number (from 1) or a word: its steps are wanted, in the last layer and
    the first head where none is named. ``top`` links are told, with ``special`` also those of
    special tokens and of a word to itself.
    """

    layer: int | None = None
    head: int | None = None
    token: str | None = None
    top: int = DEFAULT_TOP
    special: bool = False


def explain(text: str, options: ExplainOptions) -> Explanation:
    """Say how the tokens of ``text`` look at each other inside the embedded encoder.

    Raises ``UsageError`` for a text without words or longer than the encoder reads, for a layer or
    head that there is not, and for a token that is not in the text or could be several; raises
    ``ModelError`` for weights that cannot be loaded.
    """
    from ragcli.encoder.tracing import trace_text

    if not text.strip():
        raise UsageError("the text is empty", "give it a sentence")
    trace = trace_text(text)
    n_layers, n_heads = trace.weights.shape[:2]
    check_heads(options.layer, options.head, n_layers, n_heads)
    words = join_words(text, trace.tokens)
    traced = Explanation(
        text,
        trace.fingerprint.name,
        trace.fingerprint.revision,
        None,
        None,
        trace.tokens,
        trace.weights.mean(axis=(0, 1)),
        trace.weights,
        words,
        links=(),
        shares={},
        steps=None if options.token is None else _steps(trace, options, words),
    )
    return _seen(traced, options)


def explain_every_head(
    explanation: Explanation, options: ExplainOptions
) -> list[list[Explanation]]:
    """Return the explanation as each layer and head has it, ``(n_layers + 1) × (n_heads + 1)``.

    The first row is the mean over the layers, the first column the mean over the heads.
    """
    n_layers, n_heads = explanation.head_weights.shape[:2]
    layers, heads = (None, *range(1, n_layers + 1)), (None, *range(1, n_heads + 1))
    return [
        [_seen(explanation, replace(options, layer=layer, head=head)) for head in heads]
        for layer in layers
    ]


def _seen(explanation: Explanation, options: ExplainOptions) -> Explanation:
    """The explanation with weights, links and shares of the layer and the head wanted."""
    weights = _chosen_weights(explanation.head_weights, options)
    between = word_weights(weights, explanation.words)
    return replace(
        explanation,
        layer=options.layer,
        head=options.head,
        weights=weights,
        links=strongest_links(between, explanation.words, options.top, special=options.special),
        shares=weight_shares(between, explanation.words),
    )


def check_heads(layer: int | None, head: int | None, n_layers: int, n_heads: int) -> None:
    """Raise ``UsageError`` for a layer or head, counted from 1, that there is not."""
    for kind, number, n in (("layer", layer, n_layers), ("head", head, n_heads)):
        if number is not None and not 1 <= number <= n:
            raise UsageError(f"there is no {kind} {number}", f"choose one from 1 to {n}")


def _chosen_weights(
    head_weights: NDArray[np.float32], options: ExplainOptions
) -> NDArray[np.float32]:
    """The mean of the weights ``(n_tokens, n_tokens)`` over the layers and heads wanted."""
    layers = slice(None) if options.layer is None else slice(options.layer - 1, options.layer)
    heads = slice(None) if options.head is None else slice(options.head - 1, options.head)
    chosen: NDArray[np.float32] = head_weights[layers, heads].mean(axis=(0, 1))
    return chosen


def _steps(trace: EncoderTrace, options: ExplainOptions, words: Sequence[Word]) -> AttentionSteps:
    token = find_token(options.token or "", trace.tokens, words)
    layer, head = options.layer or len(trace.weights), options.head or 1
    place = (layer - 1, head - 1)
    query, keys = trace.queries[place][token], trace.keys[place]
    return AttentionSteps(
        token,
        layer,
        head,
        query,
        keys,
        keys @ query,
        trace.scores[place][token],
        trace.weights[place][token],
        trace.values[place],
        trace.outputs[place][token],
    )


def find_token(wanted: str, tokens: Sequence[EncoderToken], words: Sequence[Word]) -> int:
    """Position of the token that is meant: its number, counted from 1, or else a word or piece.

    Case makes no difference. Raises ``UsageError`` where that is no token or more than one, as a
    word of several pieces is.
    """
    if wanted.isdecimal() and 1 <= int(wanted) <= len(tokens):
        return int(wanted) - 1
    name = wanted.casefold()
    named = {n for n, token in enumerate(tokens) if token.text.casefold() == name}
    named.update(n for word in words if word.text.casefold() == name for n in word.tokens)
    if not named:
        raise UsageError(
            f"{wanted!r} is no word of the text",
            f"name a word of it, or a token's number from 1 to {len(tokens)}",
        )
    if len(named) > 1:
        choices = ", ".join(f"{n + 1} {tokens[n].text}" for n in sorted(named))
        raise UsageError(
            f"{wanted!r} stands for {len(named)} tokens", f"name one by its number: {choices}"
        )
    return named.pop()
