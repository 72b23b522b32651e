"""What is hidden from the decoder is gone, and the answer's likelihood says so."""

from __future__ import annotations

import numpy as np
import pytest

from ragcli.reader import Reader
from ragcli.reader.ablation import LEAST, AnsweredMemory
from ragcli.records import Generation

REVIEW = "The project review is due on 14 March 2025. Anna Berg leads the team."
TEA = "Green tea is brewed at 80 degrees."
BOILER = "The boiler in the cellar was serviced by Mr Holm in October."
CONTEXTS = [TEA, REVIEW, BOILER]
WHO = "Who leads the team?"


@pytest.fixture(scope="module")
def read(reader: Reader) -> tuple[Generation, AnsweredMemory]:
    ((_, generation, memory),) = reader.read([WHO], [CONTEXTS])
    return generation, memory


def test_nothing_hidden_is_as_likely_as_it_was_written(
    read: tuple[Generation, AnsweredMemory],
) -> None:
    generation, memory = read
    (whole,) = memory.log_probabilities([memory.everything()])
    written = sum(token.log_probability for token in generation.tokens)
    # The end token comes to it; what was written also kept words whole.
    assert whole <= written + 1e-3
    assert whole == pytest.approx(written, abs=0.5)


def test_a_hidden_passage_is_one_that_was_not_read(
    reader: Reader, read: tuple[Generation, AnsweredMemory]
) -> None:
    _, memory = read
    hidden = memory.log_probabilities([memory.without_contexts([0])])
    ((_, _, shorter),) = reader.read([WHO], [CONTEXTS[1:]])
    assert (shorter.token_ids == memory.token_ids).all()
    unread = shorter.log_probabilities([shorter.everything()])
    assert hidden == pytest.approx(unread, abs=0.02)


def test_without_its_evidence_an_answer_is_unlikely(
    read: tuple[Generation, AnsweredMemory],
) -> None:
    _, memory = read
    sentence = REVIEW.index("Anna")
    whole, passage, evidence, other, nothing = memory.log_probabilities(
        [
            memory.everything(),
            memory.without_contexts([1]),
            memory.without_span(1, sentence, len(REVIEW)),
            memory.without_span(1, 0, sentence - 1),
            memory.without_contexts([0, 1, 2]),
        ]
    )
    assert passage < whole - 5
    assert evidence < whole - 3
    assert other > whole - 2
    assert nothing == LEAST


def test_many_ablations_are_each_alone(read: tuple[Generation, AnsweredMemory]) -> None:
    _, memory = read
    rng = np.random.default_rng(0)
    removed = [np.flatnonzero(rng.random(3) < 0.5).tolist() for _ in range(70)]
    masks = [memory.without_contexts(some) for some in removed]
    together = memory.log_probabilities(masks)
    alone = [float(memory.log_probabilities([mask])[0]) for mask in masks[60:]]
    assert together[60:] == pytest.approx(np.array(alone), abs=1e-3)


def test_reading_a_passage_anew_is_reading_all_anew(
    reader: Reader, read: tuple[Generation, AnsweredMemory]
) -> None:
    _, memory = read
    shortened = REVIEW[: REVIEW.index("Anna")]
    more = reader.read_more(memory, WHO, shortened)
    ((_, other, all_anew),) = reader.read([WHO], [[TEA, shortened, BOILER]])
    assert other.text != "Anna Berg"
    forced = AnsweredMemory(
        all_anew.network,
        all_anew.memory,
        all_anew.windows,
        memory.token_ids,
        texts=all_anew.texts,
    )
    expected = forced.log_probabilities([forced.everything()])
    read_anew = more.log_probabilities([more.without_contexts([1])])
    assert read_anew == pytest.approx(expected, abs=0.05)
    before = more.log_probabilities([more.without_contexts([3])])
    assert before == pytest.approx(memory.log_probabilities([memory.everything()]), abs=1e-3)
    gone = reader.read_more(memory, WHO, "")
    expected = memory.log_probabilities([memory.without_contexts([1])])
    without = gone.log_probabilities([gone.without_contexts([1])])
    assert without == pytest.approx(expected, abs=1e-3)


def test_answering_again_from_a_part(
    reader: Reader, read: tuple[Generation, AnsweredMemory]
) -> None:
    generation, memory = read
    masks = [memory.everything(), memory.without_contexts([0, 2]), memory.without_contexts([1])]
    whole, alone, without = reader.write(memory, masks)
    assert (whole.text, alone.text) == (generation.text, generation.text)
    assert np.allclose(whole.copy, generation.copy, atol=1e-4)
    assert without.text != generation.text
    assert without.p_no_answer > whole.p_no_answer + 0.1
    assert not without.copy[:, 1].any()
