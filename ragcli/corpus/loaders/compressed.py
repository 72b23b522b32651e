"""A file compressed by gzip, such as ``notes.txt.gz``: unpacked, then read as what it is inside."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from ragcli.corpus.loaders import load as load_inner
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.loaders.unpacking import Allowance
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield what the unpacked file, in a temporary folder meanwhile, is read as.

    Raises ``LoadError`` for damaged files and for bombs, and as the inner format's loader does.
    """
    with TemporaryDirectory(prefix="ragcli-") as folder:
        inner = Path(folder) / f"content{Path(source.file.stem).suffix.lower()}"
        _unpack(source.file, inner)
        yield from load_inner(inner, source.shown_path, source.fields)


def _unpack(packed: Path, unpacked: Path) -> None:
    size = packed.stat().st_size
    if size == 0:
        raise LoadError("the file is empty (0 bytes)")
    try:
        with gzip.open(packed) as stream, unpacked.open("wb") as target:
            target.writelines(Allowance(size).blocks(stream))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise LoadError("damaged (truncated?), or not compressed by gzip") from error
