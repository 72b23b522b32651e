"""A reader that has learned nothing: the check of what claims to explain a reader."""

from __future__ import annotations

import torch

from ragcli.reader.generator import Reader, load_reader


def load_shuffled_reader(seed: int) -> Reader:
    """Load the shipped reader with the entries of each of its weights in a random order.

    What explains a reader must say something else of this one (the model-randomisation check of
    Adebayo et al. 2018, https://arxiv.org/abs/1810.03292).
    """
    reader = load_reader()
    generator = torch.Generator().manual_seed(seed)
    for weight in reader.network.parameters():
        flat = weight.data.flatten()
        weight.data = flat[torch.randperm(len(flat), generator=generator)].view_as(weight)
    return reader
