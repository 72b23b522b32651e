"""A thread that keeps the workers busy, takes what they send, and stops those that hang."""

from __future__ import annotations

import os
import selectors
import shutil
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ragcli.corpus.workers import messages
from ragcli.corpus.workers.messages import ANSWERS, ENDS, Kind, Message, SetUp
from ragcli.corpus.workers.process import Task, WorkerProcess
from ragcli.corpus.workers.requests import Limits, Request
from ragcli.errors import LoadError, RagcliError

BUFFER_BYTES = 4 << 20
"""So much a worker may send ahead of what is taken."""

_TASKS_EACH = 3
"""So many files a worker knows of, so that it need not wait for the tool between small ones."""

_TOKENIZER_NAME = "tokenizer.json"
_TICK_SECONDS = 1.0
_SECONDS_TO_START = 60.0
_SECONDS_TO_DIE = 1.0
_MOST_FAILED_STARTS = 3


class Supervisor:
    """Has files read by up to ``n_workers`` processes, which it starts when there is work.

    ``submit`` and ``take`` belong to one thread, the consumer's. Tasks are to be taken to their
    ends in the order in which they were submitted: while the consumer waits for a task, its worker
    may send without bound, so a task is never held up by the buffers of those after it.
    """

    def __init__(
        self, tokenizer_json: str, max_tokens: int, n_workers: int, limits: Limits, loader: str
    ) -> None:
        self._limits = limits
        self._n_workers = n_workers
        self._folder = _folder_with(tokenizer_json)
        tokenizer_file = str(self._folder / _TOKENIZER_NAME)
        self._set_up = SetUp(loader, tokenizer_file, max_tokens, limits.memory_bytes, "")
        self._news = threading.Condition()  # guards all that follows
        self._pending: deque[Task] = deque()
        self._wanted: Task | None = None
        self._is_closing = False
        self._fault: BaseException | None = None
        # What follows is the thread's alone.
        self._workers: list[WorkerProcess] = []
        self._n_started = 0
        self._failed_starts = 0
        self._selector = selectors.DefaultSelector()
        self._bell, self._bell_button = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._bell_button, False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="readers", daemon=True)
        self._thread.start()

    def submit(self, place: int, request: Request) -> Task:
        """Have a file read; ``place`` is its number in the order of all."""
        task = Task(place, request)
        with self._news:
            self._pending.append(task)
            if len(self._pending) == 1:
                self._ring()
        return task

    def take(self, task: Task) -> Message:
        """Wait for the next message of a task; raises what keeps the workers from working."""
        with self._news:
            self._wanted = task
            if not task.messages and task.worker is not None and task.worker.is_full:
                self._ring()
            while not task.messages:
                if self._fault is not None:
                    raise self._fault
                self._news.wait()
            self._wanted = None
            message = task.messages.popleft()
            if task.worker is not None:
                task.worker.let_go(message)
                if task.worker.is_full and _has_room(task.worker):
                    self._ring()
            return message

    def close(self) -> None:
        """End all workers at once, whatever they are doing."""
        with self._news:
            self._is_closing = True
            self._ring()
        self._thread.join()
        self._selector.close()
        os.close(self._bell)
        os.close(self._bell_button)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ring(self) -> None:
        """Have the thread look at what changed."""
        with suppress(BlockingIOError):  # it has been rung for already
            os.write(self._bell_button, b"\0")

    def _run(self) -> None:
        try:
            while not self._is_closing:
                self._assign()
                self._listen()
        except BaseException as error:  # noqa: BLE001  # the consumer raises it
            self._fail(error)
        finally:
            for worker in self._workers:
                worker.end()
            self._fail(ValueError("the readers are closed"))

    def _fail(self, fault: BaseException) -> None:
        with self._news:
            self._fault = self._fault or fault
            self._news.notify_all()

    def _assign(self) -> None:
        """Give the next tasks to workers that may take them."""
        while True:
            with self._news:
                if not self._pending:
                    return
                worker = self._worker_for(self._pending[0])
                if worker is not None:
                    worker.ask(self._pending.popleft())
            if worker is None:
                if len(self._workers) == self._n_workers:
                    return
                self._start_worker()

    def _worker_for(self, task: Task) -> WorkerProcess | None:
        """An idle worker; or, when no more can be started, one that will come to the task in time.

        That is to say without waiting for a later task, which may itself have to wait for this.
        """
        least_busy = min(self._workers, key=lambda worker: len(worker.tasks), default=None)
        if least_busy is None or not least_busy.tasks:
            return least_busy
        if len(self._workers) < self._n_workers:
            return None
        able = [
            worker
            for worker in self._workers
            if len(worker.tasks) < _TASKS_EACH and worker.tasks[-1].place < task.place
        ]
        return min(able, key=lambda worker: len(worker.tasks), default=None)

    def _start_worker(self) -> None:
        self._n_started += 1
        folder = self._folder / str(self._n_started)
        try:
            worker = WorkerProcess(replace(self._set_up, folder=str(folder)))
        except OSError as error:
            raise _cannot_start(error.strerror or str(error)) from error
        self._workers.append(worker)

    def _listen(self) -> None:
        """Take what the workers send, until there is news or the time for some has come."""
        with self._news:
            heard = [worker for worker in self._workers if self._listens_to(worker)]
        busy = [worker for worker in heard if worker.tasks]
        started = time.monotonic()
        ready = self._wait(heard, min(map(self._patience, busy), default=None))
        # Time in which all of this stood still, as after Ctrl-Z, is not the worker's.
        passed = min(time.monotonic() - started, _TICK_SECONDS)
        for worker in self._workers:
            worker.silent_seconds = worker.silent_seconds + passed if worker in busy else 0.0
        for worker in ready:
            self._receive(worker)
        for worker in busy:
            if self._patience(worker) == 0 and worker in self._workers:
                self._bury(worker, f"took longer than {self._limits.seconds:g} s: stopped")

    def _listens_to(self, worker: WorkerProcess) -> bool:
        if worker.buffered >= BUFFER_BYTES:
            worker.is_full = True
        elif _has_room(worker):
            worker.is_full = False
        return not worker.is_full or self._wanted in worker.tasks

    def _patience(self, worker: WorkerProcess) -> float:
        """For how long to wait for a busy worker now, in seconds; 0 when it has had its time."""
        limit = self._limits.seconds
        if not worker.is_ready:
            limit = max(limit, _SECONDS_TO_START)
        return min(max(0.0, limit - worker.silent_seconds), _TICK_SECONDS)

    def _wait(self, heard: list[WorkerProcess], seconds: float | None) -> list[WorkerProcess]:
        """Wait for one of the workers or the bell; return the workers that have sent something."""
        listed = {key.fileobj for key in self._selector.get_map().values()} - {self._bell}
        for worker in listed.difference(heard):
            self._selector.unregister(worker)
        for worker in set(heard).difference(listed):
            self._selector.register(worker, selectors.EVENT_READ)
        ready = [key.fileobj for key, _ in self._selector.select(seconds)]
        if self._bell in ready:
            os.read(self._bell, 1 << 16)
        return [worker for worker in heard if worker in ready]

    def _receive(self, worker: WorkerProcess) -> None:
        with self._news:
            for message in worker.receive():
                self._pass_on(worker, message)
        if worker.is_lost:
            self._bury(worker)

    def _pass_on(self, worker: WorkerProcess, message: Message) -> None:
        if message.kind is Kind.BROKEN:
            raise _cannot_start(messages.failure_of(message.content).message)
        if message.kind is Kind.READY:
            worker.is_ready = True
            self._failed_starts = 0
        if message.kind in ANSWERS and worker.tasks:
            self._hand(worker.tasks[0], message)
            if message.kind in ENDS:
                worker.tasks.popleft()
        else:
            worker.let_go(message)

    def _hand(self, task: Task, message: Message) -> None:
        task.messages.append(message)
        if task is self._wanted:
            self._news.notify_all()

    def _bury(self, worker: WorkerProcess, reason: str = "") -> None:
        """Do without a worker that is dead, or is to be for this reason."""
        self._workers.remove(worker)
        if worker in self._selector.get_map():
            self._selector.unregister(worker)
        ended = worker.end(patience=0.0 if reason else _SECONDS_TO_DIE)
        if not worker.is_ready:
            self._failed_starts += 1
            if self._failed_starts == _MOST_FAILED_STARTS:
                raise _cannot_start(f"it ended with {ended}")
        with self._news:
            left = worker.tasks
            if worker.is_ready and left:
                error = LoadError(reason or f"crashed its reader ({ended})")
                self._hand(left.popleft(), messages.failure(error))
            for task in left:
                task.worker = None
            self._pending = deque(sorted([*left, *self._pending], key=lambda task: task.place))


def _folder_with(tokenizer_json: str) -> Path:
    """Make the folder of all temporary files, with what each worker needs in it."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="ragcli-"))
    except OSError as error:
        raise _cannot_start(error.strerror or str(error)) from error
    try:
        (folder / _TOKENIZER_NAME).write_text(tokenizer_json, "utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise _cannot_start(error.strerror or str(error)) from error
    return folder


def _has_room(worker: WorkerProcess) -> bool:
    return worker.buffered <= BUFFER_BYTES // 2


def _cannot_start(reason: str) -> RagcliError:
    return RagcliError(f"the process that reads files cannot be started: {reason}")
