"""A worker process: reads the files it is asked for one by one, and answers on a pipe."""

from __future__ import annotations

import hashlib
import os
import pkgutil
import shutil
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO, cast

from ragcli.corpus.chunking import Chunker
from ragcli.corpus.problem import Problem
from ragcli.corpus.workers import messages
from ragcli.corpus.workers.confinement import MemoryAllowance, confine, take_pipes
from ragcli.corpus.workers.messages import Kind, SetUp, frame
from ragcli.corpus.workers.requests import Loader, ReadState, Request
from ragcli.errors import LoadError
from ragcli.records import Document

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

RACY_NANOSECONDS = 2_000_000_000
"""A file this fresh may change again without its time stamp showing it."""

BATCH_BYTES = 1 << 18
"""About what is sent at once."""

_READINGS = 2
_BLOCK_BYTES = 1 << 20
_PULSE_SECONDS = 0.2
_MOST_REASON_CHARACTERS = 200


def main() -> None:
    """Answer until the tool, which started this process, ends it or ends itself."""
    requests, descriptor = take_pipes()
    confine()
    answers = Answers(descriptor)
    first = messages.read_frame(requests)
    if first is None:
        return
    set_up = messages.set_up_of(first.content)
    try:
        reader = FileReader(set_up, answers)
    except Exception as error:  # noqa: BLE001  # whatever it is, the tool tells it
        answers.send(messages.failure_frame(LoadError(_told(error)), Kind.BROKEN))
        return
    answers.send(frame(Kind.READY))
    waiting: SimpleQueue[Request] = SimpleQueue()
    threading.Thread(target=_receive, args=(requests, waiting, set_up.folder), daemon=True).start()
    while True:
        reader.read(waiting.get())


def _receive(requests: BinaryIO, waiting: SimpleQueue[Request], folder: str) -> None:
    """Pass requests on; when the tool was killed, tidy up for it and end, whatever is going on.

    ``folder`` is the worker's own, in that of all workers.
    """
    while message := messages.read_frame(requests):
        waiting.put(messages.request_of(message.content))
    shutil.rmtree(Path(folder).parent, ignore_errors=True)
    os._exit(0)


