from __future__ import annotations

from pathlib import Path

import pytest

from ragcli.config import KEYS, Settings, find_config, resolve_settings
from ragcli.errors import UsageError


def _write(folder: Path, text: str) -> Path:
    file = folder / "ragcli.toml"
    file.write_text(text, "utf-8")
    return file


def test_nothing_set_leaves_every_default_to_the_command(tmp_path: Path) -> None:
    assert resolve_settings({}, {}, tmp_path) == Settings()


def test_a_flag_wins_over_the_environment_which_wins_over_the_file(tmp_path: Path) -> None:
    _write(tmp_path, 'k = 1\nencoder = "file"\nmin_score = 0.1\n')
    environ = {"RAGCLI_K": "2", "RAGCLI_ENCODER": "environment"}
    settings = resolve_settings({"k": 3, "encoder": None}, environ, tmp_path)
    assert (settings.k, settings.encoder, settings.min_score) == (3, "environment", 0.1)


def test_a_false_looking_flag_still_wins(tmp_path: Path) -> None:
    _write(tmp_path, "min_score = 0.4\n")
    assert resolve_settings({"min_score": 0.0}, {}, tmp_path).min_score == 0.0


def test_the_file_is_found_upward_and_the_nearest_counts(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    _write(tmp_path, "k = 1\n")
    assert resolve_settings({}, {}, deep).k == 1
    near = _write(tmp_path / "a", "k = 2\n")
    assert find_config(deep) == near
    assert resolve_settings({}, {}, deep).k == 2


def test_relative_folders_are_meant_from_where_they_are_named(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    _write(tmp_path, 'index = "store"\nencoder = "./model"\n')
    settings = resolve_settings({}, {}, deep)
    assert settings.index == tmp_path / "store"
    assert settings.encoder == str(tmp_path / "model")
    assert resolve_settings({}, {"RAGCLI_INDEX": "x"}, deep).index == deep / "x"
    assert resolve_settings({"index": Path("y")}, {}, deep).index == deep / "y"
    (deep / "bare").mkdir()
    assert resolve_settings({"encoder": "bare"}, {}, deep).encoder == str(deep / "bare")
    assert resolve_settings({"encoder": "bare"}, {}, tmp_path).encoder == "bare"


def test_every_key_has_its_variable(tmp_path: Path) -> None:
    environ = dict.fromkeys((f"RAGCLI_{key.upper()}" for key in KEYS), "1")
    settings = resolve_settings({}, environ, tmp_path)
    assert all(getattr(settings, key) is not None for key in KEYS)


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("min_scor = 0.3", "unknown setting 'min_scor'", "did you mean 'min_score'?"),
        ("zebra = 1", "unknown setting 'zebra'", "known settings: index, k,"),
        ("k = 0", "k must be a whole number from 1 up, not 0", ""),
        ("k = true", "k must be a whole number from 1 up, not True", ""),
        ("k = 2.5", "k must be a whole number from 1 up, not 2.5", ""),
        ('min_score = "high"', "min_score must be a number, not 'high'", ""),
        ("min_score = nan", "min_score must be a number, not nan", ""),
        ("dense_weight = 1.5", "dense_weight must be a number from 0 to 1, not 1.5", ""),
        ("dense_weight = true", "dense_weight must be a number, not True", ""),
        ("encoder = ''", "encoder must be a text that is not empty, not ''", ""),
        ("index = 3", "index must be a text that is not empty, not 3", ""),
        ("k = ", "cannot be read", "mend or remove the file"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, text: str, message: str, remedy: str
) -> None:
    file = _write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        resolve_settings({}, {}, tmp_path)
    assert message in caught.value.message
    assert str(file) in caught.value.message
    assert remedy in caught.value.remedy


def test_a_bad_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="RAGCLI_K must be a whole number from 1 up, not 'many'"):
        resolve_settings({}, {"RAGCLI_K": "many"}, tmp_path)
