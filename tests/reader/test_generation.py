from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ragcli.attribution import attribute
from ragcli.reader import Reader, ReaderFingerprint
from ragcli.reader.checkpoint import initialise
from ragcli.reader.confidence import Calibration, features, load_calibration
from ragcli.reader.model import MAX_ANSWER_TOKENS, ReaderConfig
from ragcli.records import AnswerToken, Generation

REVIEW = "The project review is due on 14 March 2025. Anna Berg leads the team."
TEA = "Green tea is brewed at 80 degrees."
BOILER = "The boiler in the cellar was serviced by Mr Holm in October."
LEAVE = "Every employee has 25 days of paid leave a year."
FILLER = "The weather was mild and the garden stood in bloom for weeks. " * 40
WHEN, WHO = "When is the project review due?", "Who leads the team?"
QUESTIONS = [WHEN, WHO, WHEN]
CONTEXTS = [[REVIEW], [TEA, REVIEW, BOILER, LEAVE], [FILLER + REVIEW, TEA]]


@pytest.fixture(scope="module")
def generations(reader: Reader) -> list[Generation]:
    return reader.generate(QUESTIONS, CONTEXTS)


@pytest.fixture(scope="module")
def untrained() -> Reader:
    """A reader that writes and copies at random and hardly ever ends."""
    return Reader(initialise(ReaderConfig()), ReaderFingerprint("untrained", ""))


def test_easy_questions_are_answered_in_the_documents_spelling(
    generations: list[Generation],
) -> None:
    assert [g.text for g in generations[:2]] == ["14 March 2025", "Anna Berg"]
    assert all(g.p_no_answer < 0.5 for g in generations[:2])


def test_attending_is_copying_where_the_answer_begins(
    reader: Reader, generations: list[Generation]
) -> None:
    shares = reader.attend([*QUESTIONS, WHO], [*CONTEXTS, ["", ""]])
    for own, generation, contexts in zip(shares, generations, CONTEXTS, strict=False):
        first = generation.copy[0].sum(axis=-1)
        expected = [
            sum(first[w] for w, c in enumerate(generation.window_context) if c == n)
            for n in range(len(contexts))
        ]
        assert own == pytest.approx(np.array(expected), abs=1e-2)
        assert own.sum() == pytest.approx(1.0, abs=1e-4)
    assert shares[1].argmax() == 1  # the review, which says who leads
    assert shares[3].tolist() == [0.0, 0.0]


def test_cross_attention_sums_to_1_over_all_windows(generations: list[Generation]) -> None:
    for generation in generations:
        shape = (2, 12, len(generation.tokens), *generation.token_spans.shape[:2])
        assert generation.cross_attention.shape == generation.pre_softmax.shape == shape
        assert np.allclose(generation.cross_attention.sum(axis=(-2, -1)), 1.0, atol=1e-4)
        scores = generation.pre_softmax
        exponent = np.exp(scores - scores.max(axis=(-2, -1), keepdims=True))
        again = exponent / exponent.sum(axis=(-2, -1), keepdims=True)
        assert np.allclose(generation.cross_attention, again, atol=1e-4)


def test_copying_sums_to_1_and_stays_on_the_contexts_tokens(generations: list[Generation]) -> None:
    for generation in generations:
        outside = generation.token_spans[..., 0] < 0
        assert np.allclose(generation.copy.sum(axis=(-2, -1)), 1.0, atol=1e-4)
        assert (generation.copy[:, outside] == 0).all()
        assert ((generation.copy_gate >= 0) & (generation.copy_gate <= 1)).all()


def test_padding_is_never_looked_at(generations: list[Generation]) -> None:
    generation = generations[1]
    padding = np.isneginf(generation.pre_softmax).all(axis=(0, 1, 2))
    assert padding.any()
    assert (generation.cross_attention[..., padding] == 0).all()
    assert (generation.cross_attention[..., ~padding] > 0).any()


def test_copied_tokens_are_slices_of_their_context(generations: list[Generation]) -> None:
    copied = [
        (token, own)
        for generation, own in zip(generations, CONTEXTS, strict=True)
        for token in generation.tokens
        if token.context is not None
    ]
    assert copied
    for token, own in copied:
        assert own[token.context or 0][token.start : token.end] == token.text
        assert token.log_probability <= 1e-5


def test_an_answer_does_not_depend_on_its_batch(
    reader: Reader, generations: list[Generation]
) -> None:
    for question, own, together in zip(QUESTIONS, CONTEXTS, generations, strict=True):
        (alone,) = reader.generate([question], [own])
        assert alone.text == together.text
        assert alone.p_no_answer == pytest.approx(together.p_no_answer, abs=0.02)
        assert np.allclose(alone.copy_gate, together.copy_gate, atol=0.05)
        assert np.abs(alone.copy - together.copy).max() < 0.1


