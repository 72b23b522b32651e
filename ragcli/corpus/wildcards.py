"""A glob as git's ``wildmatch`` reads it, as a regular expression.

Git matches bytes, not characters: globs and names are given here as ``byte_text``, one character a
byte, so that ``?`` is one byte of a name, as it is to git.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

_LITERAL = re.compile(r"[^*?\[\\]*")
_STARS = re.compile(r"\*+")
_NOTHING = "(?!)"

_ASCII = [chr(code) for code in range(128)]
_PRINTED = {character for character in _ASCII if character.isprintable()}
_CLASSES = {
    "alnum": {character for character in _ASCII if character.isalnum()},
    "alpha": {character for character in _ASCII if character.isalpha()},
    "blank": set(" \t"),
    "cntrl": set(_ASCII) - _PRINTED,
    "digit": set("0123456789"),
    "graph": _PRINTED - {" "},
    "lower": {character for character in _ASCII if character.islower()},
    "print": _PRINTED,
    "punct": {c for c in _PRINTED - {" "} if not c.isalnum()},
    "space": set(" \t\n\r"),
    "upper": {character for character in _ASCII if character.isupper()},
    "xdigit": set("0123456789abcdefABCDEF"),
}


def byte_text(name: str) -> str:
    """Return a file name's bytes as one character each."""
    return name if name.isascii() else os.fsencode(name).decode("latin-1")


def literal_beginning(glob: str) -> str:
    """Return what ``glob`` begins with before the first character that may be a wildcard."""
    found = _LITERAL.match(glob)
    return found.group() if found else ""


def name_expression(glob: str) -> str:
    """Return the regular expression for a whole name; a malformed glob's matches nothing."""
    return _expression(glob, across_folders=False)


def path_expression(glob: str) -> str:
    """Return the one for a whole path: only ``**`` beside slashes reaches across folders.

    Git compares the literal beginning first and takes what follows for a glob of its own, so the
    stars of ``a**/b`` stand at the beginning of one, and reach across folders too.
    """
    beginning = literal_beginning(glob)
    return re.escape(beginning) + _expression(glob[len(beginning) :], across_folders=True)


class _MalformedError(Exception):
    """Git takes the glob, but there is no name that it matches."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a glob; ``reach`` is how far it stretches: not, within a name, across folders."""

    expression: str
    reach: int = 0


def _expression(glob: str, *, across_folders: bool) -> str:
    try:
        parts = list(_parts(glob, across_folders))
    except _MalformedError:
        return _NOTHING
    return f"(?s:{_joined(parts, 2, count())})"


def _joined(parts: Sequence[_Part], reach: int, numbers: Iterator[int]) -> str:
    """Put ``parts`` together so that no name makes matching slow.

    What stands between two stars of the same reach is looked for once: where the rest does not
    follow its first place, it follows no later one, for the second star stretches as far as the
    first. (A lookahead and a reference to it, since Python 3.10 has no atomic groups.)
    """
    if reach == 0:
        return "".join(part.expression for part in parts)
    starts = [n for n, part in enumerate(parts) if part.reach == reach]
    text = _joined(parts[: starts[0] if starts else None], reach - 1, numbers)
    for start, end in zip(starts, [*starts[1:], None], strict=False):
        piece = parts[start].expression + _joined(parts[start + 1 : end], reach - 1, numbers)
        text += piece if end is None else _first_place_of(piece, next(numbers))
    return text


def _first_place_of(expression: str, number: int) -> str:
    return f"(?=(?P<piece{number}>{expression}))(?P=piece{number})"


def _parts(glob: str, across_folders: bool) -> Iterator[_Part]:
    position = 0
    while position < len(glob):
        read = _READERS.get(glob[position], _literal)
        part, position = read(glob, position, across_folders)
        yield part


def _literal(glob: str, start: int, _across: bool) -> tuple[_Part, int]:
    return _Part(re.escape(glob[start])), start + 1


def _escaped(glob: str, start: int, _across: bool) -> tuple[_Part, int]:
    return _Part(re.escape(_at(glob, start + 1))), start + 2


def _any_byte(_glob: str, start: int, across_folders: bool) -> tuple[_Part, int]:
    return _Part("[^/]" if across_folders else "."), start + 1


def _stars(glob: str, start: int, across_folders: bool) -> tuple[_Part, int]:
    found = _STARS.match(glob, start)
    end = found.end() if found else start
    if not across_folders:
        return _Part(".*?", 1), end
    follows = glob[end : end + 2]
    beside_slashes = (start == 0 or glob[start - 1] == "/") and (
        follows in {"", "\\/"} or follows[0] == "/"
    )
    if end - start == 1 or not beside_slashes:
        return _Part("[^/]*?", 1), end
    if follows.startswith("/"):
        return _Part("(?:.*?/)??", 2), end + 1
    return _Part(".*?", 2), end


def _bracket(glob: str, start: int, across_folders: bool) -> tuple[_Part, int]:
    """Read ``[...]`` as git does: ``]`` may come first, ``-`` first or last, classes in ASCII."""
    negated = glob[start + 1 : start + 2] in {"!", "^"}
    position = start + 1 + negated
    wanted: set[str] = set()
    before = ""
    while True:
        position, before = _member(glob, position, before, wanted)
        if _at(glob, position) == "]":
            break
    if negated:
        wanted = {chr(code) for code in range(256)} - wanted
    if across_folders:
        wanted.discard("/")
    return _Part(_any_of(wanted)), position + 1


def _member(glob: str, start: int, before: str, wanted: set[str]) -> tuple[int, str]:
    """Add one member of a bracket to ``wanted``.

    Returns where the next one starts, and what a range that follows would begin with.
    """
    character = _at(glob, start)
    if character == "\\":
        character = _at(glob, start + 1)
        wanted.add(character)
        return start + 2, character
    if character == "-" and before and glob[start + 1 : start + 2] not in {"", "]"}:
        start += 1 + (glob[start + 1] == "\\")
        wanted.update(map(chr, range(ord(before), ord(_at(glob, start)) + 1)))
        return start + 1, ""
    if glob.startswith("[:", start):
        end = glob.find("]", start + 2)
        if end < 0:
            raise _MalformedError
        if end > start + 2 and glob[end - 1] == ":":
            wanted |= _class(glob[start + 2 : end - 1])
            return end + 1, ""
    wanted.add(character)
    return start + 1, character


def _class(name: str) -> set[str]:
    if name not in _CLASSES:
        raise _MalformedError
    return _CLASSES[name]


def _at(glob: str, position: int) -> str:
    if position >= len(glob):
        raise _MalformedError
    return glob[position]


def _any_of(characters: set[str]) -> str:
    if not characters:
        return _NOTHING
    return "[" + "".join(f"\\x{ord(character):02x}" for character in sorted(characters)) + "]"


_Reader = Callable[[str, int, bool], tuple[_Part, int]]
_READERS: dict[str, _Reader] = {"*": _stars, "?": _any_byte, "[": _bracket, "\\": _escaped}
