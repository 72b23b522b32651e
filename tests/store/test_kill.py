from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ragcli.errors import IndexBusyError
from ragcli.store import Index, IndexFingerprint

FINGERPRINT = IndexFingerprint("tiny", "revision-1", 4, "", "", 200, 1)
PROGRAM = Path(__file__).with_name("writer_program.py")


@contextmanager
def _writing(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes without end, started and ready; killed at the end of the block."""
    command = [sys.executable, str(PROGRAM), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "READY\n"
            yield process
        finally:
            process.kill()


def _vectors(number: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(number).standard_normal((3, 4))
    unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit


def _check(folder: Path) -> int:
    """How many sources the index holds, once it is seen to hold the first so many, whole."""
    with Index.open(folder) as index:
        numbers = [int(source.path.removesuffix(".txt")) for source in index.sources()]
        assert numbers == list(range(len(numbers)))
        assert index.summary().passages == 3 * len(numbers)
        queries = _vectors(12345)
        expected = {
            f"{number:06}.txt {position}.": float(score)
            for number in numbers
            for position, score in enumerate(_vectors(number) @ queries[0])
        }
        hits = index.search(queries, 3 * len(numbers) + 1)[0]
        stored = index.passages([passage_id for passage_id, _ in hits])
        found = {s.passage.text: score for s, (_, score) in zip(stored, hits, strict=True)}
        assert found == pytest.approx(expected, abs=1e-6)
        return len(numbers)


def test_a_killed_writer_leaves_the_last_commit(tmp_path: Path) -> None:
    moments = random.Random(7)
    held = 0
    for _ in range(6):
        with _writing(tmp_path) as process:
            time.sleep(moments.uniform(0.0, 0.25))
            process.kill()
            told, _ = process.communicate()
        reported = [int(line) for line in told.splitlines() if line]
        certain = reported[-1] + 1 if reported else held
        held = _check(tmp_path)
        assert held - certain in {0, 1}  # the kill may fall between a commit and its report
    with Index.create_or_open(tmp_path, FINGERPRINT):
        pass
    assert _check(tmp_path) == held > 0
    assert list(tmp_path.glob("*.tmp")) == []


def test_readers_see_whole_commits_while_a_writer_works(tmp_path: Path) -> None:
    seen: list[int] = []
    deadline = time.monotonic() + 60
    with _writing(tmp_path):
        while len(set(seen)) < 20 and time.monotonic() < deadline:
            seen.append(_check(tmp_path))
    assert seen == sorted(seen)
    assert len(set(seen)) >= 20


def test_a_second_writer_is_told_of_the_first_and_follows_its_death(tmp_path: Path) -> None:
    with _writing(tmp_path) as process:
        with pytest.raises(IndexBusyError, match=rf"process {process.pid} since \d{{4}}-\d\d-"):
            Index.create_or_open(tmp_path, FINGERPRINT)
        process.kill()
        process.wait()
    assert (tmp_path / "write.holder.json").exists()  # what the dead process left bars nobody
    with Index.create_or_open(tmp_path, FINGERPRINT) as index:
        assert index.fingerprint == FINGERPRINT
    assert not (tmp_path / "write.holder.json").exists()
