"""A progress bar on a terminal: share done, files, passages per second, time left."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class ProgressBar:
    """Context manager that shows a bar on ``console`` and clears it at the end.

    ``work`` says what is being done.
    """

    def __init__(self, console: Console, work: str = "indexing") -> None:
        self._progress = Progress(
            TextColumn(work),
            BarColumn(),
            TextColumn("{task.fields[files]} files"),
            TextColumn("{task.fields[rate]} passages/s"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID = self._progress.add_task("", total=None, files="0/0", rate="–")

    def __enter__(self) -> ProgressBar:
        """Start to draw."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Clear the bar."""
        self._progress.stop()

    def show(self, files: tuple[int, int], work: tuple[int, int], passages: int) -> None:
        """Show ``files`` and ``work`` (bytes), each done of total, and ``passages`` so far."""
        elapsed = self._progress.tasks[self._task].elapsed or 0.0
        self._progress.update(
            self._task,
            completed=work[0],
            total=work[1],
            files=f"{files[0]}/{files[1]}",
            rate=f"{passages / elapsed:.0f}" if elapsed > 0 and passages else "–",
        )
