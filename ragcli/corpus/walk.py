"""From the paths a person names to the files to load: sorted, ignore rules applied.

A walk looks at names and at one ``stat`` a file; it opens no file but ignore files. So it costs
little in a tree in which nothing changed.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragcli.corpus.ignore import Rules, is_ignored, rules_above, rules_beneath, rules_inside
from ragcli.corpus.loaders import is_archive
from ragcli.corpus.problem import Problem
from ragcli.corpus.selection import EVERYTHING, Selection, Sieve, shown_size
from ragcli.corpus.sniffing import looks_binary
from ragcli.corpus.wildcards import byte_text

__all__ = ["EVERYTHING", "FoundFile", "Problem", "Selection", "Skipped", "looks_binary", "walk"]

INDEX_NAME = ".ragcli"
INDEX_MARK = "catalogue.sqlite"
"""A file that only the folder of an index has."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to load: its absolute path, its size in bytes, when it changed (ns since 1970)."""

    path: str
    size: int
    modified_ns: int

    @property
    def file(self) -> Path:
        """The path as a ``Path``, which takes longer to make than all else of a file's walk."""
        return Path(self.path)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was passed over although the person may expect it, and a one-line ``reason``."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to walk, with ``rules`` of those above it until it is listed, then its own too.

    ``path`` is how the walk came here, ``real`` the path without links, a slash at its end.
    ``relative`` leads here from the root (``byte_text``, empty or with a slash at its end), and
    ``included`` is the last pattern of ``include`` that speaks of this folder or one above.
    """

    path: str
    real: str
    rules: tuple[Rules, ...]
    relative: str
    included: int

    def with_rules(self, rules: tuple[Rules, ...]) -> _Folder:
        return _Folder(self.path, self.real, rules, self.relative, self.included)


_NOWHERE = _Folder("", "", (), "", -1)
"""Where a file is that is named outright: no folder's rules speak of it."""


@dataclass(frozen=True, slots=True)
class _Link:
    """A symbolic link at ``path``, met in ``folder`` under ``name``."""

    folder: _Folder
    name: str
    path: str


_Found = FoundFile | Skipped | Problem


def walk(
    roots: Sequence[Path],
    selection: Selection = EVERYTHING,
    *,
    index_folder: Path | None = None,
    listed: Callable[[str], None] = lambda _: None,
) -> Iterator[FoundFile | Skipped | Problem]:
    """Yield every file to load once, in sorted order, by the path that the walk came by.

    A file or folder named as a root is taken whatever the ignore files say; ``include`` and
    ``exclude`` hold for its name too. Inside folders, hidden entries, ignored ones, unsupported
    suffixes, whatever is no regular file and the folders of indexes (``index_folder`` is one) are
    passed over silently, and so are symbolic links: a link's target inside the roots is met under
    its own name, one outside them is not the person's choice. If links are followed, what only
    they lead to comes last, each file and each folder once.

    A file that is too large and a link that cannot be followed are ``Skipped``. A root that is
    missing or unsupported, a folder that cannot be listed and a name that is not UTF-8 are a
    ``Problem``; what vanishes during the walk is none. ``listed`` learns the path of every folder
    in which it looks.
    """
    walker = _Walker(selection, index_folder, listed)
    for root in sorted({Path(os.path.abspath(root)) for root in roots}):
        yield from walker.root(root)
    yield from walker.behind_links()


