"""Path globs as git writes them: ``*.md`` at any depth, ``docs/**``, ``!drafts/**``."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence

from ragcli.corpus.patterns import Pattern, PatternList
from ragcli.corpus.wildcards import byte_text


def path_matcher(globs: Sequence[str], base: str) -> Callable[[str], bool]:
    """Whether a path is matched by ``globs``: the last one that matches decides.

    A glob that matches a folder matches all beneath it. ``!glob`` takes back; where every glob
    does, everything else is matched. Paths are absolute, or relative to the absolute folder
    ``base``, which is also what ``./`` and ``../`` mean. Raises ``ValueError`` for what is no glob.
    """
    for glob in globs:
        if not glob.removeprefix("!").strip("/ "):
            raise ValueError(f"cannot read the path glob {glob!r}: it names nothing")
    anchored = [_anchored(glob, base) for glob in globs]
    if all(glob.startswith("!") for glob in anchored):
        anchored.insert(0, "**")
    patterns = PatternList([Pattern.of(byte_text(glob)) for glob in anchored])

    def matches(path: str) -> bool:
        names = byte_text(path.removeprefix("/")).split("/")
        last = max(
            patterns.last_match(name, "/".join(names[: n + 1]), is_folder=n + 1 < len(names))
            for n, name in enumerate(names)
        )
        return last >= 0 and not patterns.takes_back(last)

    return matches


def _anchored(glob: str, base: str) -> str:
    negated, plain = ("!", glob[1:]) if glob.startswith("!") else ("", glob)
    if plain.startswith("./"):
        plain = posixpath.normpath(plain) + "/" * plain.endswith("/")
        plain = f"/{plain}" if plain != "." else "**"
    elif plain.startswith("../"):
        plain = posixpath.normpath(posixpath.join(base, plain)) + "/" * plain.endswith("/")
    return negated + plain
