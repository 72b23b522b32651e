"""Which character encoding a text is in: its byte order mark, UTF-8, or the likeliest.

Bytes that are not valid in it are replaced by U+FFFD, and their number is told.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from charset_normalizer import from_bytes

from ragcli.errors import LoadError

_BLOCK_BYTES = 1 << 20
_SAMPLE_BYTES = 1 << 16
_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_WESTERN = frozenset(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûüÿŒœŠšŽžŸ"
    "‘’“”‚„«»‹›–—…•·°§©®™€£¥¢¡¿ºª½¼¾×±µ\u00a0\u00ad"
)
_MOST_WESTERN_SHARE = 0.3
_MOST_REPLACED_SHARE = 0.1
_FEWEST_FOREIGN_BYTES = 8  # fewer are no evidence of any encoding
_VALID_PER_BAD = 2
_NOT_LEGACY = re.compile("ascii|utf|unicode|raw")


@dataclass(frozen=True, slots=True)
class Decoding:
    """The encoding to read a text with, ``errors="replace"``.

    ``flaw`` says in a sentence what will be replaced, "" when nothing will.
    """

    encoding: str
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A text, line ends as they are, without byte order mark, and its ``flaw`` as in Decoding."""

    text: str
    flaw: str = ""


def read_text(file: Path, declared: str | None = None) -> DecodedText:
    """Decode the whole file; see ``detect``. Raises ``OSError`` as ``open`` does."""
    with file.open("rb") as stream:
        return _decode(stream, declared)


def decode_text(content: bytes, declared: str | None = None) -> DecodedText:
    """Decode a part of a file; see ``detect``."""
    return _decode(io.BytesIO(content), declared)


def detect(
    stream: BinaryIO, declared: str | None = None, *, may_hold_nul: bool = False
) -> Decoding:
    """Choose the encoding of ``stream``, reading it in blocks of 1 MiB.

    That is the one its byte order mark names. Without a mark it is UTF-8 when all of it is valid,
    or when it has more than twice as many characters beyond ASCII as bytes that are not valid,
    which no other encoding would bring about. Else it is the ``declared`` one, which the document
    itself names, if that is not UTF-8, or the likeliest; and UTF-8 again when none is likely.
    A declared ISO 2022, which writes all in bytes of ASCII, is believed when it fits.

    Raises ``LoadError`` for NUL bytes outside UTF-16 and UTF-32, unless there may be some, and
    when more than a tenth of the characters would have to be replaced.
    """
    marked = _marked(stream)
    if marked is not None:
        return _surveyed(stream, marked)
    bad_offset = _first_bad_offset(stream, may_hold_nul)
    known = _known(declared)
    if bad_offset is None:
        return Decoding(known if known and _is_escaped(stream, known) else "utf-8")
    damaged = _survey(stream, "utf-8")
    if damaged.beyond_ascii > _VALID_PER_BAD * damaged.bad:
        return damaged.decoding(bad_offset)
    encoding = known or _likeliest(_sample(stream, bad_offset))
    return _surveyed(stream, encoding) if encoding else damaged.decoding(bad_offset)


def _decode(stream: BinaryIO, declared: str | None) -> DecodedText:
    decoding = detect(stream, declared)
    stream.seek(0)
    with io.TextIOWrapper(stream, decoding.encoding, errors="replace", newline="") as decoded:
        text = decoded.read()
    if "\0" in text:
        raise LoadError("binary content (NUL characters) in a text file")
    return DecodedText(text, decoding.flaw)


def _marked(stream: BinaryIO) -> str | None:
    stream.seek(0)
    head = stream.read(4)
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while block := stream.read(_BLOCK_BYTES):
        yield block


