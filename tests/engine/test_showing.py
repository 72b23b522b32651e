from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli.engine.showing import ShownDocument, ShownPassage, show
from ragcli.errors import NotHeldError, UsageError

if TYPE_CHECKING:
    from conftest import Holding


@pytest.fixture
def folder(hold: Holding, tmp_path: Path) -> Path:
    return hold(
        tmp_path / ".ragcli",
        hold.document("docs/leave.md", "One.\n\nTwo.\n\nThree.\n\nFour.\n"),
        hold.document("facts.jsonl", "Otters.\n\nThey swim.", "f1", "Otters"),
        hold.document("facts.jsonl", "Beavers.", "both"),
        hold.document("more.jsonl", "Badgers.", "both"),
        hold.document("more.jsonl", "Number three.", "3"),
        hold.document("docs.zip", "A member.", "docs.zip/read.me"),
        hold.document("7", "A file that is called by a number."),
    )


def _shown(folder: Path, name: str, **options: object) -> list[ShownPassage | ShownDocument]:
    options = {"seen_from": folder.parent, **options}
    return list(show(folder, name, **options))  # type: ignore[arg-type]


def _texts(folder: Path, name: str, **options: object) -> list[str]:
    shown = _shown(folder, name, **options)
    return [
        one.stored.passage.text.strip() if isinstance(one, ShownPassage) else one.document.text
        for one in shown
    ]


def test_a_passage_is_shown_between_its_neighbours(folder: Path) -> None:
    assert _texts(folder, "2") == ["One.", "Two.", "Three."]
    assert [one.asked for one in _shown(folder, "2")] == [False, True, False]
    assert _texts(folder, "1") == ["One.", "Two."]
    assert _texts(folder, "2", neighbours=0) == ["Two."]
    assert _texts(folder, "2", neighbours=9) == ["One.", "Two.", "Three.", "Four."]
    assert _texts(folder, "5") == ["Otters.", "They swim."]  # not what the file holds before it


def test_a_path_gives_the_documents_of_its_file(folder: Path) -> None:
    [leave] = _shown(folder, "docs/leave.md")
    assert isinstance(leave, ShownDocument)
    assert leave.document.text == "One.\n\nTwo.\n\nThree.\n\nFour.\n"
    assert leave.is_alone
    assert [leave.document.text[start:end].strip() for _, start, end in leave.spans] == [
        "One.", "Two.", "Three.", "Four."
    ]  # fmt: skip
    assert _texts(folder, "facts.jsonl") == ["Otters.\n\nThey swim.", "Beavers."]
    assert not any(one.is_alone for one in _shown(folder, "facts.jsonl"))


def test_paths_are_meant_and_shown_from_where_the_person_stands(folder: Path) -> None:
    here = folder.parent / "docs"
    [leave] = _shown(folder, "leave.md", seen_from=here)
    assert leave.document.path == "leave.md"
    [again] = _shown(folder, "docs/leave.md", seen_from=here)  # its id, as search gives it
    assert again.document == leave.document
    [passage] = _shown(folder, "2", seen_from=here, neighbours=0)
    assert passage.stored.path == "leave.md"
    assert _texts(folder, str(folder.parent / "facts.jsonl"), seen_from=here)


def test_an_id_gives_the_document_wherever_it_is(folder: Path) -> None:
    assert _texts(folder, "f1") == ["Otters.\n\nThey swim."]
    assert _texts(folder, "docs.zip/read.me") == ["A member."]
    assert _texts(folder, "../docs.zip/read.me", seen_from=folder.parent / "docs") == ["A member."]


def test_a_number_is_a_path_or_an_id_before_it_is_a_passage(folder: Path) -> None:
    assert _texts(folder, "3") == ["Number three."]
    assert _texts(folder, "7") == ["A file that is called by a number."]
    assert _texts(folder, "3", matches=lambda path: path.endswith(".md"), neighbours=0) == [
        "Three."
    ]


def test_an_id_of_several_files_is_refused_until_one_is_chosen(folder: Path) -> None:
    with pytest.raises(UsageError, match="2 files have a document 'both'") as raised:
        _shown(folder, "both")
    assert raised.value.message.endswith(": facts.jsonl, more.jsonl")
    assert raised.value.remedy == "say which: --path facts.jsonl"
    assert _texts(folder, "both", matches=lambda path: path == "more.jsonl") == ["Badgers."]


@pytest.mark.parametrize(
    ("name", "message", "remedy"),
    [
        ("99", "the index has no passage 99", "ragcli list"),
        ("9" * 30, "the index has no passage 999", "ragcli list"),
        ("²", "the index has no", "ragcli list"),
        ("fact.jsonl", "no file or document 'fact.jsonl'", "like it: facts.jsonl"),
        ("leave.md", "no file or document 'leave.md'", "like it: docs/leave.md"),
        ("docs", "no file or document 'docs'", 'a folder with 1 file: see "ragcli list ./docs"'),
        ("new.txt", "no file or document 'new.txt'", 'add it with "ragcli index new.txt"'),
        ("", "no file or document ''", "it is a folder with 5 files"),
    ],
)
def test_what_is_unknown_is_named_with_what_to_do(
    folder: Path, name: str, message: str, remedy: str
) -> None:
    (folder.parent / "new.txt").write_text("New.", "utf-8")
    with pytest.raises(NotHeldError) as raised:
        _shown(folder, name)
    assert message in raised.value.message
    assert remedy in raised.value.remedy
    assert raised.value.exit_code == 1


def test_neighbours_of_a_document_are_refused(folder: Path) -> None:
    for name in ("docs/leave.md", "f1"):
        with pytest.raises(UsageError, match="-C is for a passage"):
            _shown(folder, name, neighbours=2)


def test_a_file_without_documents_has_nothing_to_show(hold: Holding, folder: Path) -> None:
    from ragcli.store import Index

    with Index.create_or_open(folder, hold.fingerprint) as index:
        index.remove_document("7", "7")
        index.commit()
    with pytest.raises(NotHeldError, match="holds no document of 7"):
        _shown(folder, "7")
