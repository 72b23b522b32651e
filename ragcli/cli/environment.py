"""The world a command runs in: streams, folder and environment variables."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ragcli.errors import InputError
from ragcli.render.neutral import printable

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_WIDTH = 80
"""Columns to wrap at where no terminal says otherwise."""


@dataclass(frozen=True)
class Environment:
    """Everything of the outside that a command may use, so that a test can hand in its own.

    ``terminal_width`` is in columns, ``None`` to ask the terminal.
    """

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    cwd: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    stdin_is_terminal: bool = False
    stdout_is_terminal: bool = False
    stderr_is_terminal: bool = False
    terminal_width: int | None = None

    @classmethod
    def from_process(cls) -> Environment:
        """Return this process's own streams, folder and environment variables."""
        _let_streams_write_anything()
        return cls(
            stdin=sys.stdin,
            stdout=sys.stdout,
            stderr=sys.stderr,
            cwd=Path.cwd(),
            environ=os.environ,
            stdin_is_terminal=sys.stdin.isatty(),
            stdout_is_terminal=sys.stdout.isatty(),
            stderr_is_terminal=sys.stderr.isatty(),
        )

    @property
    def width(self) -> int:
        """Columns of the terminal on stdout, 80 when there is none."""
        if self.terminal_width is not None:
            return self.terminal_width
        if not self.stdout_is_terminal:
            return DEFAULT_WIDTH
        with contextlib.suppress(OSError, ValueError):
            return os.get_terminal_size(self.stdout.fileno()).columns or DEFAULT_WIDTH
        return DEFAULT_WIDTH

    @property
    def wants_colour(self) -> bool:
        """Whether the person lets a terminal show colour (https://no-color.org)."""
        return not self.environ.get("NO_COLOR") and self.environ.get("TERM") != "dumb"

    def console(self) -> Console:
        """Return a rich console on stdout; plain text unless a terminal wants colour."""
        return self._console(self.stdout, self.stdout_is_terminal)

    def error_console(self) -> Console:
        """Return a rich console on stderr; plain text unless a terminal wants colour."""
        return self._console(self.stderr, self.stderr_is_terminal)

    def _console(self, stream: TextIO, is_terminal: bool) -> Console:
        from ragcli.render.console import PipeConsole

        colour = is_terminal and self.wants_colour
        return PipeConsole(
            file=stream,
            width=self.width,
            force_terminal=colour,
            no_color=not colour,
            color_system="auto" if colour else None,
            markup=False,
            emoji=False,
            highlight=False,
            soft_wrap=False,
            _environ=self.environ,
        )

    def write_line(self, line: str) -> None:
        """Write a line to stdout at once, so that a reader of a stream need not wait."""
        self.stdout.write(f"{line}\n")
        self.stdout.flush()

    def warn(self, message: str, remedy: str = "") -> None:
        """Write ``ragcli: message`` to stderr, and how to mend it on a line of its own."""
        lines = [f"ragcli: {message}", *remedy.splitlines()]
        self.stderr.writelines(f"{printable(line)}\n" for line in lines)
        self.stderr.flush()

    @contextlib.contextmanager
    def open_lines(self, name: str) -> Iterator[TextIO]:
        """Open the text file ``name``, or stdin for ``-``; raise ``InputError``.

        Bytes that are not UTF-8 come through as lone surrogates, so that one bad line can be
        reported and the rest be used.
        """
        if name == "-":
            yield self.stdin
            return
        try:
            stream = (self.cwd / name).open(encoding="utf-8-sig", errors="surrogateescape")
        except OSError as error:
            raise InputError(f"{name}: {error.strerror or error}") from error
        with stream:
            yield stream

    def close_stdout(self) -> None:
        """Send what is left for a closed pipe nowhere, so that the interpreter ends quietly."""
        with contextlib.suppress(OSError, ValueError, io.UnsupportedOperation):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stdout.fileno())
            os.close(nowhere)


def _let_streams_write_anything() -> None:
    """Read and write UTF-8 in pipes on every system, and never fail on a character.

    File names may hold bytes that are no text; they leave a pipe as they came.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if stream.isatty():
            stream.reconfigure(errors="replace")
        else:
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
