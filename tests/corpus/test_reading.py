"""Files read by processes: the same as here, in order, ahead of the consumer, in bounded memory."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
from tokenizers import Tokenizer

from ragcli.corpus import Chunker, RecordFields, content_hash, load
from ragcli.corpus.problem import Problem
from ragcli.corpus.reading import Item, Limits, Readers, Request
from ragcli.errors import LoadError, RagcliError
from ragcli.records import Document

pytestmark = pytest.mark.usefixtures("temporary")

SAMPLE = Path(__file__).parents[2] / "sample_corpus"
MAX_TOKENS = 40


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[Request]]:
    """Writes a text into each of so many files and returns the requests for them."""

    def written(*texts: str) -> list[Request]:
        requests = []
        for number, text in enumerate(texts):
            file = tmp_path / f"{number:03}.txt"
            file.write_text(text, "utf-8")
            requests.append(Request(file, file.name))
        return requests

    return written


@pytest.fixture
def children() -> Callable[[], set[int]]:
    """Tells which processes a test started, those that nobody waited for included."""
    if sys.platform != "linux":
        pytest.skip("this system does not tell in a simple way which processes there are")

    def all_children() -> set[int]:
        tasks = Path("/proc/self/task").iterdir()
        return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}

    others = all_children()
    return lambda: all_children() - others


def results(readers: Readers, requests: Iterable[Request]) -> list[list[Item | str]]:
    """What comes of each request; an error as its message, the last of its items."""
    found: list[list[Item | str]] = []
    for reading in readers.read(requests):
        found.append([])
        try:
            for item in reading.items():
                found[-1].append(item)
        except LoadError as error:
            found[-1].append(error.message)
    return found


def texts(found: list[Item | str]) -> list[str]:
    """The texts of documents, the reasons of problems, and errors."""
    return [
        item
        if isinstance(item, str)
        else item.reason
        if isinstance(item, Problem)
        else item[0].text
        for item in found
    ]


def read_here(request: Request, tokenizer: Tokenizer) -> list[Item | str]:
    chunker = Chunker(tokenizer, MAX_TOKENS)
    found: list[Item | str] = []
    try:
        for item in load(request.file, request.shown_path, request.fields):
            found.append(item if isinstance(item, Problem) else (item, chunker.split(item)))
    except LoadError as error:
        found.append(error.message)
    return found


def test_processes_find_in_real_files_what_is_found_here(
    tokenizer: Tokenizer, tokenizer_json: str
) -> None:
    requests = [
        Request(file, f"sample/{file.name}") for file in sorted(SAMPLE.rglob("*")) if file.is_file()
    ]
    with Readers(tokenizer_json, MAX_TOKENS, workers=2) as readers:
        found = results(readers, requests)
        assert readers.waited_seconds > 0
    expected = [read_here(request, tokenizer) for request in requests]
    assert found == expected
    assert sum(len(items) for items in expected) > len(requests) > 10


def test_records_come_as_a_stream_with_the_bad_ones_among_them(
    tokenizer: Tokenizer, tokenizer_json: str, tmp_path: Path
) -> None:
    file = tmp_path / "records.jsonl.gz"
    lines = [json.dumps({"body": f"Record {n}. " * 50}) for n in range(700)]
    lines[600] = "{"
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    request = Request(file, "records.jsonl.gz", RecordFields(text="body"))
    with Readers(tokenizer_json, MAX_TOKENS) as readers:
        found = results(readers, [request])
    assert found == [read_here(request, tokenizer)]
    assert isinstance(found[0][600], Problem)


def test_every_field_of_a_document_survives(
    tokenizer: Tokenizer, tokenizer_json: str, unruly: ModuleType, files: Callable
) -> None:
    requests = files("everything")
    with Readers(tokenizer_json, MAX_TOKENS, loader=unruly.load) as readers:
        [[problem, found]] = results(readers, requests)
    expected_problem, expected = unruly.load(requests[0].file, requests[0].shown_path)
    assert problem == expected_problem
    assert found == (expected, Chunker(tokenizer, MAX_TOKENS).split(expected))
    plainest = Document("", "", "", "")
    for each in fields(Document):
        assert getattr(expected, each.name) != getattr(plainest, each.name), each.name


def test_a_request_tells_which_fields_records_have(
    tokenizer_json: str, unruly: ModuleType, files: Callable
) -> None:
    [request] = files("called")
    named = Request(request.file, "x", RecordFields(text="body"))
    with Readers(tokenizer_json, MAX_TOKENS, loader=unruly.load) as readers:
        assert [texts(found) for found in results(readers, [named])] == [['"body"']]


def test_no_process_starts_without_a_request(children: Callable) -> None:
    def tokenizer_json() -> str:
        raise AssertionError("nobody needs it")

    with Readers(tokenizer_json, MAX_TOKENS) as readers:
        assert list(readers.read([])) == []
        assert children() == set()


def test_one_file_starts_one_process_and_more_files_no_more_than_allowed(
    tokenizer_json: str, files: Callable, children: Callable
) -> None:
    with Readers(lambda: tokenizer_json, MAX_TOKENS, workers=2) as readers:
        requests = files(*["words"] * 40)
        assert len(results(readers, requests[:1])) == 1
        assert len(children()) == 1
        assert len(results(readers, requests)) == 40
        assert len(children()) == 2
    assert children() == set()


def test_a_file_with_its_known_hash_is_not_parsed(
    tokenizer_json: str, unruly: ModuleType, files: Callable
) -> None:
    [same, other] = files("wrong", "plain")
    requests = [
        Request(same.file, "same", known_hash=content_hash(same.file)),
        Request(other.file, "other", known_hash=content_hash(same.file)),
    ]
    with Readers(tokenizer_json, MAX_TOKENS, loader=unruly.load) as readers:
        seen = [
            (r.request, r.unchanged, r.state, len(list(r.items()))) for r in readers.read(requests)
        ]
    assert [(request, unchanged, n) for request, unchanged, _, n in seen] == [
        (requests[0], True, 0),
        (requests[1], False, 1),
    ]
    for request, _, state, _ in seen:
        assert state.content_hash == content_hash(request.file)
        assert state.size == request.file.stat().st_size


def test_the_time_of_a_fresh_file_is_negative(tokenizer_json: str, files: Callable) -> None:
    old, fresh = files("old", "fresh")
    os.utime(old.file, ns=(1, 1_000_000_000_000_000_001))
    with Readers(tokenizer_json, MAX_TOKENS) as readers:
        states = [reading.state for reading in readers.read([old, fresh])]
    assert states[0].modified_ns == 1_000_000_000_000_000_001
    assert states[1].modified_ns == -fresh.file.stat().st_mtime_ns


def test_results_come_in_the_order_of_the_requests(
    tokenizer_json: str, unruly: ModuleType, files: Callable
) -> None:
    requests = files(*(f"sleeping {(n * 7) % 5 / 100}" for n in range(30)))
    with Readers(tokenizer_json, MAX_TOKENS, workers=3, loader=unruly.load) as readers:
        for _ in range(2):
            found = results(readers, requests)
            assert [item[0].path for [item] in found] == [r.shown_path for r in requests]


def test_requests_are_drawn_as_they_are_needed(tokenizer_json: str, files: Callable) -> None:
    [request] = files("words")
    drawn = itertools.count()
    endless = (Request(request.file, str(n)) for n in drawn)
    with Readers(tokenizer_json, MAX_TOKENS, ahead=8) as readers:
        shown = [
            reading.request.shown_path for reading in itertools.islice(readers.read(endless), 5)
        ]
    assert shown == ["0", "1", "2", "3", "4"]
    assert next(drawn) <= 5 + 8


def test_a_reader_runs_ahead_but_not_without_bound(
    tokenizer_json: str, unruly: ModuleType, files: Callable
) -> None:
    requests = files("records 2000")  # 20 MB
    progress = requests[0].file.with_suffix(".progress")
    with Readers(tokenizer_json, MAX_TOKENS, loader=unruly.load) as readers:
        for reading in readers.read(requests):
            items = reading.items()
            next(items)
            while progress.stat().st_size < 300:
                time.sleep(0.01)
            assert settled(lambda: progress.stat().st_size) < 800
            assert sum(1 for _ in items) == 1999


def settled(value: Callable[[], int]) -> int:
    """The value once it does not change any more."""
    last = -1
    while (now := value()) != last:
        last = now
        time.sleep(0.3)
    return last


def test_a_slow_file_is_not_held_up_by_what_came_after_it(
    tokenizer_json: str, unruly: ModuleType, files: Callable
) -> None:
    long = "records 700"  # more than is buffered
    requests = files("sleeping 0.6", long, "plain", "sleeping 0.3", long, long)
    with Readers(tokenizer_json, MAX_TOKENS, workers=2, loader=unruly.load) as readers:
        counts = [len(found) for found in results(readers, requests)]
    assert counts == [1, 700, 1, 1, 700, 700]


def test_what_is_not_taken_is_passed_over(
    tokenizer_json: str, unruly: ModuleType, files: Callable
) -> None:
    requests = files("records 700", "plain", "records 700", "plain")
    with Readers(tokenizer_json, MAX_TOKENS, loader=unruly.load) as readers:
        taken = []
        for reading in readers.read(requests):
            taken.append(next(reading.items())[0].path)
    assert taken == [request.shown_path for request in requests]


def test_readers_work_in_any_thread(tokenizer_json: str, files: Callable) -> None:
    requests = files("one", "two")
    found: list[list[Item | str]] = []

    def read() -> None:
        with Readers(tokenizer_json, MAX_TOKENS) as readers:
            found.extend(results(readers, requests))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(60)
    assert [texts(each) for each in found] == [["one"], ["two"]]


def test_a_reader_steps_back_and_keeps_its_temporary_files_together(
    tokenizer_json: str, unruly: ModuleType, files: Callable, temporary: Path
) -> None:
    with Readers(tokenizer_json, MAX_TOKENS, loader=unruly.load) as readers:
        [[(document, _)]] = results(readers, files("circumstances"))
    assert document.metadata["niceness"] == min(19, os.nice(0) + 5)
    assert document.metadata["parallelism"] == "false"
    assert temporary in Path(document.metadata["temporary"]).parents


def test_nothing_that_a_library_prints_is_seen(
    tokenizer_json: str, unruly: ModuleType, files: Callable, capfd: pytest.CaptureFixture[str]
) -> None:
    with Readers(tokenizer_json, MAX_TOKENS, loader=unruly.load) as readers:
        assert [texts(found) for found in results(readers, files("loud", "plain"))] == [
            ["loud"],
            ["plain"],
        ]
    assert capfd.readouterr() == ("", "")


def test_given_up_readers_end_at_once_and_may_begin_again(
    tokenizer_json: str, unruly: ModuleType, files: Callable, children: Callable
) -> None:
    requests = files("plain", "spinning", "sleeping", "plain")
    with Readers(tokenizer_json, MAX_TOKENS, workers=2, loader=unruly.load) as readers:
        started = time.monotonic()
        given_up = readers.read(requests)
        reading = next(given_up)
        given_up.close()
        assert time.monotonic() - started < 30
        assert children() == set()
        with pytest.raises(ValueError, match="closed"):
            list(reading.items())
        assert [texts(found) for found in results(readers, requests[:1])] == [["plain"]]


@pytest.mark.parametrize(
    "tokenizer_json", ["{}", "not JSON"], ids=["no tokenizer", "not even JSON"]
)
def test_a_tokenizer_that_is_none_is_told(tokenizer_json: str, files: Callable) -> None:
    readers = Readers(tokenizer_json, MAX_TOKENS)
    with readers, pytest.raises(RagcliError, match="cannot be started: "):
        list(readers.read(files("words")))


def test_too_small_passages_are_told(tokenizer_json: str, files: Callable) -> None:
    readers = Readers(tokenizer_json, 1)
    with readers, pytest.raises(RagcliError, match="max_tokens is 1, fewer than 8"):
        list(readers.read(files("words")))


@pytest.mark.parametrize("program", ["false", "no such program"])
def test_processes_that_cannot_start_are_told(
    program: str, tokenizer_json: str, files: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    readers = Readers(tokenizer_json, MAX_TOKENS)
    with readers, pytest.raises(RagcliError, match=r"cannot be started: (it ended|No such file)"):
        list(readers.read(files("words")))


def test_time_is_limited_only_while_there_is_room_for_results(
    tokenizer_json: str, unruly: ModuleType, files: Callable
) -> None:
    limits = Limits(seconds=0.7)
    with Readers(tokenizer_json, MAX_TOKENS, limits=limits, loader=unruly.load) as readers:
        for reading in readers.read(files("records 700")):
            items = reading.items()
            next(items)
            time.sleep(1.6)
            assert sum(1 for _ in items) == 699


def test_a_long_text_that_makes_progress_has_all_the_time_it_needs(
    tokenizer_json: str, tmp_path: Path
) -> None:
    file = tmp_path / "long.txt"
    file.write_text("The boiler was serviced in March, by nobody in particular. " * 36_000, "utf-8")
    with Readers(tokenizer_json, 200, limits=Limits(seconds=1.0)) as readers:
        started = time.monotonic()
        [[(_, passages)]] = results(readers, [Request(file, "long.txt")])
        assert time.monotonic() - started > 1.0
    assert len(passages) > 1000
