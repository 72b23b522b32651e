"""From the paths a person names to the files to load: sorted, ignore rules applied."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from ragcli.corpus.loaders import CODE_SUFFIXES, SUPPORTED_SUFFIXES
from ragcli.corpus.problem import Problem

__all__ = ["SUPPORTED_SUFFIXES", "Problem", "walk"]

IGNORE_FILES = (".gitignore", ".ragcliignore")
"""Files with ignore patterns, in git's syntax; the later one wins inside a folder."""

INDEX_FOLDER = ".ragcli"
_SNIFFED_BYTES = 8192


@dataclass(frozen=True, slots=True)
class _Rules:
    """The ignore patterns of one folder, which hold for everything beneath it."""

    folder: Path
    spec: GitIgnoreSpec

    def verdict(self, path: Path, is_folder: bool) -> bool | None:
        """True: ignored, False: named by a ``!pattern``, None: these rules do not speak of it."""
        relative = path.relative_to(self.folder).as_posix()
        return self.spec.check_file(f"{relative}/" if is_folder else relative).include


def walk(roots: Sequence[Path]) -> Iterator[Path | Problem]:
    """Yield the absolute path of every file to load once, in sorted order.

    A file named as a root is taken whatever the ignore rules say. Inside folders, hidden entries,
    ignored ones, unsupported suffixes, binaries behind a source-code suffix and symbolic links
    are passed over silently: a link's target inside the roots is met under its own name, one
    outside them is not the person's choice. A root that is missing or unsupported and a folder
    that cannot be listed are a ``Problem``.
    """
    seen: set[Path] = set()
    for root in sorted({Path(os.path.abspath(root)) for root in roots}):
        for found in _walk_root(root):
            if isinstance(found, Problem):
                yield found
            elif found not in seen:
                seen.add(found)
                yield found


def _walk_root(root: Path) -> Iterator[Path | Problem]:
    try:
        mode = root.stat().st_mode
    except OSError as error:
        yield Problem(_shown(root), _reason(error))
        return
    if stat.S_ISDIR(mode):
        yield from _walk_folder(root, _rules_above(root))
    elif not stat.S_ISREG(mode):
        yield Problem(_shown(root), "neither a file nor a folder")
    elif root.suffix.lower() not in SUPPORTED_SUFFIXES:
        yield Problem(_shown(root), _unsupported(root))
    else:
        yield _nameable(root)


def _walk_folder(folder: Path, rules: tuple[_Rules, ...]) -> Iterator[Path | Problem]:
    """Depth first with an explicit stack, so that no depth of folders exhausts Python's."""
    stack: list[tuple[Path, tuple[_Rules, ...]]] = [(folder, rules)]
    while stack:
        path, rules = stack.pop()
        if not path.is_dir():
            yield _nameable(path)
            continue
        try:
            with os.scandir(path) as entries:
                names = sorted(entries, key=lambda entry: entry.name)
            rules = (*rules, *_rules_in(path))
        except OSError as error:
            yield Problem(_shown(path), _reason(error))
            continue
        kept = [Path(entry.path) for entry in names if _is_wanted(entry, rules)]
        stack.extend((child, rules) for child in reversed(kept))


def _is_wanted(entry: os.DirEntry[str], rules: tuple[_Rules, ...]) -> bool:
    if entry.name.startswith(".") or entry.is_symlink():
        return False
    path = Path(entry.path)
    is_folder = entry.is_dir(follow_symlinks=False)
    if not is_folder and not _is_loadable(entry, path):
        return False
    return not _is_ignored(path, is_folder, rules)


def _is_loadable(entry: os.DirEntry[str], path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix not in SUPPORTED_SUFFIXES or not entry.is_file(follow_symlinks=False):
        return False
    # A ".ts" may be a film and a ".pl" a data file, whereas a binary ".txt" is worth a report.
    return suffix not in CODE_SUFFIXES or not _looks_binary(path)


def _looks_binary(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(_SNIFFED_BYTES)
    except OSError:
        return False  # the loader will say why it cannot be read
    return b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff"))


def _is_ignored(path: Path, is_folder: bool, rules: tuple[_Rules, ...]) -> bool:
    """As in git, the deepest folder whose patterns speak of ``path`` decides."""
    for rule in reversed(rules):
        verdict = rule.verdict(path, is_folder)
        if verdict is not None:
            return verdict
    return False


def _rules_in(folder: Path) -> tuple[_Rules, ...]:
    lines: list[str] = []
    for name in IGNORE_FILES:
        file = folder / name
        if file.is_file():
            lines += file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    patterns = [line for line in lines if _is_pattern(line)]
    return (_Rules(folder, GitIgnoreSpec.from_lines(patterns)),) if patterns else ()


def _is_pattern(line: str) -> bool:
    """Whether the line means anything; as git does, a malformed one is passed over."""
    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True


def _rules_above(root: Path) -> tuple[_Rules, ...]:
    """Rules of the folders above ``root`` up to its git repository's top, topmost first."""
    ancestors = list(root.parents)
    tops = [n for n, folder in enumerate(ancestors) if (folder / ".git").exists()]
    if not tops or (root / ".git").exists():
        return ()
    return tuple(
        rule for folder in reversed(ancestors[: tops[0] + 1]) for rule in _rules_in(folder)
    )


def _nameable(path: Path) -> Path | Problem:
    """Refuse a name that is not valid Unicode: it can be neither stored nor printed."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return Problem(_shown(path), "its name is not valid UTF-8; rename it")
    return path


def _shown(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    return f"cannot be read: {error.strerror or error}"


def _unsupported(path: Path) -> str:
    return f"unsupported format {path.suffix!r}" if path.suffix else "a file without a suffix"
