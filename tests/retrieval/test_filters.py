"""What a person may restrict a search to, over a real index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli.errors import UsageError
from ragcli.records import Document, Json, Passage
from ragcli.retrieval.filters import Condition, Filters, make_filters, parse_condition
from ragcli.retrieval.models import Models
from ragcli.retrieval.ranking import Ranking
from ragcli.retrieval.search import search_passages
from ragcli.store import Index, IndexFingerprint, SourceState

if TYPE_CHECKING:
    from conftest import WordEncoder

FILES: Mapping[str, Mapping[str, Json]] = {
    "docs/a.md": {"year": 2019, "author": "Ann Smith", "tags": ["red", "big"]},
    "docs/b.PDF": {"year": 2021, "author": "Bob", "tags": ["blue"]},
    "docs/deep/c.md": {"year": "2020", "author": 'Q"uote', "title": "own title"},
    "notes/d.txt": {"odd name": True, "none": None, "größe": 5, 'a"b': "1.2.3", "o": {"k": 1}},
}
NEW, OLD = 1_718_000_000, 1_600_000_000  # June 2024, September 2020


@pytest.fixture
def library(tmp_path: Path, encoder: WordEncoder) -> Iterator[Index]:
    with Index.create_or_open(tmp_path, IndexFingerprint("words", "1", 64, "", "", 200, 1)) as made:
        for number, (path, metadata) in enumerate(FILES.items()):
            text = f"apple {number}"
            document = Document(
                path, path, text, "hash", title=f"Title {number}", metadata=metadata
            )
            moment = (NEW if number % 2 else OLD) * 1_000_000_000
            made.replace_source(
                SourceState(path, "hash", 1, moment),
                [(document, [Passage(0, len(text), text)], encoder.encode_passages([text]))],
            )
        made.commit()
    with Index.open(tmp_path) as index:
        yield index


def _found(index: Index, models: Models, filters: Filters, mode: str) -> str:
    among = filters.select(index, lambda path: path)
    (hits,) = search_passages(index, models, ["apple"], 9, Ranking(mode), among=among)
    return "".join(sorted(Path(hit.stored.path).name[0] for hit in hits))


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], "abcd"),
        (["year>=2020"], "bc"),
        (["year=2020"], "c"),
        (["year < 2020.5"], "ac"),
        (["year!=2021"], "acd"),
        (["year>=2020", "author~B"], "b"),
        (["author=Bob"], "b"),
        (["author~SMITH"], "a"),
        (["author~"], "abc"),
        (['author=Q"uote'], "c"),
        (["tags=red"], "a"),
        (["tags!=red"], "bcd"),
        (["tags~bl"], "b"),
        (["odd name=true"], "d"),
        (["odd name!=true"], "abc"),
        (["größe=5.0"], "d"),
        (['a"b>1'], "d"),
        (['a"b=1.2'], ""),
        (["o=1"], ""),
        (["absent=1"], ""),
        (["none!=1"], "abcd"),
        (["suffix=.md"], "ac"),
        (["suffix=.pdf"], "b"),
        (["modified>=2024-01-01"], "bd"),
        (["modified<2024"], "ac"),
        (["modified=2024-06-10"], "bd"),
        (["modified<=2020-09-13"], "ac"),
        (["title=Title 0"], "a"),
        (["title=own title"], "c"),
        (["year>2000", "year>3000"], ""),
    ],
)
def test_conditions(
    library: Index, models: Models, mode: str, conditions: list[str], expected: str
) -> None:
    assert _found(library, models, make_filters(conditions, [], "/home"), mode) == expected


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (["*.md"], "ac"),
        (["docs/**"], "abc"),
        (["docs/*.md"], "a"),
        (["docs/**", "!docs/deep/**"], "ab"),
        (["absent/**"], ""),
        (["notes", "*.PDF"], "bd"),
        (["*.md", "!docs/deep/"], "a"),
        (["!docs/**"], "d"),
        (["./docs/*.md"], "a"),
        (["/docs/*.md"], "a"),
        (["#docs"], ""),
    ],
)
def test_globs(library: Index, models: Models, globs: list[str], expected: str) -> None:
    for mode in ("hybrid", "dense", "lexical"):
        assert _found(library, models, make_filters([], globs, "/home"), mode) == expected


def test_what_matches_is_found_however_deep_it_ranks(
    tmp_path: Path, encoder: WordEncoder, models: Models
) -> None:
    """A filter comes before the ranking: all ten come back, from behind 300 better ones."""
    with Index.create_or_open(tmp_path, IndexFingerprint("words", "1", 64, "", "", 200, 1)) as made:
        for number in range(310):
            path = f"{number}.txt"
            text = "apple" if number < 300 else "apple among many other words in here"
            document = Document(path, path, text, "hash", metadata={"rare": number >= 300})
            made.replace_source(
                SourceState(path, "hash", 1, 0),
                [(document, [Passage(0, len(text), text)], encoder.encode_passages([text]))],
            )
        made.commit()
    with Index.open(tmp_path) as index:
        among = make_filters(["rare=true"], [], "/").select(index, lambda path: path)
        for mode in ("hybrid", "dense", "lexical"):
            (hits,) = search_passages(index, models, ["apple"], 10, Ranking(mode), among=among)
            assert len(hits) == 10
            assert all(hit.stored.metadata["rare"] for hit in hits)


def test_a_condition_and_its_parts() -> None:
    assert parse_condition("first author != a=b ") == Condition("first author", "!=", "a=b")
    assert parse_condition("year>=2020") == Condition("year", ">=", "2020")
    for text in ("", "year", ">=2020", "=x", "year==2020", "year=>2020"):
        with pytest.raises(UsageError, match="is no condition"):
            parse_condition(text)


def test_globs_outside_and_what_is_no_glob() -> None:
    outside = make_filters([], ["../notes/**"], "/home/me").matches
    assert outside is not None
    assert outside("/home/notes/a.md")
    assert not outside("notes/a.md")
    nothing = make_filters([], ["[z-a]"], "/home/me").matches
    assert nothing is not None
    assert not nothing("m")  # as for git, to which it is no mistake
    for glob in ("!", "/"):
        with pytest.raises(UsageError, match="cannot read the path glob"):
            make_filters([], [glob], "/home/me")
