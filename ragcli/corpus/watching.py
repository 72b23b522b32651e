"""When something may have changed in and beneath the paths a person named: the system tells."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchfiles import Change, watch

from ragcli.corpus.ignore import GIT_FILE, OWN_FILE
from ragcli.corpus.walk import Selection, walk
from ragcli.errors import RagcliError

QUIET_MILLISECONDS = 400
"""How long nothing must happen before a change is told of: an editor writes in several steps."""

PATIENCE_MILLISECONDS = 5_000
"""How long a change waits at most when there is no quiet."""

_IDLE_MILLISECONDS = 500


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched: ``roots`` as they were named, ``folders`` in which a walk of them looks.

    ``unheeded`` are files and folders of which no change counts, such as the index itself.
    """

    roots: frozenset[str]
    folders: frozenset[str]
    unheeded: frozenset[str] = frozenset()

    @classmethod
    def beneath(
        cls,
        roots: Sequence[Path],
        selection: Selection,
        *,
        index_folder: Path,
        unheeded: Sequence[Path] = (),
    ) -> Watched:
        """Walk the roots, which are absolute, as a run of ``index`` would."""
        folders: set[str] = set()
        for _ in walk(roots, selection, index_folder=index_folder, listed=folders.add):
            pass
        return cls(frozenset(map(str, roots)), frozenset(folders), frozenset(map(str, unheeded)))

    def places(self) -> list[str]:
        """The folders to watch: those of the walk, and whatever holds a root that is not one.

        That is a file's folder, or where a root that is missing would come back.
        """
        holders = {str(_nearest(Path(root))) for root in self.roots - self.folders}
        return sorted(self.folders | holders)

    def concerns(self, _: Change, path: str) -> bool:
        """Whether a change at ``path`` can change what a walk finds."""
        if path in self.unheeded:
            return False
        if any(root == path or root.startswith(f"{path.rstrip('/')}/") for root in self.roots):
            return True
        folder, name = os.path.split(path)
        return folder in self.folders and (name[0] != "." or name in {GIT_FILE, OWN_FILE})


def changes(
    roots: Sequence[Path],
    selection: Selection,
    *,
    index_folder: Path,
    unheeded: Sequence[Path] = (),
) -> Iterator[None]:
    """Yield once at the start, then whenever something changed that a walk of the roots may meet.

    Many changes are one when they follow each other closely. What changes between two steps of
    this iterator is told of in the second: nothing is missed. Symbolic links are watched where a
    walk follows them, hidden and ignored folders nowhere. Never ends; Ctrl-C raises
    ``KeyboardInterrupt``. Raises ``RagcliError`` when the system watches no more folders.
    """
    roots = [Path(os.path.abspath(root)) for root in roots]
    unheeded = [index_folder, *unheeded]
    while True:
        watched = Watched.beneath(roots, selection, index_folder=index_folder, unheeded=unheeded)
        places = watched.places()
        for paths in _told(watched):
            yield
            now = Watched.beneath(roots, selection, index_folder=index_folder, unheeded=unheeded)
            if now.places() != places or not paths.isdisjoint(places):
                break  # another folder is to be watched, or one that was replaced by its like


def _told(watched: Watched) -> Iterator[set[str]]:
    """Yield when the folders are being watched, then the paths of all changes that concern them."""
    is_watching = False
    try:
        for changed in watch(
            *watched.places(),
            watch_filter=watched.concerns,
            debounce=PATIENCE_MILLISECONDS,
            step=QUIET_MILLISECONDS,
            rust_timeout=_IDLE_MILLISECONDS,
            yield_on_timeout=True,
            recursive=False,
            ignore_permission_denied=True,
        ):
            if changed or not is_watching:
                is_watching = True
                yield {path for _, path in changed}
    except FileNotFoundError:  # a folder vanished after the walk: the next one is without it
        time.sleep(_IDLE_MILLISECONDS / 1000)
    except (OSError, RuntimeError) as error:
        raise RagcliError(
            f"the system cannot watch {len(watched.places())} folders: {error}",
            "name fewer folders, raise fs.inotify.max_user_watches, or set "
            "WATCHFILES_FORCE_POLLING=1",
        ) from error


def _nearest(path: Path) -> Path:
    """The nearest folder above that there is."""
    return next(folder for folder in path.parents if folder.is_dir())
