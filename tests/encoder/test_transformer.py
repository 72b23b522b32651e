from __future__ import annotations

import torch

from ragcli.encoder import minilm
from ragcli.encoder.transformer import TransformerConfig, TransformerEncoder, from_bert_names

SMALL = TransformerConfig(
    vocabulary_size=50,
    dimension=24,
    n_heads=4,
    n_layers=2,
    feed_forward_dimension=32,
    max_positions=16,
)


def _network() -> TransformerEncoder:
    torch.manual_seed(0)
    return TransformerEncoder(SMALL).eval()


def test_padding_does_not_change_the_states() -> None:
    network = _network()
    ids = torch.tensor([[5, 6, 7]])
    padded = torch.tensor([[5, 6, 7, 0, 0], [1, 2, 3, 4, 5]])
    mask = torch.tensor([[True, True, True, False, False], [True] * 5])
    with torch.inference_mode():
        assert torch.allclose(network(ids)[0], network(padded, mask)[0, :3], atol=1e-5)
        assert not torch.allclose(network(ids)[0], network(padded)[0, :3], atol=1e-3)


def test_sparing_the_padding_changes_neither_states_nor_gradients() -> None:
    network = _network()
    ids = torch.tensor([[5, 6, 7, 0, 0], [1, 2, 3, 4, 5], [9, 0, 0, 0, 0]])
    mask, segments = ids > 0, (ids > 4).long()
    found = []
    for forward in (network.forward_padded, network.forward_packed):
        network.zero_grad()
        states = forward(ids, mask, segments)[mask]
        states.square().sum().backward()  # type: ignore[no-untyped-call]
        gradients = [parameter.grad for parameter in network.parameters()]
        found.append([states, *(g for g in gradients if g is not None)])
    assert len(found[0]) == len(list(network.parameters())) + 1
    for padded, packed in zip(*found, strict=True):
        assert torch.allclose(padded, packed, atol=1e-5)


def test_order_and_segment_count() -> None:
    network = _network()
    with torch.inference_mode():
        plain = network(torch.tensor([[5, 6, 7]]))
        turned = network(torch.tensor([[7, 6, 5]]))
        second = network(torch.tensor([[5, 6, 7]]), None, torch.tensor([[0, 1, 1]]))
        first = network(torch.tensor([[5, 6, 7]]), None, torch.zeros(1, 3, dtype=torch.int64))
    assert not torch.allclose(plain.flip(1), turned, atol=1e-3)
    assert not torch.allclose(plain, second, atol=1e-3)
    assert torch.allclose(plain, first, atol=1e-6)


def test_published_names_are_renamed_and_others_dropped() -> None:
    tensor = torch.zeros(1)
    names = {
        "embeddings.LayerNorm.weight": tensor,
        "encoder.layer.3.attention.self.query.bias": tensor,
        "encoder.layer.3.attention.output.LayerNorm.bias": tensor,
        "encoder.layer.3.output.dense.weight": tensor,
        "pooler.dense.weight": tensor,
    }
    assert list(from_bert_names(names)) == [
        "embeddings.norm.weight",
        "layers.3.attention.query.bias",
        "layers.3.attention_norm.bias",
        "layers.3.feed_forward.contract.weight",
    ]


def test_the_published_tensors_are_exactly_the_networks() -> None:
    published = minilm.load_tensors()
    wanted = TransformerEncoder(TransformerConfig()).state_dict()
    assert {n: t.shape for n, t in published.items()} == {n: t.shape for n, t in wanted.items()}
