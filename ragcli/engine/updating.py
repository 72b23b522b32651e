"""An index brought in step with a walk: what changed is read and written, what is gone removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ragcli.corpus.loaders import RecordFields
from ragcli.corpus.problem import Problem
from ragcli.corpus.reading import Readers, Reading, Request
from ragcli.engine.comparing import Comparison, Stream, ToRead, Walked, compare, to_read_of
from ragcli.engine.embedding import Embedder
from ragcli.engine.outcomes import ADDED, REMOVED, UNCHANGED, UPDATED, Ledger
from ragcli.engine.paths import STREAM_PREFIX, StoredPaths, shown_path
from ragcli.engine.writing import Writer
from ragcli.errors import LoadError
from ragcli.store import INCOMPLETE, Index, SourceState


def tell_walked(walked: Walked, ledger: Ledger, names: StoredPaths) -> None:
    """Note what the walk could not list, and what it passed over."""
    for problem in walked.problems:
        ledger.fail(replace(problem, path=shown_path(Path(problem.path), names.seen_from)))
    for skipped in walked.skipped:
        ledger.skip(replace(skipped, path=shown_path(Path(skipped.path), names.seen_from)))


class Update:
    """One run of ``index``: reads what changed, writes it, and notes what became of each file.

    ``replaced`` is what the index held before a rebuild, ``None`` without one.
    """

    def __init__(
        self,
        index: Index,
        replaced: Index | None,
        writer: Writer,
        *,
        embedder: Embedder,
        ledger: Ledger,
        names: StoredPaths,
    ) -> None:
        self._index = index
        self._replaced = replaced
        self._writer = writer
        self._embedder = embedder
        self._ledger = ledger
        self._names = names

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """On Ctrl-C write what was read so far, before it goes on its way."""
        try:
            yield
        except KeyboardInterrupt:
            self._writer.flush()
            raise

    def bring_in_step(
        self, walked: Walked, streams: Sequence[Stream], fields: RecordFields, *, fail_fast: bool
    ) -> bool:
        """Bring the index in step with what was walked; ``False`` when a failure ended it."""
        held = {source.path: source for source in self._index.sources()}
        comparison = compare(walked, held, fields, self._index.folder)
        tell_walked(walked, self._ledger, self._names)
        for path in comparison.unchanged:
            self._ledger.note(self._names.shown(path), UNCHANGED)
        named = [replace(stream, name=f"{STREAM_PREFIX}{stream.name}") for stream in streams]
        piped = [to_read_of(stream, fields, held.get(stream.name)) for stream in named]
        whole = self._read([*piped, *comparison.to_read], comparison, fail_fast=fail_fast)
        if whole:
            self._settle_others(walked, comparison, fields)
        self._writer.flush()
        return whole

    # -- files that are read -----------------------------------------------------------------

    def _read(self, to_read: Sequence[ToRead], comparison: Comparison, *, fail_fast: bool) -> bool:
        sizes = [item.state.size for item in to_read]
        self._writer.meter.start(len(to_read) + len(comparison.unchanged), sum(sizes))
        self._writer.meter.done(len(comparison.unchanged), 0)
        if not to_read:
            return not (fail_fast and self._ledger.failed)
        requests = [
            Request(item.file, item.state.path, item.fields, item.known_hash) for item in to_read
        ]
        embedder = self._embedder
        with Readers(embedder.tokenizer_json, embedder.max_tokens) as readers:
            try:
                for item, reading in zip(to_read, readers.read(requests), strict=True):
                    if fail_fast and self._ledger.failed:
                        return False
                    self._take(item, reading)
            finally:
                self._ledger.seconds_by_stage["read"] = readers.waited_seconds
        return not (fail_fast and self._ledger.failed)

    def _take(self, item: ToRead, reading: Reading) -> None:
        """Write what was read of a file; what the index had of it stays when that is nothing."""
        failures, documents, passages = len(self._ledger.failed), 0, 0
        try:
            if reading.unchanged:
                self._note_unchanged(item, reading)
                return
            for found in reading.items():
                if isinstance(found, Problem):
                    self._fail(item, found)
                    continue
                if not documents:
                    self._writer.begin(item.state)
                self._writer.put(*found)
                documents, passages = documents + 1, passages + len(found[1])
        except LoadError as error:
            self._fail(item, Problem(item.state.path, error.message))
            self._give_up(item, documents)
            return
        if not documents and len(self._ledger.failed) > failures:  # the whole file is bad
            self._give_up(item, documents)
            return
        if not documents:
            self._writer.begin(item.state)
        self._writer.finish(self._read_state(item, reading), whole=item.whole)
        known = item.known or (self._replaced and self._replaced.source(item.state.path))
        shown = self._names.shown(item.state.path)
        status = UPDATED if known else ADDED
        self._ledger.note(shown, status, documents=documents, passages=passages)

    def _read_state(self, item: ToRead, reading: Reading) -> SourceState:
        read = reading.state
        return replace(
            item.state,
            content_hash=read.content_hash,
            size=read.size,
            modified_ns=read.modified_ns,
        )

    def _note_unchanged(self, item: ToRead, reading: Reading) -> None:
        self._ledger.note(self._names.shown(item.state.path), UNCHANGED)
        self._writer.meter.done(1, item.state.size)
        self._index.update_source(self._read_state(item, reading))  # spare the next run the hashing

    def _fail(self, item: ToRead, problem: Problem) -> None:
        """Note a failure as the person sees its place."""
        shown = self._names.shown(item.state.path) + problem.path.removeprefix(item.state.path)
        self._ledger.fail(replace(problem, path=shown))

    def _give_up(self, item: ToRead, documents: int) -> None:
        """Leave a file that cannot be read: keep what was read, and what a rebuild had of it."""
        if documents:
            self._writer.abandon()
            return
        self._writer.meter.done(1, item.state.size)
        if self._replaced is not None:
            known = self._replaced.source(item.state.path)
            if known is not None:
                self._copy(known)

    # -- files that are not ------------------------------------------------------------------

    def _settle_others(self, walked: Walked, comparison: Comparison, fields: RecordFields) -> None:
        """Remove what is gone; a rebuild keeps all else that the index held."""
        gone = set(comparison.gone)
        if self._replaced is not None:
            sources = {source.path: source for source in self._replaced.sources()}
            gone |= set(compare(walked, sources, fields, self._index.folder).gone)
            met = {item.state.path for item in comparison.to_read} | set(comparison.unchanged)
            for path, source in sources.items():
                if path not in gone and path not in met:
                    self._copy(source)
        self._writer.flush()
        for path in sorted(gone):
            self._index.remove_source(path)
            self._ledger.note(self._names.shown(path), REMOVED)

    def _copy(self, source: SourceState) -> None:
        """Embed anew, in a rebuild, what the index held of a source, from its stored text."""
        if self._replaced is None or self._index.source(source.path) == source:
            return
        self._writer.begin(replace(source, content_hash=INCOMPLETE))
        for document in self._replaced.documents(source.path):
            self._writer.put(document, self._embedder.split(document))
        self._writer.finish(source)
