"""The worked examples of docs/how-it-works.md are what the code computes."""

from __future__ import annotations

import doctest
import io
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragcli.attribution import METHODS, attribute
from ragcli.cli import Environment, main
from ragcli.reader.model import N_SPECIAL, ReaderConfig
from ragcli.reader.windows import WINDOW_TOKENS
from ragcli.records import AnswerToken, Generation

PAGE = Path(__file__).parents[1] / "docs" / "how-it-works.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """Run the blocks in order, sharing their names; return what they defined."""
    test = doctest.DocTestParser().get_doctest("\n".join(BLOCKS), {}, PAGE.name, PAGE.name, 0)
    told: list[str] = []
    runner = doctest.DocTestRunner()
    failed = runner.run(test, out=told.append, clear_globs=False).failed
    assert not failed, "".join(told)
    assert len(test.examples) >= 15
    return test.globs


def test_the_worked_examples_compute_what_they_show(names: dict[str, Any]) -> None:
    weights = names["output"].weights.flatten().tolist()
    assert [f"weight {weight:.3f}" in TEXT for weight in weights] == [True] * 3


def test_the_shares_worked_out_by_hand_are_those_of_the_code(names: dict[str, Any]) -> None:
    copy = names["copy"].astype(np.float32)
    spans = np.array([[[0, 2], [3, 7], [8, 12]]] * 2, dtype=np.int32)
    by_head = np.zeros((1, 1, *copy.shape), dtype=np.float32)
    token = AnswerToken("27", 0, 0, 2, -0.1)
    generation = Generation(
        text="27 days",
        tokens=(token, AnswerToken("days", 0, 3, 7, -0.1)),
        p_no_answer=0.0,
        cross_attention=by_head,
        pre_softmax=by_head,
        copy=copy,
        copy_gate=names["copy_gate"].astype(np.float32),
        token_spans=spans,
        window_context=(0, 1),
        value_norms=by_head[:, :, 0],
        matching=copy > 0,
    )
    attribution = attribute(generation, ["27 days long", "no days left"], "copy")
    assert attribution.contexts == pytest.approx(names["shares"].tolist())
    assert attribution.vocabulary == pytest.approx(1 - names["shares"].sum())


TRANSCRIPTS = re.findall(r"^```console\n\$ (.*?[^\\])\n([^>].*?)^```$", TEXT, re.M | re.S)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def _numbers(output: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(output)]


def _without_numbers(output: str) -> str:
    """What stands around the numbers; bars and the signs of levels follow from these."""
    return re.sub(r"[\s·░▒▓█]+", " ", NUMBER.sub("0", output))


@pytest.mark.parametrize(("written", "shown"), TRANSCRIPTS)
def test_the_transcripts_show_what_the_command_prints(
    written: str, shown: str, tmp_path: Path
) -> None:
    """Processors differ in the last digit, which may be that of a percentage."""
    output = io.StringIO()
    environment = Environment(io.StringIO(), output, io.StringIO(), cwd=tmp_path)
    program, *arguments = shlex.split(written.replace("\\\n> ", ""))
    assert (program, main(arguments, environment)) == ("ragcli", 0)
    assert _without_numbers(output.getvalue()) == _without_numbers(shown)
    assert _numbers(output.getvalue()) == pytest.approx(_numbers(shown), abs=1, rel=0.01)


def test_both_views_of_explain_are_shown() -> None:
    assert len(TRANSCRIPTS) == 2


def test_every_reading_is_explained() -> None:
    table = TEXT.partition("### The readings")[2].partition("##")[0]
    assert set(re.findall(r"^\| `([\w-]+)`", table, re.MULTILINE)) - {"--attribution"} == set(
        METHODS
    )


def test_the_sizes_named_are_those_of_the_reader() -> None:
    config = ReaderConfig()
    encoder = config.encoder
    assert f"state, {encoder.dimension} numbers" in TEXT
    assert f"head {encoder.n_heads} " in TEXT
    assert f"{encoder.dimension // encoder.n_heads} numbers each" in TEXT
    assert f"{encoder.vocabulary_size + N_SPECIAL:,} tokens" in TEXT
    assert f"at most {WINDOW_TOKENS} tokens" in TEXT
    assert (encoder.n_layers, config.n_decoder_layers) == (6, 2)
