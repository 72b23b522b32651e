from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ragcli.encoder import minilm
from ragcli.reader.checkpoint import initialise
from ragcli.reader.model import BEGIN, END, FusionInDecoder, Memory, ReaderConfig
from ragcli.reader.windows import ReaderBatch, collate, split_windows, tokenise

CONTEXTS = ["Anna Berg leads the team of nine.", "Green tea is brewed at 80 degrees, not hotter."]


@pytest.fixture(scope="module")
def network() -> FusionInDecoder:
    return initialise(ReaderConfig()).eval()


@pytest.fixture(scope="module")
def batch() -> ReaderBatch:
    """Two questions, the second with two contexts."""
    tokenizer = minilm.load_tokenizer()
    who, tea = tokenise(tokenizer, ["Who leads?", "How hot is green tea?"])
    passages = tokenise(tokenizer, CONTEXTS)
    return collate(
        [
            split_windows(who.ids, passages[0], 0),
            [w for n, p in enumerate(passages) for w in split_windows(tea.ids, p, n)],
        ]
    )


@pytest.fixture(scope="module")
def memory(network: FusionInDecoder, batch: ReaderBatch) -> Memory:
    with torch.inference_mode():
        return network.encode(batch)


@pytest.fixture(scope="module")
def inputs() -> tuple[Tensor, Tensor]:
    """Answer tokens and where they were copied from, some written and some copied."""
    ids = torch.tensor([[BEGIN, 4698, 15214, 1000, END], [BEGIN, 3770, 5445, 2012, 7]])
    return ids, torch.tensor([[-1, 6, 7, -1, -1], [-1, -1, 20, 21, 9]])


def test_step_by_step_equals_all_at_once(
    network: FusionInDecoder, memory: Memory, inputs: tuple[Tensor, Tensor]
) -> None:
    ids, copied = inputs
    with torch.inference_mode():
        whole = network.decode(memory, ids, copied)
        past = None
        for step in range(ids.shape[1]):
            at = slice(step, step + 1)
            one = network.decode(memory, ids[:, at], copied[:, at], past, return_weights=True)
            past = one.past
            assert torch.allclose(one.states[:, 0], whole.states[:, step], atol=1e-4)
            assert torch.allclose(
                one.copy_log_probabilities[:, 0].exp(),
                whole.copy_log_probabilities[:, step].exp(),
                atol=1e-4,
            )
            assert torch.allclose(one.gate_logits[:, 0], whole.gate_logits[:, step], atol=1e-4)


def test_no_position_sees_a_later_one(
    network: FusionInDecoder, memory: Memory, inputs: tuple[Tensor, Tensor]
) -> None:
    ids, copied = inputs
    changed = ids.clone()
    changed[:, 3:] = 2003
    with torch.inference_mode():
        before = network.decode(memory, ids, copied).states
        after = network.decode(memory, changed, copied).states
    assert torch.allclose(before[:, :3], after[:, :3], atol=1e-5)
    assert not torch.allclose(before[:, 3:], after[:, 3:], atol=1e-2)


def test_where_a_token_was_copied_from_is_fed_back(
    network: FusionInDecoder, memory: Memory, inputs: tuple[Tensor, Tensor]
) -> None:
    ids, copied = inputs
    with torch.inference_mode():
        told = network.decode(memory, ids, copied).states
        untold = network.decode(memory, ids, torch.full_like(copied, -1)).states
    assert not torch.allclose(told[:, 2], untold[:, 2], atol=1e-3)
    assert torch.allclose(told[:, 0], untold[:, 0], atol=1e-5)


def test_cross_attention_and_copying_stay_on_real_tokens(
    network: FusionInDecoder, memory: Memory, inputs: tuple[Tensor, Tensor]
) -> None:
    with torch.inference_mode():
        output = network.decode(memory, *inputs, return_weights=True)
    assert len(output.cross_weights) == len(output.cross_scores) == 2
    for weights in output.cross_weights:
        assert torch.allclose(weights.sum(-1), torch.ones(weights.shape[:3]), atol=1e-5)
        padding = ~memory.mask[:, None, None, :].expand_as(weights)
        assert bool(padding.any())
        assert bool((weights[padding] == 0).all())
    copy = output.copy_log_probabilities.exp()
    assert torch.allclose(copy.sum(-1), torch.ones(copy.shape[:2]), atol=1e-5)
    assert bool((copy[~memory.copyable[:, None, :].expand_as(copy)] == 0).all())


def test_a_question_alone_is_read_as_in_a_batch(
    network: FusionInDecoder, batch: ReaderBatch, memory: Memory, inputs: tuple[Tensor, Tensor]
) -> None:
    tokenizer = minilm.load_tokenizer()
    (who,) = tokenise(tokenizer, ["Who leads?"])
    (passage,) = tokenise(tokenizer, CONTEXTS[:1])
    ids, copied = (tensor[:1] for tensor in inputs)
    with torch.inference_mode():
        alone = network.encode(collate([split_windows(who.ids, passage, 0)]))
        length = alone.states.shape[1]
        assert length < memory.states.shape[1]
        assert torch.allclose(alone.states[0], memory.states[0, :length], atol=1e-4)
        taken = memory.of_question(0, length)
        first, second = (network.decode(m, ids, copied).states for m in (alone, taken))
    assert torch.allclose(first, second, atol=1e-4)


def test_vocabulary_logits_cover_the_special_tokens(network: FusionInDecoder) -> None:
    with torch.inference_mode():
        logits = network.vocabulary_logits(torch.ones(2, 3, 384))
    assert logits.shape == (2, 3, 30522 + 8)
    assert logits.dtype == torch.float32


def test_a_new_reader_starts_as_minilm_and_is_the_same_for_a_seed(
    network: FusionInDecoder,
) -> None:
    again, other = initialise(ReaderConfig()), initialise(ReaderConfig(), seed=1)
    assert torch.equal(network.copy_query.weight, again.copy_query.weight)
    assert not torch.equal(network.copy_query.weight, other.copy_query.weight)
    published = minilm.load_tensors()
    state = network.encoder.state_dict()
    assert all(torch.equal(state[name], published[name]) for name in state)
    top = network.encoder.encoder_layers[-1].attention.query.weight
    assert torch.equal(network.decoder_layers[-1].cross_attention.query.weight, top)
    parameters = dict(network.named_parameters())
    assert not parameters["encoder.embeddings.word.weight"].requires_grad
    trained = [
        parameters[f"encoder.layers.{n}.attention.query.weight"].requires_grad for n in range(6)
    ]
    assert trained == [False, False, True, True, True, True]
