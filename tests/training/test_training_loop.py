from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ragcli.encoder import minilm
from ragcli.reader import load_reader
from ragcli.reader.checkpoint import initialise, trained_tensors
from ragcli.reader.model import ReaderConfig
from ragcli.training.__main__ import main
from ragcli.training.calibration import fit
from ragcli.training.data import load_data
from ragcli.training.loop import (
    CHECKPOINT,
    Progress,
    Run,
    Schedule,
    gradient_step,
    make_optimizer,
    set_dropout,
    train,
)
from ragcli.training.loss import answer_loss
from ragcli.training.mixture import MixConfig, Mixture, training_batch

SMALL = ReaderConfig(n_decoder_layers=1, frozen_layers=6)
ROWS = [
    ("When is the review due?", "The review is due on 14 March 2025.", "14 March 2025"),
    ("Who leads the team?", "Anna Berg leads the team of nine.", "Anna Berg"),
    ("How hot is tea?", "Green tea is brewed at 80 degrees.", "80 degrees"),
    ("Is tea cold?", "Iced tea is served cold in summer.", "yes"),
]
MIX = MixConfig(passages=(0.5, 0.5), window_tokens=64, shortest_window=48, batch_tokens=120)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    rows = [{"question": q, "contexts": [c], "answers": [a]} for q, c, a in ROWS]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return file


@pytest.fixture(scope="module")
def mixture(file: Path) -> Mixture:
    return Mixture((load_data(file, minilm.load_tokenizer(), free=True),), (1.0,))


def test_the_loss_falls_to_half_on_a_batch_that_is_seen_again_and_again(mixture: Mixture) -> None:
    reader = initialise(SMALL).train()
    before = {name: tensor.clone() for name, tensor in reader.encoder.state_dict().items()}
    optimizer = make_optimizer(reader)
    rows = next(mixture.batches(MixConfig(window_tokens=64, shortest_window=64), 0))
    batch = training_batch(rows[:4])
    losses = [gradient_step(reader, optimizer, batch, 1e-3) for _ in range(15)]
    assert losses[-1] < losses[0] / 2
    after = reader.encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "frozen layers stay"


def test_the_loss_is_that_of_the_mixture(mixture: Mixture) -> None:
    """Written out for one free token: what is written and what is copied add up."""
    reader = initialise(SMALL).eval()
    example = mixture.sets[0].examples[3]
    one = Mixture((type(mixture.sets[0])("one", mixture.sets[0].passages, (example,)),), (1.0,))
    rows = next(one.batches(MixConfig(batch_tokens=1), 0))
    batch = training_batch(rows)
    with torch.inference_mode():
        loss = float(answer_loss(reader, batch))
        memory = reader.encode(batch.reading)
        output = reader.decode(memory, batch.inputs, batch.copied)
        gate = output.gate_logits[0].sigmoid()
        written = reader.vocabulary_logits(output.states[0]).softmax(-1)
        copied = output.copy_log_probabilities[0].exp()
        wanted = batch.targets[0].tolist()
        likelihoods = [
            gate[t] * written[t, token] + (1 - gate[t]) * copied[t][memory.ids[0] == token].sum()
            for t, token in enumerate(wanted)
        ]
    assert loss == pytest.approx(-float(torch.stack(likelihoods).log().mean()), abs=1e-4)


def _trained(folder: Path, mixture: Mixture, *steps: int) -> dict[str, torch.Tensor]:
    """Weights after training up to each number of steps in turn, each time from a new reader."""
    for number in steps:
        reader = initialise(SMALL)
        run = Run(folder, lambda progress: None, save_every=1)
        train(reader, mixture, MIX, Schedule(number, peak=1e-3, warmup=3), run)
    return trained_tensors(reader)


def test_a_resumed_run_ends_where_an_unbroken_one_does(mixture: Mixture, tmp_path: Path) -> None:
    unbroken = _trained(tmp_path / "unbroken", mixture, 4)
    resumed = _trained(tmp_path / "resumed", mixture, 2, 4)
    untrained = trained_tensors(initialise(SMALL))
    assert not torch.allclose(unbroken["gate.weight"], untrained["gate.weight"], atol=1e-4)
    for name, tensor in unbroken.items():
        assert torch.allclose(tensor, resumed[name], atol=1e-5), name
    assert (tmp_path / "resumed" / CHECKPOINT).exists()
    assert not (tmp_path / "resumed" / "checkpoint.partial").exists()


