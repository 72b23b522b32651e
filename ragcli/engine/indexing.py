"""The use case ``index``: bring an index up to date with files and folders."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ragcli.corpus.loaders import SUPPORTED_SUFFIXES, RecordFields, content_hash
from ragcli.corpus.problem import Problem
from ragcli.corpus.walk import EVERYTHING, Selection
from ragcli.engine.changing import earlier_fingerprint
from ragcli.engine.comparing import Stream, ToRead, Walked, compare
from ragcli.engine.embedding import Embedder
from ragcli.engine.encoders import check_requested
from ragcli.engine.interrupts import GentleInterrupts
from ragcli.engine.outcomes import (
    ADDED,
    REMOVED,
    UNCHANGED,
    UPDATED,
    IndexReport,
    Ledger,
    Outcome,
)
from ragcli.engine.paths import StoredPaths
from ragcli.engine.progress import IndexProgress, Meter
from ragcli.engine.updating import Update, tell_walked
from ragcli.engine.writing import Tally, Writer
from ragcli.errors import IndexMissingError, UsageError
from ragcli.store import (
    DEFAULT_FOLDER,
    Index,
    IndexFingerprint,
    IndexSummary,
    SourceState,
    check_index_type,
    check_recall,
    locate_index,
)


def folder_to_write(explicit: Path | None, start: Path) -> Path:
    """Return the index folder to bring up to date: as for a search, else ``.ragcli`` in ``start``.

    So a folder beneath an indexed one adds to that index, as git does.
    """
    try:
        return locate_index(explicit, start)
    except IndexMissingError:
        return start / DEFAULT_FOLDER


def index_paths(
    paths: Sequence[Path],
    folder: Path,
    *,
    streams: Sequence[Stream] = (),
    encoder_name: str | None = None,
    fields: RecordFields = RecordFields(),
    selection: Selection = EVERYTHING,
    index_type: str | None = None,
    recall: float | None = None,
    rebuild: bool = False,
    wait: bool = False,
    fail_fast: bool = False,
    seen_from: Path | None = None,
    progress: Callable[[IndexProgress], None] = lambda _: None,
    tell: Callable[[Outcome], None] = lambda _: None,
) -> IndexReport:
    """Bring the index in ``folder`` up to date with ``streams`` and the files beneath ``paths``.

    Files that did not change are skipped, changed ones replaced, and those that vanished
    beneath ``paths`` removed; only passages whose text is new are embedded. ``rebuild`` embeds
    everything anew, also what the index holds from elsewhere, and takes the place of the index
    when it is whole. Record fields that are not named stay those a file was last read with. So do
    the ``index_type`` (a name or a FAISS factory string) and the ``recall`` that it is tuned to.
    ``wait`` waits while another process writes; ``fail_fast`` ends at the first file that fails.
    ``tell`` learns what became of each file. Paths are shown from ``seen_from``, the current
    folder by default.

    Raises ``UsageError`` when there is nothing to index or no such index type,
    ``IndexMismatchError`` when another encoder made the index, ``IndexBusyError`` while another
    process writes. Ctrl-C ends it with ``KeyboardInterrupt`` once the batch at hand is written.
    """
    folder, ledger = folder.resolve(), Ledger(tell)
    with ledger.timed("walk"):
        walked = Walked.beneath([path.resolve() for path in paths], selection, folder)
    earlier = earlier_fingerprint(folder, wait=wait)
    if earlier is None and not walked.files and not streams:
        raise _nothing_to_index(paths, walked.problems)
    embedder = _embedder(earlier, encoder_name, rebuild)
    _check_choices(embedder, index_type, recall)
    fingerprint, names = embedder.index_fingerprint, StoredPaths(folder, _view(seen_from))
    with (
        GentleInterrupts() as interrupts,
        Index.create_or_open(folder, fingerprint, rebuild=rebuild, wait=wait) as index,
        _replaced(index, rebuild) as replaced,
    ):
        index.choose(index_type, recall)
        writer = Writer(index, embedder, Meter(progress), interrupts)
        before = (replaced or index).summary()
        update = Update(index, replaced, writer, embedder=embedder, ledger=ledger, names=names)
        with update.interruptible():
            whole = update.bring_in_step(walked, streams, fields, fail_fast=fail_fast)
        index.forget_kept_vectors()
        index.commit()
        if whole:
            index.adopt()
        after = index.summary()
        with ledger.timed("derive"):
            index.close()
    return _report(folder, ledger, writer.tally, before, after)


def preview_paths(
    paths: Sequence[Path],
    folder: Path,
    *,
    encoder_name: str | None = None,
    fields: RecordFields = RecordFields(),
    selection: Selection = EVERYTHING,
    rebuild: bool = False,
    seen_from: Path | None = None,
    tell: Callable[[Outcome], None] = lambda _: None,
) -> IndexReport:
    """Tell what ``index_paths`` would do with the files, from their names, times and bytes alone.

    Writes nothing and loads no model; a file that cannot be parsed is not noticed. Raises as
    ``index_paths`` does.
    """
    folder, ledger = folder.resolve(), Ledger(tell)
    names = StoredPaths(folder, _view(seen_from))
    with ledger.timed("walk"):
        walked = Walked.beneath([path.resolve() for path in paths], selection, folder)
    held: dict[str, SourceState] = {}
    summary = None
    try:
        with Index.open(folder) as index:
            if not rebuild:
                check_requested(index.fingerprint, encoder_name)
            held = {source.path: source for source in index.sources()}
            summary = index.summary()
    except IndexMissingError:
        if not walked.files:
            raise _nothing_to_index(paths, walked.problems) from None
    comparison = compare(walked, held, fields, folder)
    tell_walked(walked, ledger, names)
    for path in comparison.unchanged:
        ledger.note(names.shown(path), UPDATED if rebuild else UNCHANGED)
    with ledger.timed("read"):
        for item in comparison.to_read:
            _preview(item, ledger, names.shown(item.state.path), rebuild)
    for path in comparison.gone:
        ledger.note(names.shown(path), REMOVED)
    return replace(_report(folder, ledger, Tally(), summary, summary), dry_run=True)


def _preview(item: ToRead, ledger: Ledger, shown: str, rebuild: bool) -> None:
    try:
        is_same = not rebuild and item.known_hash == content_hash(item.file)
    except OSError as error:
        ledger.fail(Problem(shown, f"cannot be read: {error.strerror or error}"))
        return
    ledger.note(shown, UNCHANGED if is_same else UPDATED if item.known else ADDED)


def _view(seen_from: Path | None) -> Path:
    return (seen_from or Path.cwd()).resolve()


@contextmanager
def _replaced(index: Index, rebuild: bool) -> Iterator[Index | None]:
    """What a rebuild is to replace, which stays readable meanwhile; ``None`` without a rebuild."""
    if not rebuild:
        yield None
        return
    with Index.open(index.folder) as replaced:
        yield replaced


def _nothing_to_index(paths: Sequence[Path], problems: Sequence[Problem]) -> UsageError:
    if problems:
        told = "; ".join(f"{found.path}: {found.reason}" for found in problems)
        return UsageError(f"nothing to index: {told}", "name files or folders with documents")
    named = ", ".join(map(str, paths))
    formats = " ".join(sorted(SUPPORTED_SUFFIXES))
    return UsageError(f"nothing to index in {named}", f"formats that are read: {formats}")


def _embedder(earlier: IndexFingerprint | None, requested: str | None, rebuild: bool) -> Embedder:
    """Choose the encoder: the one asked for, else the index's own, else the default."""
    if earlier is None:
        return Embedder(requested)
    if not rebuild:
        check_requested(earlier, requested)
    return Embedder(requested or earlier.encoder_name)


