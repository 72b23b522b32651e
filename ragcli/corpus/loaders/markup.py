"""XML as a stream of tags and texts: entities are never expanded and nothing else is fetched."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from xml.parsers import expat

_MOST_ERROR_LENGTH = 100
_TAG = re.compile(r"<!DOCTYPE[^<>\[]*\[|\][ \t\r\n]{0,9}>|<[^<>]*>")


class MarkupError(Exception):
    """An XML text cannot be read on; its message says why and on which line."""


class MarkupReader:
    """Is told every tag and text of an XML document in order; names come without their prefix."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def end(self, tag: str) -> None:
        """An element ends."""

    def characters(self, text: str) -> None:
        """Text between two tags."""


def read_markup(content: str | Iterable[bytes], reader: MarkupReader) -> None:
    """Tell ``reader`` what is in ``content``: a decoded text, or the blocks of a part of a file.

    Raises ``MarkupError`` at the first place that is not well-formed, when what comes before it
    has been told, and at the first declaration of an entity or of an attribute's default, because
    a few of them can stand for more text than memory holds. Named characters such as ``&nbsp;``
    are those of HTML; what else is not declared stays as it is written. Needs no recursion.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.UseForeignDTD(True)  # else an undeclared entity ends the reading
    parser.StartElementHandler = lambda tag, attributes: reader.start(_local(tag), attributes)
    parser.EndElementHandler = lambda tag: reader.end(_local(tag))
    parser.CharacterDataHandler = reader.characters
    parser.SkippedEntityHandler = lambda name, is_parameter: (
        None if is_parameter else reader.characters(html.unescape(f"&{name};"))
    )
    parser.EntityDeclHandler = _refuse_entity
    parser.AttlistDeclHandler = _refuse_default
    try:
        if isinstance(content, str):
            parser.Parse(content, True)
        else:
            for block in content:
                parser.Parse(block, False)
            parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # the latter two of encodings
        raise MarkupError(str(error)[:_MOST_ERROR_LENGTH]) from error


def without_tags(text: str) -> str:
    """The text between the tags of XML or HTML that cannot be parsed, a line for each piece."""
    lines = html.unescape(_TAG.sub("\n", text)).split("\n")
    return "\n".join(line.strip() for line in lines if line.strip())


def attribute(attributes: dict[str, str], name: str) -> str:
    """The value of the attribute called ``name``, with any prefix or none, "" without it."""
    if name in attributes:
        return attributes[name]
    return next((v for key, v in attributes.items() if _local(key) == name), "")


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]


def _refuse_entity(name: str, is_parameter: int, value: str | None, *_: str | None) -> None:
    if value is not None:
        raise MarkupError(f"it declares the entity {name[:_MOST_ERROR_LENGTH]!r}")


def _refuse_default(element: str, name: str, kind: str, default: str | None, _: int) -> None:
    if default is not None:
        raise MarkupError(f"it declares a value of the attribute {name[:_MOST_ERROR_LENGTH]!r}")
