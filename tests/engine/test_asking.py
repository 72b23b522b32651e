from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragcli.engine.asking import BATCH_SIZE, AskOptions, ask
from ragcli.engine.given import passages_of
from ragcli.engine.indexing import index_paths
from ragcli.errors import IndexMismatchError, IndexMissingError, UsageError
from ragcli.records import Question

REVIEW = "The project review is due on 14 March 2025. Anna Berg leads the team."
WHEN, WHO = "When is the project review due?", "Who leads the team?"
OTHERS = (
    "Green tea is brewed at 80 degrees.",
    "The boiler in the cellar was serviced by Mr Holm in October.",
    "Otters hold hands.",
)


def test_an_answer_comes_with_its_sources_and_sums_to_1() -> None:
    options = AskOptions(heads=True, context_name="notes.txt")
    (answer,) = ask(None, [Question(WHEN, "q1", (REVIEW,))], options)
    assert (answer.text, answer.abstained) == ("14 March 2025", False)
    assert answer.question.question_id == "q1"
    assert answer.support is not None
    assert answer.support.text == "The project review is due on 14 March 2025."
    (hit,) = answer.passages
    assert (hit.rank, hit.score, hit.stored.path) == (1, None, "notes.txt")
    attribution = answer.attribution
    assert sum(attribution.contexts) + attribution.vocabulary == pytest.approx(1.0, abs=1e-4)
    assert attribution.method == "effect"
    assert len(answer.heads) == 2 * 12
    assert answer.models["encoder"] == "none"
    assert answer.models["reader"].startswith("ragcli-reader@")
    assert set(answer.timings) == {"retrieval", "loading", "reading", "attribution", "total"}
    stages = [seconds for stage, seconds in answer.timings.items() if stage != "total"]
    assert answer.timings["total"] == pytest.approx(sum(stages))


def test_answers_stream_in_the_order_of_the_questions() -> None:
    asked: list[int] = []

    def questions() -> Iterator[Question]:
        for number in range(BATCH_SIZE + 2):
            asked.append(number)
            contexts = (REVIEW,) if number % 3 else (" ",)
            yield Question((WHEN, WHO)[number % 2], f"q{number}", contexts)

    answers = ask(None, questions(), AskOptions())
    first = next(answers)
    assert len(asked) == BATCH_SIZE
    found = [first, *answers]
    assert [answer.question.question_id for answer in found] == [
        f"q{number}" for number in range(BATCH_SIZE + 2)
    ]
    for number, answer in enumerate(found):
        assert answer.text == (("14 March 2025", "Anna Berg")[number % 2] if number % 3 else None)


def test_of_many_contexts_the_nearest_are_read() -> None:
    contexts = (*OTHERS, REVIEW)
    (answer,) = ask(None, [Question(WHEN, None, contexts)], AskOptions(k=2))
    assert len(answer.passages) == 2
    best = answer.passages[0]
    assert (best.stored.path, best.stored.passage_id, best.rank) == ("context#4", 4, 1)
    scores = [hit.score for hit in answer.passages]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
    assert answer.text == "14 March 2025"
    assert answer.models["encoder"].startswith("all-MiniLM-L6-v2@")


def test_too_little_confidence_is_no_answer() -> None:
    (answer,) = ask(None, [Question(WHEN, None, (REVIEW,))], AskOptions(min_confidence=1.0))
    assert (answer.text, answer.abstained) == (None, True)
    assert 0.0 < answer.confidence < 1.0
    assert answer.passages


def test_questions_are_answered_from_an_index_or_their_own_contexts(corpus: Path) -> None:
    (corpus / "docs" / "review.md").write_text(f"# Plans\n\n{REVIEW}\n", "utf-8")
    folder = corpus / ".ragcli"
    index_paths([corpus], folder)
    questions = [Question(WHEN), Question(WHO, None, ("Carl Holm leads the team.",)), Question(WHO)]
    found, own, again = ask(folder, questions, AskOptions(k=3, seen_from=corpus / "docs"))
    assert [answer.text for answer in (found, own, again)] == [
        "14 March 2025",
        "Carl Holm",
        "Anna Berg",
    ]
    assert found.passages[0].stored.path == "review.md"
    assert found.support is not None
    assert found.passages[found.support.context].stored.line_at(found.support.start) == 3
    assert len(own.passages) == 1
    # Without a named folder the index is looked for from where the person stands.
    (upward,) = ask(None, [Question(WHEN)], AskOptions(seen_from=corpus / "docs"))
    assert upward.text == "14 March 2025"
    with pytest.raises(IndexMismatchError, match="not by other"):
        next(ask(folder, [Question(WHEN)], AskOptions(encoder_name="other")))


def test_without_contexts_an_index_is_needed(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError):
        next(ask(None, [Question(WHEN)], AskOptions(seen_from=tmp_path)))


def test_an_unknown_reading_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown attribution 'guess'"):
        AskOptions(method="guess")


def test_contexts_are_cut_into_passages_that_cover_them() -> None:
    long = "The weather was mild in spring. " * 80
    passages = passages_of([long, "", "Otters."], "notes")
    first = [stored for stored in passages if stored.path == "notes#1"]
    assert len(first) > 1
    assert "".join(stored.passage.text for stored in first) == long
    assert all(long[s.passage.start : s.passage.end] == s.passage.text for s in first)
    assert [stored.passage_id for stored in passages] == list(range(1, len(passages) + 1))
    assert {stored.path for stored in passages} == {"notes#1", "notes#3"}
    assert passages_of(["Otters."], "notes")[0].path == "notes"


def test_an_explained_answer_says_what_its_words_looked_at() -> None:
    questions = [Question(WHEN, None, (*OTHERS, REVIEW)), Question(WHEN, None, OTHERS)]
    answer, abstention = ask(None, questions, AskOptions(explain=True))
    assert answer.focus is not None
    assert [word.text for word in answer.focus.words] == ["14", "March", "2025"]
    read = [hit.stored.passage.text for hit in answer.passages]
    assert {read[word.context or 0] for word in answer.focus.words} == {REVIEW}
    assert all(read[word.context][word.start : word.end] == word.text for word in answer.focus.seen)
    assert (abstention.text, abstention.focus) == (None, None)
    (plain,) = ask(None, questions[:1], AskOptions())
    assert (plain.focus, plain.word_shares) == (None, None)


def test_what_words_are_owed_to_is_told_by_the_method_asked_for() -> None:
    questions = [Question(WHEN, None, (*OTHERS, REVIEW)), Question(WHEN, None, OTHERS)]
    rows = {}
    for method in ("effect", "copy"):
        options = AskOptions(word_shares=True, explain=True, method=method)
        answer, abstention = ask(None, questions, options)
        assert abstention.word_shares is None
        assert answer.word_shares is not None
        assert answer.focus is not None
        rows[method] = answer.word_shares.whole
        assert answer.word_shares.by_word.shape == answer.focus.copy.shape
        assert rows[method].sum() == pytest.approx(sum(answer.attribution.contexts), abs=1e-5)
    assert (rows["effect"] - rows["copy"]).max() > 0.01


@pytest.mark.parametrize(("chosen", "remedy"), [({"layer": 99}, "1 to "), ({"head": 0}, "1 to 12")])
def test_a_layer_or_head_that_there_is_not_is_refused(chosen: dict[str, int], remedy: str) -> None:
    options = AskOptions(explain=True, **chosen)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="there is no ") as caught:
        next(ask(None, [Question(WHEN, None, OTHERS)], options))
    assert remedy in caught.value.remedy
