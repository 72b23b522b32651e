"""How much longer an answer takes with ``--verify``: the answer's own time is 1.

    python benchmarks/verifying.py [--questions 131] [--form short] [--beams N]

Asks questions of ``sample_corpus/questions.jsonl`` one at a time in one process, each with its
verification, and compares what the clock says of the parts: reading with and without retrieval,
against the trials behind it. Loading is left out. Prints one JSON object: medians and quartiles
over the questions that were answered.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path

from ragcli.engine.asking import AskOptions, ask
from ragcli.engine.indexing import index_paths
from ragcli.reader.model import FORMS, SHORT
from ragcli.records import Question

CORPUS = Path(__file__).resolve().parents[1] / "sample_corpus"


def quartiles(values: list[float]) -> list[float]:
    """Lower quartile, median and upper quartile, rounded."""
    return [round(value, 2) for value in statistics.quantiles(values, n=4)]


def main() -> int:
    """Ask every question once, after a warm-up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=int, default=131)
    parser.add_argument("--form", choices=FORMS, default=SHORT)
    parser.add_argument("--beams", type=int, help="default: those of the form")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    lines = (CORPUS / "questions.jsonl").read_text("utf-8").splitlines()
    random.Random(arguments.seed).shuffle(lines)
    questions = [Question(json.loads(line)["question"]) for line in lines[: arguments.questions]]
    options = AskOptions(form=arguments.form, beams=arguments.beams, verify=True, seen_from=CORPUS)
    of_reading, of_answer = [], []
    verdicts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        index_paths([CORPUS], index)
        list(ask(index, questions[:4], options))
        for question in questions:
            (answer,) = ask(index, [question], options)
            if answer.verification is None:
                continue
            spent = answer.timings
            reading = spent["reading"] + spent["attribution"]
            of_reading.append(1 + spent["verification"] / reading)
            of_answer.append(1 + spent["verification"] / (reading + spent["retrieval"]))
            verdicts[answer.verification.verdict] += 1
    result = {
        "form": arguments.form,
        "beams": options.n_beams,
        "answers": len(of_reading),
        "verdicts": dict(verdicts),
        "times_as_long_as_reading": quartiles(of_reading),
        "times_as_long_as_the_answer": quartiles(of_answer),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
