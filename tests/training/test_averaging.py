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


def test_the_mean_of_readers_keeps_what_only_one_of_them_trained(tmp_path: Path) -> None:
    name = "encoder.layers.1.feed_forward.expand.bias"
    files = []
    for n_frozen in (2, 1):
        reader = checkpoint.initialise(ReaderConfig(frozen_layers=n_frozen))
        if n_frozen == 1:
            with torch.no_grad():
                reader.get_parameter(name).add_(2.0)
        files.append(tmp_path / f"{n_frozen}.safetensors")
        checkpoint.save(reader, files[-1])
    output = tmp_path / "mean.safetensors"
    assert main([*map(str, files), "--output", str(output)]) == 0
    mean = checkpoint.load(output)
    assert mean.config.frozen_layers == 1
    published = checkpoint.initialise(ReaderConfig()).get_parameter(name)
    assert torch.allclose(mean.get_parameter(name), published + 1.0, atol=0.02)
