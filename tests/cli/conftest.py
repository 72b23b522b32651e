from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TextIO

import pytest

from ragcli.cli import Environment, main


@dataclass(frozen=True)
class Finished:
    """What a run of the command left behind."""

    code: int
    out: str
    err: str


class Run(Protocol):
    """Runs ``ragcli`` in this process, in a folder and with a world of its own."""

    def __call__(self, *arguments: str, stdin: str | TextIO = "", **world: object) -> Finished: ...


@pytest.fixture
def environment(tmp_path: Path) -> Callable[[], Environment]:
    def make() -> Environment:
        return Environment(io.StringIO(), io.StringIO(), io.StringIO(), cwd=tmp_path)

    return make


@pytest.fixture
def run(environment: Callable[[], Environment]) -> Run:
    def run(*arguments: str, stdin: str | TextIO = "", **world: object) -> Finished:
        out, err = io.StringIO(), io.StringIO()
        source = io.StringIO(stdin) if isinstance(stdin, str) else stdin
        world = {"stdin": source, "stdout": out, "stderr": err, **world}
        code = main(arguments, replace(environment(), **world))  # type: ignore[arg-type]
        return Finished(code, out.getvalue(), err.getvalue())

    return run


class ClosesAfterFirstLine(io.StringIO):
    """A pipe whose reader takes one line and goes away, as ``head -1`` does."""

    def write(self, text: str) -> int:
        if "\n" in self.getvalue():
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


@pytest.fixture
def closing_pipe() -> io.StringIO:
    """Stdout whose reader goes away behind the first line."""
    return ClosesAfterFirstLine()
