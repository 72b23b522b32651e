"""A run of ``index`` that is killed or interrupted loses nothing, and the next one goes on."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from ragcli.engine.indexing import index_paths
from ragcli.store import DAMAGED, Index, check_folder, holds_index

WORDS = "boiler kettle otter ledger harbour meadow lantern archive compass violin".split()


def _write_documents(folder: Path, count: int, version: int) -> None:
    """Documents of which every third one differs from one version to the next."""
    folder.mkdir(exist_ok=True)
    moment = time.time() - 60
    for number in range(count):
        edition = version if number % 3 == 0 else 0
        lines = [
            f"The {WORDS[(number + n) % 10]} {number}-{edition} has number {n * 17 + number}."
            for n in range(40)
        ]
        file = folder / f"{number:03}.txt"
        file.write_text("\n\n".join(lines), "utf-8")
        os.utime(file, (moment + version, moment + version))


def _start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ragcli", "index", "docs", "--quiet", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        cwd=folder,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
        preexec_fn=_heed_ctrl_c,  # noqa: PLW1509
    )


def _heed_ctrl_c() -> None:
    """Undo what a shell does to whatever it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _held(index_folder: Path) -> dict[str, list[str]]:
    with Index.open(index_folder) as index:
        return {
            source.path: [
                passage.passage.text
                for document in index.documents(source.path)
                for passage in index.document_passages(document.document_id)
            ]
            for source in index.sources()
        }


def _assert_sound(index_folder: Path) -> None:
    assert [found for found in check_folder(index_folder) if found.state == DAMAGED] == []


def _assert_equal_to_a_quiet_build(folder: Path) -> None:
    quiet = folder / "quiet" / ".ragcli"
    index_paths([folder / "docs"], quiet)
    ours, anew = _held(folder / ".ragcli"), _held(quiet)
    base = folder.as_posix()
    assert {f"{base}/{path}": texts for path, texts in ours.items()} == anew
    with Index.open(folder / ".ragcli") as left, Index.open(quiet) as right:
        for passage, other in zip(
            left.document_passages("docs/000.txt"),
            right.document_passages(f"{base}/docs/000.txt"),
            strict=True,
        ):
            vectors = left.vectors([passage.passage_id]), right.vectors([other.passage_id])
            assert np.allclose(*vectors, atol=1e-2)


def _kill_at_random(
    folder: Path, moments: random.Random, times: int, options: Sequence[str]
) -> None:
    for _ in range(times):
        with _start(folder, *options) as process:
            time.sleep(moments.uniform(0.2, 4.0))
            process.kill()
        if holds_index(folder / ".ragcli"):
            _assert_sound(folder / ".ragcli")


@pytest.mark.parametrize("kills", [1, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_at_any_instant_it_ends_as_a_quiet_build(tmp_path: Path, kills: int) -> None:
    moments = random.Random(kills)
    _write_documents(tmp_path / "docs", 60, version=1)
    _kill_at_random(tmp_path, moments, kills, [])
    index_paths([tmp_path / "docs"], tmp_path / ".ragcli")
    _write_documents(tmp_path / "docs", 50, version=2)
    for number in range(50, 60):
        (tmp_path / "docs" / f"{number:03}.txt").unlink()
    _kill_at_random(tmp_path, moments, kills, [])
    _kill_at_random(tmp_path, moments, kills, ["--rebuild"])
    index_paths([tmp_path / "docs"], tmp_path / ".ragcli")
    _assert_sound(tmp_path / ".ragcli")
    _assert_equal_to_a_quiet_build(tmp_path)


def _rebuilt(index_folder: Path) -> int:
    """How many files a rebuild at work has committed."""
    try:
        with closing(sqlite3.connect(index_folder / "rebuild.sqlite")) as connection:
            return int(connection.execute("SELECT count(*) FROM sources").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_a_killed_rebuild_leaves_what_was_there_and_the_next_one_goes_on(tmp_path: Path) -> None:
    _write_documents(tmp_path / "docs", 200, version=1)
    index_paths([tmp_path / "docs"], tmp_path / ".ragcli")
    before = _held(tmp_path / ".ragcli")
    with _start(tmp_path, "--rebuild") as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not _rebuilt(tmp_path / ".ragcli"):
            time.sleep(0.02)
        process.kill()
    assert _held(tmp_path / ".ragcli") == before
    report = index_paths([tmp_path / "docs"], tmp_path / ".ragcli", rebuild=True)
    assert 0 < report.passages_embedded < sum(map(len, before.values()))
    assert _held(tmp_path / ".ragcli") == before


def test_ctrl_c_writes_the_batch_and_says_how_to_go_on(tmp_path: Path) -> None:
    _write_documents(tmp_path / "docs", 250, version=1)
    with _start(tmp_path) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not holds_index(tmp_path / ".ragcli"):
            time.sleep(0.02)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"run the same command again to go on" in told
    assert b"Traceback" not in told
    _assert_sound(tmp_path / ".ragcli")
    written = len(_held(tmp_path / ".ragcli"))
    assert 0 < written < 250
    report = index_paths([tmp_path / "docs"], tmp_path / ".ragcli")
    assert report.added + report.updated <= 250 - written + 1
