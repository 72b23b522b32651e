"""``python -m ragcli.training``: train the reader from JSON-lines files of questions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from ragcli.encoder import minilm
from ragcli.reader import checkpoint
from ragcli.reader.model import FusionInDecoder, ReaderConfig
from ragcli.reader.windows import GROUP_TOKENS
from ragcli.training.data import load_data, read_rows, texts_of
from ragcli.training.loop import Progress, Run, Schedule, log_line, set_dropout, train
from ragcli.training.mixture import MixConfig, Mixture
from ragcli.training.scoring import score_reader


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m ragcli.training", description=__doc__)
    add = parser.add_argument
    add("data", nargs="+", metavar="FILE[:PASSES]", help="training rows and their share of a pass")
    add("--output", type=Path, required=True, help="folder for checkpoints, log and weights")
    add("--init", type=Path, help="weights to start from (default: MiniLM)")
    add("--exclude", type=Path, nargs="*", default=[], help="files whose contexts never train")
    add("--steps", type=int, default=4000)
    add("--warmup", type=int, default=100)
    add("--decay", type=int, default=0, help="last steps over which the rate falls to 0")
    add("--rate", type=float, default=2.5e-4)
    add("--passages", type=_weights, default=(1.0,), help="weights of rows of 1,2,... passages")
    add("--no-answer", type=float, default=0.0, help="share of rows without the gold passage")
    add("--altered", type=float, default=0.0, help="share of rows with an altered question")
    add("--sentences", type=float, default=0.0, help="share of rows that want a sentence")
    add("--whole", type=float, default=0.0, help="share of rows whose passages are read whole")
    add("--window-tokens", type=int, default=192)
    add("--shortest-window", type=int, default=96)
    add("--dropout", type=float, default=0.0, help="share of computed values to drop")
    add("--frozen-layers", type=int, help="lowest encoder layers that stay as they are")
    add("--dev", type=Path, help="rows on which EM and F1 are logged during training")
    add("--dev-limit", type=int, default=300)
    add("--evaluate-every", type=int, default=1000, metavar="STEPS")
    add("--batch-tokens", type=int, default=2500)
    add("--group-tokens", type=int, default=GROUP_TOKENS, help="tokens to encode at once")
    add("--workers", type=int, default=0, help="processes that make batches, for a GPU")
    add("--save-every", type=int, default=200, metavar="STEPS")
    add("--seed", type=int, default=0)
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args(arguments)


def _weights(text: str) -> tuple[float, ...]:
    """``"0.5,0.5"`` → ``(0.5, 0.5)``."""
    return tuple(float(part) for part in text.split(","))


def load_mixture(specifications: Sequence[str], exclude: Sequence[Path]) -> Mixture:
    """Load ``FILE[:PASSES]`` specifications."""
    tokenizer = minilm.load_tokenizer()
    excluded = frozenset(
        context
        for file in exclude
        for row in read_rows(file)
        for context in texts_of(row["contexts"])
    )
    sets, passes = [], []
    for specification in specifications:
        name, _, share = specification.partition(":")
        sets.append(load_data(Path(name), tokenizer, excluded, free=True))
        passes.append(float(share or 1))
    return Mixture(tuple(sets), tuple(passes))


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and write the weights."""
    options = parse(arguments)
    torch.manual_seed(options.seed)
    mixture = load_mixture(options.data, options.exclude)
    for data in mixture.sets:
        sys.stderr.write(f"{data.name}: {len(data.examples)} questions\n")
    reader: FusionInDecoder
    reader = (
        checkpoint.load(options.init) if options.init else checkpoint.initialise(ReaderConfig())
    )
    if options.frozen_layers is not None:
        reader.config = replace(reader.config, frozen_layers=options.frozen_layers)
        checkpoint.freeze(reader)
    set_dropout(reader, options.dropout)
    mix = MixConfig(
        options.passages,
        options.no_answer,
        options.altered,
        options.sentences,
        options.whole,
        options.window_tokens,
        options.shortest_window,
        options.batch_tokens,
        options.group_tokens,
    )
    schedule = Schedule(options.steps, options.rate, options.warmup, options.decay, options.seed)
    options.output.mkdir(parents=True, exist_ok=True)
    log = options.output / "log.jsonl"

    def report(progress: Progress) -> None:
        log_line(log, **asdict(progress))

    def evaluate(trained: FusionInDecoder, step: int) -> None:
        if options.dev:
            score = score_reader(trained, options.dev, options.dev_limit)
            log_line(log, step=step, **score)

    run = Run(
        options.output,
        report,
        evaluate,
        save_every=options.save_every,
        evaluate_every=options.evaluate_every,
        workers=options.workers,
    )
    train(reader.to(options.device), mixture, mix, schedule, run)
    return 0


if __name__ == "__main__":
    sys.exit(main())
