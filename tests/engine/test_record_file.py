from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ragcli.corpus.problem import Problem
from ragcli.engine.asking import AskOptions
from ragcli.engine.record_file import RecordFile, read_records
from ragcli.engine.record_format import StoredRecord
from ragcli.engine.recording import ask_on_record
from ragcli.errors import InputError
from ragcli.records import Question

PROGRAM = Path(__file__).with_name("recorder_program.py")
WHO = Question("Who leads the team?", None, ("Anna Berg leads the team.",))


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A record of a real answer."""
    path = tmp_path_factory.mktemp("records") / "log.jsonl"
    with RecordFile(path) as file:
        ((answer, _),) = ask_on_record(None, [WHO], AskOptions(), file)
        assert answer.text == "Anna Berg"
    (line,) = path.read_text("utf-8").splitlines()
    return line


def _read(path: Path) -> list[StoredRecord | Problem]:
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:
        return list(read_records(lines, path.name))


def test_lines_are_added_behind_what_is_there(tmp_path: Path, line: str) -> None:
    path = tmp_path / "log.jsonl"
    for _ in range(2):
        with RecordFile(path) as file:
            file.append(line)
            assert path.read_text("utf-8").endswith(f"{line}\n"), "it is there before the close"
    first, second = _read(path)
    assert isinstance(first, StoredRecord)
    assert isinstance(second, StoredRecord)
    assert (first.line, second.line, first.record) == (1, 2, second.record)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_torn_last_line_is_left_alone_on_its_line(
    tmp_path: Path, line: str, share: float
) -> None:
    path = tmp_path / "log.jsonl"
    content = line.encode()
    path.write_bytes(content + b"\n" + content[: int(len(content) * share)])
    whole, torn = _read(path)
    assert isinstance(whole, StoredRecord)
    assert isinstance(torn, Problem)
    assert torn.path == "log.jsonl:2"
    assert torn.reason.endswith(", perhaps torn while it was written")
    with RecordFile(path) as file:
        file.append(line)
        file.append(line)
    kinds = [type(one) for one in _read(path)]
    assert kinds == [StoredRecord, Problem, StoredRecord, StoredRecord]


def test_a_record_without_its_line_break_is_one_all_the_same(tmp_path: Path, line: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(line, "utf-8")
    with RecordFile(path) as file:
        file.append(line)
    assert [type(one) for one in _read(path)] == [StoredRecord, StoredRecord]


def test_bytes_that_are_no_text_are_a_problem_of_their_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"format": "\xff"}\n\n' + line.encode() + b"\n")
    bad, good = _read(path)
    assert bad == Problem("log.jsonl:1", "is not UTF-8")
    assert isinstance(good, StoredRecord)
    assert good.line == 3


@pytest.mark.parametrize("name", ["absent/log.jsonl", ".", "pipe", "/dev/null"])
def test_what_cannot_be_written_is_told_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="cannot write the record"):
        RecordFile(tmp_path / name)


def _whole(row: str) -> bool:
    try:
        json.loads(row)
    except ValueError:
        return False
    return True


def test_a_kill_leaves_every_reported_line_and_at_most_the_last_one_torn(tmp_path: Path) -> None:
    """The kernel may stop a large write half way; the next run goes on behind it."""
    path = tmp_path / "log.jsonl"
    moments = random.Random(3)
    held = 0
    for _ in range(4):
        command = [sys.executable, str(PROGRAM), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "READY\n"
            time.sleep(moments.uniform(0.02, 0.15))
            process.kill()
            told, _ = process.communicate()
        lines = [row for row in path.read_text("utf-8").split("\n") if row]
        new, held = lines[held:], len(lines)
        if new and not _whole(new[-1]):
            del new[-1]
        rows = [json.loads(row) for row in new]
        assert all(row["number"] == row["end"] for row in rows)
        assert [row["number"] for row in rows] == list(range(len(rows)))
        assert len(rows) - len(told.splitlines()) in {0, 1}
    assert held > 0
