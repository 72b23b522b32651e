"""Where a passage stands, in words."""

from __future__ import annotations

from ragcli.records import StoredPassage
from ragcli.render.neutral import printable


def place(stored: StoredPassage, offset: int = 0) -> str:
    """Where the character ``offset`` of a passage stands: ``path:line``, or ``path p. 3``."""
    page, line = stored.page_at(offset), stored.line_at(offset)
    path = printable(stored.path)
    if page is not None:
        return f"{path} p. {page}"
    return path if line is None else f"{path}:{line}"
