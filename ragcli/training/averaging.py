"""``python -m ragcli.training.averaging``: the mean of checkpoints or of readers, as weights.

The mean of late checkpoints of one run does some of what a longer decay of the learning rate would
(Izmailov et al. 2018, https://arxiv.org/abs/1803.05407). The mean of readers that were trained from
the same weights is often better than each of them (Wortsman et al. 2022,
https://arxiv.org/abs/2203.05482).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ragcli.reader import checkpoint
from ragcli.reader.model import FusionInDecoder, ReaderConfig

_PREFIX = "weights."
"""Of a checkpoint's tensors, those with this prefix are the reader's."""


def average(files: Sequence[Path]) -> FusionInDecoder:
    """Return a reader whose parameters are the mean of those in the checkpoints or weights.

    What a file does not hold is the embedded encoder's own.
    """
    reader = checkpoint.initialise(ReaderConfig())
    trained = [_trained(file) for file in files]
    with torch.no_grad():
        for name, parameter in reader.named_parameters():
            own = [tensors.get(name, parameter).float() for tensors in trained]
            parameter.copy_(torch.stack(own).mean(0))
    names = {name for tensors in trained for name in tensors}
    n_frozen = 0
    while not any(name.startswith(f"encoder.layers.{n_frozen}.") for name in names):
        n_frozen += 1
    reader.config = replace(reader.config, frozen_layers=n_frozen)
    checkpoint.freeze(reader)
    return reader


def _trained(file: Path) -> dict[str, Tensor]:
    tensors = load_file(str(file))
    own = {n.removeprefix(_PREFIX): t for n, t in tensors.items() if n.startswith(_PREFIX)}
    return own or tensors


def main(arguments: Sequence[str] | None = None) -> int:
    """Read checkpoints or weights and write weights."""
    parser = argparse.ArgumentParser(
        prog="python -m ragcli.training.averaging", description=__doc__
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    checkpoint.save(average(options.files), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
