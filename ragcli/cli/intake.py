"""What ``ragcli index`` is given to read: paths, a list of paths, standard input."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ragcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from ragcli.cli.environment import Environment
    from ragcli.corpus.walk import Selection
    from ragcli.engine.comparing import Stream

STDIN = Path("-")
DOCUMENT_NAME, RECORDS_NAME = "document.txt", "records.jsonl"


@dataclass(frozen=True, slots=True)
class Intake:
    """Absolute paths to read, and what came through standard input."""

    paths: Sequence[Path]
    streams: Sequence[Stream]


@contextmanager
def intake(
    environment: Environment,
    paths: Sequence[Path],
    *,
    files_from: str | None,
    null: bool,
    jsonl: bool,
    stdin_name: str | None,
) -> Iterator[Intake]:
    """Gather what is to be read; what came through standard input lies in a file meanwhile.

    Raises ``UsageError`` when nothing is named or standard input is wanted twice, ``InputError``
    for a list that cannot be read.
    """
    from ragcli.engine.comparing import Stream

    wants_stdin = STDIN in paths
    if wants_stdin and files_from == "-":
        raise UsageError("standard input cannot be both a document and a list of files")
    if not wants_stdin and (jsonl or stdin_name):
        option = "--jsonl" if jsonl else "--stdin-name"
        raise UsageError(f"{option} is about standard input", f'name it: "ragcli index {option} -"')
    named = [environment.cwd / path for path in paths if path != STDIN]
    if files_from is not None:
        named += _listed(environment, files_from, null=null)
    if not named and not wants_stdin and files_from is None:
        raise UsageError("nothing to index is named", 'name files and folders: "ragcli index ."')
    if not wants_stdin:
        yield Intake(named, ())
        return
    name = _checked_name(stdin_name or (RECORDS_NAME if jsonl else DOCUMENT_NAME))
    with tempfile.TemporaryDirectory(prefix="ragcli-") as folder:
        file = Path(folder) / name
        with file.open("wb") as target:
            shutil.copyfileobj(_bytes_of(environment), target)
        yield Intake(named, (Stream(file, name, whole=not jsonl),))


def selection(
    *,
    include: Sequence[str] | None,
    exclude: Sequence[str] | None,
    max_file_size: str | None,
    follow_symlinks: bool,
    archives: bool,
) -> Selection:
    """Which files are wanted; raises ``UsageError`` for what is no size."""
    from ragcli.corpus.selection import DEFAULT_MAX_FILE_SIZE, Selection, parse_size

    try:
        size = DEFAULT_MAX_FILE_SIZE if max_file_size is None else parse_size(max_file_size)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return Selection(
        tuple(include or ()),
        tuple(exclude or ()),
        size,
        follow_symlinks=follow_symlinks,
        archives=archives,
    )


def _listed(environment: Environment, files_from: str, *, null: bool) -> list[Path]:
    from ragcli.corpus.file_list import read_file_list

    if files_from == "-":
        listed = list(read_file_list(_bytes_of(environment), null))
    else:
        try:
            with (environment.cwd / files_from).open("rb") as stream:
                listed = list(read_file_list(stream, null))
        except OSError as error:
            raise InputError(f"{files_from}: {error.strerror or error}") from error
    return [environment.cwd / path for path in listed]


def _bytes_of(environment: Environment) -> BinaryIO:
    """Standard input as bytes."""
    buffer = getattr(environment.stdin, "buffer", None)
    if buffer is not None:
        return buffer  # type: ignore[no-any-return]
    return io.BytesIO(environment.stdin.read().encode("utf-8", "surrogateescape"))


def _checked_name(name: str) -> str:
    from ragcli.corpus.loaders import format_of

    if Path(name).name != name or name in {"", ".", ".."}:
        raise UsageError(f"{name!r} is no file name", "leave out the folders")
    if format_of(name) is None:
        raise UsageError(
            f"{name!r} has no suffix of a format that is read", "name it such as page.html"
        )
    return name
