"""How fast the reader answers, beside a T5-small that reads the same as a Fusion-in-Decoder.

    python benchmarks/reader_speed.py [--sizes 1 8] [--form short] [--questions 131]
                                      [--runs 1] [--seed 0]

Questions of ``sample_corpus/questions.jsonl`` are read with their five best passages, in batches
of each size. The peer is transformers' T5 in t5-small's sizes, without its trained weights, which
change no time. It encodes every passage, whole, with the question, in as many tokens as the
reader's tokenizer makes of them and in groups of similar length, as the reader does; its decoder
looks at all passages of a question together (Izacard and Grave 2021,
https://arxiv.org/abs/2007.01282) and writes greedily, with its cache, as many tokens as the
reader's longest answer of the batch has. It is spared what the reader is not: tokenising, laying
out the batch, the step that ends an answer, and keeping the attention.

The reader's encoder runs in bfloat16 where the processor multiplies that, and so does the peer:
all of it, or its encoder alone, as in the reader; and all of it in float32. All read a batch one
right after the other, in an order drawn anew for each. Prints one JSON object a size: questions a
second, and the peer's seconds over the reader's of the same batch, their median and quartiles. The
fastest peer is the one to look at.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import T5Config, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from ragcli.encoder.precision import fast_dtype
from ragcli.engine.asking import AskOptions, ask
from ragcli.engine.indexing import index_paths
from ragcli.reader import Reader, load_reader
from ragcli.reader.model import FORMS, SHORT
from ragcli.reader.windows import ReaderBatch, collate, split_windows, tokenise
from ragcli.records import Question

CORPUS = Path(__file__).resolve().parents[1] / "sample_corpus"
PASSAGES = 5
T5_WINDOW = 512
T5_SMALL = T5Config(
    vocab_size=32128,
    d_model=512,
    d_kv=64,
    d_ff=2048,
    num_layers=6,
    num_decoder_layers=6,
    num_heads=8,
    decoder_start_token_id=0,
)


class Asked(NamedTuple):
    """A question, its passages, and how many tokens the reader's answer has."""

    question: str
    passages: list[str]
    n_tokens: int


def asked(most: int, form: str, seed: int) -> list[Asked]:
    """Questions of the sample corpus, ``most`` of them drawn by chance."""
    lines = (CORPUS / "questions.jsonl").read_text("utf-8").splitlines()
    random.Random(seed).shuffle(lines)
    questions = [Question(json.loads(line)["question"]) for line in lines[:most]]
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        index_paths([CORPUS], index)
        options = AskOptions(k=PASSAGES, form=form, seen_from=CORPUS)
        answers = list(ask(index, questions, options))
    return [
        Asked(
            answer.question.text,
            [hit.stored.passage.text for hit in answer.passages],
            len(answer.attribution.tokens),
        )
        for answer in answers
    ]


def laid_out(reader: Reader, batch: Sequence[Asked]) -> ReaderBatch:
    """One window a passage; the ids of the reader's tokens are ids of T5 as well.

    The reader itself cuts long passages into several windows, which overlap: that is its own cost.
    """
    windows = []
    for one in batch:
        ids = tokenise(reader.tokenizer, [one.question])[0].ids
        read = tokenise(reader.tokenizer, one.passages)
        windows.append(
            [w for n, text in enumerate(read) for w in split_windows(ids, text, n, T5_WINDOW)]
        )
    return collate(windows)


class Peer:
    """T5-small as a Fusion-in-Decoder, its encoder and its decoder each in a number format."""

    def __init__(self, encoder: torch.dtype, decoder: torch.dtype, seed: int) -> None:
        torch.manual_seed(seed)
        self._model = T5ForConditionalGeneration(T5_SMALL).eval().to(decoder)
        # The embeddings are the decoder's as well; the blocks cast what comes in.
        self._model.encoder.block.to(encoder)
        self._decoder = decoder

    def write(self, batch: ReaderBatch, n_tokens: int) -> None:
        """Answer a batch in ``n_tokens`` tokens a question."""
        with torch.inference_mode():
            states = torch.cat(
                [
                    self._model.encoder(
                        input_ids=group.token_ids, attention_mask=group.mask.long()
                    ).last_hidden_state.flatten(0, 1)
                    for group in batch.groups
                ]
            )
            memory = states[batch.memory_index].to(self._decoder)
            written = self._model.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=memory),
                attention_mask=batch.memory_mask.long(),
                max_new_tokens=n_tokens,
                min_new_tokens=n_tokens,
                num_beams=1,
                do_sample=False,
                use_cache=True,
            )
        assert written.shape == (len(memory), n_tokens + 1), "one more opens the answer"


def peers(seed: int) -> dict[str, Peer]:
    """The peer in the formats that may be fast on this processor."""
    exact, fast = torch.float32, fast_dtype()
    formats = {
        "t5-small, float32": (exact, exact),
        "t5-small, bfloat16": (fast, fast),
        "t5-small, encoder bfloat16": (fast, exact),
    }
    if fast == exact:
        formats = {"t5-small, float32": (exact, exact)}
    return {name: Peer(encoder, decoder, seed) for name, (encoder, decoder) in formats.items()}


def seconds(work: Callable[[], object]) -> float:
    """Time on the clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def work_of(
    reader: Reader, others: dict[str, Peer], batch: Sequence[Asked], form: str
) -> dict[str, Callable[[], object]]:
    """What each system has to do for one batch."""
    questions, contexts = [one.question for one in batch], [one.passages for one in batch]
    prepared, most = laid_out(reader, batch), max(one.n_tokens for one in batch)
    return {
        "reader": partial(reader.generate, questions, contexts, form=form),
        **{name: partial(peer.write, prepared, most) for name, peer in others.items()},
    }


def measure(
    reader: Reader,
    others: dict[str, Peer],
    batches: Sequence[Sequence[Asked]],
    form: str,
    order: random.Random,
) -> dict[str, object]:
    """Questions a second of all systems, over all batches."""
    times: dict[str, list[float]] = {name: [] for name in ("reader", *others)}
    for batch in batches:
        work = work_of(reader, others, batch, form)
        for name in order.sample(list(work), len(work)):
            times[name].append(seconds(work[name]))
    size = len(batches[0])
    return {name: speed(own, times["reader"], size) for name, own in times.items()}


def speed(own: list[float], readers: list[float], size: int) -> dict[str, object]:
    """Questions a second, and seconds by those of the reader for the same batches."""
    ratios = [one / reader for one, reader in zip(own, readers, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "questions_per_second": round(len(own) * size / sum(own), 2),
        "times_as_long": round(middle, 2),
        "quartiles": [round(low, 2), round(high, 2)],
    }


def main() -> int:
    """Measure each batch size in turn, after a warm-up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--form", choices=FORMS, default=SHORT)
    parser.add_argument("--questions", type=int, default=131)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows = asked(arguments.questions, arguments.form, arguments.seed)
    reader, others = load_reader(), peers(arguments.seed)
    order = random.Random(arguments.seed)
    for size in arguments.sizes:
        batches = [rows[n : n + size] for n in range(0, len(rows) - size + 1, size)]
        measure(reader, others, batches[:2], arguments.form, order)
        result = {
            "form": arguments.form,
            "batch": size,
            "batches": len(batches) * arguments.runs,
            "threads": torch.get_num_threads(),
            "answer_tokens": round(statistics.mean(row.n_tokens for row in rows), 1),
            "reader_encoder": reader.arithmetic,
            **measure(reader, others, batches * arguments.runs, arguments.form, order),
        }
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
