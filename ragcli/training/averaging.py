"""``python -m ragcli.training.averaging``: the mean of several checkpoints of one run, as weights.

Averaging late checkpoints does some of what a longer decay of the learning rate would (Izmailov et
al. 2018, https://arxiv.org/abs/1803.05407).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from ragcli.reader import checkpoint
from ragcli.reader.model import FusionInDecoder, ReaderConfig

_PREFIX = "weights."


def average(files: Sequence[Path]) -> FusionInDecoder:
    """Return a reader whose trained parameters are the mean of those in the checkpoints."""
    reader = checkpoint.initialise(ReaderConfig())
    states = [load_file(str(file)) for file in files]
    with torch.no_grad():
        for name, parameter in reader.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.stack([s[_PREFIX + name] for s in states]).mean(0))
    return reader


def main(arguments: Sequence[str] | None = None) -> int:
    """Read checkpoints and write weights."""
    parser = argparse.ArgumentParser(
        prog="python -m ragcli.training.averaging", description=__doc__
    )
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    checkpoint.save(average(options.checkpoints), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
