from __future__ import annotations

import numpy as np
import pytest

from ragcli.encoder.tracing import trace_text
from ragcli.engine.explaining import ExplainOptions, explain, explain_every_head, find_token
from ragcli.errors import UsageError
from ragcli.records import EncoderToken, Word

TEXT = "The turbidity sensor saw the otter."


def _told(**options: object) -> str:
    with pytest.raises(UsageError) as caught:
        explain(TEXT, ExplainOptions(**options))  # type: ignore[arg-type]
    return str(caught.value)


def test_the_weights_are_the_mean_over_what_is_not_chosen() -> None:
    every = trace_text(TEXT).weights
    for layer, head, wanted in (
        (None, None, every.mean(axis=(0, 1))),
        (2, None, every[1].mean(axis=0)),
        (None, 12, every[:, 11].mean(axis=0)),
        (6, 1, every[5, 0]),
    ):
        explanation = explain(TEXT, ExplainOptions(layer, head))
        assert np.allclose(explanation.weights, wanted, atol=1e-6)
        assert np.allclose(explanation.weights.sum(axis=1), 1, atol=1e-5)
        assert np.array_equal(explanation.head_weights, every)
        assert explanation.steps is None


def test_links_and_shares_are_those_of_the_weights_wanted() -> None:
    whole, single = explain(TEXT, ExplainOptions()), explain(TEXT, ExplainOptions(3, 2, top=4))
    assert (len(whole.links), len(single.links)) == (10, 4)
    link = single.links[0]
    looking, looked_at = (single.words[n].tokens for n in (link.looking, link.looked_at))
    seen = single.weights[np.ix_(looking, looked_at)].sum(axis=1).mean()
    assert link.weight == pytest.approx(seen)
    assert whole.shares["[CLS]"] != pytest.approx(single.shares["[CLS]"], abs=1e-3)


def test_every_head_is_explained_as_if_it_had_been_chosen() -> None:
    options = ExplainOptions(top=3, special=True)
    views = explain_every_head(explain(TEXT, options), options)
    assert (len(views), {len(row) for row in views}) == (7, {13})
    for layer, head in ((None, None), (2, None), (None, 12), (6, 1)):
        view = views[layer or 0][head or 0]
        chosen = explain(TEXT, ExplainOptions(layer, head, top=3, special=True))
        assert (view.layer, view.head) == (layer, head)
        assert np.array_equal(view.weights, chosen.weights)
        assert (view.links, view.shares) == (chosen.links, chosen.shares)


def test_the_steps_lead_from_the_query_to_the_output() -> None:
    explanation = explain(TEXT, ExplainOptions(3, 2, token="otter"))
    steps, n = explanation.steps, len(explanation.tokens)
    assert steps is not None
    assert (steps.layer, steps.head) == (3, 2)
    assert explanation.tokens[steps.token].text == "otter"
    assert np.array_equal(steps.weights, explanation.head_weights[2, 1, steps.token])
    assert np.allclose(steps.dot_products, [steps.query @ key for key in steps.keys], atol=1e-4)
    assert np.allclose(steps.scores, steps.dot_products / np.sqrt(32), atol=1e-4)
    powers = np.exp(steps.scores - steps.scores.max())
    assert np.allclose(steps.weights, powers / powers.sum(), atol=1e-5)
    assert float(steps.weights.sum()) == pytest.approx(1, abs=1e-5)
    assert np.allclose(steps.output, steps.weights @ steps.values, atol=1e-4)
    assert (steps.keys.shape, steps.values.shape, steps.output.shape) == ((n, 32), (n, 32), (32,))


def test_the_steps_are_those_of_the_last_layer_and_first_head_by_default() -> None:
    steps = explain(TEXT, ExplainOptions(token="otter")).steps
    assert steps is not None
    assert (steps.layer, steps.head) == (6, 1)
    steps = explain(TEXT, ExplainOptions(layer=2, token="otter")).steps
    assert steps is not None
    assert (steps.layer, steps.head) == (2, 1)


@pytest.mark.parametrize(
    ("wanted", "position"),
    [("1", 0), ("SENSOR", 6), ("##rb", 3), ("[sep]", 11), (".", 10), ("12", 11)],
)
def test_a_token_goes_by_its_number_its_word_or_its_piece(wanted: str, position: int) -> None:
    explanation = explain(TEXT, ExplainOptions())
    assert find_token(wanted, explanation.tokens, explanation.words) == position


def test_a_number_is_a_word_where_no_token_has_it() -> None:
    tokens = (EncoderToken("in", 0, 2, 0), EncoderToken("1999", 3, 7, 1))
    words = (Word("In", 0, 2, (0,), False), Word("1999", 3, 7, (1,), False))
    assert find_token("1999", tokens, words) == 1
    assert find_token("2", tokens, words) == 1


def test_a_token_that_could_be_several_is_named_by_its_number() -> None:
    assert _told(token="the") == ("'the' stands for 2 tokens\nname one by its number: 2 the, 9 the")
    assert "3 tu, 4 ##rb, 5 ##idi, 6 ##ty" in _told(token="turbidity")


@pytest.mark.parametrize("token", ["whale", "0", "13", "", "²"])
def test_a_token_that_is_not_there_is_an_error(token: str) -> None:
    assert f"{token!r} is no word of the text" in _told(token=token)


def test_layers_and_heads_that_are_not_there_are_errors() -> None:
    assert _told(layer=7) == "there is no layer 7\nchoose one from 1 to 6"
    assert _told(layer=0) == "there is no layer 0\nchoose one from 1 to 6"
    assert _told(head=13) == "there is no head 13\nchoose one from 1 to 12"
    assert _told(head=-1, token="otter") == "there is no head -1\nchoose one from 1 to 12"


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_text_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="the text is empty"):
        explain(text, ExplainOptions())
