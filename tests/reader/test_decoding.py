from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ragcli.reader.decoding import one_beginning

THE, TEA, HOUSE, IS = 5, 7, 8, 9


def test_mentions_that_begin_another_answer_do_not_make_one_likelier() -> None:
    ids = torch.tensor([[THE, TEA, IS, THE, HOUSE, IS, THE, TEA]])
    copied = torch.tensor([[0.2, 0.1, 0.0, 0.3, 0.05, 0.0, 0.15, 0.02]])
    kept = one_beginning(copied, ids)
    # "the tea" has 0.35 in two places, "the house" 0.3 in one; "tea is" 0.1, "tea" at the end 0.02.
    expected = torch.tensor([[0.2, 0.1, 0.0, 0.0, 0.05, 0.0, 0.15, 0.0]])
    assert torch.equal(kept, expected)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.integers(0, 1000))
def test_a_token_keeps_one_beginning_whatever_the_batch(ids: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.tensor([ids, ids[::-1]])
    copied = torch.rand(rows.shape, generator=generator)
    kept = one_beginning(copied, rows)
    for row in range(2):
        assert torch.equal(kept[row], one_beginning(copied[row : row + 1], rows[row : row + 1])[0])
        beginnings: dict[int, set[int]] = {}
        for at in kept[row].nonzero().flatten().tolist():
            following = int(rows[row, min(at + 1, len(ids) - 1)])
            beginnings.setdefault(int(rows[row, at]), set()).add(following)
        assert beginnings.keys() == set(rows[row].tolist())
        assert all(len(following) == 1 for following in beginnings.values())
