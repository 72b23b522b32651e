from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Run

REVIEW = "The project review is due on 14 March 2025. Anna Berg leads the team."
ROWS = [
    {"id": "1", "question": "Who leads the team?", "contexts": [REVIEW], "answers": ["Anna Berg"]},
    {"id": "2", "question": "Who leads the team?", "contexts": [" "], "answers": []},
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    lines = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    (tmp_path / "rows.jsonl").write_text(lines, "utf-8")
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    return tmp_path


def test_scores_as_json(run: Run, rows: Path) -> None:
    finished = run("eval", "reader", "rows.jsonl", "rows.jsonl.gz", "--json")
    assert (finished.code, finished.err) == (0, "")
    score = json.loads(finished.out)
    assert list(score) == ["schema", "em", "f1", "holds", "n", "abstained", "seconds"]
    seconds = score.pop("seconds")
    assert score == {"schema": 1, "em": 100.0, "f1": 100.0, "holds": 100.0, "n": 4, "abstained": 2}
    assert seconds > 0


def test_scores_for_a_person_on_a_sample_below_a_threshold(run: Run, rows: Path) -> None:
    finished = run(
        "eval", "reader", "rows.jsonl", "rows.jsonl.gz", "--limit", "3", "--min-confidence", "1",
        stderr_is_terminal=True,
    )  # fmt: skip
    assert finished.code == 0
    assert "(3 questions, 3 abstained, " in finished.out
    assert finished.out.startswith("EM ")
    assert finished.err == "\r3/3 questions\r\x1b[K"


def test_weights_are_named_from_the_persons_folder(run: Run, rows: Path) -> None:
    (rows / "other.safetensors").write_text("no weights", "utf-8")
    finished = run("eval", "reader", "rows.jsonl", "--weights", "other.safetensors")
    assert (finished.code, finished.out) == (2, "")
    assert f"cannot read the reader weights {rows / 'other.safetensors'}" in finished.err
    missing = run("eval", "reader", "rows.jsonl", "--weights", "missing.safetensors")
    assert missing.code == 2
    assert "missing.safetensors" in missing.err


def test_a_bad_row_is_named_by_file_and_line(run: Run, rows: Path) -> None:
    with (rows / "rows.jsonl").open("a", encoding="utf-8") as lines:
        lines.write('{"question": "q", "contexts": "no list", "answers": []}\n')
    finished = run("eval", "reader", "rows.jsonl")
    assert (finished.code, finished.out) == (2, "")
    assert "rows.jsonl:3: contexts and answers must be lists of texts" in finished.err
    assert 'a row is {"id", "question"' in finished.err


def test_a_missing_or_empty_file_is_refused(run: Run, tmp_path: Path) -> None:
    assert run("eval", "reader", "none.jsonl").code == 2
    (tmp_path / "empty.jsonl").touch()
    finished = run("eval", "reader", "empty.jsonl")
    assert (finished.code, finished.err) == (2, "ragcli: there are no rows to evaluate on\n")


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    texts = {
        "tea": "Green tea is brewed at 80 degrees.",
        "otter": "Otters hold hands while they sleep.",
        "boiler": "The boiler in the cellar was serviced in March.",
    }
    rows = [json.dumps({"_id": name, "text": text}) for name, text in texts.items()]
    (tmp_path / "corpus.jsonl.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    (tmp_path / "queries.tsv").write_text("1\thow hot is tea\n2\tboiler service\n9\tunjudged\n")
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\ttea\t1\n2\tboiler\t2\n")
    return tmp_path


RETRIEVAL = ("eval", "retrieval", "--queries", "queries.tsv", "--qrels", "qrels.tsv")


def test_retrieval_of_every_mode_on_a_packed_corpus(run: Run, judged: Path) -> None:
    finished = run(*RETRIEVAL, "--corpus", "corpus.jsonl.gz", "--json", "--per-query", "each.jsonl")
    assert (finished.code, finished.err) == (0, "")
    modes = [json.loads(line) for line in finished.out.splitlines()]
    assert [mode["mode"] for mode in modes] == ["hybrid", "dense", "lexical"]
    for mode in modes:
        assert (mode["schema"], mode["n"]) == (1, 2)
        assert mode["nDCG@10"] == mode["R@5"] == mode["RR@10"] == mode["Success@1"] == 1.0
        assert mode["intervals"]["nDCG@10"] == [1.0, 1.0]
    each = [json.loads(line) for line in (judged / "each.jsonl").read_text().splitlines()]
    assert [(row["mode"], row["query_id"]) for row in each[:3]] == [
        ("hybrid", "1"),
        ("hybrid", "2"),
        ("dense", "1"),
    ]
    assert not (judged / ".ragcli").exists()


def test_reranking_is_measured_beside_a_mode(run: Run, judged: Path) -> None:
    corpus = ("--corpus", "corpus.jsonl.gz")
    finished = run(*RETRIEVAL, *corpus, "--mode", "hybrid", "--rerank", "--json")
    plain, reranked = (json.loads(line) for line in finished.out.splitlines())
    assert (plain["mode"], reranked["mode"]) == ("hybrid", "reranked")
    assert plain["p_values"] == {}
    assert reranked["p_values"]["nDCG@10"] == 1.0


def test_retrieval_from_an_index_of_files_as_a_table(run: Run, judged: Path) -> None:
    (judged / "notes").mkdir()
    (judged / "notes" / "tea.txt").write_text("Green tea is brewed at 80 degrees.")
    (judged / "notes" / "otter.txt").write_text("Otters hold hands while they sleep.")
    (judged / "qrels.tsv").write_text("1 0 notes/tea.txt 1\n")
    assert run("index", "notes", "-q").code == 0
    finished = run(*RETRIEVAL, "--mode", "lexical")
    assert finished.code == 0
    assert "lexical" in finished.out.splitlines()[0]
    assert "nDCG@10       1.0000" in finished.out
    assert "dense" not in finished.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--mode", "exact"), "unknown mode 'exact'"),
        (("--per-query", "absent/each.jsonl", "--corpus", "corpus.jsonl.gz"), "absent/each.jsonl"),
        ((), "no index here or above"),
        (("--corpus", "absent.jsonl"), "absent.jsonl"),
    ],
)
def test_what_retrieval_cannot_do_is_said(
    run: Run, judged: Path, arguments: tuple[str, ...], said: str
) -> None:
    finished = run(*RETRIEVAL, *arguments)
    assert finished.code == 2
    assert said in finished.err
    assert "Traceback" not in finished.err


