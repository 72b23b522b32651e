"""How well questions about ``sample_corpus/`` are answered: retrieval, answers and abstention.

    python benchmarks/sample_corpus.py

Indexes the corpus into a temporary folder, asks every question of ``questions.jsonl`` as
``ragcli ask`` does by default, and prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from ragcli.engine.asking import AskOptions, ask
from ragcli.engine.indexing import index_paths
from ragcli.evaluation.answers import exact_match, f1
from ragcli.reader.confidence import DEFAULT_MIN_CONFIDENCE
from ragcli.records import Answer, Question

CORPUS = Path(__file__).resolve().parents[1] / "sample_corpus"
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)


def percent(values: list[float]) -> float:
    """Mean in percent, rounded."""
    return round(100 * sum(values) / len(values), 1)


def main() -> int:
    """Ask everything once and report it at several thresholds."""
    lines = (CORPUS / "questions.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        index_paths([CORPUS], index)
        questions = [Question(row["question"], row["id"]) for row in rows]
        options = AskOptions(seen_from=CORPUS, min_confidence=0.0)
        answers = {str(a.question.question_id): a for a in ask(index, questions, options)}
    answerable = [(row, answers[row["id"]]) for row in rows if row["answers"]]
    others = [answers[row["id"]] for row in rows if not row["answers"]]

    def report(least: float) -> dict[str, object]:
        """What ``--min-confidence least`` gives."""

        def text(answer: Answer) -> str | None:
            return answer.text if answer.confidence >= least else None

        return {
            "min_confidence": least,
            "em": percent([exact_match(text(a), row["answers"]) for row, a in answerable]),
            "f1": percent([f1(text(a), row["answers"]) for row, a in answerable]),
            "abstained_answerable": sum(a.confidence < least for _, a in answerable),
            "abstained_unanswerable": sum(a.confidence < least for a in others),
        }

    result = {
        "answerable": len(answerable),
        "unanswerable": len(others),
        "top_5": percent(
            [float(row["document"] in {h.stored.path for h in a.passages}) for row, a in answerable]
        ),
        "always": report(0.0),
        "default": report(DEFAULT_MIN_CONFIDENCE),
        "thresholds": [report(threshold) for threshold in THRESHOLDS],
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
