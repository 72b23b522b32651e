"""What goes wrong with one file costs that file only, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ragcli.corpus.problem import Problem
from ragcli.corpus.reading import Limits, Readers, Request
from ragcli.errors import LoadError

UNRULY = Path(__file__).parent / "unruly"

pytestmark = pytest.mark.usefixtures("temporary")
MAX_TOKENS = 40
CHANGES = "changes while it is read; index it again later"


@pytest.fixture
def told(unruly: ModuleType, tokenizer_json: str, tmp_path: Path) -> Callable[..., list[list[str]]]:
    """What comes of files with these texts: texts of documents, reasons of problems and errors."""

    def read(
        *texts: str,
        workers: int = 1,
        seconds: float = 60.0,
        memory_bytes: int = 1 << 30,
        during: Callable[[Readers, int], None] = lambda *_: None,
    ) -> list[list[str]]:
        limits = Limits(seconds, memory_bytes)
        loader = unruly.load
        with Readers(
            tokenizer_json, MAX_TOKENS, workers=workers, limits=limits, loader=loader
        ) as readers:
            found = []
            for number, reading in enumerate(readers.read(write(tmp_path, *texts))):
                found.append(list(said_by(reading)))
                during(readers, number)
        return found

    return read


def write(folder: Path, *texts: str) -> list[Request]:
    requests = []
    for number, text in enumerate(texts):
        file = folder / f"{number:03}.txt"
        file.write_text(text, "utf-8")
        requests.append(Request(file, file.name))
    return requests


def said_by(reading: object) -> Iterator[str]:
    try:
        for item in reading.items():
            yield item.reason if isinstance(item, Problem) else item[0].text
    except LoadError as error:
        yield error.message


def ended(pid: int) -> bool:
    """Whether a process is no more, or only waits for somebody to ask how it ended."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def soon(fact: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something is so."""
    limit = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < limit
        time.sleep(0.02)


def pid_in(file: Path) -> int:
    soon(lambda: file.exists() and file.read_text("ascii"))
    return int(file.read_text("ascii"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("segfault", "crashed its reader (signal 11)"),
        ("leaving", "crashed its reader (exit status 3)"),
        ("sleeping", "took longer than 0.8 s: stopped"),
        ("spinning", "took longer than 0.8 s: stopped"),
    ],
)
def test_a_reader_that_is_lost_costs_the_file_it_was_reading(
    text: str, message: str, told: Callable
) -> None:
    assert told("plain", text, "plain", "plain", "plain", seconds=0.8) == [
        ["plain"],
        [message],
        ["plain"],
        ["plain"],
        ["plain"],
    ]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("greedy", ["needs more than 1.0 GB of memory"]),
        ("wrong", ["wrong", "the loader failed: TypeError: a string was expected" + "!" * 168]),
        ("damaged", ["damaged", "damaged at the end"]),
        ("forbidden", ["forbidden", "cannot be read: Permission denied"]),
        ("vanishing", ["no such file any more"]),
        ("changing", [CHANGES]),
        ("changing 2", [CHANGES]),
        ("changing 1", ["changing 0000"]),
    ],
)
def test_an_error_costs_the_file_and_not_its_reader(
    text: str, items: list[str], told: Callable, tmp_path: Path
) -> None:
    found = told("circumstances", text, "circumstances")
    assert found == [["words"], items, ["words"]]


def test_a_text_that_needs_too_much_memory_is_told(tokenizer_json: str, tmp_path: Path) -> None:
    [small, large] = write(tmp_path, "small", "large " * 10_000_000)
    limits = Limits(memory_bytes=64 << 20)
    with Readers(tokenizer_json, MAX_TOKENS, limits=limits) as readers:
        found = [list(said_by(reading)) for reading in readers.read([small, large, small])]
    assert found == [["small"], ["needs more than 64 MB of memory"], ["small"]]


def test_what_is_no_longer_there_or_no_file_is_told(tokenizer_json: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "damaged.pdf").write_bytes(b"%PDF-1.7 and no more")
    (tmp_path / "image.png").write_bytes(b"")
    names = ["missing.txt", "pipe.txt", "folder.txt", "damaged.pdf", "image.png"]
    with Readers(tokenizer_json, MAX_TOKENS) as readers:
        requests = (Request(tmp_path / name, name) for name in names)
        found = []
        for reading in readers.read(requests):
            assert not reading.unchanged
            with pytest.raises(LoadError) as failure:
                _ = reading.state
            found.append(failure.value.message)
            assert list(said_by(reading)) == found[-1:]
    assert found == [
        "no such file any more",
        "not a file that can be read again",
        "not a file that can be read again",
        "damaged (truncated?), or not a PDF",
        "unsupported format '.png'",
    ]


@pytest.mark.parametrize(
    ("then", "message"),
    [
        ("segfault", "crashed its reader (signal 11)"),
        ("damaged", "damaged at the end"),
        ("changing", CHANGES),
        ("vanishing", "no such file any more"),
    ],
)
def test_what_came_of_a_long_file_before_its_end_is_given(
    then: str, message: str, told: Callable
) -> None:
    [[*given, last], after] = told(f"records 100 {then}", "plain")
    assert set(given) <= {" " * 10_000, f"records 100 {then}"}
    assert 25 <= len(given) <= 101
    assert last == message
    assert after == ["plain"]


