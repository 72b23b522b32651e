"""When something may have changed in and beneath the paths a person named: the system tells."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchfiles import watch

from ragcli.corpus.ignore import GIT_FILE, OWN_FILE
from ragcli.corpus.selection import Selection, Sieve
from ragcli.corpus.walk import is_nameable, walk
from ragcli.errors import RagcliError

QUIET_SECONDS = 0.4
"""How long nothing must happen before a change is told of: an editor writes in several steps."""

PATIENCE_SECONDS = 5.0
"""How long a change waits at most when there is no quiet."""

_STEP_MILLISECONDS = 100
_REST = 50  # times as long as the look at what leads to the roots took, until the next one
_IGNORE_FILES = (GIT_FILE, OWN_FILE, ".git/info/exclude")


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched for a walk of ``roots``; ``folders`` are those in which the walk looks.

    ``places`` are the folders to watch: these, and whatever holds a root that is a file or missing.
    Of ``heeded`` paths every change counts, such as of a root, of ``unheeded`` ones none, such as
    of the index. ``above`` is what leads to the roots: nobody tells when it is replaced.
    """

    folders: frozenset[str]
    places: tuple[str, ...]
    heeded: frozenset[str]
    unheeded: frozenset[str]
    above: tuple[str, ...]
    sieve: Sieve

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
        named = {str(root) for root in roots}
        files = named - folders
        targets = {os.path.realpath(file) for file in files if os.path.islink(file)}  # noqa: PTH114
        ancestors = {str(folder) for folder in {root.parent for root in roots}}
        ancestors |= {str(folder) for above in set(ancestors) for folder in Path(above).parents}
        holders = {_nearest(Path(file)) for file in files | targets}
        return cls(
            folders=frozenset(folders),
            places=_distinct([*sorted(folders), *sorted(holders)]),
            heeded=frozenset(named | targets | ancestors),
            unheeded=frozenset(
                spelt
                for path in (index_folder, *unheeded)
                for spelt in (os.path.abspath(path), os.path.realpath(path))
            ),
            above=(*sorted(ancestors), *sorted(named & folders), *sorted(files - _plain(files))),
            sieve=Sieve(selection),
        )

    def concerns(self, path: str) -> bool:
        """Whether a change at ``path`` can change what a walk finds."""
        if path in self.unheeded:
            return False
        if path in self.heeded:
            return True
        folder, name = os.path.split(path)
        if folder not in self.folders:
            return False
        if name.startswith("."):
            return name in {GIT_FILE, OWN_FILE}
        return self.sieve.supports(name) or not os.path.isfile(path)  # noqa: PTH113

    def state(self) -> list[tuple[object, ...]]:
        """What is seen now of what leads to the roots, and of the ignore files there."""
        return [
            *map(_identity, self.above),
            *(_edition(os.path.join(path, name)) for path in self.above for name in _IGNORE_FILES),  # noqa: PTH118
        ]


def changes(
    roots: Sequence[Path],
    selection: Selection,
    *,
    index_folder: Path,
    unheeded: Sequence[Path] = (),
) -> Iterator[None]:
    """Yield once at the start, then whenever something changed that a walk of the roots may meet.

    Many changes are one when they follow each other closely. What changes between two steps of
    this iterator is told of in the second. Folders that a walk passes over are not watched, nor
    are the targets of symbolic links to files that it meets. Never ends; Ctrl-C raises
    ``KeyboardInterrupt``. Raises ``RagcliError`` when the system watches no more folders.
    """
    roots = [Path(os.path.abspath(root)) for root in roots]
    while True:
        watched = Watched.beneath(roots, selection, index_folder=index_folder, unheeded=unheeded)
        state = watched.state()
        for paths in _told(watched, state):
            yield
            now = Watched.beneath(roots, selection, index_folder=index_folder, unheeded=unheeded)
            is_replaced = not paths.isdisjoint(watched.places)
            if is_replaced or now.places != watched.places or now.state() != state:
                break  # other folders are to be watched, or their like


def _told(watched: Watched, state: list[tuple[object, ...]]) -> Iterator[set[str]]:
    """Yield when the folders are being watched, then the paths of all changes that concern them.

    None of them where it is the ``state`` that changed. Ends when it cannot go on.
    """
    pending: set[str] = set()
    first = last = look = 0.0
    is_watching = False
    try:
        for changed in watch(
            *watched.places,
            watch_filter=None,  # what does not concern us must not keep us from looking
            debounce=int(1000 * QUIET_SECONDS),
            step=_STEP_MILLISECONDS,
            rust_timeout=int(1000 * QUIET_SECONDS),
            yield_on_timeout=True,
            recursive=False,
            ignore_permission_denied=True,
        ):
            now = time.monotonic()
            concerning = {path for _, path in changed if watched.concerns(path)}
            if concerning:
                first, last = first if pending else now, now
                pending |= concerning
            is_due = now - last >= QUIET_SECONDS or now - first >= PATIENCE_SECONDS
            is_replaced = False
            if not pending and now >= look:
                is_replaced = watched.state() != state
                look = now + _REST * (time.monotonic() - now)
            if (pending and is_due) or is_replaced or not is_watching:
                is_watching = True
                told, pending = pending, set()
                yield told
    except (OSError, RuntimeError) as error:
        # A folder that vanished after the walk, or a name that is not Unicode: walk again.
        if is_watching or isinstance(error, FileNotFoundError):
            time.sleep(QUIET_SECONDS)
            return
        raise RagcliError(
            f"the system cannot watch {len(watched.places)} folders: {error}",
            "name fewer folders, raise fs.inotify.max_user_watches, or set "
            "WATCHFILES_FORCE_POLLING=1",
        ) from error


def _nearest(path: Path) -> str:
    """The nearest folder above that can be listed."""
    above = (str(folder) for folder in path.parents)
    return next((folder for folder in above if os.access(folder, os.R_OK | os.X_OK)), path.anchor)


def _distinct(places: Iterable[str]) -> tuple[str, ...]:
    """The places that can be named, of those that are one folder the first: one watch has one."""
    found = {_identity(place)[1:]: place for place in reversed([*places]) if is_nameable(place)}
    return tuple(sorted(found.values()))


def _plain(files: Iterable[str]) -> set[str]:
    """Those that are files and no links: of their changes their folder tells."""
    return {file for file in files if os.path.isfile(file) and not os.path.islink(file)}  # noqa: PTH113, PTH114


def _identity(path: str) -> tuple[object, ...]:
    """Where a path leads, and to which folder or file with which permissions."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return (path, path)
    return (os.path.realpath(path), status.st_dev, status.st_ino, status.st_mode)


def _edition(path: str) -> tuple[object, ...]:
    """Which edition of a file there is."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return (None,)
    return (status.st_mtime_ns, status.st_size)
