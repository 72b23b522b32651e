"""doctor, compact, export and import as commands."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli.store import Index, locked

if TYPE_CHECKING:
    from conftest import Run

DOCUMENTS = {
    "leave.md": "# Leave\n\nEveryone has 25 days of paid leave.\n",
    "boiler\x1b.txt": "The boiler in the cellar was serviced in March.\n",
}


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    for name, text in DOCUMENTS.items():
        (tmp_path / name).write_text(text, "utf-8")
    assert run("index", ".", "-q").code == 0
    return tmp_path / ".ragcli"


def _spoil(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "catalogue.sqlite", isolation_level=None)) as connection:
        connection.execute(statement)


def test_doctor_for_a_person(run: Run, folder: Path) -> None:
    finished = run("doctor")
    assert (finished.code, finished.err) == (0, "")
    lines = finished.out.splitlines()
    assert lines[0].startswith("ok       catalogue      the database is whole, schema ")
    assert all(len(line) <= 80 for line in lines)
    assert any(line.startswith("ok       encoder        all-MiniLM-L6-v2 is") for line in lines)


def test_doctor_for_a_program(run: Run, folder: Path) -> None:
    finished = run("doctor", "--no-model", "--json")
    assert (finished.code, finished.err) == (0, "")
    findings = [json.loads(line) for line in finished.out.splitlines()]
    assert all(
        list(one) == ["schema", "check", "state", "detail", "remedy", "paths"] for one in findings
    )
    assert {one["state"] for one in findings} == {"sound"}
    assert "encoder" not in {one["check"] for one in findings}


def test_damage_is_told_with_its_remedy_and_mended(run: Run, folder: Path) -> None:
    _spoil(folder, "UPDATE vectors SET vector = zeroblob(1536)")
    finished = run("doctor", "--no-model")
    assert finished.code == 1
    assert (
        "DAMAGED  documents      boiler␛.txt, leave.md: texts, places or vectors are not\n"
        "                        as they were stored\n"
        '                        run "ragcli doctor --repair"\n'
    ) in finished.out
    as_json = run("doctor", "--no-model", "--json").out.splitlines()
    [damage] = [one for one in map(json.loads, as_json) if one["check"] == "documents"]
    assert (damage["state"], damage["paths"]) == ("damaged", ["boiler\x1b.txt", "leave.md"])
    mended = run("doctor", "--repair")
    assert (mended.code, mended.err) == (0, "")
    assert "mended   put 2 documents right\n" in mended.out
    assert "mended   embedded 2 documents anew (2 passages)\n" in mended.out
    assert "note     files          boiler␛.txt, leave.md: not every document" in mended.out
    assert run("search", "boiler", "-l", "-k", "1").out == "boiler\x1b.txt\n"
    assert run("doctor", "--repair", "--json").out.startswith('{"schema": 1, "check": "catalogue"')


def test_a_repair_for_a_program(run: Run, folder: Path) -> None:
    _spoil(folder, "DELETE FROM words_docsize")
    finished = run("doctor", "--repair", "--json", "--no-model")
    first, *_ = map(json.loads, finished.out.splitlines())
    assert first == {"schema": 1, "mended": "indexed the words anew"}
    assert finished.code == 0


def test_what_is_beyond_repair_is_told_and_left(run: Run, folder: Path) -> None:
    content = (folder / "catalogue.sqlite").read_bytes()
    damaged = bytes(16384) + content[16384:]
    (folder / "catalogue.sqlite").write_bytes(damaged)
    told = run("doctor")
    assert told.code == 1
    assert "DAMAGED  catalogue      cannot be read: file is not a database" in told.out
    finished = run("doctor", "--repair")
    assert (finished.code, finished.out) == (2, "")
    assert "is damaged beyond repair" in finished.err
    assert "move the index folder away" in finished.err
    assert (folder / "catalogue.sqlite").read_bytes() == damaged


@pytest.mark.parametrize("command", ["doctor", "compact", "export"])
def test_where_there_is_no_index_that_is_told(run: Run, tmp_path: Path, command: str) -> None:
    file = ["file"] if command == "export" else []
    for options in ([], ["--index", "nothing"]):
        finished = run(command, *file, *options)
        assert (finished.code, finished.out) == (2, "")
        assert "no index" in finished.err
    assert list(tmp_path.iterdir()) == []


def test_compact_tells_both_sizes(run: Run, folder: Path) -> None:
    (folder.parent / "large.txt").write_text("Nobody wants to keep this. " * 4000, "utf-8")
    run("index", ".", "-q")
    (folder.parent / "large.txt").unlink()
    run("index", ".", "-q")
    finished = run("compact")
    assert (finished.code, finished.err) == (0, "")
    before, after = finished.out.split(" → ")
    assert before.endswith("B")
    assert after.endswith(" kB\n")
    told = json.loads(run("compact", "--json").out)
    assert list(told) == [
        "schema", "index", "bytes_before", "bytes_after", "dropped_rebuild", "still_in_use",
    ]  # fmt: skip
    assert told["bytes_before"] >= told["bytes_after"] > 0


def test_compact_tells_what_keeps_the_space_and_what_is_given_up(run: Run, folder: Path) -> None:
    with Index.open(folder) as reader:
        Index.create_or_open(folder, reader.fingerprint, rebuild=True).close()
        finished = run("compact")
    assert finished.out.splitlines()[1:] == [
        "a rebuild that was not finished is given up",
        "a search has the index open: more becomes free when it ends",
    ]


def test_an_index_is_carried_elsewhere(run: Run, folder: Path, tmp_path: Path) -> None:
    search = ("search", "paid leave", "--json", "-k", "2")
    hits = run(*search).out
    finished = run("export", "my.ragcli")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.startswith("2 files, 2 documents, 2 passages → my.ragcli (")
    there = tmp_path / "there"
    there.mkdir()
    arrived = run("import", "../my.ragcli", cwd=there)
    assert arrived.out == f"2 files, 2 documents, 2 passages → {there / '.ragcli'}\n"
    assert run(*search, cwd=there).out == hits
    refused = run("import", "../my.ragcli", cwd=there)
    assert (refused.code, refused.out) == (2, "")
    assert "--replace" in refused.err
    replaced = run("import", "../my.ragcli", "--replace", "--json", cwd=there)
    told = json.loads(replaced.out)
    assert list(told) == ["schema", "index", "file", "files", "documents", "passages", "bytes"]
    assert run(*search, cwd=there).out == hits
    assert run("doctor", "--no-model", cwd=there).code == 0


def test_a_file_is_not_overwritten_unless_that_is_meant(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    refused = run("export", "file")
    assert (refused.code, refused.out) == (2, "")
    assert "--force" in refused.err
    assert (tmp_path / "file").read_text() == "mine"
    told = json.loads(run("export", "file", "--force", "--json").out)
    assert told["bytes"] == (tmp_path / "file").stat().st_size


def test_a_damaged_file_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    run("export", "file")
    content = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(content[:-9])
    before = (folder / "catalogue.sqlite").read_bytes()
    finished = run("import", "file", "--replace")
    assert (finished.code, finished.out) == (2, "")
    assert "is damaged or was not written by ragcli export" in finished.err
    assert (folder / "catalogue.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    "arguments", [["compact"], ["import", "file", "--replace"], ["doctor", "--repair"]]
)
def test_who_is_writing_is_told(
    run: Run, folder: Path, tmp_path: Path, arguments: list[str]
) -> None:
    run("export", "file")
    with locked(folder):
        finished = run(*arguments)
    assert (finished.code, finished.out) == (2, "")
    assert "is being written by process" in finished.err
    assert "--wait" in finished.err