def _check_choices(embedder: Embedder, index_type: str | None, recall: float | None) -> None:
    """Refuse what cannot be meant before anything is read or written."""
    if index_type is not None:
        check_index_type(index_type, embedder.index_fingerprint.dimension)
    if recall is not None:
        check_recall(recall)


def _report(
    folder: Path,
    ledger: Ledger,
    tally: Tally,
    before: IndexSummary | None,
    after: IndexSummary | None,
) -> IndexReport:
    counts, stages = ledger.counts, ledger.seconds_by_stage
    documents, passages = (after.documents, after.passages) if after else (0, 0)
    held_documents, held_passages = (before.documents, before.passages) if before else (0, 0)
    return IndexReport(
        index=folder,
        added=counts[ADDED],
        updated=counts[UPDATED],
        unchanged=counts[UNCHANGED],
        removed=counts[REMOVED],
        documents_added=tally.documents_added,
        documents_updated=tally.documents_updated,
        documents_unchanged=documents - tally.documents_added - tally.documents_updated,
        documents_removed=held_documents + tally.documents_added - documents,
        passages_added=tally.passages_put,
        passages_embedded=tally.passages_embedded,
        passages_unchanged=passages - tally.passages_put,
        passages_removed=held_passages + tally.passages_put - passages,
        skipped=tuple(ledger.skipped),
        failed=tuple(ledger.failed),
        seconds=time.monotonic() - ledger.started,
        seconds_by_stage={
            "walk": stages.get("walk", 0.0),
            "read": stages.get("read", 0.0),
            "embed": tally.embedding_seconds,
            "write": tally.writing_seconds,
            "derive": stages.get("derive", 0.0),
        },
    )
