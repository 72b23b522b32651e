"""What a person means by the name of a file or a document that an index holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from ragcli.engine.paths import STREAM_PREFIX, StoredPaths
from ragcli.errors import UsageError
from ragcli.store import Index, absolute_path, stored_path

MOST_COMPARED = 10_000
"""So many paths, and so many ids, are looked at for one like a name that is unknown."""

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Names:
    """Names of what the index in ``index_folder`` holds, as a person in ``seen_from`` gives them.

    Both are absolute, without symbolic links.
    """

    index_folder: Path
    seen_from: Path

    @classmethod
    def of(cls, folder: Path, seen_from: Path | None) -> Names:
        """The names from ``seen_from``, the current folder by default."""
        return cls(folder.resolve(), (seen_from or Path.cwd()).resolve())

    def shown(self, stored: str) -> str:
        """How one of the index's own paths is shown."""
        return StoredPaths(self.index_folder, self.seen_from).shown(stored)

    def stored(self, name: str) -> tuple[str, ...]:
        """What the index may call the file ``name``, the likeliest first."""
        if name.startswith(STREAM_PREFIX):
            return (name,)
        return tuple(
            dict.fromkeys(stored_path(file, self.index_folder) for file in self._files(name))
        )

    def beneath(self, name: str, stored_paths: Iterable[str]) -> list[str]:
        """Those of the index's own paths that are ``name`` or lie beneath it."""
        if name.startswith(STREAM_PREFIX):
            return [path for path in stored_paths if path == name]
        places = tuple(str(file) for file in self._files(name))
        folders = tuple(place.rstrip(os.sep) + os.sep for place in places)
        found = []
        for path in stored_paths:
            place = str(absolute_path(path, self.index_folder))
            is_file = not path.startswith(STREAM_PREFIX)
            if is_file and (place in places or place.startswith(folders)):
                found.append(path)
        return found

    def document(
        self,
        index: Index,
        name: str,
        may_be_meant: Callable[[str], bool],
        remedy: Callable[[str], str],
    ) -> tuple[str, str] | None:
        """The document that ``name`` stands for: the index's path of its file, and its id.

        An id is given as it stands, or, where it begins with a path, as seen from here. ``None``
        when no file that ``may_be_meant`` (by the index's own path) has such a document. Raises
        ``UsageError`` when several have; ``remedy`` says of a shown path how to name it.
        """
        ids = dict.fromkeys((name, *self.stored(name)))
        pairs = [
            (path, document_id)
            for document_id in ids
            for path in index.document_paths(document_id)
            if may_be_meant(path)
        ]
        if len(pairs) > 1:
            shown = [self.shown(path) for path, _ in pairs]
            listed = ", ".join(shown[:_MOST_NAMED]) + ", …" * (len(shown) > _MOST_NAMED)
            raise UsageError(
                f"{len(pairs)} files have a document {name!r}: {listed}", remedy(shown[0])
            )
        return pairs[0] if pairs else None

    def advice(self, index: Index, name: str) -> str:
        """What to do about a name that the index does not hold."""
        stored = [source.path for source in index.sources()]
        inside = self.beneath(name, stored)
        if inside:
            files = "1 file" if len(inside) == 1 else f"{len(inside)} files"
            place = name if name.startswith((".", "/")) else f"./{name}"
            return f'it is a folder with {files}: see "ragcli list {place}"'
        if (self.seen_from / name).exists():
            return f'it is on disk: add it with "ragcli index {name}"'
        ids = index.some_document_ids(MOST_COMPARED)
        known = [*map(self.shown, islice(stored, MOST_COMPARED)), *ids]
        nearest = get_close_matches(name, dict.fromkeys(known), _MOST_NAMED)
        return f"like it: {', '.join(nearest)}" if nearest else 'see what there is: "ragcli list"'

    def _files(self, name: str) -> Sequence[Path]:
        """The file that a name stands for: where symbolic links lead, and as it is spelled."""
        file = self.seen_from / name
        return file.resolve(), Path(os.path.abspath(file))
