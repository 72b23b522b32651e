"""The reference of every command as Markdown: ``python -m ragcli.cli.reference > docs/cli.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from typer.core import TyperGroup

from ragcli.cli.app import command

WIDTH = 80
"""Columns of the help texts, so that they do not depend on anyone's terminal."""

PREAMBLE = """\
# Commands

<!-- Made by `python -m ragcli.cli.reference > docs/cli.md`; a test fails when it is stale. -->

What each command prints for `--help`.
"""


def reference() -> str:
    """Return the whole reference, ending in a line break."""
    return PREAMBLE + "".join(_sections(command(), "ragcli", None))


def _sections(one: Any, name: str, parent: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield the section of a command, then those of its sub-commands in their order."""
    context = one.make_context(
        name, [], parent=parent, resilient_parsing=True, terminal_width=WIDTH
    )
    yield f"\n## `{context.command_path}`\n\n```text\n{one.get_help(context).rstrip()}\n```\n"
    if isinstance(one, TyperGroup):
        for child_name, child in one.commands.items():
            if not child.hidden:
                yield from _sections(child, child_name, context)


if __name__ == "__main__":
    sys.stdout.write(reference())
