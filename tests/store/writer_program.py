"""Adds numbered sources to an index without end, one commit each: to be killed by a test.

``python writer_program.py FOLDER``; prints the number of a source once it is committed, and
``READY`` before the first. Every third source replaces one that is there already.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ragcli.records import Document, Passage
from ragcli.store import Index, IndexFingerprint, SourceState

FINGERPRINT = IndexFingerprint("tiny", "revision-1", 4, "", "", 200, 1)


def main() -> None:
    """Write until killed."""
    with Index.create_or_open(Path(sys.argv[1]), FINGERPRINT) as index:
        sys.stdout.write("READY\n")
        sys.stdout.flush()
        number = len(index.sources())
        while True:
            add(index, number)
            if number % 3 == 0:
                add(index, number // 2)
            index.commit()
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            number += 1


def add(index: Index, number: int) -> None:
    """Put source ``number`` with three passages in place of what it was."""
    path = f"{number:06}.txt"
    vectors = np.random.default_rng(number).standard_normal((3, 4))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    texts = [f"{path} {position}." for position in range(3)]
    ends = np.cumsum([len(text) for text in texts]).tolist()
    passages = [Passage(end - len(text), end, text) for text, end in zip(texts, ends, strict=True)]
    document = Document(path, path, "".join(texts), "hash")
    index.replace_source(SourceState(path, "hash", 1, 1), [(document, passages, vectors)])


if __name__ == "__main__":
    main()
