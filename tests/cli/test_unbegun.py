"""An index whose maker was killed before it was begun is none, for every command."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli.engine.maintaining import export_index
from ragcli.store import Index
from ragcli.store.schema import MIGRATIONS, migrate

if TYPE_CHECKING:
    from conftest import Run

READING = [
    ["search", "otter"],
    ["search", "otter", "--mode", "lexical"],
    ["ask", "what?"],
    ["status"],
    ["list"],
    ["show", "docs/a.md"],
    ["remove", "docs/a.md"],
    ["doctor"],
    ["doctor", "--repair"],
    ["compact"],
    ["export", "kept.ragcli"],
    ["merge", ".ragcli", "--index", "elsewhere"],
]
MAKING = [
    ["index", "docs"],
    ["index", "docs", "--rebuild"],
    ["merge", "other"],
    ["import", "other.ragcli"],
]


@pytest.fixture(params=[None, 0, 1, len(MIGRATIONS) - 1, len(MIGRATIONS)])
def unbegun(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A catalogue as a kill leaves it: without a byte, or after so many migrations."""
    catalogue = tmp_path / ".ragcli" / "catalogue.sqlite"
    catalogue.parent.mkdir()
    if request.param is None:
        catalogue.touch()
    else:
        with closing(sqlite3.connect(catalogue, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection, MIGRATIONS[: request.param])
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("An otter swims.")
    return tmp_path


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_there_is_no_index_to_read(run: Run, unbegun: Path, command: list[str]) -> None:
    finished = run(*command)
    assert finished.code == 2
    assert finished.err.startswith("ragcli: no index in")
    assert 'run "ragcli index PATH"' in finished.err
    assert not (unbegun / "kept.ragcli").exists()
    assert not (unbegun / "elsewhere").exists()


@pytest.mark.parametrize("command", MAKING, ids=" ".join)
def test_an_index_can_be_made(run: Run, unbegun: Path, command: list[str]) -> None:
    if "other" in command[1]:
        assert run("index", "docs", "--index", "other").code == 0
        export_index(unbegun / "other", unbegun / "other.ragcli")
    finished = run(*command)
    assert (finished.code, finished.err) == (0, "")
    with Index.open(unbegun / ".ragcli") as index:
        assert [source.path for source in index.sources()] == ["docs/a.md"]
    assert not (unbegun / ".ragcli" / "rebuild.sqlite").exists()
