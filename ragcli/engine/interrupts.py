"""Ctrl-C: what is being embedded and written is finished first, unless it is pressed again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType


class GentleInterrupts:
    """While it is entered, Ctrl-C waits for the end of what is ``protected``.

    Elsewhere, and the second time, it raises ``KeyboardInterrupt`` at once. Outside the main
    thread, where Python hands no signals, it does nothing.
    """

    def __init__(self) -> None:
        self._asked = False
        self._protected = False
        self._replaced = False

    def __enter__(self) -> GentleInterrupts:
        # Whoever ignores Ctrl-C, as nohup does, or handles it otherwise goes on doing so.
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.signal(signal.SIGINT, self._handle)
            self._replaced = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    @contextmanager
    def protected(self) -> Iterator[None]:
        """Let the block end before a first Ctrl-C raises ``KeyboardInterrupt``."""
        self._protected = True
        try:
            yield
        finally:
            self._protected = False
        if self._asked:
            self._asked = False
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._protected and not self._asked:
            self._asked = True
        else:
            raise KeyboardInterrupt
