"""A rich console that leaves a closed pipe to the error boundary."""

from __future__ import annotations

from rich.console import Console


class PipeConsole(Console):
    """Rich would exit with 1, grep's "nothing found", when the reader of a pipe went away."""

    def on_broken_pipe(self) -> None:
        """Let the ``BrokenPipeError`` being handled go on to ``main``."""
        raise  # noqa: PLE0704