def _first_bad_offset(stream: BinaryIO, may_hold_nul: bool) -> int | None:
    """Offset in bytes of the first place that is not UTF-8, ``None`` when all of it is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    bad_offset: int | None = None
    read = 0
    for block in _blocks(stream):
        if b"\0" in block and not may_hold_nul:
            raise LoadError(
                "binary content (NUL bytes) in a text file; UTF-16 needs a byte order mark"
            )
        if bad_offset is None:
            bad_offset = _bad_offset(decoder, block, read)
        read += len(block)
    return _bad_offset(decoder, b"", read, final=True) if bad_offset is None else bad_offset


def _bad_offset(
    decoder: codecs.IncrementalDecoder, block: bytes, read: int, final: bool = False
) -> int | None:
    """Where the file is not UTF-8, when ``block`` follows ``read`` bytes given to ``decoder``."""
    pending = len(decoder.getstate()[0])
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError as error:
        return read - pending + error.start
    return None


@dataclass(slots=True)
class _Survey:
    """What a text consists of when it is read in ``encoding``.

    ``bad`` counts bytes that are not valid for UTF-8, else the characters that stand for them.
    """

    encoding: str
    characters: int = 0
    beyond_ascii: int = 0
    bad: int = 0

    def decoding(self, first: int | None = None) -> Decoding:
        """Accept the encoding, unless too much has to be replaced."""
        name = self.encoding.removesuffix("-sig")
        if self.bad > _MOST_REPLACED_SHARE * self.characters:
            if name == "utf-8":
                raise LoadError("its character encoding is not known; save it as UTF-8")
            raise LoadError(f"not valid {name} text")
        if not self.bad:
            return Decoding(self.encoding)
        unit, verb, past = ("", "is", "was") if self.bad == 1 else ("s", "are", "were")
        unit = ("byte" if name == "utf-8" else "character") + unit
        place = "" if first is None else f"; first at byte {first}"
        name = "UTF-8" if name == "utf-8" else name
        flaw = f"{self.bad:,} {unit} {verb} not valid {name} and {past} replaced{place}"
        return Decoding(self.encoding, flaw)


def _surveyed(stream: BinaryIO, encoding: str) -> Decoding:
    return _survey(stream, encoding).decoding()


def _survey(stream: BinaryIO, encoding: str) -> _Survey:
    is_utf8 = encoding.startswith("utf-8")
    # Each byte that is not UTF-8 becomes one surrogate, which no valid text has.
    errors = "surrogateescape" if is_utf8 else "replace"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    survey = _Survey(encoding)
    for block in _blocks(stream):
        _count(survey, decoder.decode(block), is_utf8)
    _count(survey, decoder.decode(b"", True), is_utf8)
    return survey


def _count(survey: _Survey, text: str, is_utf8: bool) -> None:
    survey.characters += len(text)
    if text.isascii():
        return
    if is_utf8:
        bad = len(text) - len(text.encode("utf-8", "ignore").decode("utf-8"))
    else:
        bad = text.count("\ufffd")
    survey.bad += bad
    survey.beyond_ascii += len(text) - len(text.encode("ascii", "ignore")) - bad


def _sample(stream: BinaryIO, offset: int) -> bytes:
    stream.seek(max(0, offset - _SAMPLE_BYTES // 2))
    return stream.read(_SAMPLE_BYTES)


def _known(encoding: str | None) -> str | None:
    """The codec's name when a text that is not UTF-8 and has no byte order mark may be in it."""
    try:
        b" ".decode(encoding or "")  # fails for codecs not of text (rot13) or of wider units
        codec = codecs.lookup(encoding or "")
        codecs.getincrementaldecoder(codec.name)("replace").decode(b"\xff", True)
    except (LookupError, ValueError):  # UnicodeError is a ValueError
        return None
    return None if _NOT_LEGACY.match(codec.name) else codec.name


def _is_escaped(stream: BinaryIO, encoding: str) -> bool:
    """Whether the text switches between character sets by escape sequences, as ISO 2022 does."""
    return encoding.startswith("iso2022") and not _survey(stream, encoding).bad


def _likeliest(sample: bytes) -> str | None:
    foreign = bytes(byte for byte in sample if byte >= 0x80)
    if _is_western(foreign, len(sample)):
        return "cp1252"
    if len(foreign) < _FEWEST_FOREIGN_BYTES:
        return None
    best = from_bytes(sample).best()
    return None if best is None else _known(best.encoding)


def _is_western(foreign: bytes, size: int) -> bool:
    """Mostly ASCII, the rest accented letters and typography: too little for statistics."""
    characters = foreign.decode("cp1252", "replace")
    return len(foreign) <= _MOST_WESTERN_SHARE * size and _WESTERN.issuperset(characters)
