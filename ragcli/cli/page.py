"""The option ``--html``: a page beside the normal output, written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.errors import InputError

HtmlFile = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Write a page to look closer as well: one file that needs no network.",
    ),
]


@contextmanager
def page_writer(
    environment: Environment, html: Path | None
) -> Iterator[Callable[[str], None] | None]:
    """Yield what writes a page to the file ``html``, in place of what stood there before.

    Yields ``None`` where no page is wanted. Raises ``InputError`` where it cannot be written: at
    once, when that can be known.
    """
    if html is None:
        yield None
        return
    file = (environment.cwd / html).resolve()
    unfinished = file.with_name(f".ragcli-{os.getpid()}.html")
    with _naming(html):
        if file.exists() and not file.is_file():
            raise OSError("it is not a regular file")
        if file.exists():
            file.open("a").close()
        stream = unfinished.open("x", encoding="utf-8")

    def write(page: str) -> None:
        with _naming(html), stream:
            stream.write(page)
            if file.exists():
                shutil.copymode(file, unfinished)
            stream.close()
            unfinished.replace(file)
        environment.warn(f"page written to {html}")

    try:
        yield write
    finally:
        stream.close()
        unfinished.unlink(missing_ok=True)


@contextmanager
def _naming(html: Path) -> Iterator[None]:
    """Say of an ``OSError`` which page cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write the page {html}: {error.strerror or error}",
            "name another file with --html",
        ) from error
