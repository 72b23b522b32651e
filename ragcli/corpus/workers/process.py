"""The tool's side of one worker process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ragcli.corpus.workers import messages
from ragcli.corpus.workers.messages import HEADER, Kind, Message, SetUp
from ragcli.corpus.workers.requests import Request

_MOST_READ = 1 << 18
_SECONDS_TO_END = 2.0

# The worker imports what the tool would, whatever the tool was started by.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:];"
    " from ragcli.corpus.workers.answering import main; main()"
)


@dataclass(eq=False, slots=True)
class Task:
    """A request, its place in the order of all, who reads it, and what came of it so far."""

    place: int
    request: Request
    worker: WorkerProcess | None = None
    messages: deque[Message] = field(default_factory=deque)


class WorkerProcess:
    """A process that reads the files of its ``tasks``, in their order, the first one now.

    ``buffered`` are the bytes it sent that nobody took yet; while it ``is_full`` nothing more is
    received of it. ``silent_seconds`` are how long it has been given time and sent nothing.
    """

    def __init__(self, set_up: SetUp) -> None:
        """Start it; ``set_up.folder`` is made, and removed at its end. Raises ``OSError``."""
        self.tasks: deque[Task] = deque()
        self.buffered = 0
        self.is_full = False
        self.is_ready = False
        self.is_lost = False
        self.silent_seconds = 0.0
        self._received = bytearray()
        self._folder = Path(set_up.folder)
        self._folder.mkdir()
        self._process = _start(set_up.folder)
        self._send(messages.set_up_frame(set_up))

    def ask(self, task: Task) -> None:
        """Give it a task more."""
        if not self.tasks:
            self.silent_seconds = 0.0
        task.worker = self
        self.tasks.append(task)
        self._send(messages.request_frame(task.request))

    def fileno(self) -> int:
        """The descriptor to wait on before ``receive``."""
        return _opened(self._process.stdout).fileno()

    def receive(self) -> list[Message]:
        """The messages that have come whole. When no more will come, it ``is_lost`` afterwards."""
        block = os.read(self.fileno(), _MOST_READ)
        self.is_lost = not block
        self.silent_seconds = 0.0
        self.buffered += len(block)
        self._received += block
        received: list[Message] = []
        try:
            received.extend(self._whole_messages())
        except ValueError:  # no kind of message: its memory is in disorder
            self.is_lost = True
        return received

    def let_go(self, message: Message) -> None:
        """Forget a message that was taken, or is not meant for anyone."""
        self.buffered -= HEADER.size + len(message.content)

    def end(self, patience: float = 0.0) -> str:
        """End it if it does not end by itself within ``patience`` seconds; return how it ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            _opened(pipe).close()
        with suppress(subprocess.TimeoutExpired):  # stuck inside the system, on a dead file server
            self._process.wait(_SECONDS_TO_END)
        shutil.rmtree(self._folder, ignore_errors=True)
        code = self._process.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"

    def _send(self, content: bytes) -> None:
        with suppress(BrokenPipeError):  # its end is noticed where its messages are received
            _opened(self._process.stdin).write(content)

    def _whole_messages(self) -> Iterator[Message]:
        while len(self._received) >= HEADER.size:
            number, length = HEADER.unpack_from(self._received)
            kind = Kind(number)
            end = HEADER.size + length
            if len(self._received) < end:
                return
            with memoryview(self._received) as view:
                message = Message(kind, bytes(view[HEADER.size : end]))
            del self._received[:end]
            yield message


def _start(folder: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *sys.path],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the tool
        env={**os.environ, "TMPDIR": folder, "TOKENIZERS_PARALLELISM": "false"},
    )


def _opened(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the process was started without this pipe")
    return pipe
