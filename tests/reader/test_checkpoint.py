from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ragcli.errors import ModelError
from ragcli.reader import checkpoint, load_reader
from ragcli.reader.confidence import CALIBRATIONS, Calibration, load_calibration
from ragcli.reader.model import ReaderConfig

SMALL = ReaderConfig(n_decoder_layers=1, frozen_layers=6)
METADATA = {"format": "ragcli-reader-1", "n_decoder_layers": "1", "frozen_layers": "6"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("stored") / "reader.safetensors"
    checkpoint.save(checkpoint.initialise(SMALL, seed=3), file)
    return file


def test_what_is_loaded_is_what_was_saved_in_bf16(stored: Path) -> None:
    saved, loaded = checkpoint.initialise(SMALL, seed=3), checkpoint.load(stored)
    assert loaded.config == SMALL
    assert not loaded.training
    trained = checkpoint.trained_tensors(saved)
    assert trained
    for name, tensor in loaded.state_dict().items():
        wanted = saved.state_dict()[name]
        if name in trained:
            wanted = wanted.to(torch.bfloat16).float()
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, wanted), name


def test_only_what_training_changes_is_stored(stored: Path) -> None:
    names = load_file(str(stored)).keys()
    assert not any(name.startswith("encoder.") for name in names)
    assert any(name.startswith("decoder.0.cross_attention.") for name in names)


def test_files_that_hold_no_reader_are_refused(stored: Path, tmp_path: Path) -> None:
    tensors = load_file(str(stored))
    wrong = dict(tensors)
    wrong["gate.bias"] = torch.zeros(7)
    fewer = {name: tensor for name, tensor in tensors.items() if name != "gate.bias"}
    more = {**tensors, "extra": torch.zeros(1)}
    save_file(tensors, str(tmp_path / "plain"))
    save_file(tensors, str(tmp_path / "other"), {**METADATA, "format": "ragcli-reader-9"})
    save_file(tensors, str(tmp_path / "sizeless"), {"format": "ragcli-reader-1"})
    save_file(tensors, str(tmp_path / "no-number"), {**METADATA, "frozen_layers": "all"})
    save_file(fewer, str(tmp_path / "fewer"), METADATA)
    save_file(more, str(tmp_path / "more"), METADATA)
    save_file(wrong, str(tmp_path / "shapes"), METADATA)
    (tmp_path / "torn").write_bytes(stored.read_bytes()[:1000])
    (tmp_path / "text").write_text("no weights", "utf-8")
    (tmp_path / "folder").mkdir()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 10
    for file in [*files, tmp_path / "missing"]:
        with pytest.raises(ModelError, match=file.name):
            load_reader(file)


def test_readers_are_told_apart_by_their_weights(stored: Path) -> None:
    fingerprint = load_reader(stored).fingerprint
    assert len(fingerprint.revision) == 64
    assert fingerprint == load_reader(stored).fingerprint


def test_calibration_is_written_and_read(tmp_path: Path) -> None:
    calibration = Calibration(1.0, 0.5, 2.0, 0.25)
    calibration.save(tmp_path / "calibration.json")
    assert load_calibration(tmp_path / "calibration.json") == calibration
    assert load_calibration() == load_calibration(CALIBRATIONS["short"])


@pytest.mark.parametrize("content", ["", "[]", '{"bias": 1}', '{"unknown": 1}', "\xff"])
def test_a_calibration_that_cannot_be_meant_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "calibration.json"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(ModelError, match="calibration"):
        load_calibration(file)


def test_a_missing_calibration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="none"):
        load_calibration(tmp_path / "none.json")