def test_progress_and_evaluation_are_told(mixture: Mixture, tmp_path: Path) -> None:
    told: list[Progress] = []
    evaluated: list[tuple[int, bool]] = []
    run = Run(
        tmp_path, told.append, lambda reader, step: evaluated.append((step, reader.training)),
        evaluate_every=1,
    )  # fmt: skip
    train(initialise(SMALL), mixture, MIX, Schedule(2), run)
    assert evaluated == [(1, False), (2, False)]
    assert [progress.step for progress in told] == [2]
    assert told[0].loss > 0


def test_the_rate_rises_stays_and_falls() -> None:
    schedule = Schedule(steps=10, peak=1.0, warmup=4, decay=4)
    rates = [schedule.rate(step) for step in range(10)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    assert Schedule(5, peak=2.0, warmup=0).rate(4) == 2.0


def test_weight_decay_is_for_matrices_only() -> None:
    matrices, vectors = make_optimizer(initialise(SMALL)).param_groups
    assert matrices["weight_decay"] > 0
    assert vectors["weight_decay"] == 0
    assert {p.dim() for p in vectors["params"]} == {1}
    assert {p.dim() for p in matrices["params"]} == {2}


def test_training_from_the_command_line_writes_a_reader(file: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    arguments = [
        f"{file}:0.9", "--output", str(output), "--steps", "2", "--batch-tokens", "60",
        "--passages", "0.5,0.5", "--no-answer", "0.2", "--window-tokens", "64",
        "--shortest-window", "48", "--dev", str(file), "--dev-limit", "1", "--device", "cpu",
    ]  # fmt: skip
    assert main(arguments) == 0
    log = [json.loads(line) for line in (output / "log.jsonl").read_text("utf-8").splitlines()]
    assert [set(line) for line in log] == [
        {"step", "loss", "rate", "tokens_per_second"},
        {"step", "em", "f1", "n"},
    ]
    assert (log[1]["step"], log[1]["n"]) == (2, 1)
    reader = load_reader(output / "reader.safetensors")
    assert len(reader.generate(["Who?"], [["Anna"]], 2)) == 1


def test_the_command_line_sets_dropout_and_what_stays_frozen(file: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    arguments = [
        str(file), "--output", str(output), "--steps", "1", "--batch-tokens", "60", "--device",
        "cpu", "--window-tokens", "64", "--shortest-window", "48", "--dropout", "0.1",
        "--frozen-layers", "5", "--altered", "0.5", "--workers", "1",
    ]  # fmt: skip
    assert main(arguments) == 0
    reader = load_reader(output / "reader.safetensors").network
    assert reader.config.frozen_layers == 5
    assert not next(reader.encoder.encoder_layers[4].parameters()).requires_grad
    assert next(reader.encoder.encoder_layers[5].parameters()).requires_grad


def test_dropout_makes_training_vary_and_reading_not(mixture: Mixture) -> None:
    reader = initialise(SMALL)
    set_dropout(reader, 0.3)
    batch = training_batch(next(mixture.batches(MIX, 0)))
    with torch.inference_mode():
        trained = [float(answer_loss(reader.train(), batch)) for _ in range(2)]
        read = [float(answer_loss(reader.eval(), batch)) for _ in range(2)]
    assert trained[0] != trained[1]
    assert read[0] == read[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_make_the_batches_of_a_run(
    mixture: Mixture, tmp_path: Path, workers: int
) -> None:
    reader = initialise(SMALL)
    before = reader.gate.weight.detach().clone()
    told: list[Progress] = []
    run = Run(tmp_path, told.append, workers=workers)
    train(reader, mixture, MIX, Schedule(3, peak=1e-3, warmup=1), run)
    assert told[-1].step == 3
    assert told[-1].loss > 0
    assert not torch.equal(reader.gate.weight, before)


def test_what_is_excluded_does_not_train(file: Path, tmp_path: Path) -> None:
    from ragcli.training.__main__ import load_mixture

    kept = tmp_path / "excluded.jsonl"
    kept.write_text(json.dumps({"contexts": [ROWS[0][1]]}) + "\n", "utf-8")
    (data,) = load_mixture([str(file)], [kept]).sets
    assert len(data.examples) == len(ROWS) - 1


def test_a_fitted_calibration_gives_the_share_of_right_answers() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(4000, 3))
    truth = 1 / (1 + np.exp(-(0.5 + inputs @ np.array([1.0, -0.5, 0.0]))))
    fitted = fit(inputs, (rng.random(4000) < truth).astype(float))
    assert fitted.bias == pytest.approx(0.5, abs=0.2)
    assert fitted.has_answer == pytest.approx(1.0, abs=0.2)
    assert fitted.mean_likelihood == pytest.approx(-0.5, abs=0.2)
    assert fitted.least_likelihood == pytest.approx(0.0, abs=0.2)