def test_permuted_contexts_permute_their_shares_and_keep_the_answer(
    reader: Reader, generations: list[Generation]
) -> None:
    order = [2, 3, 1, 0]
    own = CONTEXTS[1]
    permuted = [own[n] for n in order]
    (turned,) = reader.generate([WHO], [permuted])
    assert turned.text == generations[1].text
    for method in ("copy", "cross-attention", "first-token"):
        before = attribute(generations[1], own, method).contexts
        after = attribute(turned, permuted, method).contexts
        assert after == pytest.approx([before[n] for n in order], abs=0.02)
    assert attribute(turned, permuted).contexts[order.index(1)] > 0.5


def test_a_long_context_is_read_in_overlapping_windows(generations: list[Generation]) -> None:
    generation, text = generations[2], CONTEXTS[2][0]
    own = [w for w, context in enumerate(generation.window_context) if context == 0]
    assert len(own) >= 2
    assert generation.window_context == (*[0] * len(own), 1)
    covered = np.zeros(len(text), dtype=bool)
    for start, end in generation.token_spans[own].reshape(-1, 2):
        if start >= 0:
            covered[start:end] = True
    assert all(covered[n] for n, character in enumerate(text) if not character.isspace())
    ends = [int(generation.token_spans[w][..., 1].max()) for w in own]
    starts = [int(s[s >= 0].min()) for s in (generation.token_spans[w][..., 0] for w in own)]
    assert all(start < end for end, start in zip(ends[:-1], starts[1:], strict=True))
    assert "14 March" in generation.text


def test_without_anything_to_read_there_is_no_answer(reader: Reader) -> None:
    nothing, blank, found = reader.generate([WHEN, WHEN, WHEN], [[], ["", " \n"], ["", REVIEW]])
    assert (nothing.text, nothing.p_no_answer, nothing.tokens) == ("", 1.0, ())
    assert (blank.text, blank.window_context) == ("", ())
    assert found.text == "14 March 2025"
    assert found.window_context == (1,)
    assert {token.context for token in found.tokens} <= {1, None}
    assert load_calibration().confidence(nothing) == 0.0
    assert reader.generate([], []) == []


@pytest.mark.parametrize(("asked", "most"), [(1, 1), (3, 3), (1000, MAX_ANSWER_TOKENS)])
def test_an_answer_has_at_most_as_many_tokens_as_asked_for(
    untrained: Reader, asked: int, most: int
) -> None:
    (generation,) = untrained.generate([WHEN], [[TEA]], asked)
    assert 1 <= len(generation.tokens) <= most


def test_no_copied_run_begins_or_ends_inside_a_word(untrained: Reader) -> None:
    text = "Unquestionably the bioluminescent archaeopteryx overcomplicates electroencephalography"
    tears = 0
    for generation in untrained.generate([WHEN, WHO, "What glows?"], [[text]] * 3, 40):
        for before, after in pairwise((None, *generation.tokens, None)):
            tears += _inside_word(text, None if after is None else after.start, before)
            # Where the limit cuts the answer off, a word may stay unfinished.
            if after is not None and before is not None and before.end is not None:
                tears += _goes_on(text, before.end) and not _finishes(text, before, after)
    assert tears == 0


def _goes_on(text: str, end: int) -> bool:
    return end < len(text) and text[end].isalnum()


def _finishes(text: str, before: AnswerToken, after: AnswerToken) -> bool:
    piece = after.text.removeprefix("##").lower()
    return after.start == before.end or text[before.end :].lower().startswith(piece)


def _inside_word(text: str, start: int | None, before: AnswerToken | None) -> bool:
    """Whether a copied token begins inside a word that the token before did not reach."""
    if start is None or start == 0 or not text[start - 1].isalnum():
        return False
    return before is None or before.end != start


def test_confidence_rises_with_the_likelihood_of_the_answer() -> None:
    calibration = Calibration(0.0, 0.5, 1.0, 0.5)

    def generation(p_no_answer: float, likelihood: float) -> Generation:
        none = np.zeros((0, 0, 0), dtype=np.float32)
        token = AnswerToken("x", None, None, None, likelihood)
        return Generation(
            "x",
            (token,),
            p_no_answer,
            none,
            none,
            none,
            none.ravel(),
            none.astype(np.int32),
            (),
            none,
            none.astype(np.bool_),
        )

    sure, unsure = generation(0.01, -0.1), generation(0.6, -2.0)
    assert 0.0 < calibration.confidence(unsure) < 0.5 < calibration.confidence(sure) < 1.0
    assert features(generation(0.0, -1e9)) == (pytest.approx(13.8155, abs=1e-3), -8.0, -8.0)
    assert features(generation(1.0, 0.0))[0] == pytest.approx(-13.8155, abs=1e-3)
