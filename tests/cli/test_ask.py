"""``ragcli ask`` with the shipped reader; what is asked is easy on purpose."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Run

REVIEW = "The project review is due on 14 March 2025. Anna Berg leads the team."
WHEN, WHO = "When is the project review due?", "Who leads the team?"
KEYS = [
    "schema", "question", "answer", "abstained", "confidence", "support", "passages", "sentences",
    "tokens", "vocabulary_share", "method", "models", "timings",
]  # fmt: skip


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "notes.txt").write_text(f"Plans\n\n{REVIEW}\n", "utf-8")
    return tmp_path


def test_a_person_sees_the_answer_with_its_sentence_and_shares(run: Run, notes: Path) -> None:
    finished = run("ask", WHEN, "--context", "notes.txt", "--heads")
    assert (finished.code, finished.err) == (0, "")
    lines = finished.out.splitlines()
    assert lines[0] == "14 March 2025"
    assert lines[2] == "  “The project review is due on 14 March 2025.”"
    assert lines[3] == "  — notes.txt:3"
    assert sum("% " in line and line[:1] in "█░" for line in lines) == 2
    assert "the reader's own words" in finished.out
    assert sum(line.startswith("  layer ") for line in lines) == 2 * 12
    assert lines[-1].startswith("confidence 0.")
    assert " · attribution: effect · " in lines[-1]
    assert "\x1b" not in finished.out


def test_head_ends_an_answer_quietly(run: Run, notes: Path, closing_pipe: io.StringIO) -> None:
    finished = run("ask", WHEN, "--context", "notes.txt", stdout=closing_pipe)
    assert (finished.code, finished.err) == (0, "")


def test_json_of_text_from_stdin(run: Run) -> None:
    finished = run("ask", WHEN, "--context", "-", "--json", stdin=f"Plans\n\n{REVIEW}\n")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.count("\n") == 1
    answer = json.loads(finished.out)
    assert list(answer) == KEYS
    assert (answer["schema"], answer["question"]) == (1, WHEN)
    assert (answer["answer"], answer["abstained"], answer["method"]) == (
        "14 March 2025",
        False,
        "effect",
    )
    support = answer["support"]
    assert list(support) == ["path", "passage_id", "start", "end", "line", "page", "text"]
    assert (support["path"], support["line"], support["page"]) == ("stdin", 3, None)
    text = f"Plans\n\n{REVIEW}\n"
    assert text[support["start"] : support["end"]] == support["text"]
    (passage,) = answer["passages"]
    assert list(passage) == ["rank", "path", "passage_id", "score", "attribution", "text"]
    assert passage["attribution"] + answer["vocabulary_share"] == pytest.approx(1.0, abs=1e-3)
    assert list(answer["sentences"][0]) == ["passage_id", "start", "end", "text", "attribution"]
    for token in answer["tokens"]:
        assert list(token) == ["text", "source", "passage_id", "start", "end", "weight"]
        assert token["source"] == "copied"
        assert text[token["start"] : token["end"]] == token["text"]


def test_a_batch_keeps_order_and_ids_and_its_rows_own_contexts(run: Run, notes: Path) -> None:
    lines = "\n".join(
        [
            json.dumps({"id": "b", "question": WHO}),
            json.dumps({"id": 7, "question": WHO, "contexts": ["Carl Holm leads the team."]}),
            json.dumps({"id": "bad", "question": WHO, "contexts": "Carl"}),
            WHEN,
            json.dumps({"id": "none", "question": WHEN, "contexts": []}),
        ]
    )
    finished = run("ask", "--questions", "-", "--context", "notes.txt", stdin=lines)
    answers = [json.loads(line) for line in finished.out.splitlines()]
    assert finished.code == 3
    assert "question bad: contexts are not a list of texts" in finished.err
    assert [(answer["question_id"], answer["answer"]) for answer in answers] == [
        ("b", "Anna Berg"),
        ("7", "Carl Holm"),
        ("4", "14 March 2025"),
        ("none", None),
    ]
    assert list(answers[0]) == ["schema", "question", "question_id", *KEYS[2:]]


def test_rows_with_contexts_need_no_index_and_others_do(run: Run) -> None:
    own = json.dumps({"question": WHEN, "contexts": [REVIEW]})
    finished = run("ask", "--questions", "-", stdin=own)
    assert finished.code == 0
    assert json.loads(finished.out)["answer"] == "14 March 2025"
    missing = run("ask", "--questions", "-", stdin=WHEN)
    assert (missing.code, missing.out) == (2, "")
    assert "no index here or above" in missing.err


def test_an_index_is_asked(run: Run, notes: Path) -> None:
    (notes / "tea.md").write_text("# Tea\n\nGreen tea is brewed at 80 degrees.\n", "utf-8")
    assert run("index", ".", "-q").code == 0
    finished = run("ask", WHEN, "--json", "--attribution", "cross-attention", "-k", "2")
    answer = json.loads(finished.out)
    assert (finished.code, answer["answer"], answer["method"]) == (
        0,
        "14 March 2025",
        "cross-attention",
    )
    assert [passage["path"] for passage in answer["passages"]] == ["notes.txt", "tea.md"]
    assert answer["passages"][0]["score"] > answer["passages"][1]["score"]
    assert answer["models"]["encoder"].startswith("all-MiniLM-L6-v2@")


def test_too_little_confidence_shows_the_nearest_passages(run: Run, notes: Path) -> None:
    finished = run("ask", WHEN, "--context", "notes.txt", "--min-confidence", "1.0")
    assert finished.code == 1
    lines = finished.out.splitlines()
    assert lines[:2] == ["The documents do not answer this.", ""]
    assert lines[2:4] == ["Nearest passages:", "  1  notes.txt:1"]
    assert "14 March 2025" in lines[4]
    assert "(answers are given from 1.00)" in lines[-1]


def test_an_empty_context_answers_nothing(run: Run) -> None:
    finished = run("ask", WHEN, "--context", "-", "--json", stdin=" \n")
    answer = json.loads(finished.out)
    assert finished.code == 1
    assert (answer["answer"], answer["abstained"], answer["confidence"]) == (None, True, 0.0)
    assert (answer["support"], answer["passages"], answer["vocabulary_share"]) == (None, [], 1.0)
    assert list(answer) == KEYS


def test_a_context_cannot_steer_the_terminal(run: Run) -> None:
    text = f"\x1b]0;owned\x07 \x1b[2J{REVIEW}\n"
    world = {"stdout_is_terminal": True, "terminal_width": 90, "environ": {"TERM": "xterm"}}
    shown = run("ask", WHEN, "--context", "-", "--heads", "--explain", stdin=text, **world)
    assert shown.code == 0
    assert "\x1b[1;33m" in shown.out, "what was copied is marked"
    assert "␛]0;owned␇ ␛[2JThe project review" in shown.out
    for escape in ("\x1b]", "\x07", "\x1b[2J"):
        assert escape not in shown.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((WHEN, "--context", "notes.txt", "--attribution", "guess"), "unknown attribution 'guess'"),
        ((WHEN, "--context", "missing.txt"), "missing.txt: No such file"),
        ((WHEN, "--context", "notes.txt", "-k", "0"), "-k"),
        ((WHEN, "--context", "notes.txt", "--min-confidence", "2"), "--min-confidence"),
        ((), "ask takes a QUESTION or --questions FILE"),
        ((WHEN, "--questions", "-"), "ask takes a QUESTION or --questions FILE"),
        ((" ",), "the question is empty"),
        (("--questions", "-", "--html", "page.html"), "--html writes a page of one answer"),
        (("--questions", "-", "--context", "-"), "only one of"),
        ((WHEN,), "no index here or above"),
    ],
)
def test_what_cannot_be_meant_is_told(
    run: Run, notes: Path, arguments: tuple[str, ...], message: str
) -> None:
    finished = run("ask", *arguments)
    assert (finished.code, finished.out) == (2, "")
    assert message in finished.err
    assert "Traceback" not in finished.err


def test_an_answer_is_verified(run: Run, notes: Path) -> None:
    (notes / "more.jsonl").write_text(
        json.dumps({"question": WHEN, "contexts": ["Otters hold hands.", REVIEW]}) + "\n"
    )
    finished = run("ask", "--questions", "more.jsonl", "--verify")
    found = json.loads(finished.out)["verification"]
    assert list(found) == [
        "verdict", "probability", "cited_ranks",
        "without_passages", "without_sentence", "passages_alone",
    ]  # fmt: skip
    assert (found["verdict"], found["cited_ranks"]) == ("verified", [2])
    assert found["passages_alone"]["answer"] == "14 March 2025"
    assert found["passages_alone"]["same"]
    assert not found["without_passages"]["same"]
    assert found["without_sentence"]["probability"] < found["probability"] / 10
    told = run("ask", WHEN, "--context", "notes.txt", "--verify").out.splitlines()
    at = next(n for n, line in enumerate(told) if line.startswith("verified: probability "))
    assert told[at + 1].split() == ["without", "passage", "1", "0", "%", "no", "answer"]
    assert told[at + 2].startswith("  without the sentence ")
    assert told[at + 3].endswith("“14 March 2025”")
    unsure = ["--min-confidence", "1", "--json"]
    nothing = run("ask", "Who?", "--context", "-", "--verify", *unsure, stdin="Otters.\n")
    assert "verification" not in json.loads(nothing.out)


def test_explain_shows_what_each_word_looked_at(run: Run, notes: Path) -> None:
    finished = run("ask", WHEN, "--context", "notes.txt", "--explain", terminal_width=80)
    assert (finished.code, finished.err) == (0, "")
    lines = finished.out.splitlines()
    first = lines.index("What each word of the answer looked at most, by [passage]:") + 1
    assert [line.split()[:2] for line in lines[first : first + 3]] == [
        ["14", "[1]"],
        ["March", "[1]"],
        ["2025", "[1]"],
    ]
    assert re.fullmatch(r"  cross-attention, mean of \d layers × 12 heads", lines[first + 3])
    assert all(len(line) <= 80 for line in lines)
    assert "\x1b" not in finished.out


def test_explain_in_json_names_characters_of_the_document(run: Run, notes: Path) -> None:
    flags = ("--explain", "--layer", "2", "--head", "3", "--json")
    answer = json.loads(run("ask", WHEN, "--context", "notes.txt", *flags).out)
    focus = answer["focus"]
    assert (focus["layer"], focus["head"]) == (2, 3)
    assert [word["text"] for word in focus["words"]] == ["14", "March", "2025"]
    text = (notes / "notes.txt").read_text("utf-8")
    for word in focus["words"]:
        looked_at = word["looked_at"]
        assert len(looked_at) == 10
        for place in (word, *looked_at):
            assert text[place["start"] : place["end"]] == place["text"]
        weights = [place["weight"] for place in looked_at]
        assert weights == sorted(weights, reverse=True)
        assert sum(weights) + word["other_words"] + word["outside"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--layer", "1"], "--layer and --head choose what --explain or --html shows"),
        (["--head", "1"], "--layer and --head choose what --explain or --html shows"),
        (["--explain", "--layer", "99"], r"there is no layer 99\nchoose one from 1 to \d\n"),
        (["--explain", "--head", "0"], r"there is no head 0\nchoose one from 1 to 12\n"),
    ],
)
def test_layer_and_head_must_exist_and_need_explain(
    run: Run, notes: Path, flags: list[str], said: str
) -> None:
    finished = run("ask", WHEN, "--context", "notes.txt", *flags)
    assert (finished.code, finished.out) == (2, "")
    assert re.search(said, finished.err)


def test_what_was_looked_at_goes_with_all_other_reports(run: Run, notes: Path) -> None:
    (notes / "asked.txt").write_text(f"{WHEN}\nWho lives in the river?\n", "utf-8")
    flags = ("--form", "sentence", "--explain", "--verify", "--heads", "--record", "kept.jsonl")
    flags = (*flags, "--beams", "3")
    finished = run("ask", "--questions", "asked.txt", "--context", "notes.txt", *flags)
    assert (finished.code, finished.err) == (0, "")
    answer, abstention = map(json.loads, finished.out.splitlines())
    assert {"focus", "verification", "heads"} <= set(answer)
    assert (abstention["abstained"], "focus" in abstention) == (True, False)
    text = (notes / "notes.txt").read_text("utf-8")
    looking = [text[word["start"] : word["end"]] for word in answer["focus"]["words"]]
    assert re.findall(r"\w+|[^\w\s]", answer["answer"]) == looking
    assert len((notes / "kept.jsonl").read_text("utf-8").splitlines()) == 2
