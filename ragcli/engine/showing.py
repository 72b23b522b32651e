"""The use case ``show``: the stored text of a passage, a file or a document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ragcli.engine.names import Names
from ragcli.engine.paths import StoredPaths
from ragcli.errors import NotHeldError, UsageError
from ragcli.records import Document, StoredPassage
from ragcli.store import Index

DEFAULT_NEIGHBOURS = 1
_GREATEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ShownPassage:
    """A passage, its path as seen from the person's folder; ``asked`` of the one that was named."""

    stored: StoredPassage
    asked: bool


@dataclass(frozen=True, slots=True)
class ShownDocument:
    """A document, its path as seen from the person's folder.

    ``spans`` are its passages: their ids, and where they begin and end in the text. ``is_alone``
    says that the person named its file and the file holds no other.
    """

    document: Document
    spans: tuple[tuple[int, int, int], ...]
    is_alone: bool


def show(
    folder: Path,
    name: str,
    *,
    neighbours: int | None = None,
    matches: Callable[[str], bool] | None = None,
    seen_from: Path | None = None,
) -> Iterator[ShownPassage | ShownDocument]:
    """Yield what ``name`` stands for: a path, else a document's id, else a passage's number.

    A passage comes with up to so many ``neighbours`` of its document before it and behind it,
    ``DEFAULT_NEIGHBOURS`` when ``None``. Only what lies in files whose shown path ``matches`` can
    be meant. Raises ``NotHeldError`` when the index has no such thing, ``UsageError`` when several
    files have a document of this id, or when neighbours are asked of what is no passage.
    """
    names = Names.of(folder, seen_from)

    def may_be_meant(stored: str) -> bool:
        return matches is None or matches(names.shown(stored))

    with Index.open(folder) as index:
        for path in names.stored(name):
            if index.source(path) is not None and may_be_meant(path):
                _refuse_neighbours(neighbours)
                yield from _documents(index, path, names)
                return
        found = names.document(index, name, may_be_meant, "say which: --path {}".format)
        if found is not None:
            _refuse_neighbours(neighbours)
            yield from _documents(index, found[0], names, found[1])
            return
        count = DEFAULT_NEIGHBOURS if neighbours is None else neighbours
        passages = _passages(index, name, count)
        if not passages or not may_be_meant(passages[0].path):
            raise NotHeldError(_unknown(name), names.advice(index, name))
        paths = StoredPaths(names.index_folder, names.seen_from)
        for stored in passages:
            yield ShownPassage(paths.of_stored(stored), stored.passage_id == int(name))


def _documents(
    index: Index, path: str, names: Names, document_id: str | None = None
) -> Iterator[ShownDocument]:
    shown = names.shown(path)
    count = sum(1 for _ in index.held_documents(path))
    if count == 0:
        raise NotHeldError(f"the index holds no document of {shown}", 'see "ragcli list --long"')
    for document, spans in index.stored_documents(path, document_id):
        is_alone = document_id is None and count == 1 and not document.is_record
        yield ShownDocument(replace(document, path=shown), tuple(spans), is_alone)


def _passages(index: Index, name: str, neighbours: int) -> list[StoredPassage]:
    if not (name.isascii() and name.isdigit()) or len(name) > 19 or int(name) > _GREATEST_ID:
        return []
    return index.neighbourhood(int(name), neighbours)


def _refuse_neighbours(neighbours: int | None) -> None:
    if neighbours is not None:
        raise UsageError(
            "-C is for a passage: a file or a document is shown whole",
            'numbers of passages: "ragcli search --json" and "ragcli show --json" tell them',
        )


def _unknown(name: str) -> str:
    if name.isdigit():
        return f"the index has no passage {name}, nor a file or document of that name"
    return f"the index has no file or document {name!r}"
