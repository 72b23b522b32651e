"""``python -m ragcli.training.distractors``: rows with one gold context → rows with several.

Each row keeps its own context and gets the passages of the same file that BM25 finds most like its
question, in an order drawn from the seed; with ``--without-gold`` its own context is taken away
and the row becomes unanswerable.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ragcli.encoder import minilm
from ragcli.reader.windows import tokenise
from ragcli.training.data import read_rows, texts_of
from ragcli.training.negatives import rank_passages


def with_distractors(
    rows: Sequence[dict[str, object]], n_passages: int, seed: int, *, without_gold: bool = False
) -> Iterator[dict[str, object]]:
    """Yield every row with ``n_passages`` contexts."""
    tokenizer = minilm.load_tokenizer()
    own = [texts_of(row["contexts"]) for row in rows]
    texts = list(dict.fromkeys(text for contexts in own for text in contexts))
    questions = [t.ids for t in tokenise(tokenizer, [str(row["question"]) for row in rows])]
    passages = [t.ids for t in tokenise(tokenizer, texts)]
    depth = n_passages + max(map(len, own), default=0)
    ranked = rank_passages(questions, passages, tokenizer.get_vocab_size(), depth)
    rng = np.random.default_rng(seed)
    for row, contexts, best in zip(rows, own, ranked, strict=True):
        others = [texts[n] for n in best if texts[n] not in contexts]
        kept = [] if without_gold else contexts
        chosen = [*kept, *others[: max(n_passages - len(kept), 0)]]
        shuffled = [chosen[i] for i in rng.permutation(len(chosen))]
        answers = [] if without_gold else row["answers"]
        yield {**row, "contexts": shuffled, "answers": answers}


def main(arguments: Sequence[str] | None = None) -> int:
    """Read rows and write them with their distractors."""
    parser = argparse.ArgumentParser(
        prog="python -m ragcli.training.distractors", description=__doc__
    )
    parser.add_argument("rows", type=Path, help="JSON lines, plain or .gz")
    parser.add_argument("output", type=Path, help="JSON lines to write, .gz or plain")
    parser.add_argument("--passages", type=int, default=5)
    parser.add_argument("--without-gold", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    made = with_distractors(
        list(read_rows(options.rows)),
        options.passages,
        options.seed,
        without_gold=options.without_gold,
    )
    opener = gzip.open if options.output.suffix == ".gz" else open
    with opener(options.output, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
