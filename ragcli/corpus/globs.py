"""Path globs as git writes them: ``*.md`` at any depth, ``docs/**``, ``!drafts/**``."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence

from pathspec import PathSpec


def path_matcher(globs: Sequence[str], base: str) -> Callable[[str], bool]:
    """Whether a path is matched by ``globs``: the last one that matches decides.

    ``!glob`` takes back; where every glob does, everything else is matched. Paths are absolute, or
    relative to the absolute folder ``base``, which is also what ``./`` and ``../`` mean. Raises
    ``ValueError`` for what is no glob.
    """
    anchored = [_anchored(glob, base) for glob in globs]
    if all(glob.startswith("!") for glob in anchored):
        anchored.insert(0, "**")
    try:
        spec = PathSpec.from_lines("gitignore", anchored)
    except (ValueError, re.error) as error:
        raise ValueError(f"cannot read the path glob {' '.join(globs)!r}: {error}") from error
    return lambda path: spec.match_file(path.removeprefix("/"))


def _anchored(glob: str, base: str) -> str:
    negated, plain = ("!", glob[1:]) if glob.startswith("!") else ("", glob)
    if plain.startswith("#"):  # git's comment: a glob given by hand is none
        plain = f"\\{plain}"
    if plain.startswith("./"):
        plain = posixpath.normpath(plain) + "/" * plain.endswith("/")
        plain = f"/{plain}" if plain != "." else "**"
    elif plain.startswith("../"):
        plain = posixpath.normpath(posixpath.join(base, plain)) + "/" * plain.endswith("/")
    return negated + plain
