"""What a person may expect on the sample corpus: found, answered, and abstained where due."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path

import pytest

from ragcli.engine.asking import AskOptions, ask
from ragcli.engine.indexing import index_paths
from ragcli.evaluation.answers import f1
from ragcli.records import Answer, Question

CORPUS = Path(__file__).parent.parent / "sample_corpus"
QUESTIONS = [
    json.loads(line)
    for line in (CORPUS / "questions.jsonl").read_text(encoding="utf-8").splitlines()
]
ANSWERABLE = [row for row in QUESTIONS if row["answers"]]
UNANSWERABLE = [row for row in QUESTIONS if not row["answers"]]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """The answers to all questions, by question id."""
    folder = tmp_path_factory.mktemp("sample") / "index"
    report = index_paths([CORPUS], folder)
    assert not report.failed
    questions = [Question(row["question"], row["id"]) for row in QUESTIONS]
    return {
        str(answer.question.question_id): answer
        for answer in ask(folder, questions, AskOptions(seen_from=CORPUS))
    }


def relevant() -> dict[str, set[str]]:
    """Document ids judged relevant, by question id."""
    judged: dict[str, set[str]] = defaultdict(set)
    with (CORPUS / "qrels.tsv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            judged[row["query-id"]].add(row["corpus-id"])
    return judged


def test_the_questions_are_many_and_of_both_kinds() -> None:
    assert len(QUESTIONS) >= 60
    assert len(UNANSWERABLE) >= 12


def test_every_gold_document_exists() -> None:
    for row in ANSWERABLE:
        assert (CORPUS / row["document"]).is_file(), row["id"]


def test_the_five_passages_read_hold_the_gold_document(answers: dict[str, Answer]) -> None:
    judged = relevant()
    found = 0
    for row in ANSWERABLE:
        hits = answers[row["id"]].passages
        assert len(hits) == 5
        seen = {hit.stored.document_id.removeprefix(f"{CORPUS.as_posix()}/") for hit in hits}
        found += bool(seen & judged[row["id"]])
    assert found / len(ANSWERABLE) >= 0.95


def test_answers_are_right_more_often_than_not(answers: dict[str, Answer]) -> None:
    scores = [f1(answers[row["id"]].text, row["answers"]) for row in ANSWERABLE]
    assert 100 * sum(scores) / len(scores) >= 60


def test_abstains_on_most_of_what_is_not_in_the_documents(answers: dict[str, Answer]) -> None:
    abstained = sum(answers[row["id"]].abstained for row in UNANSWERABLE)
    assert abstained >= len(UNANSWERABLE) / 2


def test_the_support_is_quoted_verbatim(answers: dict[str, Answer]) -> None:
    for answer in answers.values():
        support = answer.support
        if support is None:
            continue
        text = answer.passages[support.context].stored.passage.text
        assert text[support.start : support.end] == support.text
