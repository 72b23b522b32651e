from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.attribution import DEFAULT_METHOD, METHODS, attribute, head_focus, score_sources
from ragcli.attribution.methods import HEAD_WEIGHTS, head_effects, head_weights
from ragcli.attribution.shares import context_labels
from ragcli.errors import ModelError, UsageError
from ragcli.reader import Reader
from ragcli.records import AnswerToken, Generation

HEAD = 3
"""Tokens of question and specials before each passage."""


@dataclass(frozen=True)
class Case:
    """A generation and the contexts that it was read from."""

    generation: Generation
    contexts: list[str]


def _windows(contexts: list[str]) -> list[tuple[int, list[tuple[int, int]]]]:
    """Context and token spans of each window; long contexts give two that overlap."""
    windows = []
    for number, text in enumerate(contexts):
        words = [m.span() for m in re.finditer(r"\S+", text)]
        if len(words) > 6:
            half = len(words) // 2
            windows += [(number, words[: half + 1]), (number, words[half - 1 :])]
        else:
            windows.append((number, words))
    return windows


def make_generation(contexts: list[str], n_tokens: int, seed: int) -> Generation:
    rng = np.random.default_rng(seed)
    windows = _windows(contexts)
    width = HEAD + max(len(spans) for _, spans in windows) + 1
    token_spans = np.full((len(windows), width, 2), -1, dtype=np.int32)
    real = np.zeros((len(windows), width), dtype=bool)
    for row, (_, spans) in enumerate(windows):
        token_spans[row, HEAD : HEAD + len(spans)] = spans
        real[row, : HEAD + len(spans) + 1] = True
    inside = token_spans[..., 0] >= 0
    scores = np.where(real, rng.normal(0, 3, (2, 12, n_tokens, *real.shape)), -np.inf)
    exponent = np.exp(scores - scores.max(axis=(-2, -1), keepdims=True))
    copy = np.where(inside, rng.exponential(size=(n_tokens, *real.shape)), 0)
    tokens = []
    for _ in range(n_tokens):
        row = int(rng.integers(len(windows)))
        context, spans = windows[row]
        start, end = spans[int(rng.integers(len(spans)))]
        copied = AnswerToken(contexts[context][start:end], context, start, end, -0.1)
        tokens.append(copied if rng.random() < 0.7 else AnswerToken("own", None, None, None, -1.0))
    return Generation(
        " ".join(token.text for token in tokens),
        tuple(tokens),
        0.1,
        (exponent / exponent.sum(axis=(-2, -1), keepdims=True)).astype(np.float32),
        scores.astype(np.float32),
        (copy / copy.sum(axis=(-2, -1), keepdims=True)).astype(np.float32),
        rng.random(n_tokens).astype(np.float32),
        token_spans,
        tuple(context for context, _ in windows),
        np.where(real, rng.exponential(size=(2, 12, *real.shape)), 0).astype(np.float32),
        inside & (rng.random((n_tokens, *real.shape)) < 0.2),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    sentence = st.lists(st.sampled_from(["Tea", "grows", "hill", "80", "otters"]), min_size=1)
    text = st.lists(sentence.map(lambda words: " ".join(words) + "."), min_size=1, max_size=3)
    contexts = draw(st.lists(text.map(" ".join), min_size=1, max_size=4))
    n_tokens, seed = draw(st.integers(1, 4)), draw(st.integers(0, 10_000))
    return Case(make_generation(contexts, n_tokens, seed), contexts)


@pytest.mark.parametrize("method", METHODS)
@given(case=cases())
def test_shares_are_a_whole(method: str, case: Case) -> None:
    found = attribute(case.generation, case.contexts, method)
    assert found.method == method
    assert len(found.contexts) == len(case.contexts)
    assert sum(found.contexts) + found.vocabulary == pytest.approx(1.0, abs=1e-4)
    assert min(*found.contexts, found.vocabulary) >= 0.0
    assert sum(s.share for s in found.sentences) <= 1.0 - found.vocabulary + 1e-4
    assert all(s.share > 0.0 for s in found.sentences)
    shares = [sentence.share for sentence in found.sentences]
    assert shares == sorted(shares, reverse=True)
    assert all(0.0 <= token.weight <= 1.0 + 1e-5 for token in found.tokens)
    for sentence in found.sentences:
        assert case.contexts[sentence.context][sentence.start : sentence.end] == sentence.text


@pytest.mark.parametrize("method", METHODS)
@given(case=cases())
def test_a_method_scores_the_contexts_own_tokens_only(method: str, case: Case) -> None:
    generation, n = case.generation, len(case.contexts)
    labels = context_labels(generation)
    scores = score_sources(generation, labels, n, method)
    assert scores.shape == (n,)
    assert np.isfinite(scores).all()
    # A source that no token belongs to is owed nothing.
    assert score_sources(generation, labels, n + 1, method)[n] == pytest.approx(0.0, abs=1e-5)


@given(case=cases())
def test_methods_that_share_weights_share_all_that_is_copied(case: Case) -> None:
    labels = context_labels(case.generation)
    for method in ("copy", "cross-attention", "value-norm", "first-token"):
        scores = score_sources(case.generation, labels, len(case.contexts), method)
        assert scores.min() >= 0.0
        assert scores.sum() == pytest.approx(float(case.generation.copy_gate.mean()), abs=1e-4)


@given(case=cases(), removed=st.integers(0, 3))
def test_the_effect_is_that_of_the_copy_softmax_over_the_others(case: Case, removed: int) -> None:
    """Leaving a source out of the distribution by hand loses as much as the method says."""
    generation = case.generation
    labels = context_labels(generation)
    removed %= len(case.contexts)
    gate = generation.copy_gate.astype(np.float64)
    match = (generation.copy * generation.matching).sum(axis=(1, 2), dtype=np.float64)
    written = np.maximum(np.exp([t.log_probability for t in generation.tokens]) - gate * match, 0)
    others = generation.copy.astype(np.float64) * (labels != removed)
    total = others.sum(axis=(1, 2), keepdims=True)
    rescaled = np.divide(others, total, out=np.zeros_like(others), where=total > 1e-30)
    left = written + gate * (rescaled * generation.matching).sum(axis=(1, 2))
    loss = np.log(np.maximum(written + gate * match, 1e-9)) - np.log(np.maximum(left, 1e-9))
    scores = score_sources(generation, labels, len(case.contexts), "effect")
    assert scores[removed] == pytest.approx(loss.sum(), abs=1e-6)


def test_what_only_competes_has_a_negative_effect() -> None:
    case = _pointing((0, 2))
    copy = np.zeros_like(case.generation.copy)
    copy[0, 0, HEAD + 2], copy[0, 1, HEAD] = 0.75, 0.25
    matching = np.zeros_like(case.generation.matching)
    matching[0, 0, HEAD + 2] = True
    token = replace(case.generation.tokens[0], log_probability=float(np.log(0.75)))
    generation = replace(case.generation, copy=copy, matching=matching, tokens=(token,))
    labels = context_labels(generation)
    support, rival = score_sources(generation, labels, 2, "effect")
    assert support == pytest.approx(np.log(0.75) - np.log(1e-9))
    assert rival == pytest.approx(np.log(0.75))  # without it, the token would be certain
    assert attribute(generation, case.contexts).contexts == pytest.approx((1.0, 0.0))


@given(case=cases())
def test_each_head_is_described_and_its_shares_sum_to_1(case: Case) -> None:
    heads = head_focus(case.generation, case.contexts)
    assert [(head.layer, head.head) for head in heads] == [
        (layer, head) for layer in (1, 2) for head in range(1, 13)
    ]
    most = np.log2((case.generation.token_spans[..., 0] >= 0).sum())
    for head in heads:
        assert sum(head.shares) == pytest.approx(1.0, abs=1e-4)
        assert 0.0 <= head.entropy <= most + 1e-3
        assert head.sentence is not None
        assert head.sentence.share <= head.shares[head.sentence.context] + 1e-4


def test_an_unknown_method_is_refused() -> None:
    generation = make_generation(["Tea grows."], 1, 0)
    with pytest.raises(UsageError, match="unknown attribution 'guess'") as caught:
        attribute(generation, ["Tea grows."], "guess")
    assert all(method in caught.value.remedy for method in METHODS)


def _pointing(*at: tuple[int, int]) -> Case:
    """A generation that copies each token with all weight from window and word ``at``."""
    contexts = ["Tea grows. Otters swim.", "Rain falls."]
    generation = make_generation(contexts, len(at), 0)
    copy = np.zeros_like(generation.copy)
    matching = np.zeros_like(generation.matching)
    tokens = []
    for step, (window, word) in enumerate(at):
        copy[step, window, HEAD + word] = 1.0
        matching[step, window, HEAD + word] = True
        start, end = map(int, generation.token_spans[window, HEAD + word])
        tokens.append(AnswerToken(contexts[window][start:end], window, start, end, -0.1))
    gate = np.ones(len(at), dtype=np.float32)
    pointing = replace(
        generation, tokens=tuple(tokens), copy=copy, copy_gate=gate, matching=matching
    )
    return Case(pointing, contexts)


def test_what_is_copied_is_owed_to_its_sentence() -> None:
    case = _pointing((0, 2), (0, 3))
    found = attribute(case.generation, case.contexts)
    assert found.method == DEFAULT_METHOD == "effect"
    assert found.contexts == pytest.approx((1.0, 0.0))
    assert found.vocabulary == pytest.approx(0.0)
    assert [(s.text, s.share) for s in found.sentences] == [("Otters swim.", pytest.approx(1.0))]
    assert [(t.text, t.weight) for t in found.tokens] == [("Otters", 1.0), ("swim.", 1.0)]


def test_each_token_counts_the_same_and_the_gate_gives_the_rest_to_the_vocabulary() -> None:
    case = _pointing((0, 0), (1, 1))
    gate = np.array([1.0, 0.5], dtype=np.float32)
    found = attribute(replace(case.generation, copy_gate=gate), case.contexts, "copy")
    assert found.contexts == pytest.approx((0.5, 0.25))
    assert found.vocabulary == pytest.approx(0.25)
    assert [s.text for s in found.sentences] == ["Tea grows.", "Rain falls."]


def test_an_empty_generation_owes_nothing_to_any_context() -> None:
    empty = replace(make_generation(["Tea."], 1, 0), tokens=(), text="")
    found = attribute(empty, ["Tea."])
    assert (found.contexts, found.vocabulary, found.sentences) == ((0.0,), 1.0, ())
    assert head_focus(empty, ["Tea."]) == ()


@given(case=cases())
def test_the_first_tokens_scores_are_used_for_every_token(case: Case) -> None:
    generation, n = case.generation, len(case.contexts)
    changed = generation.pre_softmax.copy()
    changed[:, :, 1:] *= 2
    other = replace(generation, pre_softmax=changed)
    first, again = (
        score_sources(one, context_labels(one), n, "first-token") for one in (generation, other)
    )
    assert (first == again).all()


@given(case=cases())
def test_long_values_weigh_more(case: Case) -> None:
    """Values that are nothing at one context only take all weight from it."""
    generation = case.generation
    inside = np.array(generation.window_context) == 0
    norms = generation.value_norms.copy()
    norms[:, :, inside] = 0
    none = replace(generation, value_norms=norms)
    scores = score_sources(none, context_labels(none), len(case.contexts), "value-norm")
    assert len(scores) == 1 or scores[0] == 0.0


def test_every_head_of_the_shipped_reader_has_its_weight(reader: Reader) -> None:
    assert head_weights().shape == (2, 12)
    fitted_to = json.loads(HEAD_WEIGHTS.read_text("utf-8"))["reader"]
    assert fitted_to == reader.fingerprint.revision


@given(cases())
def test_a_head_loses_what_its_attention_without_a_source_would_not_hold(case: Case) -> None:
    """Each head's attention is taken from a source and brought back to a sum of 1, by hand."""
    generation = case.generation
    labels, n_sources = context_labels(generation), len(case.contexts)
    effects = head_effects(generation, labels, n_sources)
    layers, heads = generation.cross_attention.shape[:2]
    assert effects.shape == (layers, heads, n_sources)
    for layer, head, source in np.ndindex(layers, heads, n_sources):
        lost = 0.0
        for token, weights in enumerate(generation.cross_attention[layer, head].astype(float)):
            left = np.where(labels == source, 0.0, weights)
            left = left / max(left.sum(), 1e-30)
            own = generation.matching[token]
            lost += math.log(weights[own].sum() + 0.1) - math.log(left[own].sum() + 0.1)
        assert effects[layer, head, source] == pytest.approx(lost, abs=1e-6)


def test_damaged_head_weights_are_named(tmp_path: Path) -> None:
    damaged = tmp_path / "weights.json"
    damaged.write_text("{}")
    with pytest.raises(ModelError, match=r"weights\.json"):
        head_weights(damaged)
