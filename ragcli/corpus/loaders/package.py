"""Documents that are zip files of parts: Office's and EPUB's, opened with care for what they hold.

No part grows beyond what it says or what memory holds, and no part has entities to expand.
"""

from __future__ import annotations

import io
import mmap
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from ragcli.corpus.loaders.markup import MarkupError, MarkupReader, attribute, read_markup
from ragcli.corpus.loaders.metadata import iso_date
from ragcli.corpus.loaders.unpacking import Allowance, is_bounded, is_encrypted
from ragcli.errors import LoadError
from ragcli.records import Json

MOST_PACKAGE_BYTES = 1 << 29
"""So much may the parts that are read unpack to."""

PASSWORD = "password-protected; save a copy without its password"
_OLE_MAGIC = b"\xd0\xcf\x11\xe0"
_OLE_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_BLOCK_BYTES = 1 << 20
_DECLARATION_BYTES = 200
_HEAD_BYTES = 64
_DAMAGE = (  # as zipfile tells it
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
_XML_START = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*<")
_ENCODING = re.compile(rb"<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([\w.-]+)")
_ENCODINGS = frozenset((b"utf-8", b"utf-16", b"utf8", b"us-ascii", b"ascii", b"iso-8859-1"))


@dataclass(frozen=True, slots=True)
class Relation:
    """A part that another one refers to: under which id, as what (``slide``), and its name."""

    id: str
    kind: str
    target: str


@dataclass(frozen=True, slots=True)
class Properties:
    """What a package says of itself; ``metadata`` are ``author``, ``created`` and ``changed``."""

    title: str
    metadata: dict[str, Json]


class DamageError(LoadError):
    """A part of a package is missing or damaged."""


class Package:
    """The parts of an opened package; what is read of them all together is limited."""

    def __init__(self, archive: zipfile.ZipFile, kind: str, allowance: Allowance) -> None:
        self._archive = archive
        self._allowance = allowance
        self.kind = kind
        self._parts = {info.filename: info for info in archive.infolist()}

    def has(self, name: str) -> bool:
        """Whether there is a part of this name."""
        return name in self._parts

    def damaged(self) -> DamageError:
        """Make the error that says that this is not what its suffix promises."""
        return DamageError(f"damaged, or not {self.kind}")

    def read(self, name: str) -> bytes:
        """The whole part; raises ``LoadError`` when it is missing or damaged."""
        return b"".join(self.blocks(name))

    def blocks(self, name: str) -> Iterator[bytes]:
        """The part in blocks; raises ``LoadError`` when it is missing or damaged."""
        info = self._info(name)
        self._allowance.check(info.file_size)
        try:
            with self._archive.open(info) as stream:
                while block := stream.read(_BLOCK_BYTES):
                    self._allowance.use(len(block))
                    yield block
        except _DAMAGE as error:
            raise self.damaged() from error

    def read_into(self, name: str, reader: MarkupReader) -> None:
        """Tell ``reader`` what is in a part of XML; raises ``LoadError`` when it is none."""
        try:
            read_markup(self.blocks(name), reader)
        except MarkupError as error:
            raise LoadError(f"damaged: its part {name} is not valid: {error}") from error

    def relations(self, name: str = "") -> list[Relation]:
        """The parts that the part ``name``, or the package itself, refers to."""
        folder, _, base = name.rpartition("/")
        listed = posixpath.join(folder, "_rels", f"{base}.rels")
        if not self.has(listed):
            return []
        found = _Relations(folder)
        self.read_into(listed, found)
        return found.relations

    def properties(self) -> Properties:
        """Title, author and dates, as far as they are told and can be read."""
        names = [found.target for found in self.relations() if found.kind == "core-properties"]
        reader = PropertyReader()
        for name in names[:1]:
            try:
                self.read_into(name, reader)
            except LoadError:  # which costs the title, not the text
                return Properties("", {})
        return reader.properties()

    def rewritten(self) -> io.BytesIO:
        """The package with its parts of XML alone, stored, for a library that opens it itself.

        Pictures and the like are there, but empty, and so are damaged parts. Raises ``LoadError``
        for a part with a document type, which may hold entities and which no such package has.
        """
        result = io.BytesIO()
        with zipfile.ZipFile(result, "w") as package:
            for name in self._parts:
                try:
                    package.writestr(name, self._markup(name))
                except DamageError:  # of use to the library it may be, or not
                    package.writestr(name, b"")
        result.seek(0)
        return result

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = self._parts.get(name)
        if info is None or not is_bounded(info):
            raise self.damaged()
        return info

    def _head(self, name: str) -> bytes:
        try:
            with self._archive.open(self._info(name)) as stream:
                return stream.read(_HEAD_BYTES)
        except _DAMAGE as error:
            raise self.damaged() from error

    def _markup(self, name: str) -> bytes:
        if not _XML_START.match(self._head(name)):
            return b""
        content = self.read(name)
        narrow = content.replace(b"\0", b"") if b"\0" in content else content  # of UTF-16
        declared = _ENCODING.search(narrow, 0, _DECLARATION_BYTES)
        if declared and declared[1].lower() not in _ENCODINGS:
            raise LoadError(f"its part {name} is in an encoding that no such file is in")
        if b"<!DOCTYPE" in narrow:
            raise LoadError(f"its part {name} has a document type, which no such file has")
        return content


@contextmanager
def opened_package(file: Path, kind: str, most: int = MOST_PACKAGE_BYTES) -> Iterator[Package]:
    """Open ``file``, which should be ``kind``, such as "a Word document".

    Raises ``LoadError`` for an empty, damaged or foreign file and one with a password, and while
    parts are read, when they are damaged or unpack to more than ``most`` bytes.
    """
    size = file.stat().st_size
    _check_head(file)
    try:
        archive = zipfile.ZipFile(file)
    except _DAMAGE as error:
        raise LoadError(f"damaged (truncated?), or not {kind}") from error
    with archive:
        if any(map(is_encrypted, archive.infolist())):
            raise LoadError(PASSWORD)
        yield Package(archive, kind, Allowance(size, most))


class PropertyReader(MarkupReader):
    """Collects the elements of Dublin Core, which packages and books describe themselves by."""

    def __init__(self) -> None:
        self._values: dict[str, list[str]] = {}
        self._text: list[str] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin to collect."""
        self._text = [] if tag in _PROPERTIES else None

    def characters(self, text: str) -> None:
        """Collect."""
        if self._text is not None:
            self._text.append(text)

    def end(self, tag: str) -> None:
        """Keep what was collected."""
        if self._text is not None:
            self._values.setdefault(_PROPERTIES.get(tag, ""), []).append("".join(self._text))
        self._text = None

    def properties(self) -> Properties:
        """What was collected, the first value of each but all authors."""
        values = {
            name: [" ".join(value.split()) for value in found if value.strip()]
            for name, found in self._values.items()
        }
        dates = {name: iso_date(next(iter(values.get(name, ())), "")) for name in _DATES}
        metadata = {"author": ", ".join(values.get("author", ())), **dates}
        return Properties(
            title=next(iter(values.get("title", ())), ""),
            metadata={name: value for name, value in metadata.items() if value},
        )


_PROPERTIES = {
    "title": "title",
    "creator": "author",
    "created": "created",
    "date": "created",
    "modified": "changed",
}
_DATES = ("created", "changed")


class _Relations(MarkupReader):
    """Collects the entries of a part that lists relations."""

    def __init__(self, folder: str) -> None:
        self.relations: list[Relation] = []
        self._folder = folder

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag != "Relationship" or attributes.get("TargetMode") == "External":
            return
        kind = attributes.get("Type", "").rpartition("/")[2]
        target = resolve(self._folder, attributes.get("Target", ""))
        self.relations.append(Relation(attribute(attributes, "Id"), kind, target))


def resolve(folder: str, target: str) -> str:
    """The name of the part that ``target`` means when it is said in a part in ``folder``."""
    path = unquote(target.partition("#")[0])
    return posixpath.normpath(posixpath.join("/", folder, path)).lstrip("/")


def _check_head(file: Path) -> None:
    with file.open("rb") as stream:
        head = stream.read(len(_OLE_MAGIC))
        if not head:
            raise LoadError("the file is empty (0 bytes)")
        if head != _OLE_MAGIC:
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(_OLE_ENCRYPTED) >= 0:
                raise LoadError(PASSWORD)
    suffix = file.suffix.lower()
    raise LoadError(
        f"password-protected, or an old {suffix.rstrip('x')}; save it as a plain {suffix}"
    )
