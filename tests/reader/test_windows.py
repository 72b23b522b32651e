from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragcli.encoder import minilm
from ragcli.reader.windows import (
    CLASSIFY,
    GROUP_TOKENS,
    OVERLAP_TOKENS,
    QUESTION_TOKENS,
    SEPARATE,
    WINDOW_TOKENS,
    TokenisedText,
    Window,
    collate,
    split_windows,
    tokenise,
)


def _question(length: int) -> NDArray[np.int32]:
    return np.arange(1000, 1000 + length, dtype=np.int32)


def _passage(length: int) -> TokenisedText:
    """Token number n has the id 5000 + n and the span [n, n + 1)."""
    number = np.arange(length, dtype=np.int32)
    return TokenisedText(5000 + number, np.stack((number, number + 1), 1))


def _tokens(window: Window) -> list[int]:
    """Numbers of the passage's tokens in a window."""
    return window.spans[window.passage_start : -1, 0].tolist()


@given(st.integers(0, 100), st.integers(1, 3000))
def test_windows_cover_every_token_and_overlap(question_length: int, length: int) -> None:
    windows = split_windows(_question(question_length), _passage(length), 3)
    assert all(len(window) <= WINDOW_TOKENS for window in windows)
    assert all(window.context == 3 for window in windows)
    numbers = [_tokens(window) for window in windows]
    assert set().union(*numbers) == set(range(length))
    for before, after in pairwise(numbers):
        assert before[0] < after[0]
        assert len(set(before) & set(after)) >= OVERLAP_TOKENS - 1
    for own in numbers:
        assert own == list(range(own[0], own[-1] + 1))


@given(st.integers(0, 100), st.integers(1, 600))
def test_a_window_holds_the_question_then_the_passage(question_length: int, length: int) -> None:
    question = _question(question_length)
    kept = question[:QUESTION_TOKENS].tolist()
    for window in split_windows(question, _passage(length), 0):
        ids = window.token_ids.tolist()
        assert ids[: window.passage_start] == [CLASSIFY, *kept, SEPARATE]
        assert ids[window.passage_start : -1] == [5000 + n for n in _tokens(window)]
        assert ids[-1] == SEPARATE
        assert (window.spans[: window.passage_start] == -1).all()
        assert (window.spans[-1] == -1).all()


def test_what_fits_is_one_window() -> None:
    room = WINDOW_TOKENS - 10 - 3
    assert len(split_windows(_question(10), _passage(room), 0)) == 1
    assert len(split_windows(_question(10), _passage(room + 1), 0)) == 2


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 30), st.integers(1, 250)), min_size=1, max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_a_collated_memory_is_each_questions_windows_one_after_the_other(
    sizes: list[list[tuple[int, int]]],
) -> None:
    questions = [
        [
            split_windows(_question(n), _passage(length), number)[0]
            for number, (n, length) in enumerate(own)
        ]
        for own in sizes
    ]
    batch = collate(questions)
    flat = torch.cat([group.token_ids.flatten() for group in batch.groups])
    real = torch.cat([group.mask.flatten() for group in batch.groups])
    for b, windows in enumerate(questions):
        wanted = np.concatenate([window.token_ids for window in windows]).tolist()
        here = batch.memory_mask[b]
        assert int(here.sum()) == len(wanted)
        assert batch.memory_ids[b][here].tolist() == wanted
        assert flat[batch.memory_index[b]][here].tolist() == wanted
        assert bool(real[batch.memory_index[b]][here].all())
        passages = [n for window in windows for n in window.token_ids[window.passage_start : -1]]
        assert batch.memory_ids[b][batch.copyable[b]].tolist() == passages
        lengths = [len(window) for window in windows]
        assert list(batch.window_starts[b]) == [sum(lengths[:w]) for w in range(len(windows))]
    for group in batch.groups:
        assert group.token_ids.shape[0] == 1 or group.token_ids.numel() <= GROUP_TOKENS
        assert group.segment_ids.shape == group.mask.shape == group.token_ids.shape


def test_segments_tell_question_and_passage_apart() -> None:
    batch = collate([split_windows(_question(2), _passage(3), 0)])
    assert batch.groups[0].segment_ids.tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]]


def test_spans_of_tokens_are_characters_of_the_text() -> None:
    text = "Größe: 3 m\nAnna"
    (read,) = tokenise(minilm.load_tokenizer(), [text])
    assert "".join(text[start:end] for start, end in read.spans) == "Größe:3mAnna"
    assert len(read.ids) == len(read.spans)
    assert tokenise(minilm.load_tokenizer(), [""])[0].spans.shape == (0, 2)
