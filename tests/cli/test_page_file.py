"""The file that ``--html`` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Run

SENTENCE = "An otter sleeps."


def test_a_page_is_written_beside_the_normal_output(run: Run, tmp_path: Path) -> None:
    plain = run("explain", SENTENCE, "--json")
    finished = run("explain", SENTENCE, "--json", "--html", "page.html")
    assert (finished.code, finished.out) == (0, plain.out)
    assert finished.err == "ragcli: page written to page.html\n"
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>\n")
    assert json.loads(finished.out)["text"] == SENTENCE


def test_a_page_of_an_answer_changes_nothing_else(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("The review is due on 14 March 2025.\n", "utf-8")
    arguments = ("ask", "When is the review due?", "--context", "notes.txt", "--json")
    told = [json.loads(run(*arguments, *more).out) for more in ((), ("--html", "page.html"))]
    for answer in told:
        del answer["timings"]
    assert told[0] == told[1]
    assert "focus" not in told[1]
    assert "focus" in json.loads(run(*arguments, "--explain", "--html", "page.html").out)
    refused = run(*arguments, "--html", "missing/page.html")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("ragcli: cannot write the page missing/page.html: No such file")


def test_a_page_takes_the_place_of_another_and_leaves_nothing_else(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "pages").mkdir()
    real = tmp_path / "pages" / "real.html"
    real.write_text("old")
    real.chmod(0o640)
    (tmp_path / "link.html").symlink_to(real)
    assert run("explain", SENTENCE, "--html", "link.html").code == 0
    assert SENTENCE in real.read_text("utf-8")
    assert real.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link.html").is_symlink()
    assert [file.name for file in real.parent.iterdir()] == ["real.html"]


def test_what_goes_wrong_leaves_the_page_that_stood_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("old")
    finished = run("explain", SENTENCE, "--layer", "99", "--html", "page.html")
    assert (finished.code, finished.out) == (2, "")
    assert (tmp_path / "page.html").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/page.html", "No such file or directory"),
        ("folder", "it is not a regular file"),
        ("/dev/null", "it is not a regular file"),
    ],
)
def test_a_page_that_cannot_be_written_is_told_before_anything_is_computed(
    run: Run, tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "folder").mkdir()
    finished = run("explain", SENTENCE, "--html", name)
    assert (finished.code, finished.out) == (2, "")
    assert finished.err == (
        f"ragcli: cannot write the page {name}: {reason}\nname another file with --html\n"
    )
