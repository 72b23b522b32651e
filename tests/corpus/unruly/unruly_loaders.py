"""A loader that does what a file's first word says: what real ones do only when they go wrong."""

import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ragcli.corpus.loaders.source import RecordFields, Source
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document, Heading

Found = Iterator[Document | Problem]


def load(file: Path, shown_path: str, fields: RecordFields = RecordFields()) -> Found:
    words = file.read_text("utf-8").split()
    source = Source(file, shown_path, fields)
    yield from BEHAVIOURS.get(words[0], plain)(source, *words[1:])


def plain(source: Source, *_: str) -> Found:
    yield source.document(source.file.read_text("utf-8"), first_line=1)


def everything(source: Source) -> Found:
    yield Problem(source.shown_path, "page 3: nothing")
    yield Document(
        document_id="id \udcff",
        path="path \udcff",
        text="Two lines\nof 日本語, and\0 more.",
        content_hash="0" * 64,
        title='A "title"\u2028',
        first_line=7,
        is_record=True,
        headings=(Heading(0, 1, "Two"), Heading(10, 2, "of")),
        page_starts=(0, 10),
        metadata={"a": [1, 2.5, None, True, {"b": "c"}], "": float("inf"), "long": 10**30},
    )


def circumstances(source: Source) -> Found:
    told = {
        "process": os.getpid(),
        "niceness": os.nice(0),
        "parallelism": os.environ["TOKENIZERS_PARALLELISM"],
        "temporary": tempfile.gettempdir(),
        "arguments": sys.argv[0],
    }
    yield source.document("words", metadata=told)


def records(source: Source, number: str, then: str = "") -> Found:
    """So many blank records of 10 kB; a file beside it grows by a byte for each."""
    for n in range(int(number)):
        with source.file.with_suffix(".progress").open("ab") as progress:
            progress.write(b".")
        yield Document(f"{source.shown_path}#{n}", source.shown_path, " " * 10_000, "0" * 64)
    if then:
        yield from BEHAVIOURS[then](source)


def sleeping(source: Source, seconds: str = "600") -> Found:
    source.file.with_suffix(".pid").write_text(str(os.getpid()), "ascii")
    with tempfile.TemporaryDirectory():
        time.sleep(float(seconds))
    yield from plain(source)


def spinning(source: Source) -> Found:
    """Never let go of the interpreter's lock."""
    source.file.with_suffix(".pid").write_text(str(os.getpid()), "ascii")
    re.match(r"(a+)+$", "a" * 60 + "b")
    yield from plain(source)


def segfault(source: Source) -> Found:
    yield from plain(source)
    ctypes.string_at(0)


def leaving(source: Source) -> Found:
    yield from plain(source)
    os._exit(3)


def babble(source: Source) -> Found:
    """Write into every descriptor there is."""
    for descriptor in range(3, 100):
        try:
            os.write(descriptor, b"\xff" * 1000)
        except OSError:
            continue
    yield from plain(source)


def greedy(source: Source) -> Found:
    yield source.document(str(len(bytearray(1 << 34))))


def wrong(source: Source) -> Found:
    yield from plain(source)
    raise TypeError("a\nstring\n\nwas expected" + "!" * 1000)


def damaged(source: Source) -> Found:
    yield from plain(source)
    raise LoadError("damaged at the end", "mend it")


def forbidden(source: Source) -> Found:
    yield from plain(source)
    raise PermissionError(13, "Permission denied")


def loud(source: Source) -> Found:
    sys.stdout.write("shouting\n")
    sys.stderr.write("complaining\n")
    os.write(1, b"shouting")
    os.write(2, b"complaining")
    subprocess.run(["sh", "-c", "echo shouting; echo complaining >&2; cat"], check=True)
    yield from plain(source)


def changing(source: Source, times: str = "1000") -> Found:
    """Be changed while it is read, so many times; its size stays what it is."""
    if int(times):
        source.file.write_text(f"changing {int(times) - 1:04}", "utf-8")
    yield from plain(source)


def vanishing(source: Source) -> Found:
    source.file.unlink()
    yield source.document("") if source.file.exists() else Document("", "", "words", "")


def called(source: Source) -> Found:
    yield source.document(json.dumps(source.fields.text))


BEHAVIOURS: dict[str, Callable[..., Found]] = {
    function.__name__: function
    for function in (
        babble,
        called,
        changing,
        circumstances,
        damaged,
        everything,
        forbidden,
        greedy,
        leaving,
        loud,
        plain,
        records,
        segfault,
        sleeping,
        spinning,
        vanishing,
        wrong,
    )
}