class Answers:
    """The pipe to the tool."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sent = 0.0

    def send(self, *frames: bytes) -> None:
        """Write the frames, or parts of frames, and wait while the tool has more than it wants."""
        if sum(map(len, frames)) <= BATCH_BYTES:
            frames = (b"".join(frames),)
        for part in frames:
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        self._sent = time.monotonic()

    def pulse(self) -> None:
        """Let the tool know, though not too often, that the work makes progress."""
        if time.monotonic() - self._sent > _PULSE_SECONDS:
            self.send(frame(Kind.ALIVE))


@dataclass(frozen=True, slots=True)
class Look:
    """What a file was before it was read."""

    file: Path
    status: os.stat_result
    state: ReadState

    @classmethod
    def at(cls, file: Path, pulse: Callable[[], None]) -> Look:
        """Look at the file and its bytes; raises ``OSError``, and ``LoadError`` for no file."""
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise LoadError("not a file that can be read again")
        is_settled = time.time_ns() - status.st_mtime_ns > RACY_NANOSECONDS
        modified_ns = status.st_mtime_ns if is_settled else -status.st_mtime_ns
        return cls(file, status, ReadState(_hash(file, pulse), status.st_size, modified_ns))

    def is_still_so(self, pulse: Callable[[], None]) -> bool:
        """Whether the file did not change since; raises ``OSError``."""
        now, then = self.file.stat(), self.status
        if (now.st_size, now.st_mtime_ns, now.st_ino) != (
            then.st_size,
            then.st_mtime_ns,
            then.st_ino,
        ):
            return False
        return self.state.modified_ns > 0 or _hash(self.file, pulse) == self.state.content_hash


class Delivery:
    """What is given of one reading of a file.

    Nothing is given before a batch is full and more comes, or the reading has ended: a file that
    is one document, or few records, can be read again when it turns out to have changed.
    """

    def __init__(self, answers: Answers, state: ReadState) -> None:
        self._answers = answers
        self._begun = messages.state_frame(Kind.BEGUN, state)
        self._items: list[bytes] = []
        self._size = 0
        self.has_begun = False

    def add(self, item: bytes) -> None:
        """Take an item; what was taken before may be given."""
        if self._size >= BATCH_BYTES:
            self._answers.send(*self._frames())
        self._items.append(item)
        self._size += len(item)

    def finish(self, failure: LoadError | None) -> None:
        """Give the rest, and tell how the reading ended."""
        end = frame(Kind.DONE) if failure is None else messages.failure_frame(failure)
        if failure is not None and not self._items and not self.has_begun:
            self._answers.send(end)
        else:
            self._answers.send(*self._frames(), end)

    def _frames(self) -> list[bytes]:
        frames = [] if self.has_begun else [self._begun]
        if self._items:
            frames += messages.items_frame(self._items)
        self.has_begun = True
        self._items, self._size = [], 0
        return frames


class PulsingTokenizer:
    """A tokenizer for a ``Chunker`` that shows at every step that a long text makes progress."""

    truncation = None
    padding = None

    def __init__(self, tokenizer: Tokenizer, pulse: Callable[[], None]) -> None:
        self._tokenizer = tokenizer
        self._pulse = pulse

    def encode(self, text: str, *, add_special_tokens: bool) -> Encoding:
        """As ``Tokenizer.encode``."""
        self._pulse()
        return self._tokenizer.encode(text, add_special_tokens=add_special_tokens)


class FileReader:
    """Reads files as it was set up to; raises whatever keeps it from that."""

    def __init__(self, set_up: SetUp, answers: Answers) -> None:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(set_up.tokenizer_file)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        pulsing = cast("Tokenizer", PulsingTokenizer(tokenizer, answers.pulse))
        self._chunker = Chunker(pulsing, set_up.max_tokens)
        self._loader = cast("Loader", pkgutil.resolve_name(set_up.loader))
        self._memory_bytes = set_up.memory_bytes
        self._memory = MemoryAllowance(set_up.memory_bytes)
        self._answers = answers

    def read(self, request: Request) -> None:
        """Answer a request."""
        self._memory.renew()
        try:
            self._read(request)
        except FileNotFoundError:
            self._answers.send(messages.failure_frame(LoadError("no such file any more")))
        except Exception as error:  # noqa: BLE001  # it costs this file, not the worker
            self._answers.send(messages.failure_frame(self._failure(error)))

    def _read(self, request: Request) -> None:
        for _ in range(_READINGS):
            look = Look.at(request.file, self._answers.pulse)
            if look.state.content_hash == request.known_hash:
                self._answers.send(messages.state_frame(Kind.UNCHANGED, look.state))
                return
            delivery = Delivery(self._answers, look.state)
            failure = self._fill(delivery, request)
            if look.is_still_so(self._answers.pulse):
                delivery.finish(failure)
                return
            if delivery.has_begun:
                break
        raise LoadError("changes while it is read; index it again later")

    def _fill(self, delivery: Delivery, request: Request) -> LoadError | None:
        """Take all that the loader finds in the file; why it ended early, if it did."""
        try:
            for found in self._loader(request.file, request.shown_path, request.fields):
                delivery.add(self._encoded(found))
        except Exception as error:  # noqa: BLE001  # a loader may fail in any way
            return self._failure(error)
        return None

    def _encoded(self, found: Document | Problem) -> bytes:
        if isinstance(found, Problem):
            return messages.encoded_problem(found)
        return messages.encoded_document(found, self._chunker.split(found))

    def _failure(self, error: Exception) -> LoadError:
        """Say what an error means for the file; without the error, which holds on to memory."""
        if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
            return LoadError(f"needs more than {_shown_bytes(self._memory_bytes)} of memory")
        if isinstance(error, LoadError):
            return LoadError(error.message, error.remedy)
        if isinstance(error, OSError):
            return LoadError(f"cannot be read: {error.strerror or error}")
        return LoadError(f"the loader failed: {_told(error)}")


def _told(error: Exception) -> str:
    words = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {words}"[:_MOST_REASON_CHARACTERS] if words else name


def _shown_bytes(size: int) -> str:
    return f"{size / (1 << 30):.1f} GB" if size >= 1 << 30 else f"{size >> 20} MB"


def _hash(file: Path, pulse: Callable[[], None]) -> str:
    """``content_hash``, showing progress."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            pulse()
    return digest.hexdigest()
