"""An answer is tried without what it is owed to, and from that alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragcli.attribution import attribute
from ragcli.engine.verifying import NOT, PARTLY, VERIFIED, Verifier
from ragcli.reader import Reader
from ragcli.records import Attribution, Generation, Verification

REVIEW = "The project review is due on 14 March 2025. Anna Berg leads the team."
TEA = "Green tea is brewed at 80 degrees. It comes from Japan."
BOILER = "The boiler in the cellar was serviced by Mr Holm in October."
WHO = "Who leads the team?"


def _decide(generation: Generation) -> str | None:
    return generation.text if generation.p_no_answer < 0.5 else None


def _verify(
    reader: Reader, contexts: list[str], owed: dict[str, object] | None = None
) -> Verification | None:
    ((_, generation, memory),) = reader.read([WHO], [contexts])
    assert generation.text == "Anna Berg"
    attribution: Attribution = replace(attribute(generation, contexts), **(owed or {}))
    return Verifier(reader, _decide).verify(WHO, contexts, generation, memory, attribution)


def test_an_answer_that_hangs_on_its_sentence_is_verified(reader: Reader) -> None:
    found = _verify(reader, [TEA, REVIEW, BOILER])
    assert found is not None
    assert (found.verdict, found.cited) == (VERIFIED, (1,))
    assert found.probability > 0.5
    assert found.passages_alone.text == "Anna Berg"
    assert found.passages_alone.probability == pytest.approx(found.probability, abs=0.3)
    for trial in (found.without_passages, found.without_sentence):
        assert trial.text != "Anna Berg"
        assert not trial.same
        assert trial.probability < found.probability / 10


def test_what_stands_twice_does_not_hang_on_one_sentence(reader: Reader) -> None:
    twice = f"{REVIEW} The garden is quiet. As was said, Anna Berg leads the team."
    found = _verify(reader, [TEA, twice, BOILER])
    assert found is not None
    assert found.verdict == PARTLY
    assert not found.without_passages.same
    assert found.without_sentence.same


def test_an_attribution_to_the_wrong_passage_is_not_verified(reader: Reader) -> None:
    contexts = [TEA, REVIEW, BOILER]
    ((_, generation, _),) = reader.read([WHO], [contexts])
    elsewhere = attribute(generation, contexts).sentences[0]
    wrong = {
        "contexts": (0.9, 0.0, 0.0),
        "sentences": (replace(elsewhere, context=0, start=0, end=len(TEA)),),
    }
    found = _verify(reader, contexts, wrong)
    assert found is not None
    assert found.verdict == NOT
    assert found.without_passages.same
    assert found.without_sentence.same
    assert found.passages_alone.text != "Anna Berg"


def test_a_single_passage_is_all_there_is(reader: Reader) -> None:
    found = _verify(reader, [REVIEW])
    assert found is not None
    assert found.verdict == VERIFIED
    assert (found.without_passages.probability, found.without_passages.text) == (0.0, None)
    found = _verify(reader, ["Anna Berg leads the team."])
    assert found is not None
    assert (found.without_sentence.probability, found.without_sentence.text) == (0.0, None)


def test_what_cites_nothing_is_not_tried(reader: Reader) -> None:
    assert _verify(reader, [TEA, REVIEW], {"contexts": (0.0, 0.0), "sentences": ()}) is None
