"""Every way to end has its exit code, and its words on stderr."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli import __version__

if TYPE_CHECKING:
    from conftest import Run


class RaisingEnviron(Mapping[str, str]):
    """Environment variables whose reading fails, for errors in the middle of a command."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __getitem__(self, name: str) -> str:
        if name.startswith("RAGCLI_"):
            raise self._error
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class ClosedPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


class PipeClosedBeforeFlush(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


def test_alone_it_tells_what_it_does_and_what_to_try_first(run: Run) -> None:
    finished = run()
    assert (finished.code, finished.err) == (0, "")
    assert "ragcli index ." in finished.out
    assert "ragcli search" in finished.out
    assert "ragcli ask" in finished.out
    assert len(finished.out.splitlines()) < 20


def test_version(run: Run) -> None:
    assert run("--version").out == f"ragcli {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["search", "--help"], ["index", "-h"]])
def test_help_goes_to_stdout(run: Run, arguments: list[str]) -> None:
    finished = run(*arguments)
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.startswith("Usage: ragcli")


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        (["serch"], "No such command 'serch'. Did you mean 'search'?", 'try "ragcli --help"'),
        (["search", "--nope"], "No such option: --nope", 'try "ragcli search --help"'),
        (["search", "q", "-k", "0"], "Invalid value for '-k'", 'try "ragcli search --help"'),
        (["index"], "nothing to index is named", '"ragcli index ."'),
        (["search"], "search takes a QUERY or --queries FILE", 'try "ragcli search --help"'),
        (["search", "q", "--queries", "f"], "search takes a QUERY or", "ragcli search --help"),
        (["search", " "], "the query is empty", 'try "ragcli search --help"'),
        (["search", "q", "-0"], "-0 is for paths only", "add -l"),
        (["search", "q", "-l", "--json"], "exclude each other", "choose one"),
        (["search", "q"], "no index here or above", 'run "ragcli index PATH"'),
        (["status"], "no index here or above", 'run "ragcli index PATH"'),
        (["index", "missing"], "nothing to index: ", "name files or folders"),
        (["index", "."], "nothing to index in ", "formats that are read: "),
    ],
)
def test_a_persons_mistake_is_told_in_two_lines_with_the_remedy(
    run: Run, tmp_path: Path, arguments: list[str], message: str, remedy: str
) -> None:
    finished = run(*arguments)
    assert (finished.code, finished.out) == (2, "")
    first, second = finished.err.splitlines()
    assert first.startswith("ragcli: ")
    assert message in first
    assert remedy in second
    assert list(tmp_path.iterdir()) == [], "a mistake leaves nothing behind"


def test_a_message_cannot_steer_the_terminal(run: Run) -> None:
    finished = run("\x1b[2Jsearch")
    assert finished.code == 2
    assert "\x1b" not in finished.err


def test_our_bug_ends_with_a_traceback(run: Run) -> None:
    finished = run("status", environ=RaisingEnviron(RuntimeError("that was unexpected")))
    assert (finished.code, finished.out) == (70, "")
    assert "Traceback (most recent call last)" in finished.err
    assert "RuntimeError: that was unexpected" in finished.err
    assert "this is a bug in ragcli" in finished.err


def test_ctrl_c(run: Run) -> None:
    finished = run("status", environ=RaisingEnviron(KeyboardInterrupt()))
    assert (finished.code, finished.out, finished.err) == (130, "", "ragcli: interrupted\n")


@pytest.mark.parametrize("stream", [ClosedPipe, PipeClosedBeforeFlush])
@pytest.mark.parametrize("arguments", [[], ["--help"], ["search", "--help"], ["--version"]])
def test_a_closed_pipe_ends_quietly(
    run: Run, stream: Callable[[], io.StringIO], arguments: list[str]
) -> None:
    finished = run(*arguments, stdout=stream())
    assert (finished.code, finished.err) == (0, "")


def test_a_pipe_closed_inside_a_command_ends_quietly(run: Run) -> None:
    finished = run("status", environ=RaisingEnviron(BrokenPipeError(32, "Broken pipe")))
    assert (finished.code, finished.err) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close differently there")
@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_a_real_pipe_whose_reader_is_gone(arguments: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ragcli", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as stream:
        assert stream.read() == b""
    assert process.wait(timeout=60) == 0


def test_completion_scripts_name_the_command(run: Run) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", "from ragcli.cli import main; raise SystemExit(main([]))"],
        env={"_RAGCLI_COMPLETE": "complete_bash", "COMP_WORDS": "ragcli st", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.stdout.split() == ["status"]
