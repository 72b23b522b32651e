"""Fault points: the instants at which what a process leaves on the disk changes its shape.

They are seen from outside, by Python's audit events and SQLite's statement trace, so the product
has no hook for them. Numbered in the order in which one process comes to them.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FILE_EVENTS = frozenset(
    {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link"}
)
_STEPS = (
    "BEGIN",
    "COMMIT",
    "END",
    "ROLLBACK",
    "SAVEPOINT",
    "RELEASE",
    "VACUUM",
    "PRAGMA",
    "CREATE",
)
_STEPS += ("DROP", "ALTER", "ATTACH", "DETACH")
_ROWS = ("INSERT", "UPDATE", "DELETE", "REPLACE", "--")


class FaultPoints:
    """Watches this process from ``install`` on; ``reached`` learns of each point's name and kind.

    A step is an instant at which a file is opened for writing, made, renamed or removed beneath
    ``folder``, synchronised to the disk, or at which a transaction begins or ends; a row is an
    instant before one row is written.
    """

    def __init__(self, folder: Path, reached: Callable[[str, bool], None]) -> None:
        self._folder = str(folder)
        self._reached = reached

    def install(self) -> None:
        """Begin to watch; there is no end to it in a process."""
        sync = os.fsync

        def fsync(file: int) -> None:
            self._reached("before fsync", True)
            sync(file)
            self._reached("after fsync", True)

        connect = sqlite3.connect

        def traced(*arguments: object, **options: object) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*arguments, **options)
            connection.set_trace_callback(self._traced)
            return connection

        os.fsync = fsync
        sqlite3.connect = traced
        sys.addaudithook(self._audited)

    def _audited(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES and self._is_ours(path):
                self._reached(f"open {Path(str(path)).name}", True)
        elif event in _FILE_EVENTS and any(map(self._is_ours, arguments)):
            self._reached(f"{event} {Path(str(arguments[0])).name}", True)

    def _traced(self, statement: str) -> None:
        words = statement.lstrip().upper()
        if words.startswith(_STEPS):
            self._reached(" ".join(statement.split())[:60], True)
        elif words.startswith(_ROWS):
            self._reached(" ".join(statement.split())[:60], False)

    def _is_ours(self, path: object) -> bool:
        return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self._folder)


def die() -> None:
    """End this process as the system does when it has no memory left: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)
