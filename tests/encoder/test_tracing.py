from __future__ import annotations

import numpy as np
import pytest
import torch

from ragcli.encoder import default_fingerprint
from ragcli.encoder.embedded import EmbeddedEncoder
from ragcli.encoder.tracing import EncoderTrace, trace_text
from ragcli.errors import UsageError

TEXT = "The turbidity sensor's naïve 東京 reading 😀 was high."
TEXTS = [TEXT, "otter", "word " * 254]


@pytest.fixture(scope="module", params=TEXTS, ids=["sentence", "word", "full window"])
def text(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def trace(text: str) -> EncoderTrace:
    return trace_text(text)


def test_what_is_shown_is_what_is_used(text: str, trace: EncoderTrace) -> None:
    mean = trace.states.mean(axis=0)
    (vector,) = EmbeddedEncoder(torch.float32).encode_passages([text])
    assert np.allclose(mean / np.linalg.norm(mean), vector, atol=1e-5)


def test_the_weights_of_every_head_are_distributions(trace: EncoderTrace) -> None:
    n = len(trace.tokens)
    assert (trace.weights.shape, trace.weights.dtype) == ((6, 12, n, n), np.float32)
    assert np.allclose(trace.weights.sum(axis=-1), 1, atol=1e-5)
    assert trace.weights.min() > 0


def test_scores_weights_and_outputs_follow_from_queries_keys_and_values(
    trace: EncoderTrace,
) -> None:
    scores = trace.queries @ trace.keys.swapaxes(-1, -2) / np.sqrt(np.float32(32))
    assert np.allclose(trace.scores, scores, atol=1e-3)
    powers = np.exp(trace.scores.astype(np.float64))
    assert np.allclose(trace.weights, powers / powers.sum(axis=-1, keepdims=True), atol=1e-5)
    assert np.allclose(trace.outputs, trace.weights @ trace.values, atol=1e-4)
    assert trace.queries.shape == trace.outputs.shape == (6, 12, len(trace.tokens), 32)


def test_tokens_are_found_in_the_text() -> None:
    trace = trace_text(TEXT)
    spelt = [(token.text, TEXT[token.start : token.end]) for token in trace.tokens]
    assert spelt[0] == ("[CLS]", "")
    assert spelt[-1] == ("[SEP]", "")
    assert ("the", "The") in spelt
    assert ("naive", "naïve") in spelt
    assert ("[UNK]", "😀") in spelt
    pieces = [token for token in trace.tokens if token.word == 1]
    assert "".join(piece.text.removeprefix("##") for piece in pieces) == "turbidity"
    assert len(pieces) > 1
    assert [token.word for token in trace.tokens if token.start == token.end] == [None, None]


def test_it_says_which_model() -> None:
    assert trace_text("otter").fingerprint == default_fingerprint()


def test_a_text_longer_than_the_window_is_refused_and_one_that_fills_it_is_not() -> None:
    assert len(trace_text("word " * 254).tokens) == 256
    with pytest.raises(UsageError, match="257 tokens, but the encoder reads at most 256"):
        trace_text("word " * 255)


@pytest.mark.parametrize("text", ["", "\n\t ", "\u200b"])
def test_a_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no words"):
        trace_text(text)