def test_an_error_tells_how_to_mend_it(
    tokenizer_json: str, unruly: ModuleType, tmp_path: Path
) -> None:
    with Readers(tokenizer_json, MAX_TOKENS, loader=unruly.load) as readers:
        for reading in readers.read(write(tmp_path, "damaged")):
            with pytest.raises(LoadError, match="damaged at the end\nmend it"):
                list(reading.items())


def test_many_readers_may_be_lost_one_after_the_other(told: Callable) -> None:
    kinds = ["plain", "segfault", "leaving", "plain", "records 300"] * 6
    expected = {
        "plain": ["plain"],
        "segfault": ["crashed its reader (signal 11)"],
        "leaving": ["crashed its reader (exit status 3)"],
        "records 300": [" " * 10_000] * 300,
    }
    assert told(*kinds, workers=2) == [expected[kind] for kind in kinds]


def test_a_reader_whose_memory_is_in_disorder_is_lost(told: Callable) -> None:
    [[babbled], plain] = told("babble", "plain")
    assert babbled.startswith("crashed its reader (")
    assert plain == ["plain"]


def test_a_killed_reader_is_replaced(told: Callable, tmp_path: Path) -> None:
    def kill() -> None:
        os.kill(pid_in(tmp_path / "001.pid"), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    found = told("plain", "sleeping", "plain")
    killer.join()
    assert found == [["plain"], ["crashed its reader (signal 9)"], ["plain"]]


def test_an_idle_reader_that_is_killed_is_replaced(
    tokenizer_json: str, unruly: ModuleType, tmp_path: Path
) -> None:
    requests = write(tmp_path, "circumstances")
    with Readers(tokenizer_json, MAX_TOKENS, loader=unruly.load) as readers:
        pids = set()
        for _ in range(2):
            [[(document, _)]] = [list(reading.items()) for reading in readers.read(requests)]
            pid = document.metadata["process"]
            pids.add(pid)
            os.kill(pid, signal.SIGKILL)
            soon(lambda pid=pid: not Path(f"/proc/{pid}").exists())
    assert len(pids) == 2


def test_what_a_stopped_reader_unpacked_is_removed(
    tokenizer_json: str, tmp_path: Path, temporary: Path
) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as package:
        for number in range(3000):
            package.writestr(f"{number}.txt", f"Note {number}. " * 500)
    with Readers(tokenizer_json, MAX_TOKENS) as readers:
        for reading in readers.read([Request(archive, "archive.zip")]):
            next(reading.items())
            soon(lambda: list(temporary.rglob("content.txt")))
            readers.close()
            assert list(temporary.iterdir()) == []
            break


PROGRAM = """
import signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import unruly_loaders
from ragcli.corpus.reading import Readers, Request

if "gently" in sys.argv:
    signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
folder = Path(sys.argv[1])
tokenizer_json = (folder / "tokenizer.json").read_text("utf-8")
with Readers(tokenizer_json, 40, workers=2, loader=unruly_loaders.load) as readers:
    for reading in readers.read(Request(f, f.name) for f in sorted(folder.glob("*.txt"))):
        print(*(document.text for document, _ in reading.items()), flush=True)
"""


def _heed_ctrl_c() -> None:
    """Undo what a shell does to whatever it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def program(tokenizer_json: str, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a program that reads files with these texts and prints what they hold."""

    def started(*texts: str, manner: str = "") -> subprocess.Popen[str]:
        write(tmp_path, *texts)
        (tmp_path / "tokenizer.json").write_text(tokenizer_json, "utf-8")
        process = subprocess.Popen(
            [sys.executable, "-", str(tmp_path), str(UNRULY), manner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "TMPDIR": tempfile.gettempdir()},
            preexec_fn=_heed_ctrl_c,  # noqa: PLW1509
        )
        # From a pipe: a program that nobody could start or import again.
        assert process.stdin is not None
        process.stdin.write(PROGRAM)
        process.stdin.close()
        process.stdin = None
        return process

    return started


def test_ctrl_c_is_not_for_readers(program: Callable, tmp_path: Path) -> None:
    process = program("sleeping 1", "sleeping 1.2", "plain", manner="gently")
    for name in ("000.pid", "001.pid"):
        pid_in(tmp_path / name)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60) == (
        "interrupted\nsleeping 1\nsleeping 1.2\nplain\n",
        "",
    )


def test_after_ctrl_c_nothing_is_left(program: Callable, tmp_path: Path, temporary: Path) -> None:
    process = program("sleeping", "spinning")
    pids = [pid_in(tmp_path / name) for name in ("000.pid", "001.pid")]
    os.killpg(process.pid, signal.SIGINT)
    printed, complaints = process.communicate(timeout=60)
    assert printed == ""
    assert complaints.count("Traceback") == 1
    assert complaints.endswith("KeyboardInterrupt\n")
    assert all(map(ended, pids))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends what keeps the lock")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_tool_is_killed_its_readers_end_and_tidy_up(
    number: signal.Signals, program: Callable, tmp_path: Path, temporary: Path
) -> None:
    process = program("sleeping", "spinning")
    pids = [pid_in(tmp_path / name) for name in ("000.pid", "001.pid")]
    assert list(temporary.iterdir()) != []
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    soon(lambda: all(map(ended, pids)), seconds=5)
