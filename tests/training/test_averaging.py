from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from ragcli.reader import checkpoint
from ragcli.reader.model import ReaderConfig
from ragcli.training.averaging import main
from ragcli.training.loop import CHECKPOINT, make_optimizer, save_checkpoint


def test_the_mean_of_two_checkpoints_lies_between_them(tmp_path: Path) -> None:
    files = []
    for value in (1.0, 3.0):
        reader = checkpoint.initialise(ReaderConfig())
        with torch.no_grad():
            reader.gate.bias.fill_(value)
        folder = tmp_path / str(value)
        folder.mkdir()
        save_checkpoint(folder, reader, make_optimizer(reader), 1)
        files.append(str(folder / CHECKPOINT))
    output = tmp_path / "mean.safetensors"
    assert main([*files, "--output", str(output)]) == 0
    assert load_file(str(output))["gate.bias"].tolist() == [2.0]
