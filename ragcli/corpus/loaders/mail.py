"""Mail: subject, sender, receivers and date above the text; attachments by their names alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timezone
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.policy import EmailPolicy
from email.utils import parsedate_to_datetime

from ragcli.corpus.loaders.builder import LINE_GAP, PARAGRAPH_GAP, TextBuilder
from ragcli.corpus.loaders.encoding import DecodedText, decode_text
from ragcli.corpus.loaders.html import add_page, declared_encoding
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document, Json

_SHOWN = {"from": "From", "to": "To", "cc": "Cc", "date": "Date"}
_LONGEST_HEADER = 4000
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_FAULTS = (  # as email tells that a message is not what it should be
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MessageError,
    RecursionError,
    TypeError,
    ValueError,
)


class _PlainPolicy(EmailPolicy):
    """Headers as short plain texts: email's own reading of a long one takes minutes."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_LONGEST_HEADER]

    def header_fetch_parse(self, name: str, value: str) -> str:
        return value


_POLICY = _PlainPolicy(message_factory=Message)


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield the message as one document; its subject is the title and the first heading.

    The text is that of the plain parts, else that of the HTML. Metadata are ``from``, ``to``,
    ``cc``, the ``date`` in UTC and the names of the ``attachments``, which are not read. Raises
    ``LoadError`` for what is no message.
    """
    message = _parsed(source.file.read_bytes())
    parts = list(_parts(message))
    subject = _header(message, "subject")
    metadata = _metadata(message, parts)
    builder = TextBuilder()
    if subject:
        builder.add_heading(subject, 1)
    gap = PARAGRAPH_GAP
    for name, label in _SHOWN.items():
        if name in metadata:
            builder.add(f"{label}: {metadata[name]}", gap)
            gap = LINE_GAP
    yield from source.problems(*_add_body(builder, parts))
    yield source.document(builder.text, title=subject, headings=builder.headings, metadata=metadata)


def _parsed(content: bytes) -> Message:
    if not content:
        raise LoadError("the file is empty (0 bytes)")
    try:
        message = message_from_bytes(content, policy=_POLICY)
    except _FAULTS as error:
        raise LoadError("damaged, or not a mail message") from error
    if not message.keys():
        raise LoadError("damaged, or not a mail message: it has no header")
    return message


def _parts(message: Message) -> Iterator[Message]:
    """The parts in order; a message that is forwarded whole is one."""
    stack: list[Message] = [message]
    while stack:
        part = stack.pop()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            payload = part.get_payload()
            found = payload if isinstance(payload, list) else []
            stack.extend(below for below in reversed(found) if isinstance(below, Message))
        else:
            yield part


def _header(message: Message, name: str) -> str:
    """The header's words, decoded."""
    raw = next((str(value) for key, value in message.raw_items() if key.lower() == name), "")
    return _words(raw)


def _words(raw: str) -> str:
    raw = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        words = str(make_header(decode_header(raw)))
    except _FAULTS:
        words = raw
    return " ".join(_NO_TEXT.sub("", words).split())


def _metadata(message: Message, parts: list[Message]) -> dict[str, Json]:
    names: list[Json] = [name for name in map(_attachment, parts) if name]
    found: dict[str, Json] = {
        **{name: _header(message, name) for name in ("from", "to", "cc")},
        "date": _date(_header(message, "date")),
        "attachments": names,
    }
    return {name: value for name, value in found.items() if value}


def _date(header: str) -> str:
    try:
        moment = parsedate_to_datetime(header)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    except _FAULTS:
        return ""


def _attachment(part: Message) -> str:
    """The name of the attachment that the part is, "" when it is none."""
    try:
        name = _words(part.get_filename() or "")
        disposition = part.get_content_disposition()
    except _FAULTS:
        return "unnamed"
    is_one = disposition == "attachment" or part.get_content_maintype() not in ("text", "multipart")
    kind = _NO_TEXT.sub("", part.get_content_type())
    return name or (f"unnamed ({kind})" if is_one else "")


def _add_body(builder: TextBuilder, parts: list[Message]) -> list[str]:
    """Append what the message says, and say what of it could not be read."""
    own = [part for part in parts if not _attachment(part)]
    plain = [part for part in own if part.get_content_type() == "text/plain"]
    pages = [part for part in own if part.get_content_type() == "text/html"]
    reasons: list[str] = []
    length = builder.length
    for part in (*plain, *pages):
        if part.get_content_type() == "text/html" and builder.length > length:
            break  # it says again what the plain text says
        try:
            _add_part(builder, part, reasons)
        except LoadError as error:
            reasons.append(f"a part of the text cannot be read: {error.message}")
    return reasons


def _add_part(builder: TextBuilder, part: Message, reasons: list[str]) -> None:
    decoded = _decoded(part)
    if decoded.flaw:
        reasons.append(f"in its text, {decoded.flaw}")
    text = _NO_TEXT.sub("", decoded.text.replace("\r\n", "\n"))
    if part.get_content_type() == "text/html":
        add_page(builder, text)
    elif text.strip():
        builder.add(text.strip("\n"))


def _decoded(part: Message) -> DecodedText:
    try:
        payload = part.get_payload(decode=True)
        charset = part.get_content_charset()
    except _FAULTS as error:
        raise LoadError("damaged") from error
    content = payload if isinstance(payload, bytes) else b""
    return decode_text(content, charset or declared_encoding(content))
