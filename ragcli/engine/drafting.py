"""The use case ``eval init``: passages spread over an index → lines for a person's questions."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragcli.engine.document_names import document_names
from ragcli.engine.paths import StoredPaths
from ragcli.errors import InputError
from ragcli.records import StoredPassage

if TYPE_CHECKING:
    from ragcli.store import Index

LEAST_WORDS, LEAST_CHARACTERS = 5, 40
"""Passages with less of both, such as a bare heading, leave nothing to ask about.

Some languages set no blanks between words.
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """A question still to be written: about ``passage``, to be found in the document ``relevant``.

    ``passage`` has its path as it is shown, ``relevant`` is what judgements call the document.
    """

    question_id: str
    relevant: str
    passage: StoredPassage


def draft_questions(
    folder: Path, n: int, *, seed: int = 0, named_from: Path | None = None
) -> list[Draft]:
    """Choose ``n`` passages, fewer if there are fewer, as far apart as can be.

    They come from different files first, then from different records or headings of a file. The
    same index contents and ``seed`` give the same passages. Paths are meant from ``named_from``.
    Raises ``InputError`` when no passage has ``LEAST_WORDS`` words.
    """
    from ragcli.store import Index

    with Index.open(folder) as index:
        names = document_names(index, named_from)
        chosen = _spread(index, n, random.Random(seed))
    if not chosen:
        raise InputError(
            "the index holds no passage that a question could be about",
            'run "ragcli index PATH" with documents that have text',
        )
    paths = StoredPaths(folder.resolve(), (named_from or Path.cwd()).resolve())
    width = len(str(len(chosen)))
    return [
        Draft(f"q{number:0{width}}", names[stored.passage_id], paths.of_stored(stored))
        for number, stored in enumerate(chosen, start=1)
    ]


def _spread(index: Index, n: int, rng: random.Random) -> list[StoredPassage]:
    """Take one passage of every file in turn, the files in a shuffled order."""
    by_path: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for passage_id, document_id, path, _ in index.passage_documents():
        by_path[path][document_id].append(passage_id)
    order = rng.sample(sorted(by_path), len(by_path))
    lanes = [_of_file(index, by_path[path], n, rng.getrandbits(64)) for path in order]
    chosen: list[StoredPassage] = []
    while lanes and len(chosen) < n:
        for lane in list(lanes):
            passage = next(lane, None)
            if passage is None:
                lanes.remove(lane)
            elif len(chosen) < n:
                chosen.append(passage)
    return chosen


def _of_file(
    index: Index, documents: Mapping[str, Sequence[int]], n: int, seed: int
) -> Iterator[StoredPassage]:
    """Yield passages of a file: new headings first, then new records, else in a shuffled order.

    Reads the passages of at most ``n`` records, and nothing before the first is asked for.
    """
    rng = random.Random(seed)
    some = rng.sample(sorted(documents), min(n, len(documents)))
    passages = index.passages([passage_id for name in some for passage_id in documents[name]])
    passages.sort(key=lambda stored: (stored.document_id, stored.passage.start))
    rng.shuffle(passages)
    of_heading: Counter[tuple[str, str]] = Counter()
    of_document: Counter[str] = Counter()
    ranked = []
    for number, stored in enumerate(passages):
        text = stored.passage.text
        if len(text.split()) < LEAST_WORDS and len(text.strip()) < LEAST_CHARACTERS:
            continue
        heading = (stored.document_id, stored.passage.heading)
        ranked.append((of_heading[heading], of_document[stored.document_id], number))
        of_heading[heading] += 1
        of_document[stored.document_id] += 1
    for *_, number in sorted(ranked):
        yield passages[number]
