"""Questions that a person is to write, as lines to fill in."""

from __future__ import annotations

import json
from typing import Protocol

from ragcli.records import StoredPassage
from ragcli.render.machine import is_unicode
from ragcli.render.neutral import printable
from ragcli.render.place import place


class Draft(Protocol):
    """A question still to be written, about ``passage``; ``relevant`` names its document."""

    @property
    def question_id(self) -> str: ...  # noqa: D102
    @property
    def relevant(self) -> str: ...  # noqa: D102
    @property
    def passage(self) -> StoredPassage: ...  # noqa: D102


def draft_line(draft: Draft) -> str:
    """Return one JSON object: what counts stands first, what only helps the person after it.

    ``question`` is blank. ``about`` is the place and ``hint`` the headings above the passage, both
    empty where there are none; ``passage`` is its text on one line, to be read.
    """
    stored = draft.passage
    passage = stored.passage
    fields = {
        "id": draft.question_id,
        "question": "",
        "relevant": [draft.relevant],
        "about": place(stored),
        "hint": printable(passage.heading or stored.title),
        "passage": printable(" ".join(passage.text.split())),
    }
    line = json.dumps(fields, ensure_ascii=False)
    return line if is_unicode(line) else json.dumps(fields)
