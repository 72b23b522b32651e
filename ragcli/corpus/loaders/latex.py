"""LaTeX: its characters as they are, sections as headings, the title."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragcli.corpus.loaders.encoding import read_text
from ragcli.corpus.loaders.metadata import iso_date
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.records import Document, Heading, Json

_RANKS = ("part", "chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph")
_SECTION = re.compile(rf"\\({'|'.join(_RANKS)})\*?[ \t\r\n]{{0,9}}(?:\[[^\]\n]{{0,300}}\])?\{{")
_PREAMBLE = re.compile(r"\\(title|author|date)[ \t\r\n]{0,9}(?:\[[^\]\n]{0,300}\])?\{")
_COMMENT = re.compile(r"(?<!\\)%[^\n]*")
_BEGIN_VERBATIM = re.compile(r"\\begin\{(verbatim\*?|Verbatim|lstlisting|minted|comment)\}")
_BRACE = re.compile(r"(?<!\\)[{}]")
_LONGEST_ARGUMENT = 1000
_DROPPED = re.compile(r"\\(?:label|thanks|footnote|index)\s?\{[^{}]*\}")
_SPACING = re.compile(r"\\\\|~|\\[ ,;:]")
_COMMAND = re.compile(r"\\[A-Za-z]+\*?\s?|[{}]|\\(?=[&%$#_])")


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield the file as one document; raises ``LoadError`` when it is not text.

    The commands stay in the text, so that a citation's line and words are those of the file.
    Metadata are the ``author`` and, when it is an ISO date, the date ``created``.
    """
    decoded = read_text(source.file)
    yield from source.problems(decoded.flaw)
    code = _code(decoded.text)
    arguments = {m[1]: _argument(code, m.end()) for m in _PREAMBLE.finditer(code)}
    described = {name: _plain(argument) for name, argument in arguments.items()}
    authors = map(_plain, arguments.get("author", "").split(r"\and"))
    metadata: dict[str, Json] = {
        "author": ", ".join(filter(None, authors)),
        "created": iso_date(described.get("date", "")),
    }
    yield source.document(
        decoded.text,
        title=described.get("title", ""),
        first_line=1,
        headings=tuple(_headings(code)),
        metadata={name: value for name, value in metadata.items() if value},
    )


def _code(text: str) -> str:
    """The text with blanks for comments and for what is printed as it is, lengths unchanged."""
    text = _COMMENT.sub(lambda comment: " " * len(comment[0]), text)
    parts: list[str] = []
    at = 0
    while begin := _BEGIN_VERBATIM.search(text, at):
        end = text.find(f"\\end{{{begin[1]}}}", begin.end())
        end = len(text) if end < 0 else end
        parts += [text[at : begin.end()], " " * (end - begin.end())]
        at = end
    return "".join((*parts, text[at:]))


def _headings(code: str) -> Iterator[Heading]:
    """The sections, ranked among the kinds that there are."""
    found = [(m.start(), m[1], _plain(_argument(code, m.end()))) for m in _SECTION.finditer(code)]
    kinds = {kind for _, kind, _ in found}
    levels = {kind: n for n, kind in enumerate((k for k in _RANKS if k in kinds), start=1)}
    for start, kind, words in found:
        if words:
            yield Heading(start, levels[kind], words)


def _argument(code: str, start: int) -> str:
    """What stands between the brace before ``start`` and the one that closes it."""
    depth = 1
    for brace in _BRACE.finditer(code, start, start + _LONGEST_ARGUMENT):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return code[start : brace.start()]
    return ""


def _plain(argument: str) -> str:
    """The words without commands."""
    words = _COMMAND.sub("", _SPACING.sub(" ", _DROPPED.sub("", argument)))
    return " ".join(words.split())
