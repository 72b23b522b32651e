from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.console import Console

from ragcli.records import AttentionSteps, EncoderToken, Explanation, Link, Word
from ragcli.render.explanation import explanation_json, write_explanation
from ragcli.render.heat_map import heat_map_lines

TOKENS = (
    EncoderToken("[CLS]", 0, 0, None),
    EncoderToken("the", 0, 3, 0),
    EncoderToken("otter", 4, 9, 1),
    EncoderToken("the", 10, 13, 2),
    EncoderToken("[SEP]", 0, 0, None),
)
WEIGHTS = np.array(
    [
        [1.0, 0.0, 0.0, 0.0, 0.0],
        [0.5, 0.1, 0.2, 0.05, 0.15],
        [0.3, 0.2, 0.1, 0.0, 0.4],
        [0.004, 0.016, 0.92, 0.05, 0.01],
        [0.2, 0.2, 0.2, 0.2, 0.2],
    ],
    dtype=np.float32,
)


def _explanation(steps: AttentionSteps | None = None) -> Explanation:
    text = "The otter the"
    words = tuple(
        Word(text[token.start : token.end] or token.text, token.start, token.end, (n,), n in (0, 4))
        for n, token in enumerate(TOKENS)
    )
    shares = {"[CLS]": 0.268, "[SEP]": 0.187, "itself": 0.083, "other words": 0.462}
    links = (Link(3, 2, 0.92), Link(1, 2, 0.2))
    every = np.broadcast_to(WEIGHTS, (2, 3, 5, 5))
    return Explanation(
        text, "model", "abc", 1, 2, TOKENS, WEIGHTS, every, words, links, shares, steps
    )


def _steps(n: int, seed: int = 0) -> AttentionSteps:
    random = np.random.default_rng(seed)
    query, keys, values = random.normal(size=4), random.normal(size=(n, 4)), np.eye(n, 4)
    dot_products = keys @ query
    powers = np.exp(dot_products / 2)
    weights = powers / powers.sum()
    arrays = (query, keys, dot_products, dot_products / 2, weights, values, weights @ values)
    return AttentionSteps(2, 1, 2, *(array.astype(np.float32) for array in arrays))


def _written(explanation: Explanation, width: int = 80, top: int | None = None) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, markup=False, emoji=False, highlight=False)
    write_explanation(explanation, console, top=top)
    return stream.getvalue().splitlines()


def _map(n: int, width: int) -> list[str]:
    weights = np.full((n, n), 1 / n, dtype=np.float32)
    tokens = [EncoderToken("word", 5 * t, 5 * t + 4, t) for t in range(n)]
    return [line.plain for line in heat_map_lines(weights, tokens, width)]


def test_a_person_sees_the_map_the_links_and_where_the_rest_goes() -> None:
    assert _written(_explanation()) == [
        "model, layer 1, head 2: rows look, columns are looked at",
        "",
        "           1   2   3   4   5",
        "         [CL the ott the [SE",
        "1 [CLS] █100",
        "2 the    █50 ▒10 ▓20 ░ 5 ▒15",
        "3 otter  ▓30 ▓20 ▒10     █40",
        "4 the      0 · 2 █92 ░ 5   1".replace("  0", "   "),
        "5 [SEP]  ▓20 ▓20 ▓20 ▓20 ▓20",
        "",
        "weights in percent, a row sums to 100; at least  · 2  ░ 5  ▒ 10  ▓ 20  █ 40",
        "",
        "strongest links (who looks <- at what):",
        "  the (4) <- otter  0.920",
        "  The (2) <- otter  0.200",
        "",
        "a word's weight goes to: [CLS] 27 %, [SEP] 19 %, itself 8 %, other words 46 %",
    ]


@pytest.mark.parametrize(
    ("layer", "head", "told"),
    [
        (None, None, "mean of 2 layers × 3 heads"),
        (None, 3, "head 3, mean of 2 layers"),
        (2, None, "layer 2, mean of 3 heads"),
    ],
)
def test_the_title_says_over_what_the_mean_is(
    layer: int | None, head: int | None, told: str
) -> None:
    assert told in _written(replace(_explanation(), layer=layer, head=head))[0]


def test_a_text_of_one_word_has_no_links() -> None:
    lines = _written(replace(_explanation(), links=()))
    assert not any("<-" in line for line in lines)
    assert lines[-1].startswith("a word's weight goes to:")


def test_cells_shrink_with_the_room_there_is() -> None:
    assert _map(14, 80)[1].count("wor") == 14
    assert " ▒10" in _map(10, 80)[2]
    assert _map(22, 80)[2].endswith("░ 5" * 22)
    assert _map(30, 80)[2].endswith("··" * 30)
    assert _map(50, 80)[2].endswith("·" * 50)


