"""What a worker process does to itself first, so that it harms nothing but itself.

The limits and priorities are those of Linux; other systems have some of them and lack the rest.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_NICENESS = 5
"""On a few cores the encoder, which the person waits for, comes first."""

_OOM_SCORE = "500"
"""Of 1000: when memory runs out the kernel is to end a worker, not the tool."""

_PR_SET_PDEATHSIG = 1
_STATM = Path("/proc/self/statm")


def take_pipes() -> tuple[BinaryIO, int]:
    """Take standard input and output for the tool's messages, and leave none to anyone else.

    Returns the stream of requests and the descriptor for answers. What a library prints goes
    nowhere from now on.
    """
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    return requests, answers


def confine() -> None:
    """Step back behind the tool, end with it, and leave no core dump."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    if sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, "ascii")
        _end_with_the_tool()
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with_the_tool() -> None:
    """Have this process end a second after the thread that started it, whatever it is doing then.

    It learns of the end from its pipe too, and tidies up in that second; but not while a library
    keeps the interpreter's lock. Hence a handler that needs no interpreter, the C library's own
    ``alarm``: it is called with the number of the signal, which for SIGHUP is 1.
    """
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        library = ctypes.CDLL(None)
        library.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        library.signal(signal.SIGHUP, ctypes.cast(library.alarm, ctypes.c_void_p))
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGHUP, 0, 0, 0)


class MemoryAllowance:
    """Lets the process have ``more`` bytes of address space, each time anew; more raise.

    That is to say ``MemoryError``, or whatever a library makes of it. No limit where the system
    does not tell how much a process has.
    """

    def __init__(self, more: int) -> None:
        self._more = more
        self._most: int | None = None  # what was set before this process began to limit itself

    def renew(self) -> None:
        """Count from what the process has now."""
        try:
            import resource

            pages = int(_STATM.read_text("ascii").split()[0])
        except (ImportError, OSError):
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        if self._most is None:
            self._most = sys.maxsize if soft == resource.RLIM_INFINITY else soft
        limit = min(pages * resource.getpagesize() + self._more, self._most)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
