"""Archives of files (zip, tar, compressed tar): every member that is supported, as if unpacked."""

from __future__ import annotations

import gzip
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, cast

from ragcli.corpus.loaders import COMPRESSED_SUFFIX, format_of, is_archive
from ragcli.corpus.loaders import load as load_inner
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.loaders.unpacking import (
    MOST_UNPACKED_BYTES,
    Allowance,
    Readable,
    is_bounded,
    is_encrypted,
)
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document

MOST_ARCHIVE_BYTES = 1 << 32
"""So much may the members together unpack to."""

MOST_MEMBERS = 200_000
_BLOCK_BYTES = 1 << 14
_MOST_TAR_READ = 1 << 15  # nothing that describes a member is longer; blocks of members are not
_DRIVE = re.compile("[A-Za-z]:/")
_GZIP_MAGIC = b"\x1f\x8b"
_DAMAGE = (  # as zipfile, tarfile and gzip tell it
    EOFError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RecursionError,  # header upon header upon header
    RuntimeError,
    ValueError,
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class _Member:
    """One file of an archive: its name, why it is not read ("" when it is), and its bytes.

    ``packed`` is the size that it has in the archive, from which it may grow.
    """

    name: str
    fault: str
    packed: int
    open: Callable[[], AbstractContextManager[Readable]]


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield the documents of every member whose format is supported, in the archive's order.

    A member's documents are called ``<archive>/<member>`` and have the archive's path; their
    metadata name the ``member``. Hidden and unsupported members are passed over silently, as in
    folders. One that cannot be read, that is encrypted, a link, an archive itself, or whose name
    leads out of the archive, is a ``Problem``, and the rest goes on. So is the place where a
    damaged archive ends; raises ``LoadError`` when it ends before its first member.
    """
    size = source.file.stat().st_size
    if size == 0:
        raise LoadError("the file is empty (0 bytes)")
    is_zip = source.file.name.lower().endswith(".zip")
    reader = _Reader(source, Allowance(size, MOST_ARCHIVE_BYTES))
    last = ""
    try:
        for member in _limited((_zip_members if is_zip else _tar_members)(source.file)):
            last = member.name
            yield from reader.read(member)
    except LoadError as error:
        if not last:
            raise
        yield reader.problem(f"nothing after {last} is read: {error.message}")


def _limited(members: Iterator[_Member]) -> Iterator[_Member]:
    for number, member in enumerate(members):
        if number == MOST_MEMBERS:
            raise LoadError(f"has more than {MOST_MEMBERS:,} members")
        yield member


class _Reader:
    """Reads members one by one; knows the names met so far, for none may be there twice."""

    def __init__(self, source: Source, allowance: Allowance) -> None:
        self._source = source
        self._allowance = allowance
        self._members: set[str] = set()
        self._ids: set[str] = set()

    def problem(self, reason: str) -> Problem:
        """A problem of the archive."""
        return Problem(self._source.shown_path, reason)

    def read(self, member: _Member) -> Iterator[Document | Problem]:
        """Unpack the member into a temporary folder and yield what it is read as."""
        fault = _name_fault(member.name)
        if not fault and _is_passed_over(member.name):
            return
        fault = fault or member.fault
        if not fault and member.name in self._members:
            fault = "an earlier member has the same name"
        self._members.add(member.name)
        if fault:
            yield self.problem(f"{member.name}: {fault}")
            return
        with TemporaryDirectory(prefix="ragcli-") as folder:
            file = Path(folder) / f"content{_suffixes(member.name)}"
            try:
                _unpack(member, file)
            except LoadError as error:
                yield self.problem(f"{member.name}: {error.message}")
                return
            self._allowance.use(file.stat().st_size)
            yield from self._documents(member.name, file)

    def _documents(self, name: str, file: Path) -> Iterator[Document | Problem]:
        source = self._source
        try:
            for found in load_inner(file, f"{source.shown_path}/{name}", source.fields):
                if isinstance(found, Problem):
                    yield self.problem(f"{name}: {found.reason}")
                elif found.document_id in self._ids:
                    reason = f"id {found.document_id!r} is already that of an earlier member"
                    yield self.problem(f"{name}: {reason}")
                else:
                    self._ids.add(found.document_id)
                    metadata = {**found.metadata, "member": name}
                    yield replace(found, path=source.shown_path, metadata=metadata)
        except LoadError as error:
            yield self.problem(f"{name}: {error.message}")


def _suffixes(name: str) -> str:
    """What a file has to be called by to be read as what ``name`` says that it is."""
    path = PurePosixPath(name.lower())
    inner = PurePosixPath(path.stem).suffix if path.suffix == COMPRESSED_SUFFIX else ""
    return inner + path.suffix


def _unpack(member: _Member, file: Path) -> None:
    allowance = Allowance(member.packed)
    try:
        with member.open() as stream, file.open("wb") as target:
            while block := stream.read(_BLOCK_BYTES):
                allowance.use(len(block))
                target.write(block)
    except _DAMAGE as error:
        raise LoadError("damaged (truncated?)") from error
    except OSError as error:
        raise LoadError(f"cannot be read: {error.strerror or error}") from error


def _is_passed_over(name: str) -> bool:
    path = PurePosixPath(name)
    return any(part.startswith(".") for part in path.parts) or not (
        format_of(path.name) or is_archive(path.name)
    )


def _name_fault(name: str) -> str:
    """Why a member may not go by its name, "" when it may."""
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        return "its name leads out of the archive"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not valid Unicode"
    return "" if name.isprintable() else "its name has control characters"


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise LoadError("damaged (truncated?), or not an archive") from error


def _zip_members(file: Path) -> Iterator[_Member]:
    with _damage_told():
        package = zipfile.ZipFile(file)
    with package:
        for info in package.infolist():
            if not info.filename.endswith("/"):
                name = str(PurePosixPath(info.filename.replace("\\", "/")))
                opener = _zip_opener(package, info)
                yield _Member(name, _zip_fault(name, info), info.compress_size, opener)


def _zip_opener(
    package: zipfile.ZipFile, info: zipfile.ZipInfo
) -> Callable[[], AbstractContextManager[Readable]]:
    return lambda: package.open(info)


def _zip_fault(name: str, info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "a link" if kind == stat.S_IFLNK else "not a file"
    if is_encrypted(info):
        return "password-protected; unpack it first"
    if not is_bounded(info):
        return "compressed in a way that is not read; unpack it first"
    return _fault(name, info.file_size)


def _fault(name: str, size: int) -> str:
    if is_archive(name):
        return "an archive inside an archive; unpack it first"
    return (
        f"unpacks to more than {MOST_UNPACKED_BYTES:,} bytes" if size > MOST_UNPACKED_BYTES else ""
    )


def _tar_members(file: Path) -> Iterator[_Member]:
    with _opened_tar(file) as stream, _damage_told():
        archive = tarfile.TarFile(fileobj=cast("IO[bytes]", stream), encoding="utf-8")
        while (info := archive.next()) is not None:
            vars(archive)["members"].clear()  # it keeps all that it has met
            if not info.isdir():
                name = str(PurePosixPath(info.name))
                yield _Member(name, _tar_fault(name, info), info.size, _tar_opener(archive, info))
        if stream.stopped_short:
            raise tarfile.ReadError("no member and no end")


def _tar_opener(
    archive: tarfile.TarFile, info: tarfile.TarInfo
) -> Callable[[], AbstractContextManager[Readable]]:
    def opened() -> AbstractContextManager[Readable]:
        stream = archive.extractfile(info)
        if stream is None:
            raise tarfile.ReadError("not a file")
        return stream

    return opened


def _tar_fault(name: str, info: tarfile.TarInfo) -> str:
    if not info.isfile():
        return "a link" if info.issym() or info.islnk() else "not a file"
    return "damaged" if info.size < 0 else _fault(name, info.size)


@contextmanager
def _opened_tar(file: Path) -> Iterator[_Forward]:
    with file.open("rb") as plain:
        is_compressed = plain.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        plain.seek(0)
        stream = gzip.GzipFile(fileobj=plain) if is_compressed else plain
        yield _Forward(stream, Allowance(file.stat().st_size, MOST_ARCHIVE_BYTES))


class _Forward:
    """A tar file as ``tarfile`` may read it: forwards, a little at a time, within an allowance.

    So a header that names an earlier place is no endless loop, a long one takes neither memory
    nor the time that ``tarfile`` needs to understand it, and a bomb ends early.
    """

    def __init__(self, stream: Readable, allowance: Allowance) -> None:
        self._stream = stream
        self._allowance = allowance
        self._position = 0
        self._last = b""

    @property
    def stopped_short(self) -> bool:
        """Whether what was read last is neither the zeros nor the nothing that a tar ends with."""
        return any(self._last)

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def seek(self, offset: int) -> None:
        """Go forwards to ``offset``, or to the end."""
        if offset < self._position:
            raise tarfile.ReadError("a member that begins before its header")
        while self._position < offset and self.read(min(_BLOCK_BYTES, offset - self._position)):
            pass

    def read(self, size: int) -> bytes:
        """Read ``size`` bytes, fewer only at the end."""
        if not 0 <= size <= _MOST_TAR_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self._last = self._stream.read(size)
        self._allowance.use(len(self._last))
        self._position += len(self._last)
        return self._last
