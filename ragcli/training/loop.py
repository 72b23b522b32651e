"""The training loop: batches → gradient steps → checkpoints that a later run can resume from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ragcli.reader import checkpoint
from ragcli.reader.model import FusionInDecoder
from ragcli.training.loss import TrainingBatch, answer_loss
from ragcli.training.mixture import MixConfig, Mixture, training_batch

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps and learning rate: linear warm-up, constant, linear decay to 0 over the last steps."""

    steps: int
    peak: float = 2.5e-4
    warmup: int = 100
    decay: int = 0
    seed: int = 0

    def rate(self, step: int) -> float:
        """Learning rate of step number ``step``, counted from 0."""
        up = min(1.0, (step + 1) / max(self.warmup, 1))
        down = min(1.0, (self.steps - step) / self.decay) if self.decay else 1.0
        return self.peak * min(up, down)


@dataclass(slots=True)
class Progress:
    """What a step reports: its number, mean loss and tokens a second since the last report."""

    step: int
    loss: float
    rate: float
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run keeps its state, whom it tells what, and how many processes make its batches."""

    folder: Path
    report: Callable[[Progress], None]
    evaluate: Callable[[FusionInDecoder, int], None] = lambda reader, step: None
    save_every: int = 200
    evaluate_every: int = 1000
    workers: int = 0


def make_optimizer(reader: FusionInDecoder) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only (Loshchilov & Hutter 2019)."""
    trained = [p for p in reader.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.dim() > 1]
    vectors = [p for p in trained if p.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": 0.01},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)


def save_checkpoint(
    folder: Path, reader: FusionInDecoder, optimizer: torch.optim.AdamW, step: int
) -> None:
    """Write weights and optimizer state; a kill leaves the previous checkpoint whole."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in reader.named_parameters():
        if not parameter.requires_grad:
            continue
        tensors[f"weights.{name}"] = parameter.detach()
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value)
    temporary = folder / "checkpoint.partial"
    save_file({k: v.contiguous() for k, v in tensors.items()}, str(temporary), {"step": str(step)})
    temporary.replace(folder / CHECKPOINT)


def load_checkpoint(folder: Path, reader: FusionInDecoder, optimizer: torch.optim.AdamW) -> int:
    """Restore what ``save_checkpoint`` wrote; returns the step to go on with."""
    file = folder / CHECKPOINT
    if not file.exists():
        return 0
    with safe_open(str(file), "pt") as opened:
        step = int(opened.metadata()["step"])
    tensors = load_file(str(file))
    for name, parameter in reader.named_parameters():
        if not parameter.requires_grad:
            continue
        parameter.data.copy_(tensors[f"weights.{name}"])
        keys = ("step", "exp_avg", "exp_avg_sq")
        optimizer.state[parameter] = {
            key: tensors[f"optimizer.{key}.{name}"].to(parameter.device if key != "step" else "cpu")
            for key in keys
        }
    return step


def gradient_step(
    reader: FusionInDecoder,
    optimizer: torch.optim.AdamW,
    batch: TrainingBatch,
    rate: float,
) -> Tensor:
    """One forward and backward pass in bf16 and one update; returns the loss, a scalar."""
    device = next(reader.parameters()).device
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast(device.type, torch.bfloat16):
        loss = answer_loss(reader, batch.to(device))
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([p for p in reader.parameters() if p.requires_grad], 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()


class Batches(IterableDataset[TrainingBatch]):
    """The batches of a mixture from number ``first`` on; workers take turns, each with a part."""

    def __init__(self, mixture: Mixture, mix: MixConfig, seed: int, first: int) -> None:
        super().__init__()
        self.mixture, self.mix, self.seed, self.first = mixture, mix, seed, first

    def __iter__(self) -> Iterator[TrainingBatch]:
        """Endless batches."""
        worker = get_worker_info()
        n_parts = worker.num_workers if worker else 1
        part = (self.first + (worker.id if worker else 0)) % n_parts
        done = len(range(part, self.first, n_parts))
        for rows in islice(self.mixture.batches(self.mix, self.seed, part, n_parts), done, None):
            yield training_batch(rows, self.mix.group_tokens)


def set_dropout(reader: FusionInDecoder, rate: float) -> None:
    """Let training drop this share of the values that layers compute."""
    for module in reader.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate


def train(
    reader: FusionInDecoder,
    mixture: Mixture,
    mix: MixConfig,
    schedule: Schedule,
    run: Run,
) -> None:
    """Train in place, resuming from the run's folder; writes ``reader.safetensors`` there."""
    folder = run.folder
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = make_optimizer(reader)
    first = load_checkpoint(folder, reader, optimizer)
    batches = DataLoader(
        Batches(mixture, mix, schedule.seed, first),
        batch_size=None,
        num_workers=run.workers,
        prefetch_factor=4 if run.workers else None,
        pin_memory=next(reader.parameters()).is_cuda,
    )
    losses: list[Tensor] = []
    tokens, started = 0, time.monotonic()
    reader.train()
    for step, batch in zip(range(first, schedule.steps), batches, strict=False):
        losses.append(gradient_step(reader, optimizer, batch, schedule.rate(step)))
        tokens += batch.n_tokens
        done = step + 1
        if done % 50 == 0 or done == schedule.steps:
            mean = float(torch.stack(losses).mean())
            seconds = time.monotonic() - started
            run.report(Progress(done, mean, schedule.rate(step), tokens / seconds))
            losses, tokens, started = [], 0, time.monotonic()
        if done % run.save_every == 0 or done == schedule.steps:
            save_checkpoint(folder, reader, optimizer, done)
        if done % run.evaluate_every == 0 or done == schedule.steps:
            reader.eval()
            run.evaluate(reader, done)
            reader.train()
            started = time.monotonic()
    checkpoint.save(reader, folder / "reader.safetensors")


def log_line(file: Path, **values: float | str) -> None:
    """Append one JSON line to a training log."""
    with file.open("a", encoding="utf-8") as log:
        log.write(json.dumps(values) + "\n")