class _Walker:
    """One walk: what is wanted, and what was met already."""

    def __init__(
        self, selection: Selection, index_folder: Path | None, listed: Callable[[str], None]
    ) -> None:
        self._sieve = Sieve(selection)
        self._listed = listed
        self._follows = selection.follow_symlinks
        self._index = os.path.realpath(index_folder) if index_folder else None
        self._real_folders: dict[str, str] = {}
        self._files: set[str] = set()
        self._folders: set[tuple[int, int]] = set()
        self._links: deque[_Link] = deque()
        self._is_behind_links = False

    def root(self, path: Path) -> Iterator[_Found]:
        """Walk what the person named."""
        shown = _shown(str(path))
        try:
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                yield from self._root_folder(path)
            elif not stat.S_ISREG(status.st_mode):
                yield Problem(shown, "neither a file nor a folder")
            elif not self._sieve.supports(path.name):
                yield Problem(shown, _unsupported(path))
            else:
                real = self._real_path(path)
                yield from self._tree(self._file(_NOWHERE, path.name, str(path), real, status))
        except OSError as error:
            yield Problem(shown, _reason(error))

    def behind_links(self) -> Iterator[_Found]:
        """Walk what the links lead to that were met, and those that are met on the way."""
        self._is_behind_links = True
        while self._links:
            yield from self._behind(self._links.popleft())

    def _behind(self, link: _Link) -> Iterator[_Found]:
        folder, name, path = link.folder, link.name, link.path
        real = os.path.realpath(path)
        try:
            status = Path(path).stat()
        except OSError as error:
            if self._sieve.supports(name) and self._is_wanted(folder, name):
                yield Skipped(_shown(path), f"a link that cannot be followed: {_reason(error)}")
            return
        if stat.S_ISDIR(status.st_mode):
            yield from self._tree(self._folder(folder, name, path, real))
        elif stat.S_ISREG(status.st_mode) and self._sieve.supports(name):
            yield from self._tree(self._file(folder, name, path, real, status))

    def _root_folder(self, path: Path) -> Iterator[_Found]:
        text = byte_text(path.name)
        if self._sieve.excludes(text, "", is_folder=True):
            return
        included = self._sieve.included(text, "", is_folder=True, above=-1)
        real = os.path.realpath(path)
        if not is_nameable(str(path)):
            yield _unnameable(str(path))
        elif self._is_index(real, os.path.lexists(path / INDEX_MARK)):
            yield Problem(_shown(str(path)), "the folder of an index; it has no documents")
        else:
            real = real.rstrip("/") + "/"
            yield from self._tree(_Folder(str(path), real, rules_above(path), "", included))

    def _tree(self, top: _Folder | _Found | None) -> Iterator[_Found]:
        """Depth first with an explicit stack, so that no depth of folders exhausts Python's."""
        stack = [] if top is None else [top]
        while stack:
            found = stack.pop()
            if isinstance(found, _Folder):
                try:
                    stack.extend(reversed(self._inside(found)))
                except OSError as error:
                    if found is top or not _vanished(error):
                        yield Problem(_shown(found.path), _reason(error))
            else:
                yield found

    def _inside(self, folder: _Folder) -> list[_Folder | _Found]:
        """List the files and folders to walk in ``folder``, sorted. Raises ``OSError``."""
        with os.scandir(folder.path) as listing:
            entries = {entry.name: entry for entry in listing}
        if self._is_index(folder.real[:-1], INDEX_MARK in entries) or self._is_known(folder):
            return []
        self._listed(folder.path)
        folder = folder.with_rules(rules_inside(folder.rules, folder.path, entries))
        met = (self._met(folder, entries[name]) for name in sorted(entries) if name[0] != ".")
        return [found for found in met if found is not None]

    def _met(self, folder: _Folder, entry: os.DirEntry[str]) -> _Folder | _Found | None:
        name = entry.name
        try:
            if entry.is_symlink():
                if self._follows:
                    self._links.append(_Link(folder, name, entry.path))
            elif entry.is_dir(follow_symlinks=False):
                return self._folder(folder, name, entry.path, folder.real + name)
            elif self._sieve.supports(name) and entry.is_file(follow_symlinks=False):
                return self._file(folder, name, entry.path, folder.real + name, entry)
        except OSError as error:
            return None if _vanished(error) else Problem(_shown(entry.path), _reason(error))
        return None

    def _folder(self, above: _Folder, name: str, path: str, real: str) -> _Folder | Problem | None:
        text = byte_text(name)
        relative = above.relative + text
        if self._is_passed_over(text, relative, above.rules, is_folder=True):
            return None
        if not is_nameable(path):
            return _unnameable(path)
        included = self._sieve.included(text, relative, is_folder=True, above=above.included)
        return _Folder(path, f"{real}/", rules_beneath(above.rules, text), f"{relative}/", included)

    def _file(
        self,
        above: _Folder,
        name: str,
        path: str,
        real: str,
        status: os.stat_result | os.DirEntry[str],
    ) -> _Found | None:
        if not self._is_wanted(above, name) or real in self._files:
            return None
        self._files.add(real)
        if not is_nameable(path):
            return _unnameable(path)
        if isinstance(status, os.DirEntry):
            status = status.stat(follow_symlinks=False)
        if status.st_size > self._sieve.max_file_size:
            return Skipped(path, _too_large(status.st_size, self._sieve.max_file_size))
        return FoundFile(path, status.st_size, status.st_mtime_ns)

    def _is_wanted(self, above: _Folder, name: str) -> bool:
        """Whether the person wants a file, by its name and where it is."""
        text = byte_text(name)
        relative = above.relative + text
        if self._is_passed_over(text, relative, above.rules, is_folder=False):
            return False
        included = self._sieve.included(text, relative, is_folder=False, above=above.included)
        return self._sieve.wants(included)

    def _is_passed_over(
        self, text: str, relative: str, rules: tuple[Rules, ...], *, is_folder: bool
    ) -> bool:
        excluded = self._sieve.excludes(text, relative, is_folder=is_folder)
        return is_ignored(text, rules, is_folder=is_folder) if excluded is None else excluded

    def _real_path(self, file: Path) -> str:
        """Resolve the links in a path; a folder of many named files is resolved once."""
        if file.is_symlink():
            return os.path.realpath(file)
        above = str(file.parent)
        if above not in self._real_folders:
            self._real_folders[above] = os.path.realpath(above).rstrip("/")
        return f"{self._real_folders[above]}/{file.name}"

    def _is_index(self, real: str, has_mark: bool) -> bool:
        return has_mark or real == self._index or real.endswith(f"/{INDEX_NAME}")

    def _is_known(self, folder: _Folder) -> bool:
        """Whether a walk behind links came to a folder that was walked before."""
        if not self._follows:
            return False
        status = Path(folder.path).stat()
        identity = (status.st_dev, status.st_ino)
        known = identity in self._folders
        self._folders.add(identity)
        return known and self._is_behind_links


def is_nameable(path: str) -> bool:
    """Whether ``path`` is valid Unicode: what is not can be neither stored nor printed."""
    if path.isascii():
        return True
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _unnameable(path: str) -> Problem:
    return Problem(_shown(path), "its name is not valid UTF-8; rename it")


def _shown(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _vanished(error: OSError) -> bool:
    return isinstance(error, (FileNotFoundError, NotADirectoryError))


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    return f"cannot be read: {error.strerror or error}"


def _unsupported(path: Path) -> str:
    if is_archive(path.name):
        return "an archive; --archives reads the files in it"
    return f"unsupported format {path.suffix!r}" if path.suffix else "a file without a suffix"


def _too_large(size: int, limit: float) -> str:
    return (
        f"larger than {shown_size(int(limit))} ({shown_size(size)});"
        " raise --max-file-size to read it"
    )
