from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ragcli.encoder.attention import MultiHeadAttention, attend, attend_fused, causal_mask


def _draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _mask(batch: int, length: int, seed: int) -> Tensor:
    """``(B, 1, 1, S)``; every row may look at its first key at least."""
    mask = torch.rand(batch, 1, 1, length, generator=torch.Generator().manual_seed(seed)) < 0.5
    mask[..., 0] = True
    return mask


@given(st.integers(1, 9), st.integers(1, 9), st.booleans(), st.integers(0, 1000))
def test_written_out_and_fused_attention_agree(
    n_queries: int, n_keys: int, masked: bool, seed: int
) -> None:
    queries = _draw(2, 3, n_queries, 8, seed=seed)
    keys, values = _draw(2, 3, n_keys, 8, seed=seed + 1), _draw(2, 3, n_keys, 8, seed=seed + 2)
    mask = _mask(2, n_keys, seed) if masked else None
    written_out = attend(queries, keys, values, mask)
    fused = attend_fused(queries, keys, values, mask)
    assert torch.allclose(written_out.values, fused.values, atol=1e-5)
    assert fused.weights is None


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000))
def test_weights_sum_to_1_and_are_0_where_masked(n_queries: int, n_keys: int, seed: int) -> None:
    mask = _mask(2, n_keys, seed)
    keys = _draw(2, 3, n_keys, 8, seed=seed + 1)
    output = attend(_draw(2, 3, n_queries, 8, seed=seed), keys, keys, mask)
    assert output.weights is not None
    assert output.scores is not None
    assert torch.allclose(output.weights.sum(-1), torch.ones(2, 3, n_queries), atol=1e-5)
    forbidden = (~mask).expand_as(output.weights)
    assert bool((output.weights[forbidden] == 0).all())
    assert bool(output.scores[forbidden].isneginf().all())
    assert bool((output.weights[~forbidden] > 0).all())


def test_a_query_takes_the_value_of_the_key_that_it_matches() -> None:
    keys = 100 * torch.eye(3)[None, None]
    values = torch.tensor([[1.0], [2.0], [3.0]])[None, None]
    assert attend(keys, keys, values, None).values.flatten().tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("masked", [False, True])
def test_a_layer_gives_the_same_by_both_paths(masked: bool) -> None:
    torch.manual_seed(0)
    layer = MultiHeadAttention(24, 4).eval()
    states = _draw(2, 5, 24, seed=1)
    mask = _mask(2, 5, 7) if masked else None
    memory = layer.project_memory(states)
    shown = layer(states, memory, mask, return_weights=True)
    hidden = layer(states, memory, mask)
    assert torch.allclose(shown.values, hidden.values, atol=1e-6)
    assert shown.weights.shape == (2, 4, 5, 5)
    assert hidden.weights is None


def test_heads_are_slices_of_the_states() -> None:
    layer = MultiHeadAttention(6, 3)
    states = torch.arange(12.0).view(1, 2, 6)
    heads = layer.split_heads(states)
    assert heads.shape == (1, 3, 2, 2)
    assert heads[0, 1].tolist() == [[2.0, 3.0], [8.0, 9.0]]


def test_the_causal_mask_shows_each_position_itself_and_what_is_before() -> None:
    assert causal_mask(3).tolist() == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_with_the_causal_mask_no_position_sees_what_comes_later() -> None:
    states, changed = _draw(1, 1, 6, 8, seed=0), _draw(1, 1, 6, 8, seed=0)
    changed[..., 4:, :] += 1
    mask = causal_mask(6)
    before = attend(states, states, states, mask).values
    after = attend(changed, changed, changed, mask).values
    assert torch.equal(before[..., :4, :], after[..., :4, :])
    assert not torch.allclose(before[..., 4:, :], after[..., 4:, :])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("return_weights", [False, True])
def test_a_memory_may_be_shared(masked: bool, return_weights: bool) -> None:
    torch.manual_seed(0)
    layer = MultiHeadAttention(24, 4).eval()
    states, memory = _draw(6, 2, 24, seed=1), layer.project_memory(_draw(2, 5, 24, seed=2))
    mask = _mask(6, 5, seed=3) if masked else None
    own = (memory[0].repeat_interleave(3, 0), memory[1].repeat_interleave(3, 0))
    with torch.inference_mode():
        shared = layer(states, memory, mask, return_weights=return_weights)
        apart = layer(states, own, mask, return_weights=return_weights)
    for one, other in zip(shared, apart, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other, atol=1e-5)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 1000))
def test_sequences_side_by_side_do_not_see_each_other(lengths: list[int], seed: int) -> None:
    torch.manual_seed(0)
    layer = MultiHeadAttention(24, 4).eval()
    states = _draw(sum(lengths), 24, seed=seed)
    with torch.inference_mode():
        together = layer.within(states, lengths).split(lengths)
        for own, found in zip(states.split(lengths), together, strict=True):
            alone = layer(own[None], layer.project_memory(own[None])).values[0]
            assert torch.allclose(found, alone, atol=1e-5)
