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
_MOST_WESTERN_SHARE = 0.2


def read_text(file: Path, declared: str | None = None) -> str:
    """Decode the whole file, line ends as they are, without its byte order mark.

    ``declared`` is the encoding that the document names itself, tried when it is not UTF-8.
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
    suspect = _first_undecodable(file)
    if suspect is None:
        return "utf-8"
    return _known(declared) or _likeliest(suspect)


def _first_undecodable(file: Path) -> bytes | None:
    """The bytes around the first place that is not UTF-8, ``None`` when all of it is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    suspect: bytes | None = None
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            if b"\0" in block:
                raise LoadError(
                    "binary content (NUL bytes) in a text file; UTF-16 needs a byte order mark"
                )
            suspect = _undecodable(decoder, block) if suspect is None else suspect
    return _undecodable(decoder, b"", final=True) if suspect is None else suspect


def _undecodable(
    decoder: codecs.IncrementalDecoder, block: bytes, final: bool = False
) -> bytes | None:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError as error:
        middle = error.start
        return error.object[max(0, middle - _SAMPLE_BYTES // 2) : middle + _SAMPLE_BYTES // 2]
    return None


def _known(encoding: str | None) -> str | None:
    try:
        return codecs.lookup(encoding).name if encoding else None
    except LookupError:
        return None


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
