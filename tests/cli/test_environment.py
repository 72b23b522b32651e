from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ragcli.cli.environment import Environment
from ragcli.errors import InputError

Make = Callable[[], Environment]


def _colours(environment: Environment) -> bool:
    environment.console().print("x", style="bold red")
    assert isinstance(environment.stdout, io.StringIO)
    return "\x1b" in environment.stdout.getvalue()


@pytest.mark.parametrize(
    ("terminal", "environ", "colours"),
    [
        (True, {"TERM": "xterm-256color"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {"TERM": "xterm", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    environment: Make, terminal: bool, environ: dict[str, str], colours: bool
) -> None:
    world = replace(environment(), stdout_is_terminal=terminal, environ=environ)
    assert _colours(world) is colours


def test_a_pipe_is_80_columns_wide_whatever_columns_says(environment: Make) -> None:
    assert replace(environment(), environ={"COLUMNS": "33"}).console().width == 80
    assert replace(environment(), terminal_width=33).console().width == 33


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo terminal")
def test_a_terminal_is_as_wide_as_it_says(environment: Make) -> None:
    import fcntl
    import struct
    import termios

    master, slave = os.openpty()
    with os.fdopen(master), os.fdopen(slave, "w") as terminal:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 57, 0, 0))
        world = replace(environment(), stdout=terminal, stdout_is_terminal=True)
        assert world.width == 57


def test_lines_of_a_file_are_read_from_the_folder_with_odd_bytes_kept(
    environment: Make, tmp_path: Path
) -> None:
    (tmp_path / "q.txt").write_bytes(b"\xef\xbb\xbffirst\nbad \xff\n")
    with environment().open_lines("q.txt") as lines:
        assert list(lines) == ["first\n", "bad \udcff\n"]


def test_a_dash_is_stdin(environment: Make) -> None:
    with replace(environment(), stdin=io.StringIO("a\nb\n")).open_lines("-") as lines:
        assert list(lines) == ["a\n", "b\n"]


def test_a_missing_file_is_an_input_error(environment: Make) -> None:
    with (
        pytest.raises(InputError, match=r"no\.txt: No such file"),
        environment().open_lines("no.txt"),
    ):
        pass


def test_a_warning_is_neutral_and_its_remedy_has_a_line(environment: Make) -> None:
    world = environment()
    world.warn("a\x1b\nb", "do\nthis")
    assert isinstance(world.stderr, io.StringIO)
    assert world.stderr.getvalue() == "ragcli: a␛␊b\ndo\nthis\n"