TEA = "Green tea is brewed at 80 degrees. It comes from Japan."
BOILER = "The boiler in the cellar was serviced by Mr Holm in October."


def test_attribution_is_judged_by_what_is_lost(run: Run, tmp_path: Path) -> None:
    rows = [
        {"question": "Who leads the team?", "contexts": [TEA, REVIEW], "answers": ["Anna Berg"]},
        {
            "question": "Who serviced the boiler?",
            "contexts": [REVIEW, BOILER, TEA],
            "answers": ["Mr Holm"],
        },
        {"question": "Who?", "contexts": [TEA], "answers": ["nobody"]},  # one context: left out
    ]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    finished = run("eval", "attribution", "rows.jsonl", "--json")
    assert (finished.code, finished.err) == (0, "")
    found = {line["method"]: line for line in map(json.loads, finished.out.splitlines())}
    assert list(found) == [
        "effect", "copy", "learned-heads", "cross-attention", "value-norm", "first-token",
        "leave-one-out", "context-cite", "similarity", "random",
    ]  # fmt: skip
    assert {(line["n"], line["right"]) for line in found.values()} == {(2, 2)}
    for name in ("effect", "leave-one-out", "context-cite"):
        assert found[name]["hit@1"] == found[name]["sentence_hit@1"] == 1.0
        assert found[name]["LDS"] > 0.5  # many of the few ablations are alike
        assert found[name]["drop@1"] > 3
        assert found[name]["sentence_drop@1"] > 1
        low, high = found[name]["intervals"]["LDS"]
        assert low <= found[name]["LDS"] <= high
    assert found["leave-one-out"]["LOO"] == 1.0
    assert found["leave-one-out"]["shuffled"] is None
    assert found["effect"]["seconds"] < found["leave-one-out"]["seconds"]
    told = run("eval", "attribution", "rows.jsonl", "--limit", "1")
    assert told.out.startswith("1 questions, 1 answered rightly, ")
    assert all(len(line) <= 80 for line in told.out.splitlines())


