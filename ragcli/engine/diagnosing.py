"""The use case ``doctor``: whether an index and what it needs are sound, and mending it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ragcli import __version__
from ragcli.corpus.chunking import CHUNKER_VERSION
from ragcli.engine.embedding import Embedder
from ragcli.engine.encoders import REMEDY, load_named, made_by, shipped_reader
from ragcli.errors import IndexMismatchError, IndexMissingError, IndexOutdatedError, ModelError
from ragcli.store import (
    DAMAGED,
    NOTE,
    REPAIR,
    SOUND,
    SQLITE_VERSION,
    Finding,
    Index,
    check_folder,
    check_surroundings,
    counted,
    discard_vectors,
    embed_bare,
    holds_index,
    locked,
    mend_catalogue,
    readable_fingerprint,
    remove_leftovers,
)

if TYPE_CHECKING:
    from ragcli.store import IndexFingerprint

_CATALOGUE, _VECTORS = "catalogue", "vectors.faiss"
_LIBRARIES = {"faiss": "faiss-cpu", "torch": "torch"}
"""Modules without which nothing is found by meaning, and the distributions that bring them."""


def diagnose(folder: Path, *, with_models: bool = True) -> Iterator[Finding]:
    """Check the index in ``folder``, its models and what it runs on; changes nothing.

    Loads no model where ``with_models`` is false. Raises ``IndexMissingError`` when there is no
    index, and ``IndexMismatchError`` for one from a newer version.
    """
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:  # nothing else can be looked at
        yield _check_versions(missing)
        return
    yield from _check_index(folder)
    yield from check_surroundings(folder)
    if with_models:
        fingerprint = readable_fingerprint(folder)
        if fingerprint is not None:
            yield from _check_encoder(fingerprint)
        yield _check_reader()
    yield _check_versions(missing)


def repair(
    folder: Path,
    *,
    wait: bool = False,
    with_models: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Mend what is damaged in ``folder`` and bring it up to date; ``tell`` hears what was done.

    What is sound stays as it is. Documents that lost passages are embedded anew from their stored
    texts, where ``with_models`` allows it. Raises ``IndexMissingError`` when there is no index,
    ``IndexMismatchError`` when it is beyond repair or from a newer version, ``IndexBusyError``
    while another process is writing unless it is to ``wait``, ``RagcliError`` when the disk fails.
    """
    if not holds_index(folder):
        raise IndexMissingError(f"no index in {folder}", 'run "ragcli index PATH"')
    with locked(folder, wait=wait):
        removed = remove_leftovers(folder)
        if removed:
            tell(f"removed {counted(removed, 'file')} that a killed run left")
        findings = list(_check_index(folder))
        is_outdated = any(one.check == _CATALOGUE and one.state == NOTE for one in findings)
        is_mended = is_outdated or any(one.state == DAMAGED for one in findings)
        if is_mended:
            _mend(folder, with_models=with_models, tell=tell)
        if is_outdated:
            tell("brought the index up to date")
            findings = list(_check_index(folder))  # nothing but its age was looked at
        if any(one.check == _VECTORS and one.state == DAMAGED for one in findings):
            discard_vectors(folder)
    fingerprint = readable_fingerprint(folder)
    is_behind = is_mended or any(one.check == _VECTORS and one.state != SOUND for one in findings)
    if fingerprint is not None and is_behind:
        Index.create_or_open(folder, fingerprint, wait=wait).close()
        tell(f"brought {_VECTORS} in step")


def _mend(folder: Path, *, with_models: bool, tell: Callable[[str], None]) -> None:
    mended = mend_catalogue(folder)
    for done in mended.done:
        tell(done)
    if not mended.bare:
        return
    documents = counted(len(mended.bare), "document")
    waiting = f"{documents} wait{'s' if len(mended.bare) == 1 else ''} to be embedded anew"
    if not with_models:
        tell(waiting)
        return
    fingerprint = readable_fingerprint(folder)
    embedder = Embedder(None if fingerprint is None else fingerprint.encoder_name)
    try:
        if fingerprint is not None and not made_by(fingerprint, embedder.encoder_fingerprint):
            raise IndexMismatchError(
                f"the encoder {fingerprint.encoder_name} has changed since it made the index",
                REMEDY,
            )
        encoded = embed_bare(folder, mended.bare, embedder.split, embedder.embed)
    except (ModelError, IndexMismatchError) as error:
        tell(f"{waiting}: {error.message}")
        return
    tell(f"embedded {documents} anew ({counted(encoded, 'passage')})")


# -- the checks ----------------------------------------------------------------------------------


def _check_index(folder: Path) -> Iterator[Finding]:
    try:
        yield from check_folder(folder)
    except IndexOutdatedError:
        told = "was written by an older ragcli: it has to be brought up to date before a search"
        yield Finding(_CATALOGUE, NOTE, told, f'{REPAIR} or "ragcli index PATH"')


def _check_encoder(fingerprint: IndexFingerprint) -> Iterator[Finding]:
    """Whether the encoder that made the index is there, and still the same."""
    from ragcli.encoder import default_fingerprint
    from ragcli.encoder.minilm import read_weights

    name, default = fingerprint.encoder_name, default_fingerprint()
    try:
        if name == default.name:
            read_weights()
            encoder = default
        else:
            encoder = load_named(name).fingerprint
    except ModelError as error:
        yield Finding("encoder", DAMAGED, error.message, error.remedy)
        return
    if not made_by(fingerprint, encoder):
        told = f"{name} has changed since it made the index"
        yield Finding("encoder", DAMAGED, told, REMEDY)
        return
    yield Finding("encoder", SOUND, f"{name} is the one that made the index")
    if fingerprint.chunker_version != CHUNKER_VERSION:
        told = f"passages were cut in another way (version {fingerprint.chunker_version})"
        yield Finding("encoder", NOTE, told, f"to add files, {REMEDY}")


def _check_reader() -> Finding:
    try:
        reader = shipped_reader()
    except ModelError as error:
        return Finding("reader", DAMAGED, error.message, error.remedy or "install ragcli again")
    revision = reader.fingerprint.revision[:12]
    return Finding("reader", SOUND, f"{reader.fingerprint.name} loads ({revision})")


def _check_versions(missing: Sequence[str]) -> Finding:
    found = [f"ragcli {__version__}", f"Python {platform.python_version()}"]
    found.append(f"SQLite {SQLITE_VERSION}")
    found += [
        f"{distribution} {_version(distribution)}"
        for name, distribution in _LIBRARIES.items()
        if name not in missing
    ]
    told = ", ".join(found)
    if missing:
        told = f"{' and '.join(missing)} cannot be imported; {told}"
        return Finding("versions", DAMAGED, told, "install ragcli again")
    return Finding("versions", SOUND, told)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # from another source than the package registry
        return "of unknown version"