def test_narrow_columns_are_numbered_from_top_to_bottom() -> None:
    tens, ones = _map(30, 80)[:2]
    indent = len("30 word ")
    assert tens[indent + 1 :: 2] == " " * 9 + "1" * 10 + "2" * 10 + "3"
    assert ones[indent + 1 :: 2] == "123456789" + "0123456789" * 2 + "0"


def test_a_text_too_long_for_a_map_is_told_in_one_line() -> None:
    assert _map(73, 80) == ["no map: 73 tokens do not fit into 80 columns (at most 72)"]
    assert len(_map(72, 80)) > 72
    assert len(_map(73, 100)) > 73


def test_colour_adds_nothing_to_the_text() -> None:
    streams = [io.StringIO(), io.StringIO()]
    for stream, coloured in zip(streams, (False, True), strict=True):
        console = Console(
            file=stream,
            width=80,
            force_terminal=coloured,
            color_system="truecolor" if coloured else None,
            markup=False,
            highlight=False,
        )
        write_explanation(_explanation(), console, top=None)
    plain, coloured_text = (stream.getvalue() for stream in streams)
    assert "\x1b" not in plain
    # Which codes: rich keeps those of the first console that showed a style in this process.
    assert re.search(r"\x1b\[[\d;]+m█", coloured_text)
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured_text) == plain


def test_the_steps_add_up() -> None:
    steps = _steps(5)
    lines = _written(_explanation(steps))
    text = "\n".join(lines)
    assert lines[0] == "3 otter in layer 1, head 2 of model"
    for n, score in enumerate(steps.scores):
        row = f"{steps.dot_products[n]:.3f} +{score:.3f} +{np.exp(score):.3f} +"
        assert re.search(row + f"{steps.weights[n]:.3f}", text)
    assert re.search(r"sum +\d+\.\d{3} +1\.000\n", text)
    value = re.escape(f"{steps.weights[0]:.3f} × ( 1.000  0.000  0.000  0.000 ...)")
    assert re.search(value + " +1.00", text)
    output = " ".join(f"{number:6.3f}" for number in steps.output)
    assert f"= ({output} ...)" in text
    assert "(1 × 5) · (5 × 4) → 4 numbers" in text


def test_the_keys_left_out_are_summed_up() -> None:
    steps = _steps(5, seed=2)
    lines = _written(_explanation(steps), top=2)
    heaviest = np.sort(steps.weights)[::-1]
    (others,) = [line.split() for line in lines if line.startswith("   3 others  ")]
    assert others[-1] == f"{heaviest[2:].sum():.3f}"
    assert len([line for line in lines if re.match(r"     \d ", line)]) == 4
    assert any(line.startswith("   3 others, mean") for line in lines)


@given(st.integers(1, 90), st.integers(40, 140))
def test_every_line_fits_the_width(n: int, width: int) -> None:
    lines = _map(n, width)
    assert max(map(cell_len, lines)) <= width or lines[0].startswith("no map")


@given(st.integers(60, 140), st.integers(0, 100))
def test_every_step_fits_the_width(width: int, seed: int) -> None:
    lines = _written(_explanation(_steps(5, seed)), width)
    assert [line for line in lines if cell_len(line) > width] == []
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_text_cannot_steer_the_terminal() -> None:
    explanation = _explanation()
    words = tuple(replace(word, text="\x1b[2J\n") for word in explanation.words)
    tokens = tuple(replace(token, text="\x1b]0;x\x07") for token in explanation.tokens)
    text = "\n".join(_written(replace(explanation, words=words, tokens=tokens)))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "␛[2J␊ (4) <- ␛[2J␊ (3)" in text


def _matrix(value: object) -> NDArray[np.float64]:
    return np.array(value, dtype=np.float64)


def test_a_program_gets_all_of_it() -> None:
    steps = _steps(5)
    told = json.loads(explanation_json(_explanation(steps), with_all=True))
    assert list(told) == (
        "schema text model revision layer head tokens weights links shares steps head_weights"
    ).split(" ")
    assert told["tokens"][2] == {
        "token": 3,
        "text": "otter",
        "start": 4,
        "end": 9,
        "special": False,
    }
    assert np.allclose(_matrix(told["weights"]), WEIGHTS, atol=1e-6)
    assert _matrix(told["head_weights"]).shape == (2, 3, 5, 5)
    assert told["links"][0] == {
        "from": {"text": "the", "start": 10, "end": 13, "tokens": [4]},
        "to": {"text": "otter", "start": 4, "end": 9, "tokens": [3]},
        "weight": 0.92,
    }
    assert told["steps"]["token"] == 3
    weighted = _matrix(told["steps"]["weights"]) @ _matrix(told["steps"]["values"])
    assert np.allclose(weighted, told["steps"]["output"], atol=1e-5)


def test_what_was_not_asked_for_is_left_out() -> None:
    told = json.loads(explanation_json(_explanation()))
    assert "steps" not in told
    assert "head_weights" not in told
