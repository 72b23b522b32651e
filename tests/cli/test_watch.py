"""``ragcli index --watch``: the index follows the files, tells what is new, ends with Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli.cli import Environment, following
from ragcli.cli.following import follow
from ragcli.engine.indexing import index_paths
from ragcli.errors import IndexMissingError, RagcliError
from ragcli.store import Index

if TYPE_CHECKING:
    from conftest import Run

    from ragcli.engine.outcomes import IndexReport, Outcome

NEXT_SECONDS = 60


@contextmanager
def _watching(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """``ragcli index docs --watch`` in a process of its own, ended at the latest with the block."""
    command = [sys.executable, "-m", "ragcli", "index", "docs", "--watch", *options]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=_heed_ctrl_c,  # noqa: PLW1509
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _heed_ctrl_c() -> None:
    """Undo what a shell does to whatever it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _held(folder: Path) -> dict[str, str]:
    try:
        with Index.open(folder / ".ragcli") as index:
            return {
                source.path: document.text.strip()
                for source in index.sources()
                for document in index.documents(source.path)
            }
    except IndexMissingError:
        return {}


def _await(folder: Path, wanted: dict[str, str]) -> None:
    deadline = time.monotonic() + NEXT_SECONDS
    while time.monotonic() < deadline and _held(folder) != wanted:
        time.sleep(0.05)
    assert _held(folder) == wanted


def test_the_index_follows_the_files_until_ctrl_c(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("An otter swims.")
    with _watching(tmp_path, "--log", "log.jsonl") as process:
        _await(tmp_path, {"docs/a.md": "An otter swims."})
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("1 added; ")
        assert "watching" in process.stderr.readline()
        (docs / "new").mkdir()
        (docs / "new" / "b.md").write_text("A kettle boils.")
        assert process.stdout.readline() == "added      docs/new/b.md\n"
        (docs / "a.md").write_text("An otter dives and swims.")
        assert process.stdout.readline() == "updated    docs/a.md\n"
        (docs / "bad.pdf").write_bytes(b"%PDF-1.4 and no more")
        assert process.stderr.readline().startswith("ragcli: docs/bad.pdf: ")
        (docs / "new" / "b.md").unlink()
        assert process.stdout.readline() == "removed    docs/new/b.md\n"
        _await(tmp_path, {"docs/a.md": "An otter dives and swims."})
        process.send_signal(signal.SIGINT)
        assert process.wait(NEXT_SECONDS) == 130
        assert process.stderr.read() == "ragcli: interrupted\n"  # the bad file is told of once
        assert process.stdout.read() == ""
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["status"], line["path"]) for line in logged] == [
        ("added", "docs/a.md"),
        ("added", "docs/new/b.md"),
        ("updated", "docs/a.md"),
        ("failed", "docs/bad.pdf"),
        ("removed", "docs/new/b.md"),
    ]


def test_another_writer_is_awaited_and_the_json_summaries_are_lines(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("An otter swims.")
    with _watching(tmp_path, "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["added"] == 1
        with Index.open(tmp_path / ".ragcli") as index:
            fingerprint = index.fingerprint
        with Index.create_or_open(tmp_path / ".ragcli", fingerprint):
            (docs / "b.md").write_text("A kettle boils.")
            time.sleep(2)
            assert _held(tmp_path) == {"docs/a.md": "An otter swims."}
        summary = json.loads(process.stdout.readline())
        assert (summary["added"], summary["unchanged"]) == (1, 1)
        assert set(_held(tmp_path)) == {"docs/a.md", "docs/b.md"}


def test_after_an_error_it_is_tried_again_and_nothing_is_left_untold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("An otter swims.")
    out, err, logged = io.StringIO(), io.StringIO(), []
    environment = Environment(io.StringIO(), out, err, cwd=tmp_path)
    before = index_paths([docs], tmp_path / ".ragcli", seen_from=tmp_path)
    attempts = 0

    def fails_twice(tell: Callable[[Outcome], None]) -> IndexReport:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            (docs / f"{attempts}.md").write_text(f"A kettle boils {attempts}.")
            index_paths([docs], tmp_path / ".ragcli", seen_from=tmp_path, tell=tell)
            raise RagcliError("the disk is full")
        return index_paths([docs], tmp_path / ".ragcli", seen_from=tmp_path, tell=tell)

    monkeypatch.setattr(following, "RETRY_SECONDS", 0.01)
    follow(
        environment,
        [None],
        fails_twice,
        before=before,
        log=logged.append,
        as_json=False,
        quiet=False,
    )
    assert out.getvalue() == "added      docs/1.md\nadded      docs/2.md\n"
    assert err.getvalue() == "ragcli: the disk is full\n"
    assert [outcome.path for outcome in logged] == ["docs/1.md", "docs/2.md"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["docs", "--dry-run"], "--watch and --dry-run"),
        (["docs", "--fail-fast"], "--watch and --fail-fast"),
        (["-"], "--watch and standard input"),
    ],
)
def test_what_ends_or_writes_nothing_cannot_be_watched(
    run: Run, tmp_path: Path, options: list[str], told: str
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("An otter swims.")
    finished = run("index", "--watch", *options, stdin="text")
    assert finished.code == 2
    assert told in finished.err
    assert not (tmp_path / ".ragcli").exists()
