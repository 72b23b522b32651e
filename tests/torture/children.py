"""Work in forked processes, which are killed where and when it is asked for."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fault_points import FaultPoints, die
from phases import Work

from ragcli.engine.embedding import Embedder


def warm_up() -> None:
    """Load once, before they are forked, what every child needs."""
    Embedder(None).embed([])


class WorkFailedError(Exception):
    """The work ended with an error of its own."""


def in_child(work: Callable[[], None]) -> int:
    """Start ``work`` in a forked process, which has the models' libraries already."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(1)


def ended(pid: int) -> bool:
    """Wait for a child; whether it came to its end, or was killed. Raises ``WorkFailedError``."""
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    if os.waitstatus_to_exitcode(status):
        raise WorkFailedError
    return True


def do(work: Work, place: Path) -> float:
    """Do the work to its end; its seconds."""
    started = time.monotonic()
    ended(in_child(lambda: work(place) and None))
    return time.monotonic() - started


def fault_points(work: Work, place: Path) -> list[tuple[str, bool]]:
    """The fault points that the work comes to, in order, each with whether it is a step."""
    told = place.with_suffix(".points")

    def watched() -> None:
        points: list[tuple[str, bool]] = []
        FaultPoints(place, lambda name, is_step: points.append((name, is_step))).install()
        work(place)
        told.write_text(json.dumps(points))

    ended(in_child(watched))
    return [(name, is_step) for name, is_step in json.loads(told.read_text())]


def killed_at_point(work: Work, place: Path, number: int) -> bool:
    """Whether the work was killed when it came to the fault point of this number."""

    def dying() -> None:
        left = number

        def reached(name: str, is_step: bool) -> None:
            nonlocal left
            if left == 0:
                die()
            left -= 1

        FaultPoints(place, reached).install()
        work(place)

    return not ended(in_child(dying))


def killed_at_instant(work: Work, place: Path, seconds: float) -> bool:
    """Whether the work was killed after so many seconds."""
    pid = in_child(lambda: work(place) and None)
    time.sleep(seconds)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return not ended(pid)
