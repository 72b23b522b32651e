"""Which files beneath the roots a person wants: patterns, sizes, links, archives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf

from ragcli.corpus.loaders import format_of, is_archive
from ragcli.corpus.patterns import Pattern, PatternList
from ragcli.corpus.wildcards import byte_text

DEFAULT_MAX_FILE_SIZE = 100_000_000
"""Bytes: a larger file is told of and left, unless the person allows more."""

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(?:([kmgt])(i?))?b?", re.I)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted beneath the roots.

    ``include`` and ``exclude`` are patterns in git's syntax relative to the root; one that names a
    folder speaks of all beneath it. Without ``include`` every format that can be read is wanted;
    ``include`` takes nothing back that an ignore file says, ``exclude`` decides over ignore files,
    also with a ``!pattern``. ``max_file_size`` is in bytes, 0 for no limit.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_file_size: int = DEFAULT_MAX_FILE_SIZE
    follow_symlinks: bool = False
    archives: bool = False


EVERYTHING = Selection()
"""Every file whose format can be read, of the usual sizes."""


class Sieve:
    """A ``Selection`` made ready to be asked. Texts and paths from the root are ``byte_text``."""

    def __init__(self, selection: Selection) -> None:
        self.max_file_size = selection.max_file_size or inf
        self._archives = selection.archives
        self._exclude = _pattern_list(selection.exclude)
        self._include = _pattern_list(selection.include)
        # Where every pattern takes back, everything else is wanted.
        self._unnamed = all(map(self._include.takes_back, range(len(self._include))))

    def supports(self, name: str) -> bool:
        """Whether a file of this name has a format that can be, and is to be, read."""
        return format_of(name) is not None or (self._archives and is_archive(name))

    def excludes(self, text: str, path: str, *, is_folder: bool) -> bool | None:
        """Return True: excluded, False: wanted whatever ignore files say, None: they decide."""
        return self._exclude.verdict(text, path, is_folder=is_folder) if self._exclude else None

    def included(self, text: str, path: str, *, is_folder: bool, above: int) -> int:
        """Return the last pattern that speaks of ``path`` or a folder above it, -1 for none.

        ``above`` is the one that speaks of the folder it is in.
        """
        if not self._include:
            return -1
        return max(above, self._include.last_match(text, path, is_folder=is_folder))

    def wants(self, included: int) -> bool:
        """Whether a file of which this pattern is the last to speak is included."""
        return self._unnamed if included < 0 else not self._include.takes_back(included)


def _pattern_list(texts: Sequence[str]) -> PatternList:
    """Read patterns given by hand: ``#`` and spaces at the end are meant, ``./`` is the root."""
    return PatternList([Pattern.of(byte_text(_anchored(text))) for text in texts])


def _anchored(text: str) -> str:
    negation = "!" * text.startswith("!")
    plain = text[len(negation) :]
    return negation + plain.removeprefix("." * plain.startswith("./"))


def parse_size(text: str) -> int:
    """Return the bytes that ``500k``, ``10M``, ``1.5G``, ``1MiB`` or a plain number mean.

    ``k``, ``M``, ``G`` and ``T`` are powers of 1000, with ``i`` of 1024. 0 stands for no limit.
    Raises ``ValueError``.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"no size: {text!r}; write bytes or a size such as 500k, 10M, 1G or 1MiB")
    number, unit, binary = found.groups(default="")
    return int(Fraction(number) * (1024 if binary else 1000) ** _POWERS[unit.lower()])


def shown_size(size: int) -> str:
    """Return bytes as a person reads them: ``134.2 MB``."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 1000)):
        if size >= length:
            return f"{size / length:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size} bytes"