def test_attribution_needs_something_to_choose_from(run: Run, rows: Path) -> None:
    finished = run("eval", "attribution", "rows.jsonl")
    assert (finished.code, finished.out) == (2, "")
    assert "no answerable row with two contexts" in finished.err


@pytest.fixture
def asked(run: Run, tmp_path: Path) -> Path:
    for name, text in (("review", REVIEW), ("tea", TEA), ("boiler", BOILER)):
        (tmp_path / f"{name}.txt").write_text(text, "utf-8")
    rows = [
        {"id": "a", "question": "Who leads the team?", "answers": ["Anna Berg"]},
        {"id": "b", "question": "Who serviced the boiler?", "answers": ["Holm", "Mr Holm"]},
        {"id": "c", "question": "What is the capital of Peru?", "answers": []},
        {"id": "d", "question": "At how many degrees is tea brewed?", "answers": ["70"]},
    ]
    (tmp_path / "asked.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    (tmp_path / "qrels.tsv").write_text("a\treview.txt\t1\nb\tboiler.txt\t1\nb\tgone.txt\t1\n")
    assert run("index", "review.txt", "tea.txt", "boiler.txt").code == 0
    return tmp_path


def test_answers_are_scored_from_end_to_end(run: Run, asked: Path) -> None:
    finished = run(
        "eval", "answers", "--queries", "asked.jsonl", "--qrels", "qrels.tsv", "-k", "3",
        "--per-query", "each.jsonl", "--json",
    )  # fmt: skip
    assert (finished.code, finished.err) == (0, "")
    score = json.loads(finished.out)
    assert (score["n"], score["unanswerable"]) == (4, 1)
    each = [json.loads(line) for line in (asked / "each.jsonl").read_text("utf-8").splitlines()]
    assert [one["id"] for one in each] == ["a", "b", "c", "d"]
    assert [one["answer"] for one in each[:2]] == ["Anna Berg", "Mr Holm"]
    assert [one["em"] for one in each] == [1.0, 1.0, float(each[2]["answer"] is None), 0.0]
    assert [one["recall"] for one in each] == [1.0, 0.5, None, None]
    assert score["answerable_em"] == pytest.approx(200 / 3, abs=0.01)
    assert score["em"] == pytest.approx(25 * sum(one["em"] for one in each))
    assert score["recall@3"] == 75.0
    given = [one for one in each if one["answer"] is not None]
    wrong = sum(one["f1"] < 0.5 for one in given)
    assert score["wrong"] == pytest.approx(100 * wrong / len(given), abs=0.01)
    as_sentences = run(
        "eval", "answers", "--queries", "asked.jsonl", "--form", "sentence", "-k", "3",
        "--min-confidence", "0", "--per-query", "each.jsonl", "--json",
    )  # fmt: skip
    score = json.loads(as_sentences.out)
    each = [json.loads(line) for line in (asked / "each.jsonl").read_text("utf-8").splitlines()]
    assert each[0]["answer"].endswith(".")
    assert (each[0]["em"], each[0]["holds"]) == (0.0, 1.0)
    holding = sum(one["holds"] for one in each if one["answers"])
    assert score["answerable_holds"] == pytest.approx(100 * holding / 3, abs=0.01)
    assert score["wrong"] == pytest.approx(100 - 100 * holding / 4, abs=0.01)
    silent = run("eval", "answers", "--queries", "asked.jsonl", "--min-confidence", "1")
    assert "abstained, answerable      100.0 %" in silent.out
    assert "4 questions, 1 of them unanswerable" in silent.out


def test_questions_without_answers_are_named(run: Run, asked: Path) -> None:
    (asked / "open.jsonl").write_text('{"id": "q7", "question": "Who?"}\n', "utf-8")
    finished = run("eval", "answers", "--queries", "open.jsonl")
    assert (finished.code, finished.out) == (2, "")
    assert "the question 'q7' has no list of answers" in finished.err
