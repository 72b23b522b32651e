"""Which entries of a folder the ignore files in it, above it and in its git repository pass over.

``.gitignore`` holds as it does for git: the deepest file that speaks of an entry decides, inside a
file the last line; ``.git/info/exclude`` comes before the first file; a repository within another
has only its own. ``.ragcliignore`` has the same syntax, comes after the ``.gitignore`` beside it
and holds across repositories.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from ragcli.corpus.patterns import PatternList, patterns_of
from ragcli.corpus.wildcards import byte_text

GIT_FILE = ".gitignore"
OWN_FILE = ".ragcliignore"
REPOSITORY = ".git"


@dataclass(frozen=True, slots=True)
class Rules:
    """The patterns of one ignore file, seen from a folder at or beneath that of the file.

    ``prefix`` leads from the file's folder to that folder, as ``byte_text``; it is empty or ends
    with a slash.
    """

    patterns: PatternList
    of_git: bool
    prefix: str = ""


def is_ignored(text: str, rules: tuple[Rules, ...], *, is_folder: bool) -> bool:
    """Whether ``rules``, the deepest last, pass over an entry of their folder named ``text``."""
    for rule in reversed(rules):
        verdict = rule.patterns.verdict(text, rule.prefix + text, is_folder=is_folder)
        if verdict is not None:
            return verdict
    return False


def rules_beneath(rules: tuple[Rules, ...], text: str) -> tuple[Rules, ...]:
    """Return ``rules`` as they are seen from the folder called ``text`` in the one they are for."""
    return tuple(Rules(rule.patterns, rule.of_git, f"{rule.prefix}{text}/") for rule in rules)


def rules_inside(
    rules: tuple[Rules, ...], folder: Path | str, entries: Container[str]
) -> tuple[Rules, ...]:
    """Return ``rules`` and those that begin in ``folder``, which has ``entries``.

    Raises ``OSError`` when there is an ignore file that cannot be read: to go on without it could
    read what is to stay unread.
    """
    if REPOSITORY in entries:
        outside = tuple(rule for rule in rules if not rule.of_git)
        rules = (*outside, *_rules_of(_exclude_file(Path(folder)), of_git=True))
    if GIT_FILE in entries:
        rules = (*rules, *_rules_of(Path(folder, GIT_FILE), of_git=True))
    if OWN_FILE in entries:
        rules = (*rules, *_rules_of(Path(folder, OWN_FILE), of_git=False))
    return rules


def rules_above(folder: Path) -> tuple[Rules, ...]:
    """Return the rules of the folders above ``folder``, up to the top of its git repository.

    There are none outside a repository, and none above the top of one. Raises ``OSError`` as
    ``rules_inside`` does.
    """
    line = [folder, *folder.parents]
    tops = [n for n, above in enumerate(line) if REPOSITORY in _Entries(above)]
    rules: tuple[Rules, ...] = ()
    for n in range(tops[0] if tops else 0, 0, -1):
        rules = rules_inside(rules, line[n], _Entries(line[n]))
        rules = rules_beneath(rules, byte_text(line[n - 1].name))
    return rules


@dataclass(frozen=True, slots=True)
class _Entries:
    """The names in a folder that is not listed: each is looked for."""

    folder: Path

    def __contains__(self, name: object) -> bool:
        return os.path.lexists(self.folder / str(name))


def _rules_of(file: Path, *, of_git: bool) -> Iterator[Rules]:
    """Read an ignore file. A link is none to git; one that vanished or is no file has no rules."""
    try:
        if not stat.S_ISREG(file.stat(follow_symlinks=not of_git).st_mode):
            return
        patterns = PatternList(patterns_of(file.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return
    if patterns:
        yield Rules(patterns, of_git)


def _exclude_file(top: Path) -> Path:
    """Name ``info/exclude`` of the repository that begins at ``top``, also of a work tree's."""
    git = top / REPOSITORY
    if git.is_file():
        git = top / _first_line(git).removeprefix("gitdir:").strip()
        git /= _first_line(git / "commondir").strip()
    return git / "info" / "exclude"


def _first_line(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", errors="surrogateescape") as stream:
            return stream.readline()
    except OSError:
        return ""
