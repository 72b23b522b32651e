from __future__ import annotations

import pytest
import torch

from ragcli.corpus.sentences import sentence_spans
from ragcli.encoder import minilm
from ragcli.reader import Reader
from ragcli.reader.copying import NOWHERE, sentence_rules, word_rules
from ragcli.reader.model import SENTENCE
from ragcli.reader.windows import Window, split_windows, tokenise

LEAVE = (
    "# Annual leave\n\nEvery employee has 27 days of leave a year. "
    "Requests go to the team lead.\n\n"
    "Sick leave\n\nWhoever is ill tells the office before nine o'clock.\n"
)
TEA = "Tea\n===\n\nGreen tea is brewed at 80 degrees, black tea with boiling water.\n"
ASKED = [
    (
        "How many days of leave does an employee have?",
        "Every employee has 27 days of leave a year.",
    ),
    ("When must one tell the office?", "Whoever is ill tells the office before nine o'clock."),
    (
        "At how many degrees is green tea brewed?",
        "Green tea is brewed at 80 degrees, black tea with boiling water.",
    ),
]


@pytest.mark.parametrize("beams", [1, 3])
def test_a_sentence_is_copied_whole_and_without_its_heading(reader: Reader, beams: int) -> None:
    questions = [question for question, _ in ASKED]
    found = reader.generate(questions, [[TEA, LEAVE]] * 3, form=SENTENCE, beams=beams)
    assert [generation.text for generation in found] == [sentence for _, sentence in ASKED]


def test_a_sentence_below_a_heading_is_as_likely_when_it_is_asked_for_again(reader: Reader) -> None:
    questions = [question for question, _ in ASKED]
    for _, generation, memory in reader.read(questions, [[TEA, LEAVE]] * 3, form=SENTENCE):
        written = sum(token.log_probability for token in generation.tokens)
        again = float(memory.log_probabilities([memory.everything()])[0])
        # The end of the answer counts as well.
        assert written - 2.5 < again <= written + 0.05


def test_where_a_heading_is_pointed_at_the_sentence_below_it_opens() -> None:
    windows, pieces = _windows(LEAVE)
    rules = sentence_rules([windows], [[LEAVE]], len(pieces))
    opens = [None if at == NOWHERE else pieces[at] for at in rules.opens[0].tolist()]
    at = {piece: n for n, piece in reversed(list(enumerate(pieces)))}
    assert opens[at["annual"]] == "every"
    assert opens[at["sick"]] == "whoever"
    assert opens[at["requests"]] == "requests"
    copied = torch.zeros(1, len(pieces))
    copied[0, [at["annual"], at["every"], at["days"], at["requests"]]] = torch.tensor(
        [0.4, 0.1, 0.3, 0.2]
    )
    nothing = torch.tensor([-1])
    first = rules.allow(copied, nothing, opening=True)[0]
    # The heading's weight goes to its sentence; inside a sentence nothing begins.
    assert first[at["every"]].item() == pytest.approx(0.5)
    assert first[at["requests"]].item() == pytest.approx(0.2)
    assert first.sum().item() == pytest.approx(0.7)
    later = rules.allow(copied, torch.tensor([at["days"] - 1]), opening=False)[0]
    assert later[at["days"]].item() == pytest.approx(0.3)
    assert later[at["annual"]].item() == 0.0


def test_a_sentence_that_began_before_its_window_is_not_begun_there() -> None:
    text = " ".join(f"Sentence number {n} tells of a boat and of its crew." for n in range(40))
    windows, _ = _windows(text)
    assert len(windows) > 1
    n_positions = sum(map(len, windows))
    rules = sentence_rules([windows], [[text]], n_positions)
    starts = {start for start, _ in sentence_spans(text)}
    first = 0
    begun = set()
    for window in windows:
        for position in range(window.passage_start, len(window) - 1):
            if not rules.continues[0, first + position]:
                begun.add(int(window.spans[position, 0]))
        first += len(window)
    assert begun == starts


def test_a_text_without_any_sentence_can_still_be_copied() -> None:
    windows, pieces = _windows("... --- ...")
    rules = sentence_rules([windows], [["... --- ..."]], len(pieces))
    copied = torch.full((1, len(pieces)), 0.1)
    allowed = rules.allow(copied, torch.tensor([-1]), opening=True)[0]
    assert allowed[windows[0].passage_start].item() > 0


def test_words_are_not_torn() -> None:
    ids = torch.tensor([[5, 7, 6, 7]])
    rules = word_rules(torch.arange(8) == 7, ids)
    copied = torch.full((1, 4), 0.25)
    assert rules.allow(copied, torch.tensor([0]), opening=False)[0].tolist() == [
        0.25,
        0.25,
        0.25,
        0.0,
    ]
    assert rules.repeat(2).continues.shape == (2, 4)


def _windows(text: str) -> tuple[list[Window], list[str]]:
    """The windows of a text for some question, and all their tokens."""
    tokenizer = minilm.load_tokenizer()
    (question, passage) = tokenise(tokenizer, ["Who is asked?", text])
    windows = split_windows(question.ids, passage, 0)
    return windows, [tokenizer.id_to_token(int(n)) for w in windows for n in w.token_ids]
