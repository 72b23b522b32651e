from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli.errors import IndexMissingError
from ragcli.store import Index, absolute_path, holds_index, locate_index, stored_path

if TYPE_CHECKING:
    from conftest import Bench


def test_an_index_is_found_from_below(tmp_path: Path, bench: Bench) -> None:
    below = tmp_path / "one" / "two"
    (below / ".ragcli").mkdir(parents=True)  # a folder of that name alone is no index
    with pytest.raises(IndexMissingError, match="no index here or above"):
        locate_index(None, below)
    Index.create_or_open(tmp_path / ".ragcli", bench.fingerprint).close()
    assert holds_index(tmp_path / ".ragcli")
    assert locate_index(None, below) == tmp_path / ".ragcli"
    Index.create_or_open(tmp_path / "one" / ".ragcli", bench.fingerprint).close()
    assert locate_index(None, below) == tmp_path / "one" / ".ragcli"
    assert locate_index(tmp_path / "elsewhere", below) == tmp_path / "elsewhere"


def test_paths_beneath_the_index_move_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home" / ".ragcli"
    assert stored_path(tmp_path / "home" / "notes" / "a b.md", folder) == "notes/a b.md"
    assert stored_path(tmp_path / "home" / "x" / ".." / "ü.md", folder) == "ü.md"
    outside = tmp_path / "home2" / "c.md"
    assert stored_path(outside, folder) == outside.as_posix()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    assert stored_path(Path("d.md"), Path(".ragcli")) == "d.md"
    for stored, file in (("d.md", tmp_path / "home" / "d.md"), (outside.as_posix(), outside)):
        assert absolute_path(stored, Path(".ragcli")) == file
        assert stored_path(file, folder) == stored
