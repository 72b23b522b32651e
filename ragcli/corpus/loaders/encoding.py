"""Which character encoding a text file is in: its byte order mark, UTF-8, or the likeliest."""

from __future__ import annotations

import codecs
from pathlib import Path

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


def read_text(file: Path, declared: str | None = None) -> str:
    """Decode the whole file, line ends as they are, without its byte order mark.

    ``declared`` is the encoding that the document names itself, heeded when it is not UTF-8.
    Raises ``LoadError`` for binary content and unknown encodings, ``OSError`` as ``open`` does.
    """
    encoding = detect_encoding(file, declared)
    try:
        with file.open(encoding=encoding, newline="") as stream:
            text = stream.read()
    except UnicodeError as error:
        raise LoadError(f"not valid {encoding} text") from error
    if "\0" in text:
        raise LoadError("binary content (NUL characters) in a text file")
    return text


def marked_encoding(file: Path) -> str | None:
    """The encoding that the file's byte order mark names, ``None`` without a mark."""
    with file.open("rb") as stream:
        head = stream.read(4)
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


def detect_encoding(file: Path, declared: str | None = None) -> str:
    """Name the encoding to open ``file`` with, reading it once in blocks of 1 MiB.

    Raises ``LoadError`` for NUL bytes outside UTF-16 and UTF-32, and when no encoding fits.
    """
    marked = marked_encoding(file)
    if marked is not None:
        return marked
    bad_offset = _first_bad_offset(file)
    if bad_offset is None:
        return "utf-8"
    return _known(declared) or _likeliest(_sample(file, bad_offset))


def _first_bad_offset(file: Path) -> int | None:
    """Offset in bytes of the first place that is not UTF-8, ``None`` when all of it is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    bad_offset: int | None = None
    read = 0
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            if b"\0" in block:
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


def _sample(file: Path, offset: int) -> bytes:
    with file.open("rb") as stream:
        stream.seek(max(0, offset - _SAMPLE_BYTES // 2))
        return stream.read(_SAMPLE_BYTES)


def _known(encoding: str | None) -> str | None:
    """The codec's name when a text that is not UTF-8 and has no byte order mark may be in it."""
    try:
        b" ".decode(encoding or "")  # fails for codecs not of text (rot13) or of wider units
        name = codecs.lookup(encoding or "").name
    except (LookupError, UnicodeError):
        return None
    return None if name.startswith(("ascii", "utf")) else name


def _likeliest(sample: bytes) -> str:
    if _is_western(sample):
        return "cp1252"
    best = from_bytes(sample).best()
    if best is None:
        raise LoadError("its character encoding is not known; save it as UTF-8")
    return best.encoding


def _is_western(sample: bytes) -> bool:
    """Mostly ASCII, the rest accented letters and typography: too little for statistics."""
    rest = [byte for byte in sample if byte >= 0x80]
    characters = bytes(rest).decode("cp1252", "replace")
    return len(rest) <= _MOST_WESTERN_SHARE * len(sample) and _WESTERN.issuperset(characters)
