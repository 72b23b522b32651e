"""Files are read, and cut into passages, by processes that run ahead of whoever wants them.

A file that hangs, explodes or crashes its reader costs itself only.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import TypeVar

from ragcli.corpus.loaders import load
from ragcli.corpus.workers.messages import (
    ENDS,
    Item,
    Kind,
    Message,
    failure_of,
    items_of,
    state_of,
)
from ragcli.corpus.workers.process import Task
from ragcli.corpus.workers.requests import Limits, Loader, ReadState, Request
from ragcli.corpus.workers.supervisor import Supervisor
from ragcli.errors import LoadError

__all__ = ["Item", "Limits", "ReadState", "Readers", "Reading", "Request"]

FILES_AHEAD = 512
"""So many files are given to the readers before the first of them is wanted."""

_MOST_WORKERS = 4
_USUAL_LIMITS = Limits()
_Content = TypeVar("_Content")


class Reading:
    """What is read of one file. It is over when the next one is asked for."""

    def __init__(self, request: Request, take: Callable[[], Message]) -> None:
        """``take`` waits for the next message of the file's reader."""
        self.request = request
        self._take = take
        self._is_over = False
        self._first = self._next()

    @property
    def unchanged(self) -> bool:
        """Whether the file still has the hash that was known, so that it was not parsed."""
        return self._first.kind is Kind.UNCHANGED

    @property
    def state(self) -> ReadState:
        """What the file was just before it was read, there before the items are.

        Once ``items`` have come to their end it is sure that the file was the same throughout.
        Raises ``LoadError``, as ``items`` does, when nothing of the file could be read.
        """
        if self._first.kind is Kind.FAILED:
            raise failure_of(self._first.content)
        return _understood(state_of, self._first.content)

    def items(self) -> Iterator[Item]:
        """Documents with their passages, and problems, as a stream; none of an unchanged file.

        Raises ``LoadError`` when the file cannot be read to its end: it is damaged, is no more,
        was stopped at a limit, crashed its reader, or changes while it is read. What came before
        the damage was given then. Of a file that changed nothing was given and it was read once
        more, unless it is so long that some of it was; then there is no second time.
        """
        _ = self.state
        while not self._is_over:
            message = self._next()
            if message.kind is Kind.FAILED:
                raise failure_of(message.content)
            if message.kind is Kind.ITEMS:
                yield from _understood(lambda content: list(items_of(content)), message.content)

    def pass_over(self) -> None:
        """Forget what has not been taken of it; waits until its reader has done with it."""
        while not self._is_over:
            self._next()

    def _next(self) -> Message:
        message = self._take()
        self._is_over = message.kind in ENDS
        return message


class Readers:
    """Reads files in processes, in order, ahead of the consumer and in bounded memory.

    ``tokenizer_json`` is a tokenizer as ``tokenizers.Tokenizer.to_str`` gives it, or what returns
    it when it is needed; passages have ``max_tokens`` of it. ``workers`` is the number of
    processes at most, by default one less than there are cores, and 4 at most. They start when
    files wait for them, and end with ``close`` or the ``with`` statement. ``ahead`` is the number
    of files that are taken from the requests before the first of them is done with. ``loader`` is
    a function of a module that a worker can import.
    """

    def __init__(
        self,
        tokenizer_json: str | Callable[[], str],
        max_tokens: int,
        *,
        workers: int | None = None,
        limits: Limits = _USUAL_LIMITS,
        ahead: int = FILES_AHEAD,
        loader: Loader = load,
    ) -> None:
        self._tokenizer_json = tokenizer_json
        self._max_tokens = max_tokens
        self._n_workers = _usual_workers() if workers is None else max(1, workers)
        self._limits = limits
        self._ahead = max(1, ahead)
        self._loader = f"{loader.__module__}:{loader.__qualname__}"
        self._supervisor: Supervisor | None = None
        self.waited_seconds = 0.0
        """How long the consumer waited for readers."""

    def __enter__(self) -> Readers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes at once, whatever they are doing."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.close()

    def read(self, requests: Iterable[Request]) -> Iterator[Reading]:
        """Yield a reading for each request, in order, as soon as something of it is there.

        What was not taken of a reading is passed over when the next is asked for. When the
        iterator is given up, the processes end. Only one ``read`` at a time. Raises
        ``RagcliError`` when no process can be started, and whatever ``requests`` raise.
        """
        coming = enumerate(requests)
        tasks: deque[Task] = deque()
        is_done = False
        try:
            while True:
                self._submit(coming, tasks)
                if not tasks:
                    break
                task = tasks.popleft()
                reading = Reading(task.request, partial(self._wait_for, task))
                yield reading
                reading.pass_over()
            is_done = True
        finally:
            if not is_done:
                self.close()

    def _submit(self, coming: Iterator[tuple[int, Request]], tasks: deque[Task]) -> None:
        while len(tasks) < self._ahead:
            place, request = next(coming, (0, None))
            if request is None:
                return
            if self._supervisor is None:
                self._supervisor = self._start()
            tasks.append(self._supervisor.submit(place, request))

    def _start(self) -> Supervisor:
        given = self._tokenizer_json
        tokenizer_json = given if isinstance(given, str) else given()
        return Supervisor(
            tokenizer_json, self._max_tokens, self._n_workers, self._limits, self._loader
        )

    def _wait_for(self, task: Task) -> Message:
        if self._supervisor is None:
            raise ValueError("the readers are closed")
        started = time.monotonic()
        try:
            return self._supervisor.take(task)
        finally:
            self.waited_seconds += time.monotonic() - started


def _usual_workers() -> int:
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, min(_MOST_WORKERS, cores - 1))


def _understood(decode: Callable[[bytes], _Content], content: bytes) -> _Content:
    """Decode what a worker sent, which may have broken its memory before it broke down."""
    try:
        return decode(content)
    except (TypeError, ValueError) as error:
        raise LoadError("crashed its reader (what it answered makes no sense)") from error
