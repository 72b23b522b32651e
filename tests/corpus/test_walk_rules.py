"""Ignore files and roots as people leave them: malformed lines, marks, loops."""

from pathlib import Path

import pytest

from ragcli.corpus.walk import FoundFile, Problem, walk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("kept.md", "notes.txt"):
        (tmp_path / name).write_text("words")
    return tmp_path


def names(folder: Path) -> list[str]:
    return [Path(found.path).name for found in walk([folder]) if isinstance(found, FoundFile)]


@pytest.mark.parametrize("malformed", ["!", "\\", "a\\", "[z-a]"])
def test_a_malformed_pattern_spoils_no_other(folder: Path, malformed: str) -> None:
    (folder / ".gitignore").write_text(f"{malformed}\n*.txt\n")
    assert names(folder) == ["kept.md"]


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf*.txt\n", b"*.txt\r\n", b"# caf\xe9\n*.txt"])
def test_ignore_files_of_other_editors(folder: Path, content: bytes) -> None:
    (folder / ".ragcliignore").write_bytes(content)
    assert names(folder) == ["kept.md"]


def test_the_later_file_wins_inside_a_folder(folder: Path) -> None:
    (folder / ".gitignore").write_text("*.txt\n*.md\n")
    (folder / ".ragcliignore").write_text("!notes.txt\n")
    assert names(folder) == ["notes.txt"]


def test_a_root_that_is_a_loop_of_links_is_a_problem_and_the_others_are_walked(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    loop = tmp_path_factory.mktemp("elsewhere") / "loop"
    loop.symlink_to(loop)
    problems = [found for found in walk([loop, folder]) if isinstance(found, Problem)]
    assert [problem.path for problem in problems] == [str(loop)]
    assert problems[0].reason.startswith("cannot be read: ")
    files = [found.path for found in walk([loop, folder]) if isinstance(found, FoundFile)]
    assert files == [str(folder / "kept.md"), str(folder / "notes.txt")]
