"""Lists of patterns as ``.gitignore`` has them: the last one that matches decides.

A pattern speaks of one file or folder, never of what lies beneath: who asks has decided on the
folders above before. Texts are ``byte_text``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ragcli.corpus.wildcards import literal_beginning, name_expression, path_expression

_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern. ``glob`` is matched with the path if ``whole_path``, else with the name."""

    glob: str
    negated: bool
    folders_only: bool
    whole_path: bool

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Read ``!``, the slash at the end and the one that binds to the patterns' folder."""
        negated = text.startswith("!")
        glob = text.removeprefix("!")
        folders_only = glob.endswith("/")
        glob = glob.removesuffix("/")
        return cls(glob.removeprefix("/"), negated, folders_only, "/" in glob)


def patterns_of(content: bytes) -> list[Pattern]:
    """Read the patterns of an ignore file: a line each, without comments and spaces at the end."""
    lines = content.removeprefix(_UTF8_MARK).decode("latin-1").split("\n")
    texts = (line.removesuffix("\r").partition("\0")[0] for line in lines)
    return [Pattern.of(_trimmed(text)) for text in texts if text and not text.startswith("#")]


def _trimmed(text: str) -> str:
    """Take the spaces off its end, but for one that a backslash keeps."""
    bare = text.rstrip(" ")
    backslashes = len(bare) - len(bare.rstrip("\\"))
    kept_space = backslashes % 2 and len(bare) < len(text)
    return f"{bare} " if kept_space else bare


@dataclass(frozen=True, slots=True)
class _Glob:
    number: int
    whole_path: bool
    matches: Callable[[str], object]


class _Table:
    """Patterns by how they are tried; numbers are places in the list, the highest decides."""

    def __init__(self, patterns: Sequence[tuple[int, Pattern]]) -> None:
        self._names: dict[str, int] = {}
        self._paths: dict[str, int] = {}
        self._endings: dict[str, int] = {}
        globs: list[_Glob] = []
        for number, pattern in patterns:
            glob = pattern.glob
            if not glob:
                continue  # a lone slash or spaces: git matches nothing with it
            if literal_beginning(glob) == glob:
                (self._paths if pattern.whole_path else self._names)[glob] = number
            elif not pattern.whole_path and glob == "*" + literal_beginning(glob[1:]):
                self._endings[glob[1:]] = number
            else:
                globs.append(_compiled(number, pattern))
        self._any_ending = tuple(self._endings)
        self._globs = tuple(reversed(globs))

    def last_match(self, name: str, path: str) -> int:
        best = max(self._names.get(name, -1), self._paths.get(path, -1))
        if name.endswith(self._any_ending):
            found = (number for end, number in self._endings.items() if name.endswith(end))
            best = max(best, *found)
        for glob in self._globs:
            if glob.number < best:
                break
            if glob.matches(path if glob.whole_path else name):
                return glob.number
        return best


def _compiled(number: int, pattern: Pattern) -> _Glob:
    express = path_expression if pattern.whole_path else name_expression
    return _Glob(number, pattern.whole_path, re.compile(express(pattern.glob)).fullmatch)


class PatternList:
    """Patterns in their order, made ready to be tried on many names."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._patterns = tuple(patterns)
        numbered = list(enumerate(self._patterns))
        self._for_folders = _Table(numbered)
        self._for_files = _Table([(n, found) for n, found in numbered if not found.folders_only])

    def __len__(self) -> int:
        return len(self._patterns)

    def last_match(self, name: str, path: str, *, is_folder: bool) -> int:
        """Return the number of the last pattern that matches, -1 where none does.

        ``path`` is relative to the folder that the patterns are for, and ends with ``name``.
        """
        return (self._for_folders if is_folder else self._for_files).last_match(name, path)

    def takes_back(self, number: int) -> bool:
        """Whether the pattern of this number is a ``!pattern``."""
        return self._patterns[number].negated

    def verdict(self, name: str, path: str, *, is_folder: bool) -> bool | None:
        """Return True: matched, False: taken back, None: no pattern speaks of it."""
        number = self.last_match(name, path, is_folder=is_folder)
        return None if number < 0 else not self._patterns[number].negated
