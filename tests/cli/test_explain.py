from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ragcli.encoder import default_fingerprint

if TYPE_CHECKING:
    from conftest import Run

SENTENCE = "The book that you gave me yesterday was fascinating."


def _links(shown: str) -> list[str]:
    return re.findall(r"^  \S+.* <- \S+.*  0\.\d{3}$", shown, re.MULTILINE)


def test_an_ordinary_sentence_fits_80_columns(run: Run) -> None:
    finished = run("explain", f"{SENTENCE[:-1]} and quite funny.")
    assert (finished.code, finished.err) == (0, "")
    lines = finished.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == (
        "all-MiniLM-L6-v2, mean of 6 layers × 12 heads: rows look, columns are looked at"
    )
    rows = [line.split() for line in lines[4:18]]
    assert [row[1] for row in rows][8:10] == ["was", "fascinating"]
    assert len(_links(finished.out)) == 10
    assert lines[-1].startswith("a word's weight goes to: [CLS] ")
    assert "\x1b" not in finished.out


def test_a_terminal_gets_colour_unless_it_is_not_wanted(run: Run) -> None:
    world = {"stdout_is_terminal": True, "terminal_width": 80}
    term = {"TERM": "xterm-256color"}
    coloured = run("explain", "An otter", **world, environ=term).out
    assert "\x1b[" in coloured
    plain = run("explain", "An otter", **world, environ={**term, "NO_COLOR": "1"}).out
    assert "\x1b" not in plain
    assert plain == run("explain", "An otter").out


def test_one_head_that_looks_at_the_token_before(run: Run) -> None:
    """Layer 1, head 3 of this network does nothing else: a fact that any slip would hide."""
    finished = run("explain", SENTENCE, "--layer", "1", "--head", "3", "--json")
    weights = np.array(json.loads(finished.out)["weights"])
    assert weights.shape == (12, 12)
    assert weights.argmax(axis=1)[1:].tolist() == list(range(11))
    assert np.diagonal(weights, -1).min() > 0.9


def test_json_holds_all_of_it(run: Run) -> None:
    arguments = ("--json", "--all", "--token", "book", "--top", "2", "--special")
    finished = run("explain", "-", *arguments, stdin=f"{SENTENCE}\n")
    told = json.loads(finished.out)
    assert (finished.code, finished.out.count("\n")) == (0, 1)
    assert told["model"] == default_fingerprint().name
    assert told["revision"] == default_fingerprint().revision
    assert (told["layer"], told["head"]) == (None, None)
    assert told["text"] == f"{SENTENCE}\n"
    for token in told["tokens"]:
        spelt = told["text"][token["start"] : token["end"]].lower()
        assert spelt == ("" if token["special"] else token["text"])
    every = np.array(told["head_weights"])
    assert every.shape == (6, 12, 12, 12)
    assert np.allclose(every.sum(axis=-1), 1, atol=1e-4)
    assert np.allclose(every.mean(axis=(0, 1)), told["weights"], atol=1e-5)
    assert [(link["from"]["text"], link["to"]["text"]) for link in told["links"]] == [
        ("[CLS]", "[CLS]"),
        ("fascinating", "[CLS]"),
    ]
    assert sum(told["shares"].values()) == pytest.approx(1, abs=1e-4)
    steps = told["steps"]
    assert (steps["token"], steps["layer"], steps["head"]) == (3, 6, 1)
    assert steps["weights"] == told["head_weights"][5][0][2]


def test_the_steps_of_one_token(run: Run) -> None:
    finished = run("explain", SENTENCE, "--token", "was", "--layer", "3", "--head", "2")
    assert finished.code == 0
    assert finished.out.startswith("9 was in layer 3, head 2 of all-MiniLM-L6-v2\n")
    assert "divided by √32 = 5.657" in finished.out
    assert finished.out.count("10 fascinating") == 2
    assert max(map(len, finished.out.splitlines())) <= 80


def test_a_long_text_has_its_links_alone(run: Run) -> None:
    finished = run("explain", "-", "--top", "3", stdin=f"{SENTENCE} " * 15)
    assert finished.code == 0
    assert "no map: 152 tokens do not fit into 80 columns" in finished.out
    assert len(_links(finished.out)) == 3
    steps = run("explain", "-", "--token", "3", stdin=f"{SENTENCE} " * 15).out
    assert "142 others" in steps


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((" ",), "the text is empty"),
        (("-",), "the text is empty"),
        ((), "Missing argument 'TEXT'"),
        (("word " * 300,), "302 tokens, but the encoder reads at most 256\ngive it a shorter one"),
        (("an otter", "--layer", "7"), "there is no layer 7\nchoose one from 1 to 6"),
        (("an otter", "--head", "x"), "valid integer"),
        (("an otter", "--token", "whale"), "'whale' is no word of the text"),
        (("an otter", "--top", "0"), "greater than or equal to 1"),
        (("an otter", "--all"), "--all is for programs only\nadd --json"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    run: Run, arguments: tuple[str, ...], told: str
) -> None:
    finished = run("explain", *arguments)
    assert (finished.code, finished.out) == (2, "")
    assert told in finished.err


def test_bytes_that_are_no_text_do_no_harm(run: Run) -> None:
    finished = run("explain", "-", "--json", stdin="an otter \udcff\x1b[2J")
    assert finished.code == 0
    assert json.loads(finished.out)["text"] == "an otter ?\x1b[2J"
    shown = run("explain", "-", stdin="an otter \udcff\x1b[2J")
    assert (shown.code, "\x1b" in shown.out) == (0, False)


def test_a_reader_that_goes_away_is_no_error(run: Run, closing_pipe: io.StringIO) -> None:
    assert run("explain", "an otter", stdout=closing_pipe).code == 0
